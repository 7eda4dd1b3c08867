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
from finder.tables import Table
from finder.task import Task
from finder.training import curves

SEEDS = 5
OURS = {
    "lrax, one ramp of 250": {"ramp": lrax.Geometric(1e-7, 100.0, 249)},
    "lrax (default)": {},
    "lrax, seeds=4": {"seeds": 4},
    "lrax, refine=True": {"refine": True},
}
"""Arguments of `lrax.find_lr`."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a finder chose for a task; arrays of shape (seeds,), NaN for no suggestion.

    Attributes:
      constant: the rate for a constant rate.
      cosine: the rate for the peak of a warm-up-cosine.
      spent: updates made to find them.
    """

    constant: np.ndarray[Any, Any]
    cosine: np.ndarray[Any, Any]
    spent: np.ndarray[Any, Any]


def outcomes(task: Task, table: Table) -> dict[str, Outcome]:
    """The outcome of every finder, in the order of the tables."""
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(2026), seed))(jnp.arange(SEEDS))
    zeros = np.zeros(SEEDS)
    usual = np.full(SEEDS, task.usual_rate)
    best = np.full(SEEDS, best_single(table))
    return {
        "the rate people type": Outcome(usual, usual, zeros),
        **of_peers(task, keys),
        **of_lrax(task, keys),
        "best single rate": Outcome(best, best, zeros),
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
        found[peer.name] = Outcome(chosen, chosen, spent)
    return found


def of_lrax(task: Task, keys: jax.Array) -> dict[str, Outcome]:
    """The outcomes of `lrax.find_lr`: its suggestion for both schedules, and its two suggestions, one for each."""
    found = {}
    for name, arguments in OURS.items():
        results = [find(task, key, arguments) for key in keys]
        spent = np.array([result.spent for result in results])
        single = rates([result.suggestion for result in results])
        found[name] = Outcome(single, single, spent)
        if name != "lrax, seeds=4":
            pair = [rates([getattr(result, kind) for result in results]) for kind in ("constant", "peak")]
            found[f"{name}: .constant, .peak"] = Outcome(*pair, spent)
    return found


def find(task: Task, key: jax.Array, arguments: dict[str, Any]) -> lrax.Found:
    """The range test of a task, as a user runs it."""
    start, stream = jax.random.split(key)
    learner = lrax.Learner.create(task.loss_fn, task.initialize(start), task.optimizer)
    return lrax.find_lr(learner, task.sample, key=stream, **arguments)


def rates(suggestions: list[float | None]) -> np.ndarray[Any, Any]:
    """Suggestions as an array, NaN for None."""
    return np.array([math.nan if rate is None else rate for rate in suggestions])
