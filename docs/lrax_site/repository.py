"""The address of the repository, if there is one to tell: edit links, source links and a package index's links need it."""

import os
import pathlib
import tomllib

ROOT = pathlib.Path(__file__).parents[2]


def address(root: pathlib.Path = ROOT) -> str | None:
    """`tool.lrax.repository` of pyproject.toml; where that is empty, the one in which a workflow runs; else None."""
    written = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["lrax"]["repository"]
    if written:
        return str(written).rstrip("/")
    server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    return f"{server}/{name}" if server and name else None


def places(address: str) -> dict[str, str]:
    """What a reader looks for outside the site: the repository, its issues, and the package index."""
    return {"Repository": address, "Issues": f"{address}/issues", "PyPI": "https://pypi.org/project/lrax/"}
