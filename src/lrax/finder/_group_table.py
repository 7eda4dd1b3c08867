"""What groups of parameters suggest, as a table and as panels of a picture. Takes results, and imports none."""

from collections.abc import Mapping
from typing import Any

from lrax._pictures import new_axes
from lrax.fields._errors import argument_error


def group_table(groups: Mapping[str, Any]) -> str:
    """A row a group: what it suggests, the band of its seeds, and why its test ended."""
    rows = [("group", "rate", "band", "ended")]
    for pattern, found in groups.items():
        rate = "none" if found.suggestion is None else f"{found.suggestion:.3g}"
        band = "" if found.band is None else f"{found.band[0]:.2g} to {found.band[1]:.2g}"
        rows.append((pattern or "(rest)", rate, band, f"{found.reason}: {found.explanation}"))
    empty = all(not row[2] for row in rows[1:])
    rows = [(row[0], row[1], row[3]) if empty else row for row in rows]  # type: ignore[misc]  # rows of one length each
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def plot_groups(found: Any) -> list[Any]:
    """Draws a panel for each group of a result into a new figure; see `FinderResult.plot_groups`."""
    if not found.groups:
        remedy = "give lrax.find_lr groups=, or draw it with plot"
        raise argument_error(ValueError, "FinderResult.plot_groups", "found", "a result with groups", found, remedy)
    axes = new_axes()
    axes.figure.set_size_inches(6.4 * len(found.groups), 4.8)  # type: ignore[union-attr]  # a figure, not a part of one
    return draw_groups(found.groups, axes)


def draw_groups(groups: Mapping[str, Any], axes: Any) -> list[Any]:
    """Draws each group's test into a panel, its pattern above; the first is what some axes become."""
    cells = axes.figure.add_gridspec(1, len(groups))
    axes.set_subplotspec(cells[0])
    panels = [axes, *(axes.figure.add_subplot(cells[i]) for i in range(1, len(groups)))]
    for panel, (pattern, found) in zip(panels, groups.items(), strict=True):
        found.plot(panel)
        rate = "no suggestion" if found.suggestion is None else f"{found.suggestion:.3g}"
        panel.set_title("")
        panel.set_title(f"{pattern or '(rest)'}: {rate}", fontsize="medium", loc="left")
    return panels
