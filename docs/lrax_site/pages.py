"""Pages of the site that stand outside docs/, and the links between files of the repository as links between pages."""

import os.path
import pathlib
import posixpath
import re

ROOT = pathlib.Path(__file__).parents[2]

OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/RESULTS-cpu.md": "benchmarks_results.md",
    "benchmarks/finder/README.md": "benchmarks_finder.md",
}
"""The file, and the page that it is."""

CODE = r"^ *(?P<fence>```|~~~).*?^ *(?P=fence)|`[^`\n]+`"
LINK = re.compile(rf"(?P<code>{CODE})|(?P<shown>!?)\[(?P<text>[^\[\]]*)\]\((?P<target>[^)\s]+)\)", re.DOTALL | re.MULTILINE)


def page_at(path: str) -> str | None:
    """The page, or other file of the site, that a file of the repository is; None if it is none."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    if path == "README.md":
        return "index.md"
    return path.removeprefix("docs/") if path.startswith("docs/") and not path.endswith((".py", ".sh")) else None


def file_of(page: str) -> str:
    """The file of the repository that a page was made from."""
    return {made: source for source, made in OUTSIDE.items()}.get(page, f"docs/{page}")


def moved(markdown: str, page: str, repository: str | None) -> str:
    """The text of a page with its relative links as the site has them.

    A file that is no page is a link into the repository, or, while no address of one is known, its path and no link.
    """

    def put(found: re.Match[str]) -> str:
        target, _, anchor = (found["target"] or "").partition("#")
        if found["code"] or not target or re.match(r"[a-z]+:", target):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file_of(page)), target))
        to = page_at(path)
        if to is not None:
            relative = posixpath.relpath(to, posixpath.dirname(page) or ".")
            return f"{found['shown']}[{found['text']}]({relative}{'#' + anchor if anchor else ''})"
        if not os.path.exists(ROOT / path):
            return found[0]  # mkdocs says so
        if repository is None:
            return found["text"] if found["text"].strip("`") == path else f"{found['text']} (`{path}`)"
        return f"[{found['text']}]({repository}/blob/main/{path})"

    return LINK.sub(put, markdown)
