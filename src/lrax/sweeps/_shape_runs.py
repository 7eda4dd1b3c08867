"""The runs of a search of shapes: schedules by the rate of every update, many at a time in one program."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error
from lrax.fields._types import Rates
from lrax.schedules._base import Schedule
from lrax.sweeps._batch import as_lanes
from lrax.sweeps._program import Program, checked_metrics
from lrax.sweeps._run import finished
from lrax.sweeps._score import Score, check_score, end_loss
from lrax.sweeps._shapes_result import Standing
from lrax.theory import lr_ratio
from lrax.training._memory import Plan


@final
class Sampled(Schedule):
    """A schedule by the rate of every update: what any shape becomes, so that one program trains them all.

    >>> print(Sampled(rates=[0.1, 0.2, 0.3])(jnp.array([1, 5])))
    [0.2 0.3]
    """

    rates: Rates

    def rate(self, count: jax.Array) -> jax.Array:
        rates = jnp.asarray(self.rates)
        return rates[jnp.minimum(count, rates.shape[-1] - 1)]

    @property
    def length(self) -> Any:
        return np.int32(np.shape(self.rates)[-1])


@dataclasses.dataclass(frozen=True)
class Scored:
    """A training function that returns its score alone, NaN if it is not finite; equal for equal parts."""

    train: Callable[..., Any]
    score: Score | None

    def parted(self) -> Callable[..., Any]:
        """The same as a pytree if the training function is one, so that its arrays stay arguments of the program."""
        if jax.tree_util.all_leaves([self.train]):
            return self
        return jax.tree_util.Partial(Scored(_call, self.score), self.train)  # type: ignore[no-untyped-call]

    def __call__(self, *arguments: Any) -> jax.Array:
        metrics = checked_metrics(self.train(*arguments))
        check_score("search_shapes", self.score, jax.eval_shape(lambda: metrics))
        score = end_loss(jax.tree.leaves(metrics)[0]) if self.score is None else self.score(metrics)
        return jnp.where(jnp.isfinite(score), jnp.asarray(score, jnp.float32), jnp.nan)


def _call(train: Callable[..., Any], *arguments: Any) -> Any:
    return train(*arguments)


@dataclasses.dataclass
class Search:
    """What was tried so far.

    Attributes:
      train: with its score.
      lanes: as for `lrax.run_sweep`.
      rates: to try, for a constant schedule.
      keys: of all seeds that may choose.
      standings: how each schedule stands.
      runs: how many runs were made.
      plan: how many lanes run at a time, from the first time on, so that all is one program.
    """

    train: Scored
    lanes: int | None
    rates: np.ndarray[Any, Any]
    keys: jax.Array
    standings: list[Standing] = dataclasses.field(default_factory=list)
    runs: int = 0
    plan: Plan | None = None

    def enter(self, sampled: np.ndarray[Any, Any]) -> range:
        """Takes schedules in, each by the rates of all of its updates; returns their places."""
        first = len(self.standings)
        highest = sampled.max(axis=1, initial=0)
        if not np.isfinite(sampled).all() or (sampled < 0).any() or (highest <= 0).any():
            needs = "a function whose schedules have finite rates, none below 0 and one above"
            raise argument_error(
                ValueError, "search_shapes", "shape", needs, sampled[~np.isfinite(sampled).all(axis=1) | (highest <= 0)]
            )
        if len(sampled):
            ratios = np.asarray(_ratios(sampled))
            empty = np.full((len(self.rates), len(self.keys)), np.nan)
            for rates, high, ratio in zip(sampled, highest, ratios, strict=True):
                self.standings.append(Standing(rates / high, float(high), self.rates * ratio, empty.copy()))
        return range(first, len(self.standings))

    def score_of(self, place: int) -> float:
        """The score of a schedule at its own best rate."""
        return self.standings[place].score

    def rung(self, places: Sequence[int], seen: int, new: int) -> None:
        """Trains with new seeds at the best peaks and their neighbours, then with all so far half-way between them."""
        first = {place: range(len(self.rates)) if seen == 0 else self.standings[place].near() for place in places}
        self._train(first, range(seen, seen + new))
        self._train({place: self.standings[place].refine() for place in places}, range(seen + new))

    def _train(self, peaks: Mapping[int, Sequence[int]], seeds: Sequence[int]) -> None:
        runs = [(place, peak) for place, some in peaks.items() for peak in some]
        for (place, peak), scores in zip(runs, self._run(runs, self.keys[np.asarray(seeds)]), strict=True):
            self.standings[place].scores[peak, list(seeds)] = scores

    def judge(self, places: Sequence[int], keys: jax.Array) -> np.ndarray[Any, Any]:
        """The scores of schedules at their best rates with other seeds, of shape (places, seeds)."""
        return self._run([(place, self.standings[place].best) for place in places], keys)

    def _run(self, runs: Sequence[tuple[int, int]], keys: jax.Array) -> np.ndarray[Any, Any]:
        """The scores of (schedule, rate) pairs with each key, infinite where a run diverged."""
        if not runs:
            return np.zeros((0, len(keys)))
        rows = np.stack([self.standings[place].rates * self.standings[place].peaks[rate] for place, rate in runs])
        number = len(runs) * len(keys)
        padding = max(0 if self.plan is None else self.plan.runs, number) - number
        row, key = (np.append(place, np.full(padding, place[-1])) for place in np.divmod(np.arange(number), len(keys)))
        batch = as_lanes("search_shapes", Sampled(rows.astype(np.float32)[row]), (_chosen(keys, key),))
        program = Program(self.train.parted(), batch, self.lanes if self.plan is None else self.plan.runs, None, "lanes")
        self.plan = program.plan = program.plan if self.plan is None else self.plan
        scores = np.zeros(batch.number)
        for indices, (found,) in finished(program, np.arange(number)):
            scores[indices] = found
        self.runs += number
        return np.where(np.isnan(scores[:number]), math.inf, scores[:number]).reshape(len(runs), len(keys))


@jax.jit
@jax.vmap
def _ratios(rates: jax.Array) -> jax.Array:
    return lr_ratio(jnp.ones_like(rates), rates)


@jax.jit
def _chosen(keys: jax.Array, places: jax.Array) -> jax.Array:
    return keys[places]
