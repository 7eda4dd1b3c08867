"""Sweeps and races in a notebook: a table, and a picture where matplotlib is."""

import html as escaping
from collections.abc import Callable
from typing import Any

from lrax._pictures import inline
from lrax.sweeps._table import BEST, Table

STRONG = ' style="font-weight: bold"'
"""Of the best row."""


def html(table: Callable[[], Table], draw: Callable[[Any], Any], otherwise: str) -> str:
    """A table and a picture as HTML. What cannot be made is left out: a notebook shows its result whatever happens."""
    try:
        shown = _table(table())
    except Exception:  # whatever a user's schedule raises in its repr
        shown = f"<pre>{escaping.escape(otherwise)}</pre>"
    return inline(shown, draw, otherwise)


def _table(table: Table) -> str:
    def row(cells: list[str], tag: str) -> str:
        sides = ("right" if i in table.right else "left" for i in range(len(cells)))
        made = (
            f'<{tag} style="text-align: {side}">{escaping.escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        return f"<tr{STRONG if cells[0] == BEST else ''}>{''.join(made)}</tr>"

    head, *rows = table.rows
    body = "".join(row(cells, "td") for cells in rows)
    notes = "<br>".join(map(escaping.escape, table.notes))
    verdict = f"<p>{escaping.escape(table.verdict)}</p>" if table.verdict else ""
    return f"{verdict}<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody></table><p>{notes}</p>"
