"""Told to hatchling when a wheel or sdist is made: the README and the addresses of the project, for a package index."""

import pathlib
import sys
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = pathlib.Path(__file__).parent
sys.path.insert(0, str(ROOT / "docs"))
from lrax_site import readme, repository  # noqa: E402  # the path comes first


class Metadata(MetadataHookInterface):
    """Fills what pyproject.toml calls dynamic beside the version."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds `readme` and, where the repository's address is known, `urls`."""
        address = repository.address(ROOT)
        text = readme.for_index((ROOT / "README.md").read_text(encoding="utf-8"), address, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = readme.urls(address)
