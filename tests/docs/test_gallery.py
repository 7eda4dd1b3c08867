"""The gallery shows every public schedule and is what its script makes."""

import importlib.util
import inspect
import pathlib
from types import ModuleType

import pytest

import lrax
from public_names import public

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    """The script, without running it."""
    spec = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_schedule_has_its_place(gallery: ModuleType) -> None:
    """A kind or a recipe that is not in the gallery fails."""
    names = public()
    kinds = {n for n, v in names.items() if isinstance(v, type) and issubclass(v, lrax.Schedule) and not inspect.isabstract(v)}
    recipes = {n for n, v in names.items() if getattr(v, "__module__", "").endswith(("recipes", "_plan"))}
    shown = [name for entries in gallery.SECTIONS.values() for name in entries]
    assert len(shown) == len(set(shown))
    assert set(shown) == kinds | recipes


def test_the_page_is_up_to_date(gallery: ModuleType) -> None:
    """The page is what the script makes of the code; if not, run `python docs/make_gallery.py`."""
    assert (DOCS / "gallery.md").read_text() == gallery.page()


def test_pictures_are_there_and_small(gallery: ModuleType) -> None:
    """Each entry has its picture and its thumbnail, none is left over, and all together stay below a megabyte."""
    shown = {f"{name}{end}" for entries in gallery.SECTIONS.values() for name in entries for end in (".png", ".svg")}
    files = list((DOCS / "images" / "gallery").iterdir())
    assert {path.name for path in files} == shown
    assert sum(path.stat().st_size for path in files) < 1_000_000


def test_every_call_is_of_its_entry(gallery: ModuleType) -> None:
    """Each call names the kind or the recipe it stands for, and gives a schedule."""
    for entries in gallery.SECTIONS.values():
        for name, entry in entries.items():
            assert entry.call.startswith(f"{name}(")
            assert isinstance(gallery.schedule(entry.call), lrax.Schedule)
