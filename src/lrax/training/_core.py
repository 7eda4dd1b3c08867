"""Training as pure functions: a run, one step of it, and a loop of steps.

Nothing here knows a host: all of it works under `jit`, `vmap` and `scan`. `_driver` trains runs of a learner on any data.
"""

import enum
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.typing import ArrayLike

from lrax.fields._rules import PyTree
from lrax.schedules._base import RateFunction

StepFn: TypeAlias = Callable[[PyTree, PyTree, jax.Array], tuple[PyTree, jax.Array]]
"""`(state, batch, learning_rate) -> (state, loss)`: one optimizer step; the loss is that of `batch` before the step."""

Floats: TypeAlias = npt.NDArray[np.float32]

BLOCK = 4
"""Steps to a block: the loop asks whether it may end after every block, so a run that stops wastes at most one less.

A loop with a known trip count needs no word with the host on an accelerator; one that asks whether to go on does. On two
cores blocks of 1 to 64 take the same time a step (`benchmarks/blocks.py`), so the size is one that wastes little.
"""


class Reason(enum.StrEnum):
    """Why a range test ended; the value reads as words. What to do depends on the curve: `FinderResult.explanation` says it.

    >>> print(Reason.NON_FINITE)
    non-finite
    """

    COMPLETED = "completed"
    DIVERGED = "diverged"
    NON_FINITE = "non-finite"
    DATA_ENDED = "data ended"
    FLAT = "flat"
    TOO_SHORT = "too short"
    INTERRUPTED = "interrupted"


RUNNING = -1
"""The code of a run that has not stopped; the code of a reason is its index in `Reason`."""

CODES = {reason: code for code, reason in enumerate(Reason)}


def unsmoothed(count: object) -> jax.Array:
    """Smoothing that leaves every loss as it is."""
    return jnp.ones((), jnp.float32)


def never(run: object) -> jax.Array:
    """Stops nothing; a loss that is not finite always does."""
    return jnp.zeros((), jnp.bool_)


UNSMOOTHED = jax.tree_util.Partial(unsmoothed)  # type: ignore[no-untyped-call]  # jax
NEVER = jax.tree_util.Partial(never)  # type: ignore[no-untyped-call]  # leaves it untyped


StopRule: TypeAlias = Callable[["Run"], ArrayLike]
"""run -> whether to stop, after each of its steps."""


class Run(NamedTuple):
    """One run of a learner, or several, stacked: then every leaf has a leading axis.

    A pytree. What a program changes is `state` and the scalars of `PROGRESS`; the host adds to `history` and `evaluations`.

    Attributes:
      state: of the learner.
      schedule: count -> learning rate, a pytree, so that other numbers make no other trace.
      smoothing: count -> weight of the new loss in the smoothed one, a pytree.
      stop: run -> whether to stop, a pytree. It may read every scalar of the run after its last step.
      order: what its batches are drawn by; None where they come from an iterable.
      steps: how many steps were made, int32.
      learning_rate, loss, smoothed: of the last step, float32; the loss before it, and the smoothed loss up to it.
      first: the first loss.
      lowest: the lowest smoothed loss.
      reason: the code of why it stopped, int32, or `RUNNING`.
      microsteps: how many batches of the next step were seen, int32; 0 without accumulation.
      loss_sum: the sum of their losses.
      is_nan: whether the last loss was NaN, which counts as infinite.
      history: learning rate, loss and smoothed loss of each step, float32 of shape (steps, 3).
      evaluations: how many steps were made, and the metric there, float32 of shape (evaluations, 2).
    """

    state: PyTree
    schedule: RateFunction
    smoothing: RateFunction
    stop: StopRule
    order: PyTree
    steps: jax.Array
    learning_rate: jax.Array
    loss: jax.Array
    smoothed: jax.Array
    first: jax.Array
    lowest: jax.Array
    reason: jax.Array
    microsteps: jax.Array
    loss_sum: jax.Array
    is_nan: jax.Array
    history: Any = None  # None inside programs
    evaluations: Any = None

    @property
    def losses(self) -> Floats:
        """The loss of each step, shape (steps,)."""
        return self.history[:, 1]

    @property
    def why(self) -> Reason | None:
        """Why it stopped, on the host; None if it has not."""
        code = int(np.asarray(self.reason))
        return None if code == RUNNING else list(Reason)[code]

    def end_loss(self, tail: float, since: int = 0) -> float:
        """The mean loss of that fraction of its steps since a count; infinite if its loss was not finite, or without steps."""
        losses = self.losses[since:]
        if self.why is Reason.NON_FINITE or not len(losses):
            return math.inf
        return float(np.mean(losses[-part_of(len(losses), tail) :], dtype=np.float64))

    def end_metric(self, tail: float, since: int = 0) -> float:
        """The mean metric of that fraction of its steps since a count, or the last metric; NaN if there is none."""
        counts, metrics = self.evaluations.T
        made = int(self.steps)
        inside = metrics[(counts > made - max(math.ceil(tail * (made - since)), 1)) & (counts > since)]
        return float(np.mean(inside, dtype=np.float64)) if len(inside) else math.nan


PROGRESS = Run._fields[5:15]
"""The scalars of a run that a step changes."""


def part_of(number: int, fraction: float) -> int:
    """That fraction of a number, rounded up, at least 1; what rounding has added to the fraction does not count.

    >>> part_of(100, 0.07), part_of(10, float(np.float32(0.1))), part_of(3, 0.5)
    (7, 1, 2)
    """
    return max(1, math.ceil(number * fraction * (1 - 1e-6)))


def start(
    state: PyTree,
    schedule: RateFunction,
    *,
    smoothing: RateFunction = UNSMOOTHED,
    stop: StopRule = NEVER,
    order: PyTree = None,
) -> Run:
    """A run before its first step.

    >>> print(start(jnp.zeros(3), lrax.Constant(0.1)).why)
    None
    """
    scalars = [np.float32(0), np.int32(0), np.float32(np.inf), np.int32(RUNNING)]  # NumPy's compile nothing
    zero, none, infinite, running = cast("list[jax.Array]", scalars)
    return Run(
        state=state,
        schedule=schedule,
        smoothing=smoothing,
        stop=stop,
        order=order,
        steps=none,
        learning_rate=zero,
        loss=zero,
        smoothed=zero,
        first=zero,
        lowest=infinite,
        reason=running,
        microsteps=none,
        loss_sum=zero,
        is_nan=zero > 0,
        history=np.empty((0, 3), np.float32),
        evaluations=np.empty((0, 2), np.float32),
    )


def step(step_fn: StepFn, run: Run, batch: PyTree, until: jax.Array | int, accumulate: int = 1) -> Run:
    """The run after one batch, of `accumulate` to a step.

    A run that has stopped, or has made `until` steps, stays as it is. So does the state of one that stops now, so that what
    blew up is not carried on.
    """
    going = (run.reason == RUNNING) & (run.steps < until)
    learning_rate = jnp.asarray(run.schedule(run.steps), jnp.float32)
    state, loss = step_fn(run.state, batch, learning_rate)
    begun = run._replace(microsteps=run.microsteps + 1, loss_sum=run.loss_sum + jnp.asarray(loss, jnp.float32))
    completed = going & (begun.microsteps >= accumulate)
    measured = record(run, learning_rate, begun.loss_sum / accumulate)

    chosen: dict[str, Any] = {
        name: jnp.where(completed, getattr(measured, name), jnp.where(going, getattr(begun, name), getattr(run, name)))
        for name in PROGRESS
    }
    after = run._replace(**chosen)
    moves = going & (after.reason == RUNNING)
    return after._replace(state=jax.tree.map(lambda new, old: jnp.where(moves, new, old), state, run.state))


def record(run: Run, learning_rate: jax.Array, loss: jax.Array) -> Run:
    """The run after a step that measured `loss`; a NaN counts as infinite. The state is not touched."""
    is_nan, is_first = jnp.isnan(loss), run.steps == 0
    loss = jnp.where(is_nan, jnp.inf, loss)
    past = jnp.where(is_first, loss, run.smoothed)
    finite = jnp.isfinite(loss) & jnp.isfinite(past)
    smoothed = jnp.where(finite, past + run.smoothing(run.steps) * jnp.where(finite, loss - past, 0), jnp.inf)
    measured = run._replace(
        steps=run.steps + 1,
        learning_rate=learning_rate,
        loss=loss,
        smoothed=smoothed,
        first=jnp.where(is_first, loss, run.first),
        lowest=jnp.minimum(smoothed, run.lowest),
        microsteps=jnp.zeros_like(run.microsteps),
        loss_sum=jnp.zeros_like(run.loss_sum),
        is_nan=is_nan,
    )
    stopped = jnp.where(run.stop(measured), CODES[Reason.DIVERGED], RUNNING)
    reason = jnp.where(jnp.isfinite(loss), stopped, CODES[Reason.NON_FINITE])
    return measured._replace(reason=reason.astype(jnp.int32))


Draw: TypeAlias = Callable[[PyTree, jax.Array], PyTree]
"""`(order, number) -> batch`: the batch of that number, from 0 on."""


def step_all(
    step_fn: StepFn, run: Run, draw: Draw, number: jax.Array, until: jax.Array | int, accumulate: int, same_batches: bool
) -> Run:
    """`step` on the batch of a number, for one run or for each of a stack."""

    def one(run: Run) -> Run:
        return step(step_fn, run, draw(run.order, number), until, accumulate)

    if jnp.ndim(run.steps) == 0:
        return one(run)
    zero: Any = 0
    axes = Run(*[zero] * 15)._replace(order=None if same_batches else zero)
    return jax.vmap(one, in_axes=(axes,), out_axes=axes)(run)


def measured_by(run: Run) -> jax.Array:
    """What the last step measured: learning rate, loss and smoothed loss."""
    return jnp.stack([run.learning_rate, run.loss, run.smoothed], axis=-1)


def train(
    step_fn: StepFn,
    run: Run,
    draw: Draw,
    until: jax.Array | int,
    *,
    capacity: int,
    accumulate: int = 1,
    same_batches: bool = False,
) -> Run:
    """The run after `until` steps, or where it stopped: blocks of steps in a loop that ends when every run has stopped.

    Args:
      step_fn: `(state, batch, learning_rate) -> (state, loss)`, such as the `step` of a learner.
      run: one run, or a stack of runs that have made the same number of steps, or have stopped.
      draw: `(order, number) -> batch`, such as the `fetch` of `ArrayBatches`.
      until: steps in all, those before this call included.
      capacity: the most steps whose measurements are kept; those that do not fit are left out.
      accumulate: batches to a step.
      same_batches: whether the runs of a stack share their `order`, which then has no leading axis: each batch is drawn once.

    Returns: the run, whose `history` is what this call measured: float32 of shape (capacity, 3), or (runs, capacity, 3),
      infinite where no step was made.

    >>> def shrink(weight, batch, learning_rate):
    ...     return weight - learning_rate * 2 * weight, weight**2
    >>> run = train(shrink, start(1.0, lrax.Constant(0.25)), lambda order, number: None, 3, capacity=4)
    >>> print(run.state, run.history[:, 1])
    0.125 [1.     0.25   0.0625    inf]
    """
    run = jax.tree.map(strong, run._replace(history=None, evaluations=None))
    begun = jnp.max(run.steps)

    def microstep(progress: tuple[jax.Array, Run], _: None) -> tuple[tuple[jax.Array, Run], jax.Array]:
        number, run = progress
        after = step_all(step_fn, run, draw, number, until, accumulate, same_batches)
        made = after.steps > run.steps
        return (number + 1, after), jnp.where(made[..., None], measured_by(after), jnp.inf)

    def block(progress: tuple[jax.Array, jax.Array, Run]) -> tuple[jax.Array, jax.Array, Run]:
        number, rows, run = progress
        (after, run), found = jax.lax.scan(microstep, (number, run), length=BLOCK * accumulate)
        place = number // accumulate - begun
        return after, jax.lax.dynamic_update_slice_in_dim(rows, found[accumulate - 1 :: accumulate], place, 0), run

    def going(progress: tuple[jax.Array, jax.Array, Run]) -> jax.Array:
        number, _, run = progress
        return (number < until * accumulate) & jnp.any(run.reason == RUNNING)

    rows = jnp.full((capacity + BLOCK, *jnp.shape(run.steps), 3), jnp.inf, jnp.float32)
    _, rows, run = jax.lax.while_loop(going, block, (begun * accumulate, rows, run))
    return run._replace(history=jnp.moveaxis(rows[:capacity], 0, -2))


def finish(run: Run, reason: Reason) -> Run:
    """On the host: a run, or a stack, with this reason where it has not stopped."""
    code: Any = np.where(run.reason == RUNNING, CODES[reason], run.reason).astype(np.int32)
    return run._replace(reason=code)


def placed(leaf: npt.ArrayLike) -> jax.Array:
    """An array of JAX. `jnp.asarray` of a NumPy array compiles a program for its shape; this does not."""
    return jax.device_put(leaf) if isinstance(leaf, np.ndarray) else jnp.asarray(leaf)


def strong(leaf: npt.ArrayLike) -> jax.Array:
    """An array without JAX's weak type, so that a state has one type before and after a step."""
    array = jnp.asarray(leaf)
    return array if jnp.issubdtype(array.dtype, jax.dtypes.extended) else array.astype(array.dtype)
