"""The house: which room may import which. Data flows one way, so the arrows have no circles."""

import ast
import graphlib
import pathlib

import pytest

SOURCE = pathlib.Path(__file__).parents[1] / "src" / "lrax"

MAY_IMPORT: dict[str, set[str]] = {
    "_version": set(),
    "fields": set(),
    "_pictures": {"fields"},
    "schedules": {"fields", "_pictures"},
    "theory": {"fields", "schedules"},
    "optimizers": {"fields", "schedules"},
    "training": {"fields", "schedules", "optimizers"},
    "finder": {"fields", "_pictures", "schedules", "theory", "training"},
    "sweeps": {"fields", "_pictures", "schedules", "theory", "training"},
    "compat": {"fields", "schedules", "optimizers"},
    "citing": {"_version", "fields", "schedules", "finder", "sweeps"},
    "flax": {"fields", "schedules", "optimizers", "training"},
    "keras": {"fields", "schedules", "optimizers", "training"},
    "__init__": {
        "_version",
        "citing",
        "fields",
        "schedules",
        "optimizers",
        "training",
        "finder",
        "sweeps",
        "theory",
        "compat",
        "flax",
        "keras",
    },
}
"""A room is a folder, or a file beside them. What stands here is what is allowed; a new arrow is a decision, made here."""


def imports(path: pathlib.Path) -> set[str]:
    """The modules of lrax that a file imports, wherever in it, `lrax.` left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            found |= {f"{node.module}.{alias.name}" if node.module == "lrax" else node.module for alias in node.names}
    return {name.removeprefix("lrax.") for name in found if name and name.startswith("lrax.")}


def module(path: pathlib.Path) -> str:
    """The name of a file's module, `lrax.` left out."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


FILES = {module(path): imports(path) for path in sorted(SOURCE.rglob("*.py"))}


def test_every_room_is_in_the_table() -> None:
    """A new room is a decision: what it may import is written down."""
    assert {name.partition(".")[0] for name in FILES} <= set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_rooms_import_what_they_may(room: str) -> None:
    """No room imports one that the table does not name."""
    for name, imported in FILES.items():
        if name.partition(".")[0] == room:
            others = {other.partition(".")[0] for other in imported} - {room}
            assert others <= MAY_IMPORT[room], f"lrax.{name} imports {sorted(others - MAY_IMPORT[room])}"


def test_there_are_no_circles() -> None:
    """Neither rooms nor files import each other, however long the way round."""
    graphlib.TopologicalSorter(MAY_IMPORT).prepare()
    files = {name: {other for other in imported if other in FILES} for name, imported in FILES.items()}
    graphlib.TopologicalSorter(files).prepare()


def test_nothing_of_jax_s_insides_is_imported() -> None:
    """No file imports from `jax._src`."""
    for path in SOURCE.rglob("*.py"):
        assert "jax._src" not in path.read_text(), path


LONG = {"finder._find.find_lr", "sweeps._race.race"}
"""What is longer for now: these two are to be divided."""


def long_functions(path: pathlib.Path) -> set[str]:
    """The functions of a file whose body has more than 60 lines, the docstring left out."""
    return {
        f"{module(path)}.{node.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno - len((ast.get_docstring(node) or "").splitlines()) > 60
    }


def test_functions_are_short() -> None:
    """A function has at most 60 lines of code; files may be as long as their subject needs."""
    found = set().union(*map(long_functions, SOURCE.rglob("*.py")))
    assert found == LONG
