"""What a prompt, `help` and `inspect` see of the package, with its extras and without."""

import pathlib
import re
import subprocess
import sys

import pytest

import lrax

EXTRAS = {"flax": "flax", "keras": "keras", "matplotlib": "plot"}
LOOK = """
import doctest, inspect, pydoc, sys
blocked = sys.argv[1].split()
sys.modules.update(dict.fromkeys(blocked))  # None: an import of it fails
import lrax
names = dict(inspect.getmembers(lrax))
for name in ("lrax", "lrax.compat", "lrax.schedules", "lrax.fields"):
    assert "lrax" in pydoc.render_doc(name)
help(lrax)
doctest.DocTestFinder().find(lrax)
found = {name for name in dir(lrax) if hasattr(lrax, name)}
exec("from lrax import *")
for name in ("flax", "keras"):
    assert (name in blocked) == (name not in found) == (name not in names), name
print("looked")
"""


@pytest.mark.parametrize(
    "blocked", ["flax keras matplotlib", *(pytest.param(one, marks=pytest.mark.slow) for one in ("", "keras"))]
)
def test_it_can_be_looked_at(blocked: str) -> None:
    """`help`, `inspect`, `pydoc`, `hasattr` and doctest read the package whether the extras are installed or not."""
    run = subprocess.run([sys.executable, "-c", LOOK, blocked], capture_output=True, text=True)
    assert run.stdout.endswith("looked\n"), run.stderr


def test_a_missing_extra_is_named_as_the_install_page_has_it() -> None:
    """The advice for a missing package is the command of the install page, whatever needs the package."""
    page = (pathlib.Path(__file__).parents[1] / "docs" / "install.md").read_text()
    tries = {
        "flax": "import lrax.flax",
        "keras": "lrax.keras",
        "matplotlib": "lrax.plot(lrax.Constant(0.1))",
        "tqdm": "import lrax.training._progress as p\n    with p.progress_bar(1, '', '', True): pass",
    }
    lines = [f"try:\n    {line}\nexcept (ImportError, AttributeError) as error:\n    print(error)" for line in tries.values()]
    program = "\n".join(["import sys", f"sys.modules.update(dict.fromkeys({list(tries)}))", "import lrax", *lines])
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    said = run.stdout.splitlines()
    for line, package in zip(said, tries, strict=True):
        extra = {"tqdm": "progress"}.get(package) or EXTRAS[package]
        assert f"needs {package}, the extra `{extra}`: python -m pip install '.[{extra}]'" in line
        assert f"| `{extra}` |" in page
    assert re.search(r"python -m pip install '\.\[\w+(,\w+)*\]'", page)


def test_dir_shows_what_is_public() -> None:
    """`dir(lrax)` holds the public names and packages, and nothing that the module imports for itself."""
    shown = {name for name in dir(lrax) if not name.startswith("__")}
    packages = {"compat", "fields", "finder", "flax", "keras", "schedules", "sweeps", "theory"}
    assert shown == {name for name in lrax.__all__ if not name.startswith("__")} | packages


def test_a_name_of_a_subpackage_is_answered_with_its_place() -> None:
    """A public name that is asked of `lrax` itself is answered with the package that has it, and no other name is."""
    with pytest.raises(AttributeError, match=r"^module 'lrax' has no attribute 'Rex'; it is lrax\.schedules\.Rex$"):
        lrax.Rex  # noqa: B018
    with pytest.raises(AttributeError, match=r"^module 'lrax' has no attribute 'nothing'$"):
        lrax.nothing  # noqa: B018
    for name, near in {
        "OneCycle": "lrax.one_cycle",
        "warmup_cosin": "lrax.warmup_cosine",
        "onecycletwophase": "lrax.schedules.one_cycle_two_phase",
    }.items():
        with pytest.raises(AttributeError, match=f"'{name}'; did you mean {re.escape(near)}\\?$"):
            getattr(lrax, name)


def test_importing_lrax_imports_nothing_slow() -> None:
    """`import lrax` imports neither SciPy nor Matplotlib, which JAX and optax do not import either."""
    program = "import sys, jax, optax; before = set(sys.modules); import lrax; print(*sys.modules.keys() - before)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "lrax" in found
    assert not {"scipy", "matplotlib", "pandas", "flax", "tqdm", "fsspec"} & {name.partition(".")[0] for name in found}
