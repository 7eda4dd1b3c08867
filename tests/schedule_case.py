"""What an example of a schedule is: how it is made, its numbers, and the counts where its formula changes."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

import lrax

LARGEST = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Case:
    """An example of a kind or a recipe.

    Attributes:
      make: builds the schedule from `numbers`.
      numbers: every number of the schedule that may vary, by name.
      changes: counts at which the formula changes.
    """

    make: Callable[..., lrax.Schedule]
    numbers: dict[str, Any]
    changes: tuple[int, ...] = ()

    def build(self, variant: int = 0) -> lrax.Schedule:
        """The schedule, with other numbers for each variant."""
        return self.make(**self.numbers_of(variant))

    def numbers_of(self, variant: int) -> dict[str, Any]:
        """The numbers of a variant: lengths grow by one at a time, rates by a thousandth."""
        varied = {name: _vary(number, variant) for name, number in self.numbers.items()}
        if "length_factor" in varied:  # a ratio of small integers
            varied["length_factor"] = self.numbers["length_factor"] + variant / 2
        return varied

    @property
    def counts(self) -> np.ndarray:
        """Both ends, both sides of each change, and far past: 16 of them."""
        near = [at + step for at in self.changes for step in (-1, 0, 1)]
        found = sorted({0, 1, *(count for count in near if count >= 0), 100_000, LARGEST})
        return np.array(found + [LARGEST] * (16 - len(found)), np.int32)  # one shape for all: fewer programs


def _vary(number: Any, variant: int) -> Any:
    if isinstance(number, list):
        return [_vary(part, variant) for part in number]
    return number + variant if isinstance(number, int) else number * (1 + 0.001 * variant)


TRACED: list[str] = []
"""The class of the schedule of each trace of `rates`."""


@jax.jit
def rates(schedule: lrax.Schedule, counts: jax.Array) -> jax.Array:
    """The rates at `counts`: one compiled function a kind for all tests."""
    TRACED.append(type(schedule).__name__)
    return jax.vmap(schedule)(counts)


def rates_at(schedule: Callable[[Any], Any], counts: Iterable[int]) -> np.ndarray:
    """The rates at `counts`, op by op, in arrays of few lengths: then tests share their small programs."""
    wanted = list(counts)
    length = next(length for length in (16, 128, 1024, 8192) if length >= len(wanted))
    return np.asarray(schedule(np.array(wanted + wanted[-1:] * (length - len(wanted)), np.int32)))[: len(wanted)]
