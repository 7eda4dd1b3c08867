"""A change of plan: a run made longer, or brought to its end, without changing the learning rates of its past."""

from typing import Annotated, Any, Literal, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, array_module, check_call, is_concrete
from lrax.fields._rules import DELAY, STEPS, Choice, Delay, Int, Number, Steps, Whole
from lrax.schedules._base import RateFunction, Schedule, ScheduleLike, ScheduleRule, Wrapper, length_of
from lrax.schedules._combinators import Cooldown
from lrax.schedules._intmath import multiply_divide
from lrax.schedules._shapes import ShapeName


@final
class Extension(Wrapper):
    r"""A schedule that is extended from count `begin` on to end at `total_steps`. Made by `lrax.extend`.

    $$\eta(t) = schedule(t) \quad (t \le begin), \qquad \eta(t) = schedule(begin + (t - begin)\, r / R) \quad (t \ge begin)$$

    where $r$ and $R$ are the steps left at `begin` before and after the change. The position is found exactly, in integers;
    between two steps of the old plan the learning rate is interpolated linearly. In mode `"hold"` the learning rate of `begin`
    is held for the $R - r$ new steps, and then the schedule continues.

    Args:
      schedule: a schedule with a length.
      begin: the first count of the new plan, an integer >= 0.
      total_steps: the new length in steps, an integer > 0. A traced one that is not above the old length changes nothing.
      mode: `"stretch"` or `"hold"`.

    Raises: ValueError if `schedule` has no length, or a number is out of range.

    >>> print(Extension(Linear(start=1.0, end=0.0, steps=100), begin=50, total_steps=150)(jnp.array([50, 51, 100, 150])))
    [0.5   0.495 0.25  0.   ]
    """

    schedule: ScheduleLike
    begin: Delay
    total_steps: Steps
    mode: Annotated[Literal["stretch", "hold"], Choice(("stretch", "hold"))] = "stretch"

    def check(self) -> None:
        if self.schedule.length is None:
            remedy = "an endless schedule needs no extension; lrax.branch brings it to an end"
            raise argument_error(ValueError, "Extension", "schedule", "a schedule with a length", self.schedule, remedy)

    def rate(self, count: jax.Array) -> jax.Array:
        past, ahead = jnp.minimum(count, self.begin), jnp.maximum(count - self.begin, 0)
        were_left = jnp.maximum(length_of(self.schedule) - self.begin, 0)
        are_left = jnp.maximum(self.total_steps - self.begin, were_left)
        scale = jnp.maximum(are_left, 1)
        if self.mode == "hold":
            return self.schedule.rate(past + jnp.maximum(ahead - (are_left - were_left), 0))
        whole, rest = multiply_divide(jnp.minimum(ahead, are_left), were_left, scale)
        here, between = past + whole, rest > 0
        now, following = self._both(here, jnp.where(between, here + 1, here))
        done = rest.astype(jnp.float32) / scale.astype(jnp.float32)
        left = (scale - rest).astype(jnp.float32) / scale.astype(jnp.float32)
        return jnp.where(between, now * left + following * done, now)

    def _both(self, here: jax.Array, following: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The old plan at two counts; both at once if it was extended before, or each level would double the program."""
        inside = jax.tree.leaves(self.schedule, is_leaf=lambda part: isinstance(part, Extension))
        if any(isinstance(part, Extension) for part in inside):
            now, then = jax.vmap(self.schedule.rate)(jnp.stack([here, following]))
            return now, then
        return self.schedule.rate(here), self.schedule.rate(following)  # one by one: the past stays bit for bit

    @property
    def length(self) -> Int | None:
        return self.total_steps


@check_call
def extend(schedule: RateFunction, total_steps: Whole, at: Whole, mode: Literal["stretch", "hold"] = "stretch") -> Schedule:
    """Extends a run: keeps the learning rates up to count `at`, then follows the rest of the schedule more slowly.

    Args:
      schedule: the plan so far, with a length.
      total_steps: the new length of the whole run in steps, more than the old one.
      at: count at which the new plan begins, the steps that are done: `lrax.count_of(opt_state)`.
      mode: `"stretch"` to slow the rest down evenly, so that it ends at the old end; `"hold"` to hold the learning rate of `at`
        for the additional steps and then continue as planned, which lengthens the stable phase of a warmup-stable-decay run.

    Returns: a schedule of length `total_steps`. The optimizer's state needs no change. Up to `at` its learning rates are
      the old ones, bit for bit; of a plan that was extended before, to a float32 ulp or two.

    Raises: ValueError if the schedule has no length, `total_steps` is not more than that, or `at` is past the old end.

    >>> plan = lrax.warmup_cosine(peak=0.5, warmup_steps=100, total_steps=1000)
    >>> longer = extend(plan, total_steps=2000, at=600)
    >>> print(longer(600) == plan(600), longer(2000))
    True 0.0
    """
    plan = ScheduleRule().convert("extend", "schedule", schedule)
    extension = Extension(plan, at, total_steps, mode)
    length, begin, total = plan.length, extension.begin, extension.total_steps
    if is_concrete(length) and is_concrete(total) and np.any(np.asarray(total) <= np.asarray(length)):
        remedy = "lrax.branch brings a run to an earlier end"
        raise argument_error(
            ValueError, "extend", "total_steps", f"more than the {length} of the plan so far", total_steps, remedy
        )
    _check_not_over("extend", begin, length)
    return extension


@check_call
def branch(schedule: RateFunction, total_steps: Whole, at: Whole, end: Number = 0.0, mode: ShapeName = "linear") -> Schedule:
    """Ends a run with a cool-down: keeps the learning rates up to count `at`, then decays to `end`.

    Branches from the stable phase of one long run, at several counts, give finished models of several training lengths.

    Args:
      schedule: the plan so far, endless or with a length.
      total_steps: the new length of the whole run in steps, cool-down included, more than `at`.
      at: the count to leave at, the steps that are done: `lrax.count_of(opt_state)`.
      end: learning rate from count `total_steps` on, not above the one at `at`.
      mode: curve of the cool-down; see `lrax.Cooldown`.

    Returns: a `Cooldown` that begins at `at`.

    Raises: ValueError if `total_steps` is not more than `at`, if `at` is not before the end of the schedule, or if `end` is
      above the learning rate there.

    Source: Hu et al. 2024, MiniCPM; Hägele et al. 2024, Scaling laws beyond fixed training durations.

    >>> long_run = Warmup(Constant(0.5), warmup_steps=10)
    >>> print(branch(long_run, total_steps=120, at=100)(jnp.array([5, 100, 110, 120])))
    [0.25 0.5  0.25 0.  ]
    """
    plan = ScheduleRule().convert("branch", "schedule", schedule)
    total, begin = STEPS.convert("branch", "total_steps", total_steps), DELAY.convert("branch", "at", at)
    known = array_module(total, begin) is np
    if known and np.any(np.asarray(total) <= np.asarray(begin)):
        needs = f"more than `at` ({begin}), which is where the cool-down begins"
        raise argument_error(ValueError, "branch", "total_steps", needs, total_steps)
    _check_not_over("branch", begin, plan.length)
    steps = np.asarray(total) - np.asarray(begin) if known else jnp.maximum(total - begin, 1)
    branched = Cooldown(plan, begin, steps, end, mode)
    if all(map(is_concrete, jax.tree.leaves(branched))):
        last = plan(begin)
        if is_concrete(last) and np.any(np.asarray(last) < np.asarray(branched.end)):
            needs = f"at most the learning rate at count {begin}, which is {last}"
            raise argument_error(ValueError, "branch", "end", needs, end, "a cool-down does not climb")
    return branched


def _check_not_over(caller: str, begin: Any, length: Any) -> None:
    """Raises ValueError if nothing of the plan is left at `begin`."""
    if length is not None and array_module(length, begin) is np and np.any(np.asarray(begin) >= np.asarray(length)):
        remedy = "only its last learning rate comes after; start with a new schedule"
        raise argument_error(ValueError, caller, "at", f"before the end of the plan, which is at {length}", begin, remedy)
