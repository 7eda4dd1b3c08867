"""The README as a package index shows it, where a link cannot be relative."""

import re

_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def for_index(text: str, repository: str | None, version: str) -> str:
    """The text with links and pictures as addresses in the repository, at the version's tag.

    Where no address is known a link is its words, and a picture is left out: nothing leads nowhere.
    """

    def put(found: re.Match[str]) -> str:
        picture, words, path = found.groups()
        if repository is None:
            return "" if picture else words
        return f"{picture}[{words}]({repository}/{'raw' if picture else 'blob'}/v{version}/{path})"

    return _LINK.sub(put, text)


def urls(repository: str | None) -> dict[str, str]:
    """What stands in the package's metadata."""
    if repository is None:
        return {}
    pages = {"Repository": "", "Issues": "/issues", "Changelog": "/blob/main/CHANGELOG.md"}
    return {name: repository + path for name, path in pages.items()}
