"""The gallery of the site: thumbnails, each a link to its schedule. `make_gallery.py` has the calls and when to use them."""

import functools
import importlib.util
import pathlib
from typing import Any

DOCS = pathlib.Path(__file__).parents[1]


@functools.cache
def script() -> Any:
    """`docs/make_gallery.py`, read but not run."""
    spec = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def entries() -> dict[str, Any]:
    """Every entry of the gallery, by the name of its class or recipe."""
    return {name: entry for section in script().SECTIONS.values() for name, entry in section.items()}


def drawn(name: str) -> str:
    """When to use a schedule, its picture and the plotted call: Markdown for the reference."""
    entry = entries()[name]
    picture = f"![The learning rate of {name} over the count](../images/gallery/{name}.png){{ .kind }}"
    return f"**When:** {entry.when}\n\n{picture}\n\n```python\n{script().written(entry)}\n```"


def thumbnails(page_of: dict[str, str]) -> str:
    """The page of thumbnails; `page_of` says on which page of the reference a name stands."""
    parts = [
        "# Gallery\n\nEvery schedule class and recipe, plotted over the same counts. Click one for its formula, arguments and "
        "the call that plots it.\n"
    ]
    for title, section in script().SECTIONS.items():
        parts.append(f'\n## {title}\n\n<div class="thumbnails" markdown>\n')
        for name, entry in section.items():
            picture = f"![{name}](images/gallery/{name}.svg){{ loading=lazy }}"
            parts.append(
                f"\n[{picture}<b>{name}</b><span>{_plain(entry.when)}</span>]({page_of[script().path(name)]}#{script().path(name)})\n"
            )
        parts.append("\n</div>\n")
    return "".join(parts)


def _plain(text: str) -> str:
    return text.replace("`", "")
