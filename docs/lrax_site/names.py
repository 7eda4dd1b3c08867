"""The public names of lrax, where each is defined and on which page of the reference it stands: read off the source.

A name has one page: that of the module that defines it, by the longest line of `PAGES` that fits. A public package without
a line (`lrax.theory`) gets a page of its own, with its docstring as the page's first words. So a new name needs no line unless
its file is new too.
"""

import ast
import functools
import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = ROOT / "src"


class Page(NamedTuple):
    """A page of the reference: its title, its first words, and the modules whose names it shows."""

    title: str
    words: str
    modules: tuple[str, ...]


PAGES: dict[str, Page] = {
    "schedule": Page(
        "Base classes",
        "The methods of every schedule, and the base classes of custom schedules. See also [schedules](../schedules.md).",
        ("lrax.schedules._base",),
    ),
    "phases": Page(
        "Phases",
        "Schedules with a length. At count 0 a phase is at its start. From count `steps` on it stays at its end.",
        ("lrax.schedules._phases",),
    ),
    "endless": Page(
        "Schedules without a length, and tables",
        "Schedules without an end, and schedules from a table of counts.",
        ("lrax.schedules._decays", "lrax.schedules._tables"),
    ),
    "combinators": Page(
        "Combinators",
        "Schedules made of other schedules: in sequence, repeated, shifted, scaled, added.",
        ("lrax.schedules._combinators",),
    ),
    "recipes": Page(
        "Recipes",
        "Named combinations for common runs. Each is made of public schedule classes.",
        ("lrax.schedules._recipes",),
    ),
    "plans": Page(
        "Lengths, clocks and changes",
        "Epochs, examples and tokens as steps; batch-size ramp-up; learning rates for other batch sizes; extending a run or "
        "ending it early.",
        ("lrax.schedules._clock", "lrax.schedules._plan"),
    ),
    "show": Page(
        "Checking, plotting, saving and loading",
        "A report of probable mistakes, schedules as pictures, tables and JSON, and schedules from a configuration.",
        ("lrax.schedules._check", "lrax.schedules._display", "lrax.schedules._serialise"),
    ),
    "optax": Page(
        "Optimizers",
        "Learning rates from an optimizer's state, parameter groups, and reduction on a plateau. "
        "See also [Logging, checkpointing and changing a schedule](../living.md) and "
        "[Different learning rates for different parameters](../groups.md).",
        ("lrax.optimizers",),
    ),
    "learner": Page(
        "Learners and evaluation",
        "A training state, a step and a metric, for the finder, sweeps and races.",
        ("lrax.training._learner", "lrax.training._evaluating", "lrax.flax", "lrax.keras"),
    ),
    "finder": Page(
        "Finder",
        "The range test and its result. See also [the finder](../finder.md).",
        (
            "lrax.finder._find",
            "lrax.finder._result",
            "lrax.finder._range_test",
            "lrax.finder._curve",
            "lrax.training._core",
            "lrax.finder",
        ),
    ),
    "finder-rules": Page(
        "Finder: rules, stops, smoothers",
        "Rules that read a learning rate off a curve, conditions that end a range test, and smoothing of losses.",
        ("lrax.finder._rules", "lrax.finder._stop"),
    ),
    "sweeps": Page(
        "Sweeps and races",
        "Many schedules through one training function. See also [sweeps](../sweeps.md).",
        ("lrax.sweeps._sweep", "lrax.sweeps._race", "lrax.sweeps._results", "lrax.training._driver", "lrax.sweeps"),
    ),
    "citing": Page("Citing", "The papers behind a schedule or a result, as BibTeX.", ("lrax.citing",)),
    "fields": Page(
        "Field types for custom schedules",
        "The values that a field accepts, and the checks when a schedule is made.",
        ("lrax.fields",),
    ),
    "compat-torch": Page("PyTorch's schedulers", "", ("lrax.compat.torch",)),
    "compat-optax": Page("Optax's schedules", "", ("lrax.compat.optax",)),
    "compat-mxnet": Page("MXNet's schedulers", "", ("lrax.compat.mxnet",)),
    "compat-djl": Page("DJL's trackers", "", ("lrax.compat.djl",)),
    "compat-keras": Page("Keras's schedules", "", ("lrax.compat.keras",)),
    "compat-timm": Page("timm's schedulers", "", ("lrax.compat.timm",)),
    "compat-transformers": Page("The schedulers of transformers", "", ("lrax.compat.transformers",)),
    "theory": Page("Theory and transfer rules", "", ("lrax.theory",)),
}
"""In the order of the site. Without words of its own a page takes the docstring of its first module."""


class Name(NamedTuple):
    """A public name: its shortest path, the module that defines it, and every public path it can be had by."""

    path: str
    home: str
    paths: tuple[str, ...]


def tree(module: str) -> ast.Module:
    """The syntax of a module of lrax."""
    path = SOURCE.joinpath(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())


@functools.cache
def packages() -> dict[str, str]:
    """Public modules and their docstrings: those with an `__all__` and no underscore in their path."""
    found = {}
    for path in sorted((SOURCE / "lrax").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        if not any(part.startswith("_") for part in module.split(".")) and _exported(module):
            found[module] = ast.get_docstring(tree(module)) or ""
    return found


def _exported(module: str) -> list[str]:
    """What `__all__` names; nothing for a room that is private."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            return ast.literal_eval(node.value)
    return []


def _home(module: str, name: str) -> str | None:
    """The module that defines a name which `module` exports; None if the name is itself a module, or no one's."""
    if name.startswith("__") or f"{module}.{name}" in packages():
        return None
    for node in tree(module).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lrax"):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    path = SOURCE.joinpath(*node.module.split("."))
                    return _home(node.module, alias.name) if (path / "__init__.py").exists() else node.module
    return module


@functools.cache
def names() -> dict[str, Name]:
    """Every public name, by its shortest path."""
    by_definition: dict[tuple[str, str], list[str]] = {}
    for module in packages():
        for name in _exported(module):
            home = _home(module, name)
            if home is not None:
                by_definition.setdefault((home, name), []).append(f"{module}.{name}")
    found = {}
    for (home, _), paths in by_definition.items():
        paths.sort(key=lambda path: (path.count("."), path))
        found[paths[0]] = Name(paths[0], home, tuple(paths))
    return found


@functools.cache
def pages() -> dict[str, Page]:
    """`PAGES`, and a page for each public package that no line speaks of."""
    spoken = {module for page in PAGES.values() for module in page.modules}
    found = dict(PAGES)
    for module in packages():
        covered = any(module == one or module.startswith(f"{one}.") for one in spoken)
        if module not in {"lrax", "lrax.compat", "lrax.schedules"} and not covered:
            found[module.removeprefix("lrax.").replace(".", "-")] = Page(module, "", (module,))
    return found


def page_of(name: Name) -> str | None:
    """The page on which a name stands, or None if no line fits the module that defines it."""
    fitting = {
        module: page
        for page, (_, _, modules) in pages().items()
        for module in modules
        if name.home == module or name.home.startswith(f"{module}.")
    }
    return fitting[max(fitting, key=len)] if fitting else None


@functools.cache
def by_page() -> dict[str, list[Name]]:
    """The names of each page, in the order of the modules and of the definitions in them."""
    found: dict[str, list[Name]] = {page: [] for page in pages()}
    for name in names().values():
        page = page_of(name)
        if page is not None:
            found[page].append(name)
    return {page: sorted(found[page], key=lambda name: _place(page, name)) for page in found}


def _place(page: str, name: Name) -> tuple[int, str, int]:
    modules = pages()[page].modules
    home = next(module for module in sorted(modules, key=len, reverse=True) if name.home.startswith(module))
    return modules.index(home), name.home, _line(name)


def _line(name: Name) -> int:
    short = name.path.rpartition(".")[2]
    for node in tree(name.home).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if getattr(node, "name", None) == short or any(isinstance(one, ast.Name) and one.id == short for one in targets):
            return node.lineno
    return 0


@functools.cache
def links() -> dict[str, str]:
    """What may be written of a name in backticks, and its shortest path.

    What could mean two names is left out, and so is a word that is an argument or a field somewhere, as `power` is: to be a
    link it is written in full, `lrax.schedules.warmup_power`.
    """
    fields = {
        word for path in (SOURCE / "lrax").rglob("*.py") for word in re.findall(r"^ +(\w+): ", path.read_text(), re.MULTILINE)
    }
    found: dict[str, set[str]] = {}
    for name in names().values():
        if page_of(name) is None:
            continue
        for path in name.paths:
            found.setdefault(path, set()).add(name.path)
        short = name.path.rpartition(".")[2]
        if short not in fields and not name.path.startswith("lrax.compat."):  # peers have names of their own: written in full
            found.setdefault(short, set()).add(name.path)
    return {written: paths.pop() for written, paths in found.items() if len(paths) == 1}
