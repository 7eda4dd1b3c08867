"""The layers: which package may import which. Data flows one way, so there are no import cycles."""

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
"""What each package, or file at the top level, may import. A new import between packages is a decision: make it here."""


def imports(path: pathlib.Path) -> set[str]:
    """The modules of lrax that a file imports anywhere in it, without the prefix `lrax.`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            found |= {f"{node.module}.{alias.name}" if node.module == "lrax" else node.module for alias in node.names}
    return {name.removeprefix("lrax.") for name in found if name and name.startswith("lrax.")}


def module(path: pathlib.Path) -> str:
    """The name of a file's module, without the prefix `lrax.`."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


FILES = {module(path): imports(path) for path in sorted(SOURCE.rglob("*.py"))}


def test_every_package_is_in_the_table() -> None:
    """Every package and top-level file has an entry."""
    assert {name.partition(".")[0] for name in FILES} <= set(MAY_IMPORT)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_packages_import_only_what_the_table_allows(package: str) -> None:
    """No package imports another that its entry does not name."""
    for name, imported in FILES.items():
        if name.partition(".")[0] == package:
            others = {other.partition(".")[0] for other in imported} - {package}
            assert others <= MAY_IMPORT[package], f"lrax.{name} imports {sorted(others - MAY_IMPORT[package])}"


def test_there_are_no_import_cycles() -> None:
    """Neither packages nor files import each other, directly or through others."""
    graphlib.TopologicalSorter(MAY_IMPORT).prepare()
    files = {name: {other for other in imported if other in FILES} for name, imported in FILES.items()}
    graphlib.TopologicalSorter(files).prepare()


def test_no_private_part_of_jax_is_imported() -> None:
    """No file imports from `jax._src`."""
    for path in SOURCE.rglob("*.py"):
        assert "jax._src" not in path.read_text(), path


LONG: set[str] = set()
"""Functions that are longer than the limit for now."""


def long_functions(path: pathlib.Path) -> set[str]:
    """The functions of a file that have more than 60 lines without the docstring."""
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
