"""Makes keras.json with Keras's own code, in float64 as far as Keras goes (its cosine stays float32).

pip install keras==3.15.1 jax && python make_keras.py
"""

import importlib
import importlib.metadata
import os
from typing import Any

from record import counts, write


def case(function: str, last: int, *marks: int, **arguments: Any) -> dict[str, Any]:
    """One case."""
    return {"function": function, "arguments": arguments, "counts": counts(last, *marks)}


FIRST = {"initial_learning_rate": 0.1}
CASES = [
    case("ExponentialDecay", 300, 100, **FIRST, decay_steps=100, decay_rate=0.9),
    case("ExponentialDecay", 100, 30, 60, **FIRST, decay_steps=30, decay_rate=0.5, staircase=True),
    case("ExponentialDecay", 5000, **FIRST, decay_steps=1, decay_rate=0.999),
    case("PiecewiseConstantDecay", 80, 30, 60, boundaries=[30, 60], values=[0.1, 0.05, 0.01]),
    case("PiecewiseConstantDecay", 10, 1, boundaries=[0], values=[0.1, 0.05]),
    case("PolynomialDecay", 100, **FIRST, decay_steps=100),
    case("PolynomialDecay", 100, **FIRST, decay_steps=80, end_learning_rate=0.001, power=2.5),
    case("PolynomialDecay", 100, 30, 60, **FIRST, decay_steps=30, end_learning_rate=0.001, power=2.0, cycle=True),
    case("InverseTimeDecay", 300, 100, **FIRST, decay_steps=100, decay_rate=0.5),
    case("InverseTimeDecay", 100, 30, 60, **FIRST, decay_steps=30, decay_rate=0.5, staircase=True),
    case("CosineDecay", 100, 50, **FIRST, decay_steps=100, alpha=0.1),
    case("CosineDecay", 100, 10, initial_learning_rate=0.01, decay_steps=90, warmup_target=0.1, warmup_steps=10),
    case("CosineDecay", 100, 10, initial_learning_rate=0.0, decay_steps=80, alpha=0.1, warmup_target=0.1, warmup_steps=10),
    case("CosineDecay", 100, 10, **FIRST, decay_steps=80, warmup_steps=10),
    case("CosineDecayRestarts", 160, 10, 30, 70, 150, **FIRST, first_decay_steps=10, m_mul=0.5),
    case("CosineDecayRestarts", 100, 25, 50, 75, **FIRST, first_decay_steps=25, t_mul=1.0, m_mul=0.8, alpha=0.1),
    case("CosineDecayRestarts", 100, 25, 50, 75, **FIRST, first_decay_steps=25, t_mul=1.0),
    case("CosineDecayRestarts", 300, 25, 63, 119, **FIRST, first_decay_steps=25, t_mul=1.5, m_mul=0.8, alpha=0.1),
]


def rates(case: dict[str, Any]) -> list[float]:
    """The schedule at each count."""
    made = getattr(importlib.import_module("keras.optimizers.schedules"), case["function"])(**case["arguments"])
    return [float(made(count)) for count in case["counts"]]


if __name__ == "__main__":
    os.environ.update(KERAS_BACKEND="jax", JAX_ENABLE_X64="1", JAX_PLATFORMS="cpu")
    importlib.import_module("keras").config.set_floatx("float64")
    write("keras", f"Keras {importlib.metadata.version('keras')}, by make_keras.py", CASES, rates)
