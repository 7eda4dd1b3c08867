"""The pages of the reference, made of the public names: a heading, first words, and a place for each name."""

from lrax_site import docstrings, names

MEMBERS = {
    "lrax.Schedule": ["__call__", "over", "rate", "length", "landmarks", "resized"],
    "lrax.Phase": ["curve"],
}
"""What is shown of the classes that others are made from. Kinds show none: their methods are those of `Schedule`."""


_FIRST = "---\nsearch:\n  boost: 4\n---\n\n"
"""Who searches for a name wants its place in the reference before the pages that use it."""


def pages() -> dict[str, str]:
    """The Markdown of every page, by its path in the site."""
    return {f"reference/{page}.md": _page(page) for page in names.pages()} | {"reference/index.md": _index()}


def nav() -> list[str | dict[str, str]]:
    """What stands in the navigation."""
    return [
        {"All names": "reference/index.md"},
        *({made.title: f"reference/{page}.md"} for page, made in names.pages().items()),
    ]


def places() -> dict[str, str]:
    """The page of each name, as linked from a page at the top."""
    return {name.path: f"reference/{page}.md" for page, there in names.by_page().items() for name in there}


def _page(page: str) -> str:
    made = names.pages()[page]
    words = made.words or docstrings.as_markdown(names.packages()[made.modules[0]], made.modules[0])
    first = "" if page.startswith("compat-") else _FIRST
    return f"{first}# {made.title}\n\n{words}\n\n" + "\n\n".join(_name(name.path) for name in names.by_page()[page]) + "\n"


def _name(path: str) -> str:
    if path in MEMBERS:
        return f"::: {path}\n    options:\n      members: [{', '.join(MEMBERS[path])}]"
    return f"::: {path}" + ("\n    options:\n      members: false" if _is_kind(path) else "")


def _is_kind(path: str) -> bool:
    import lrax

    value = getattr(lrax, path.removeprefix("lrax."), None)
    return isinstance(value, type) and issubclass(value, lrax.Schedule)


def _index() -> str:
    lines = ["# All names\n\nEvery public name by subject. You can also use the search above.\n"]
    for page, made in names.pages().items():
        shown = ", ".join(f"[`{name.path}`][{name.path}]" for name in names.by_page()[page])
        lines.append(f"\n**[{made.title}]({page}.md)**: {shown}\n")
    return "".join(lines)
