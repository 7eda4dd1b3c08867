"""Sweeps and races in a notebook: a table, and a picture where matplotlib is."""

import base64
import html as escaping
import io
from collections.abc import Callable
from typing import Any

from lrax.sweeps._table import Table


def html(table: Callable[[], Table], draw: Callable[[Any], Any], otherwise: str) -> str:
    """A table and a picture as HTML. What cannot be made is left out: a notebook shows its result whatever happens."""
    try:
        shown = _table(table())
    except Exception:  # whatever a user's schedule raises in its repr
        shown = f"<pre>{escaping.escape(otherwise)}</pre>"
    try:
        picture = _picture(draw)
    except Exception:  # no matplotlib, or numbers that it cannot draw
        picture = ""
    return f"<div>{shown}{picture}</div>"


def _table(table: Table) -> str:
    def row(cells: list[str], tag: str) -> str:
        sides = ("right" if i in table.right else "left" for i in range(len(cells)))
        made = (
            f'<{tag} style="text-align: {side}">{escaping.escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    head, *rows = table.rows
    body = "".join(row(cells, "td") for cells in rows)
    notes = "<br>".join(map(escaping.escape, table.notes))
    return f"<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody></table><p>{notes}</p>"


def _picture(draw: Callable[[Any], Any]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")  # none of pyplot's, which would show it twice
    draw(figure.subplots())
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
