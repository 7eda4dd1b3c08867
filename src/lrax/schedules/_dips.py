"""A schedule that is cooled down again and again, and goes back to where it was."""

from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._types import Boundaries, Rate, Steps
from lrax.fields._words import argument_error
from lrax.schedules._base import Schedule, ScheduleLike
from lrax.schedules._combinators import check_geometric
from lrax.schedules._counting import fractions
from lrax.schedules._modes import Mode
from lrax.schedules._shapes import SHAPES
from lrax.schedules._tables import passed, picked


@final
class Dips(Schedule):
    r"""Follows a schedule, and before each of `ends` leads to `end`; at the last one it stays. Made by `lrax.wsd_s`.

    $$\eta(t) = shape\!\left(schedule(b_k), end, \tfrac{t - b_k}{steps}\right) \quad (b_k \le t < ends_k), \qquad
    b_k = ends_k - steps$$

    At count `ends[k]` the schedule goes on as if nothing had been. The compiled size does not depend on how many there are.

    Args:
      schedule: what is followed; a schedule or a callable `count -> rate`.
      ends: counts at which a cool-down is over, integers > 0 that rise strictly; shape (n,).
      steps: length of each cool-down in updates, an integer > 0, at most the distance between ends.
      end: rate that each leads to.
      mode: shape of the fall (see `Cooldown`).

    Raises: ValueError if a cool-down does not fit before its end, or a number is out of range.

    >>> print(Dips(lrax.Constant(1.0), ends=[10, 20], steps=4, end=0.0)(jnp.array([6, 8, 10, 18, 20])))
    [1.  0.5 1.  0.5 0. ]
    """

    schedule: ScheduleLike
    ends: Boundaries
    steps: Steps
    end: Rate
    mode: Mode = "linear"

    def check(self) -> None:
        check_geometric("Dips", self.mode, "end", self.end)
        if is_concrete(self.ends) and is_concrete(self.steps):
            ends = np.asarray(self.ends)
            between = np.diff(ends, axis=-1, prepend=0).min(axis=-1)
            if np.any(np.asarray(self.steps) > between):
                raise argument_error(ValueError, "Dips", "steps", f"at most the distance between ends ({between})", self.steps)

    @property
    def landmarks(self) -> list[int]:
        return [mark for end in np.asarray(self.ends).tolist() for mark in (end - int(self.steps), end)]

    def rate(self, count: jax.Array) -> jax.Array:
        following = picked(self.ends, jnp.minimum(passed(self.ends, count), self.ends.shape[-1] - 1))
        begin = jnp.maximum(following - self.steps, 0)
        late = count >= begin
        rate = self.schedule.rate(jnp.minimum(count, begin))  # its last one as soon as it is late
        last = jnp.where(late, rate, 1.0)  # what is not selected must not yield NaN
        cooling = SHAPES[self.mode](last, self.end, *fractions(jnp.maximum(count - begin, 0), self.steps))
        return jnp.where(late, cooling, rate)

    @property
    def length(self) -> Any:
        return self.ends[..., -1]
