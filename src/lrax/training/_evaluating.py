"""Lanes are evaluated beside their training: by a metric of the state, on data that they do not train on.

Updates are run to where an evaluation is due by the programs that run them anyway, and the metric is a program of its own. So
nothing changes in what trains, and curves are the same with and without, from either driver.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, check_arity, check_whole, choice, name_of
from lrax.training._engine import Lane
from lrax.training._programs import Traced, trace
from lrax.training._reason import CODES, RUNNING, Reason

SIGNS = {"min": 1.0, "max": -1.0}
"""What makes of a metric a score, the lower the better."""

APART, NEARLY_ALL, CHANCE, STEADY, MOST = 0.3, 0.9, 0.02, 3.0, 64
"""When scores contradict losses. Pairs count whose losses differ by more than this fraction of the fall; nearly all of these
must contradict. Scores in a random order must do so less often than by this chance. The scores at low losses must differ from
those at high ones by more than this many deviations of these. At most this many evaluations are compared."""

WRONG = {
    "min": "the metric of `evaluate` is worst where the loss is lowest: if larger is better (an accuracy), give mode='max'",
    "max": "the metric of `evaluate` is worst where the loss is lowest: if smaller is better (a loss), give mode='min'",
}
"""What is said where a metric contradicts the loss, by the mode that was given."""

VALID = (RUNNING, CODES[Reason.DATA_ENDED])
"""Codes of lanes whose states are those of their last updates."""


@dataclasses.dataclass(frozen=True)
class Evaluating:
    """How lanes are evaluated.

    Attributes:
      metric: state -> metric, traced.
      every: updates from one evaluation to the next; None for one where a run ends.
      mode: `"min"` if a smaller metric is better, else `"max"`.
    """

    metric: Traced
    every: int | None
    mode: str

    @staticmethod
    def checked(
        caller: str, evaluate: Callable[[Any], Any] | None, every: int | None, mode: str, state: Any
    ) -> "Evaluating | None":
        """How lanes that begin at `state` are evaluated; None for no `evaluate`.

        Raises: TypeError or ValueError for what does not make one real number of a state.
        """
        choice(caller, "mode", mode, tuple(SIGNS))
        if every is not None:
            check_whole(caller, "every", every)
        if evaluate is None:
            if every is not None:
                raise argument_error(
                    ValueError, caller, "every", "left out where nothing is evaluated", every, "give `evaluate` too"
                )
            return None
        needs = "a pure function (state) -> metric, one real number, in jnp"
        if not callable(evaluate):
            raise argument_error(TypeError, caller, "evaluate", needs, evaluate)
        check_arity(caller, "evaluate", evaluate, "(state) -> metric", 1)
        try:
            traced = trace(evaluate, jax.tree.map(jnp.asarray, state))
        except (TypeError, ValueError, AttributeError, LookupError) as error:  # such as numbers of what is traced
            reason = str(error).strip().partition("\n")[0]
            remedy = f"it raised: {reason or type(error).__name__}; {_meant(evaluate, state)}"
            raise argument_error(TypeError, caller, "evaluate", needs, evaluate, remedy) from error
        found = traced.returned
        kinds = jnp.floating, jnp.integer
        if getattr(found, "shape", None) != () or not any(jnp.issubdtype(found.dtype, kind) for kind in kinds):
            raise argument_error(TypeError, caller, "evaluate", needs, evaluate, f"it returned {found}")
        return Evaluating(traced, None if every is None else int(every), mode)

    def stops(self, begun: int, until: int) -> Iterator[int]:
        """The counts at which lanes between two counts are evaluated: the multiples of `every` between, and the end."""
        if self.every is not None:
            yield from range((begun // self.every + 1) * self.every, until, self.every)
        yield until

    def __call__(self, lanes: list[Lane]) -> list[Lane]:
        """The lanes with what they are evaluated to; those that have blown up, or were evaluated there, stay as they are."""
        due = [int(lane.carry.reason) in VALID and int(lane.carry.updates) > last(lane) for lane in lanes]
        found = [self.metric(lane.state) if one else None for lane, one in zip(lanes, due, strict=True)]  # none is waited for
        return [lane if one is None else _with(lane, float(one)) for lane, one in zip(lanes, found, strict=True)]

    def score(self, metric: float) -> float:
        """What lanes are ranked by, the lower the better; infinite for a metric that is not finite."""
        return SIGNS[self.mode] * metric if math.isfinite(metric) else math.inf


def contradicts(start: float, losses: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> bool:
    """Whether scores are worst where losses are lowest, as those of an accuracy are whose mode was forgotten.

    The evidence must be clear: of the pairs of evaluations with a clear difference in their losses nearly all contradict, which
    scores in a random order would not, and by more than the scores scatter while the loss is high. So noise, a constant, or a
    validation loss that rises in a few places contradicts nothing.

    Args:
      start: the loss before anything was learnt.
      losses: the training losses near the evaluations, shape (evaluations,).
      scores: what the evaluations gave, the lower the better, shape (evaluations,).

    >>> losses = np.array([2.3, 2.3, 2.2, 0.9, 0.3, 0.1, 0.1])
    >>> contradicts(2.3, losses, -losses), contradicts(2.3, losses, losses), contradicts(2.3, losses, 0 * losses)
    (True, False, False)
    """
    known = np.isfinite(losses) & np.isfinite(scores)
    losses, scores = losses[known].astype(np.float64), scores[known].astype(np.float64)
    if not len(losses) or not start > losses.min():
        return False
    some = np.linspace(0, len(losses) - 1, min(len(losses), MOST)).astype(int)
    fallen, scores = np.clip((start - losses[some]) / (start - losses.min()), 0, 1), scores[some]
    lower, higher = np.nonzero(fallen[:, None] - fallen > APART)

    def contradicting(scores: np.ndarray[Any, Any]) -> Any:
        return np.mean(np.sign(scores[..., lower] - scores[..., higher]) / 2 + 0.5, axis=-1)

    if not len(lower) or contradicting(scores) < NEARLY_ALL:
        return False
    high, low = scores[fallen < APART], scores[fallen > 1 - APART]
    if not len(high) or np.median(low) - np.median(high) <= STEADY * np.median(np.abs(high - np.median(high))):
        return False
    shuffled = np.random.default_rng(0).permuted(np.tile(scores, (int(20 / CHANCE), 1)), axis=1)
    return bool(np.mean(contradicting(shuffled) >= contradicting(scores)) < CHANCE)


def _meant(evaluate: Callable[[Any], Any], state: Any) -> str:
    """What a function gets that failed on a learner's state, and how to give it the parameters if those are what it takes."""
    names = [*getattr(state, "_fields", ()), *(state if isinstance(state, Mapping) else ())]
    if dataclasses.is_dataclass(state):
        names = [field.name for field in dataclasses.fields(state)]
    parts = f" with {', '.join(map(str, names[:8]))}" if names else ""
    told = f"evaluate(state) receives the learner's state, {type(state).__name__}{parts}"
    if getattr(state, "params", None) is None:
        return told
    try:
        jax.eval_shape(evaluate, state.params)
    except Exception:  # whatever a user's function raises: then it does not take the parameters either
        return told
    name = name_of(evaluate)
    return f"{told}: give evaluate=lambda state: {name if name.isidentifier() else 'metric'}(state.params)"


def last(lane: Lane) -> int:
    """The count of updates at which a lane was evaluated last."""
    return int(lane.evaluations[-1, 0]) if len(lane.evaluations) else 0


def _with(lane: Lane, metric: float) -> Lane:
    """A lane with what it is evaluated to now."""
    row = np.array([[lane.carry.updates, metric]], np.float32)
    return lane._replace(evaluations=np.concatenate([lane.evaluations, row]))
