"""How many float32 ulp schedules are from their float64 formula, for lrax and for the same schedule in optax.

    python benchmarks/accuracy.py

The largest error over both ends, both sides of every boundary and random counts, in ulp of the value itself, at the float32
numbers that the schedule stores; "inf" is a rate that is not 0 where the formula is, or the other way round. Cases and formulas
are those of the tests (`tests/accuracy_cases.py`, `tests/oracle.py`).
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import optax

import lrax
from _machine import machine, table  # which puts the tests on the path
from accuracy_cases import ENDS, LENGTHS, MEASURED, Measured, worst
from accuracy_kinds import KINDS


def sgdr(steps: int, cycles: int = 9) -> optax.Schedule:
    """Optax's join of as many cosines, each half as high as the last."""
    each = max(steps // cycles, 1)
    return optax.join_schedules(
        [optax.cosine_decay_schedule(0.3 * 0.5**k, each) for k in range(cycles)], [each * k for k in range(1, cycles)]
    )


IN_BOTH: dict[str, tuple[Measured, Callable[[int], list[optax.Schedule]]]] = {
    "Linear": (MEASURED["Linear"], lambda n: [optax.linear_schedule(*ends, n) for ends in ENDS]),
    "Cosine, falling": (
        Measured(lambda n: [lrax.Cosine(0.3, 0.0, n), lrax.Cosine(0.3, 0.001, n)]),
        lambda n: [optax.cosine_decay_schedule(0.3, n, alpha) for alpha in (0.0, 0.001 / 0.3)],
    ),
    "Polynomial, power 2": (
        MEASURED["Polynomial, power 2"],
        lambda n: [optax.polynomial_schedule(*ends, 2.0, n) for ends in ENDS],
    ),
    "StepDecay": (
        MEASURED["StepDecay"],
        lambda n: [optax.exponential_decay(0.3, max(n // 7, 1), factor, staircase=True) for factor in (0.5, 0.9, 1.1)],
    ),
    "MultiStep": (
        MEASURED["MultiStep"],
        lambda n: [
            optax.piecewise_constant_schedule(0.3, dict.fromkeys((n // 5, n // 2, n - 1), factor)) for factor in (0.1, 0.5)
        ],
    ),
    "Exponential": (
        MEASURED["Exponential"],
        lambda n: [optax.exponential_decay(0.3, n, factor) for factor in (0.1, 0.9, 1.5)],
    ),
    "Exponential, every step": (
        MEASURED["Exponential, every step"],
        lambda n: [optax.exponential_decay(0.3, 1, 1 - 30 / n if n > 1e6 else 0.9)],
    ),
    "Piecewise, linear, not from 0": (
        Measured(
            lambda n: [lrax.Piecewise([0.1, 0.3, 0.0], [0, n // 5, n])],
            4,
            lambda n: [n // 5, n],
        ),
        lambda n: [optax.piecewise_interpolate_schedule("linear", 0.1, {n // 5: 3.0, n: 0.0})],
    ),
    "Cycle, 9 cosines": (
        Measured(
            lambda n: [lrax.Cycle(lrax.Cosine(0.3, 0.0, max(n // 9, 1)), 1, 0.5)],
            changes=lambda n: [n // 9 * k for k in (1, 2, 8)],
        ),
        lambda n: [sgdr(n)],
    ),
    "Warmup, then cosine": (
        Measured(lambda n: [lrax.Warmup(lrax.Cosine(0.3, 0.0, n - n // 10), n // 10)], changes=lambda n: [n // 10, n]),
        lambda n: [optax.warmup_cosine_decay_schedule(0.0, 0.3, n // 10, n)],
    ),
}


def ulp(errors: list[float]) -> str:
    """The largest error."""
    return f"{max(errors):.1f}" if max(errors) < 1000 else f"{max(errors):.1e}"


def compared() -> Iterator[list[str]]:
    """A row for each schedule and length: lrax and optax."""
    for name, (measured, peers) in IN_BOTH.items():
        for steps in LENGTHS:
            counts = jnp.asarray(measured.counts(steps))
            counts = jnp.minimum(counts, steps // 9 * 9 - 1) if name.startswith("Cycle") else counts  # optax's join is finite
            pairs: list[tuple[Any, Any]] = list(zip(measured.make(steps), peers(steps), strict=True))
            ours = [worst(own, jax.jit(jax.vmap(own))(counts), counts) for own, _ in pairs]
            theirs = [worst(own, jax.jit(jax.vmap(peer))(counts), counts) for own, peer in pairs]
            yield [name, f"{steps:,}", ulp(ours), ulp(theirs)]


def every() -> Iterator[list[str]]:
    """A row for each schedule: lrax alone, at every length, and the bound that is promised."""
    for name, measured in (MEASURED | KINDS).items():
        results = [measured.errors(steps) for steps in LENGTHS]
        bounds = [measured.bound_of(schedule) for schedule, _ in results[0]]
        yield [name, *(ulp([error for _, error in result]) for result in results), f"{min(bounds):.0f}"]


def main() -> None:
    """Prints both tables."""
    print(f"Worst error in float32 ulp of the value. {machine()}\n")
    print(table(["schedule", "length", "lrax", "optax"], compared()))
    print("\nEvery schedule class of lrax, by length\n")
    print(table(["schedule", *(f"{steps:,}" for steps in LENGTHS), "promised"], every()))


if __name__ == "__main__":
    main()
