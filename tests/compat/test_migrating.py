"""docs/migrating.md: each row of its tables against what the library itself gave (golden/make_migrating.py, make_rows.py)."""

import functools
import json
import pathlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from public_names import public

HERE = pathlib.Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "migrating.md").read_text()
LIBRARIES = (
    *("Keras", "timm", "transformers", "DeepSpeed", "Megatron-LM", "OLMo-core", "axlearn", "MaxText", "big_vision", "composer"),
    *("Levanter", "Paddle", "detectron2", "mmengine", "ultralytics", "darknet"),
)
ROWS = re.findall(rf"^\| ({'|'.join(LIBRARIES)}) \| `([^`]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
GOLDEN = {
    library: json.loads((HERE / "golden" / f"rows_{library.lower().replace('-', '_')}.json").read_text())["cases"]
    for library in LIBRARIES
}


@functools.cache
def computed() -> list[tuple[np.ndarray, Any]]:
    """The rates of every row, in one compiled program, and the golden ones."""
    names = {**public(), "np": np}
    schedules = [eval(expression, names) for _, _, expression in ROWS]
    golden = [next(case for case in GOLDEN[library] if case["call"] == call) for library, call, _ in ROWS]
    counts = [jnp.asarray(case["counts"], jnp.int32) for case in golden]
    evaluate = jax.jit(lambda schedules, counts: [s(c) for s, c in zip(schedules, counts, strict=True)])
    return [(np.asarray(rate), case) for rate, case in zip(evaluate(schedules, counts), golden, strict=True)]


def test_examples_run() -> None:
    """The page's Python runs, and its words about it hold."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    for line in example.strip().splitlines():
        exec(line, names)
    peaked = names["torch"].OneCycleLR(max_lr=0.1, total_steps=1000)
    assert jnp.argmax(peaked(jnp.arange(1000))) == 299


def test_every_row_is_compared() -> None:
    """The golden files are of this table: not a row more or less."""
    for library, cases in GOLDEN.items():
        assert [case["call"] for case in cases] == [call for name, call, _ in ROWS if name == library]


@pytest.mark.parametrize("i", range(len(ROWS)), ids=[f"{library}-{call}" for library, call, _ in ROWS])
def test_row(i: int) -> None:
    """The expression in the table gives what the library gave."""
    rates, case = computed()[i]
    want = np.array(case["rates"])
    # Keras's cosine is float32, and cancels; so is all of big_vision
    noise = {"Keras": 2e-7, "big_vision": 4e-7}.get(ROWS[i][0], 0.0) * want.max()
    # timm begins at the rate itself, before its first formula: its tangent is 8e-7 below
    np.testing.assert_allclose(rates, want, rtol=1e-6, atol=noise)
