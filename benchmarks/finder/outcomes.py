"""What each finder chooses for a task, from several starts and streams of batches that its table has not seen."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lrax
from finder.peers import PEERS
from finder.regret import best_single
from finder.tables import KINDS, Table
from finder.tables import shape as table_shape
from finder.task import Task
from finder.training import curves

SEEDS = 5
OURS: dict[str, dict[str, Any]] = {
    "lrax, budget=300": {"budget": 300},
    "lrax (default)": {},
    "lrax, budget=750": {"budget": 750},
}
"""Arguments of `lrax.find_lr`."""

OWN = ": its own rate for each schedule"
"""The suffix of rows where each schedule has its own peak, by `FinderResult.rescale`."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a finder chose for a task; arrays of shape (seeds,), NaN for no suggestion.

    Attributes:
      rates: the highest rate of each schedule, by its kind.
      steps_run: updates made to find them.
      bands: where the best rate may lie, as the finder says, shape (seeds, 2); None where it says nothing.
    """

    rates: dict[str, np.ndarray[Any, Any]]
    steps_run: np.ndarray[Any, Any]
    bands: np.ndarray[Any, Any] | None = None


def for_all(rates: np.ndarray[Any, Any], spent: np.ndarray[Any, Any], bands: Any = None) -> Outcome:
    """One rate for every schedule."""
    return Outcome(dict.fromkeys(KINDS, rates), spent, bands)


def outcomes(task: Task, table: Table) -> dict[str, Outcome]:
    """The outcome of every finder, in the order of the tables."""
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(2026), seed))(jnp.arange(SEEDS))
    zeros = np.zeros(SEEDS)
    return {
        "the rate people type": for_all(np.full(SEEDS, task.usual_rate), zeros),
        **of_peers(task, keys),
        **of_lrax(task, keys),
        "best single rate": for_all(np.full(SEEDS, best_single(table)), zeros),
    }


def of_peers(task: Task, keys: jax.Array) -> dict[str, Outcome]:
    """The peers' outcomes: all ramps of a task are trained at once, past every peer's stop, which its rule applies."""
    longest = max(len(peer.rates) for peer in PEERS)
    rates = np.stack([np.pad(peer.rates, (0, longest - len(peer.rates))) for peer in PEERS])
    losses = np.asarray(curves(task, keys, jnp.asarray(rates, jnp.float32)), np.float64)
    found = {}
    for peer, rows in zip(PEERS, losses.swapaxes(0, 1), strict=True):
        with np.errstate(all="ignore"):  # blow-ups are part of a ramp
            chosen, spent = np.array([peer.suggest(peer.rates, row[: len(peer.rates)]) for row in rows]).T
        found[peer.name] = for_all(chosen, spent)
    return found


def of_lrax(task: Task, keys: jax.Array) -> dict[str, Outcome]:
    """The outcomes of `lrax.find_lr`: the peak of a warm-up-cosine for all, and what `FinderResult.rescale` gives each."""
    found = {}
    for name, arguments in OURS.items():
        results = [find(task, key, arguments) for key in keys]
        spent = np.array([result.steps_run for result in results])
        bands = np.array([result.interval or (math.nan, math.nan) for result in results])
        found[name] = for_all(rates([result.peak for result in results]), spent, bands)
        own = {kind: rates([peak_for(task, kind, result) for result in results]) for kind in KINDS}
        found[name + OWN] = Outcome(own, spent)
    return found


def peak_for(task: Task, kind: str, result: lrax.FinderResult) -> float | None:
    """The highest rate of a schedule of this kind, for the whole run of the task."""
    if result.peak is None:
        return None
    shape = np.asarray(table_shape(kind, task.updates))
    plan = lrax.Piecewise(shape, np.arange(task.updates))
    return float(result.rescale(plan, total_steps=task.updates).values.max())


def find(task: Task, key: jax.Array, arguments: dict[str, Any]) -> lrax.FinderResult:
    """A search for a task, as a user runs it."""
    start, stream = jax.random.split(key)
    learner = lrax.Learner.create(task.loss_fn, task.initialize(start), task.optimizer)
    return lrax.find_lr(learner, task.sample, key=stream, total_steps=task.updates, **arguments)


def rates(suggestions: list[float | None]) -> np.ndarray[Any, Any]:
    """Suggestions as an array, NaN for None."""
    return np.array([math.nan if rate is None else rate for rate in suggestions])
