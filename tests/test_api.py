"""The listing of public names."""

import importlib.util
import pathlib

SCRIPT = pathlib.Path(__file__).parents[1] / "docs" / "make_api.py"


def test_the_listing_of_public_names_is_current() -> None:
    """docs/api.txt has every public name with its parameters, so that a change of one shows in review."""
    spec = importlib.util.spec_from_file_location("make_api", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.listing() == module.FILE.read_text(), "a public name has changed: run python docs/make_api.py"
