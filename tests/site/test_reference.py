"""The reference has a place for every public name. The site is not built here: its pages are made from the names alone."""

import importlib
import pathlib
import re
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "docs"))
from lrax_site import docstrings, names, pages, reference


def test_every_public_name_has_a_page() -> None:
    """A name without one fails; the remedy is the module that defines it, in a line of `PAGES` in docs/lrax_site/names.py."""
    missing = [name for name in names.names().values() if names.page_of(name) is None]
    assert not missing


def test_every_page_has_its_names() -> None:
    """No page is empty, no line of `PAGES` speaks of a module without a public name, and no name stands twice."""
    shown = [name.path for there in names.by_page().values() for name in there]
    assert len(shown) == len(set(shown)) == len(names.names())
    assert all(names.by_page().values())
    homes = [name.home for name in names.names().values()]
    idle = [
        m for page in names.PAGES.values() for m in page.modules if not any(f"{home}.".startswith(f"{m}.") for home in homes)
    ]
    assert not idle


@pytest.mark.parametrize("package", sorted(names.packages()))
def test_names_are_those_that_python_sees(package: str) -> None:
    """What is read off the source is what `__all__` of the imported package holds, modules left out."""
    module = importlib.import_module(package)
    public = {name for name in module.__all__ if not isinstance(getattr(module, name), types.ModuleType)} - {"__version__"}
    read = {
        path.rpartition(".")[2] for name in names.names().values() for path in name.paths if path.rpartition(".")[0] == package
    }
    assert read == public


def test_what_the_pages_ask_for_is_there() -> None:
    """Every `:::` of a page names an object, and the overview links to each."""
    asked = [path for text in reference.pages().values() for path in re.findall(r"^::: (\S+)", text, re.MULTILINE)]
    assert sorted(asked) == sorted(names.names())
    assert all(docstrings.runtime(path) is not None for path in asked)
    assert set(re.findall(r"\]\[(lrax\.\S+?)\]", reference.pages()["reference/index.md"])) == set(asked)


def test_members_are_linked_to_where_they_are_told_of() -> None:
    """A method has a place of its own, a field is in the words of its class, and what a class does not have is no link."""
    assert docstrings.linked("`FinderResult.plot`") == "[`FinderResult.plot`][lrax.FinderResult.plot]"
    assert (
        docstrings.linked("`FinderResult.interval` `SweepResult.plan`")
        == "[`FinderResult.interval`][lrax.FinderResult] [`SweepResult.plan`][lrax.sweeps.SweepResult]"
    )
    assert docstrings.linked("`FinderResult.nothing`") == "`FinderResult.nothing`"


def test_docstrings_become_pages() -> None:
    """Examples are code, sections of one line have their heading, names are links but for the own and the arguments'."""
    text = """Falls like `Cosine`, see `FinderResult.plot`.

    $$a
    b$$ with the terms of `Cosine`.

    Args:
      sweep: not a link to `sweep`.

    Raises: ValueError if `start`
      is bad.

    >>> 1 + 1
    2

    >>> 2
    2
    """
    page = docstrings.as_markdown(text, "lrax.schedules._phases.Linear")
    assert page.startswith(
        "Falls like [`Cosine`][lrax.Cosine], see [`FinderResult.plot`][lrax.FinderResult.plot].\n\n**When:** "
    )
    assert "images/gallery/Linear.png" in page
    assert "\n\n$$a\nb$$\n\nwith the terms of [`Cosine`][lrax.Cosine].\n\n" in page
    assert "  sweep: not a link to `sweep`." in page
    assert "**Raises:** ValueError if `start` is bad." in page
    assert page.endswith("```pycon\n>>> 1 + 1\n2\n\n>>> 2\n2\n```")
    assert "[`Linear`]" not in docstrings.linked("`Linear`", "lrax.schedules._phases.Linear")


def test_a_name_from_another_library_is_not_linked() -> None:
    """Where the code of a page has `jnp.minimum`, `minimum` is not lrax's; the full name still is."""
    code = "```python\njnp.minimum(count, 1)\n```\n"
    assert docstrings.linked_page("`minimum`") == "[`minimum`][lrax.finder.minimum]"
    assert docstrings.linked_page(f"{code}`minimum`") == f"{code}`minimum`"
    full = docstrings.linked_page(f"{code}`lrax.finder.minimum`")
    assert full == f"{code}[`lrax.finder.minimum`][lrax.finder.minimum]"


@pytest.mark.parametrize(
    ("page", "written", "expected"),
    [
        ("finder.md", "[b](../benchmarks/README.md)", "[b](benchmarks.md)"),
        ("benchmarks.md", "[b](finder/README.md#rules)", "[b](benchmarks_finder.md#rules)"),
        ("contributing.md", "[d](docs/design.md)", "[d](design.md)"),
        ("scaling.md", "[`examples/resnet.py`](../examples/resnet.py)", "`examples/resnet.py`"),
        ("scaling.md", "[it](../examples/resnet.py)", "it (`examples/resnet.py`)"),
        ("living.md", "`[b](../benchmarks/README.md)`", "`[b](../benchmarks/README.md)`"),
        ("reference/finder.md", "[f](../finder.md)", "[f](../finder.md)"),
    ],
)
def test_links_between_files_are_links_between_pages(page: str, written: str, expected: str) -> None:
    """Links lead to the page that a file is; a file that is no page is named, where no repository is known."""
    assert pages.moved(written, page, None) == expected
    if "examples" in written:
        assert "(https://example.org/r/blob/main/examples/resnet.py)" in pages.moved(written, page, "https://example.org/r")
