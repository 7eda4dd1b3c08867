"""Evaluations of runs: a metric of the state, on data that they do not train on.

Runs are trained to where an evaluation is due by the programs that train them anyway, and the metric is a separate program.
So nothing changes in training, and curves are the same with and without, from either loop.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.typing import ArrayLike

from lrax.fields._errors import argument_error, check_arity, choice, name_of
from lrax.fields._rules import PyTree, whole_number
from lrax.training._core import Reason, Run
from lrax.training._programs import Traced, trace

Goal: TypeAlias = Literal["min", "max"]
Floats: TypeAlias = npt.NDArray[np.floating]

SIGNS = {"min": 1.0, "max": -1.0}
"""What makes of a metric a score, the lower the better."""

APART, NEARLY_ALL, CHANCE, STEADY, MOST, ENOUGH = 0.3, 0.9, 0.02, 3.0, 64, 5
"""When scores contradict losses. Pairs count whose losses differ by more than this fraction of the loss drop; nearly all of
these must contradict. Scores in a random order must do so less often than by this chance. The scores at low losses must differ
from those at high ones by more than this many deviations of these. At most this many evaluations are compared. Where the
lowest loss is a single one, chance cannot be excluded; then this many scores at high losses must lie closer together than the
gap to those at low ones."""

WRONG = {
    "min": "the metric of the evaluation is worst where the loss is lowest: if larger is better (an accuracy), give goal='max'",
    "max": "the metric of the evaluation is worst where the loss is lowest: if smaller is better (a loss), give goal='min'",
}
"""The warning where a metric contradicts the loss, by the goal that was given."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How runs are compared: by a metric in place of their training losses.

    Args:
      metric: a pure function `(state) -> metric`, one real number in `jnp`, of data that the runs do not train on. It receives
        the learner's state, with `.params` for `lrax.Learner.create`.
      every: steps between two evaluations; there is always one after the last step.
      goal: `"min"` where a smaller metric is better, `"max"` for an accuracy.

    Raises: TypeError if `metric` is not a function of one argument; ValueError if `every` is not an integer above 0, or for
      another `goal`.

    >>> Evaluation(lambda state: jnp.mean(state.params**2), every=10).goal
    'min'
    """

    metric: Callable[[PyTree], ArrayLike]
    every: int | None = None
    goal: Goal = "min"

    def __post_init__(self) -> None:
        if not callable(self.metric):
            raise argument_error(TypeError, "Evaluation", "metric", NEEDS, self.metric)
        check_arity("Evaluation", "metric", self.metric, "(state) -> metric", 1)
        if self.every is not None:
            object.__setattr__(self, "every", whole_number("Evaluation", "every", self.every))
        choice("Evaluation", "goal", self.goal, tuple(SIGNS))


NEEDS = "a pure function (state) -> metric, one real number, in jnp"


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """An evaluation of the runs of one learner: its metric, traced.

    Attributes:
      metric: state -> metric.
      every, goal: of the evaluation.
    """

    metric: Traced
    every: int | None
    goal: Goal

    def stops(self, begun: int, until: int) -> Iterator[int]:
        """The steps between two at which runs are evaluated: the multiples of `every`, and the last."""
        if self.every is not None:
            yield from range((begun // self.every + 1) * self.every, until, self.every)
        yield until

    def __call__(self, runs: list[Run]) -> list[Run]:
        """The runs with their metrics; those that have diverged, or were evaluated at this step, stay as they are."""
        due = [run.why in (None, Reason.DATA_ENDED) and int(run.steps) > _last(run) for run in runs]
        found = [self.metric(run.state) if one else None for run, one in zip(runs, due, strict=True)]  # waits for none
        return [run if one is None else _with(run, float(one)) for run, one in zip(runs, found, strict=True)]

    def score(self, metric: float) -> float:
        """What runs are ranked by, lower is better; infinite for a metric that is not finite."""
        return SIGNS[self.goal] * metric if math.isfinite(metric) else math.inf


def make_evaluator(caller: str, evaluation: object, state: PyTree) -> Evaluator | None:
    """The evaluator of runs that begin at `state`; None for no evaluation.

    Raises: TypeError for a metric that does not make one real number of a state.
    """
    if evaluation is None:
        return None
    if not isinstance(evaluation, Evaluation):
        remedy = "such as lrax.Evaluation(metric, every=10, goal='min')"
        raise argument_error(TypeError, caller, "evaluation", "an lrax.Evaluation", evaluation, remedy)
    metric = evaluation.metric
    try:
        traced = trace(metric, jax.tree.map(jnp.asarray, state))
    except (TypeError, ValueError, AttributeError, LookupError) as error:  # such as numbers of what is traced
        reason = str(error).strip().partition("\n")[0]
        remedy = f"it raised: {reason or type(error).__name__}; {_meant(metric, state)}"
        raise argument_error(TypeError, caller, "evaluation.metric", NEEDS, metric, remedy) from error
    found = traced.returned
    real = jnp.floating, jnp.integer
    if getattr(found, "shape", None) != () or not any(jnp.issubdtype(found.dtype, dtype) for dtype in real):
        raise argument_error(TypeError, caller, "evaluation.metric", NEEDS, metric, f"it returned {found}")
    return Evaluator(traced, evaluation.every, evaluation.goal)


def contradicts(start: float, losses: Floats, scores: Floats) -> bool:
    """Whether scores are worst where losses are lowest, as those of an accuracy are whose goal was forgotten.

    The evidence must be clear: of the pairs of evaluations with a clear difference in their losses nearly all contradict, which
    scores in a random order would not, and by more than the scores scatter while the loss is high. So noise, a constant, or a
    validation loss that rises in a few places contradicts nothing.

    Args:
      start: the loss before training.
      losses: the training losses near the evaluations, shape (evaluations,).
      scores: what the evaluations gave, the lower the better, shape (evaluations,).

    >>> losses = np.array([2.3, 2.3, 2.2, 0.9, 0.3, 0.1, 0.1])
    >>> contradicts(2.3, losses, -losses), contradicts(2.3, losses, losses), contradicts(2.3, losses, 0 * losses)
    (True, False, False)

    One run with a low loss is enough if its score is far above all others:

    >>> contradicts(2.3, np.array([2.3, 2.3, 2.3, 2.3, 2.2, 0.8]), np.array([0.1, 0.11, 0.1, 0.15, 0.2, 0.8]))
    True
    """
    known = np.isfinite(losses) & np.isfinite(scores)
    losses, scores = losses[known].astype(np.float64), scores[known].astype(np.float64)
    if not len(losses) or not start > losses.min():
        return False
    some = np.linspace(0, len(losses) - 1, min(len(losses), MOST)).astype(int)
    fallen, scores = np.clip((start - losses[some]) / (start - losses.min()), 0, 1), scores[some]
    lower, higher = np.nonzero(fallen[:, None] - fallen > APART)

    def contradicting(scores: Floats) -> Any:
        return np.mean(np.sign(scores[..., lower] - scores[..., higher]) / 2 + 0.5, axis=-1)

    if not len(lower) or contradicting(scores) < NEARLY_ALL:
        return False
    high, low = scores[fallen < APART], scores[fallen > 1 - APART]
    if not len(high) or np.median(low) - np.median(high) <= STEADY * np.median(np.abs(high - np.median(high))):
        return False
    if len(high) >= ENOUGH and low.min() - high.max() > np.ptp(high):
        return True
    shuffled = np.random.default_rng(0).permuted(np.tile(scores, (int(20 / CHANCE), 1)), axis=1)
    return bool(np.mean(contradicting(shuffled) >= contradicting(scores)) < CHANCE)


def _meant(metric: Callable[[PyTree], ArrayLike], state: PyTree) -> str:
    """What a function gets that failed on a learner's state, and how to give it the parameters if it takes those."""
    names = [*getattr(state, "_fields", ()), *(state if isinstance(state, Mapping) else ())]
    if dataclasses.is_dataclass(state):
        names = [field.name for field in dataclasses.fields(state)]
    parts = f" with {', '.join(map(str, names[:8]))}" if names else ""
    received = f"metric(state) receives the learner's state, {type(state).__name__}{parts}"
    if getattr(state, "params", None) is None:
        return received
    try:
        jax.eval_shape(metric, state.params)
    except Exception:  # whatever a user's function raises: then it does not take the parameters either
        return received
    name = name_of(metric)
    return f"{received}: give lambda state: {name if name.isidentifier() else 'metric'}(state.params)"


def _last(run: Run) -> int:
    """The step at which a run was evaluated last."""
    return int(run.evaluations[-1, 0]) if len(run.evaluations) else 0


def _with(run: Run, metric: float) -> Run:
    row = np.array([[run.steps, metric]], np.float32)
    return run._replace(evaluations=np.concatenate([run.evaluations, row]))
