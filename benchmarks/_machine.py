"""What a benchmark says about where it ran, and how it prints a table; puts the tests, whose cases it uses, on the path."""

import os
import pathlib
import platform
import sys
from collections.abc import Iterable, Sequence

import jax
import numpy as np
import optax

import lrax

sys.path.append(str(pathlib.Path(__file__).parents[1] / "tests"))


def machine() -> str:
    """Processor, accelerator and versions, in one line."""
    device = jax.devices()[0]
    where = f"{os.cpu_count()} CPU cores ({platform.machine()}), JAX on {device.platform} ({device.device_kind})"
    versions = {"lrax": lrax.__version__, "jax": jax.__version__, "optax": optax.__version__, "numpy": np.__version__}
    return f"{where}; Python {platform.python_version()}, " + ", ".join(f"{name} {v}" for name, v in versions.items())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
