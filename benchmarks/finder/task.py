"""A training problem, and how its batches are drawn."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
import optax

Params = dict[str, jax.Array]
Batch = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A training problem: what to train, on which batches, with which optimizer, for how long.

    Attributes:
      name: model, data and optimizer in a few words.
      half: "choose" (rules were made on it), "report" (they were not, but it was looked at), or "fresh" (looked at once).
      initialize: key -> parameters.
      loss_fn: (parameters, batch) -> scalar loss.
      sample: key -> batch, pure `jnp`.
      optimizer: rate -> `optax.GradientTransformation`; the rate may be traced.
      updates: length of a full training run.
      usual_rate: the rate that people type without thinking.
      judged: fixed examples on which the final loss is measured.
    """

    name: str
    half: str
    initialize: Callable[[jax.Array], Params]
    loss_fn: Callable[[Params, Batch], jax.Array]
    sample: Callable[[jax.Array], Batch]
    optimizer: Callable[[Any], optax.GradientTransformation]
    updates: int
    usual_rate: float
    judged: Batch


def batches(data: Any, size: int) -> tuple[Callable[[jax.Array], Batch], Batch]:
    """A sampler of `size` random examples, and the fixed examples (at most 1,024) that judge."""
    count = len(jax.tree.leaves(data)[0])
    chosen = np.random.default_rng(1).permutation(count)[:1024]

    def sample(key: jax.Array) -> Batch:
        places = jax.random.randint(key, (size,), 0, count)
        return jax.tree.map(lambda array: array[places], data)

    return sample, jax.tree.map(lambda array: array[chosen], data)


def tasks(half: str, rows: Iterable[tuple[Any, ...]]) -> tuple[Task, ...]:
    """Tasks on random batches of arrays: name, start, loss, data, batch size, optimizer, updates, usual rate."""

    def make(
        name: str, start: Any, loss_fn: Any, data: Any, size: int, optimizer: Any, updates: int, usual_rate: float
    ) -> Task:
        sample, judged = batches(data, size)
        return Task(name, half, start, loss_fn, sample, optimizer, updates, usual_rate, judged)

    return tuple(make(*row) for row in rows)
