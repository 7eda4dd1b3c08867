"""The base of recipes: kinds whose formula is a composition of other kinds, and that may wait for their total length.

A composition is put together anew from the recipe's own numbers whenever it is asked for a rate. So what it shows, saves,
compares, batches and checks are the arguments of its call, by the code for any other kind;
`dataclasses.replace(schedule, peak=0.2)` moves all that depends on the peak, and a batch is one of peaks, not of parts that
have to agree. The other ways were rejected: plain functions whose call is found again in what they built (`noam` loses its
arguments, a `Triangle` has three possible calls, and traced numbers cannot be checked), and a wrapper that holds both the call
and the parts, which can disagree. For the same reason a share of the total stays a share: it is resolved when the parts are put
together, and another total makes another plan of the same call.
"""

import abc
import copy
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._rules import Ratio
from lrax.fields._shares import updates
from lrax.fields._types import STEPS
from lrax.schedules._base import Schedule

LONG_RUN = 10**9
"""The total at which the parts of a plan that waits are checked."""


@functools.partial(jax.jit, inline=True)
def _made(recipe: "Recipe") -> Schedule:
    """What a recipe puts together, as a function of its numbers alone: one program, whether they are known or traced."""
    return recipe.made()


class Recipe(Schedule):
    """A schedule that is put together from other kinds: the fields are the arguments of the recipe, and `made` is its body.

    Errors are raised when it is made. Later (a lane of a batch may hold what no call would) it does what it does under `jit`.

    A recipe with a field `total_steps` waits if that is left out: it has neither rates nor a length until `over` gives it one.
    """

    @abc.abstractmethod
    def made(self) -> Schedule:
        """The schedule of these arguments."""

    @property
    def needs_total_steps(self) -> bool:
        """Whether there are no rates before `over` gives a total length."""
        return getattr(self, "total_steps", 0) is None

    def check(self) -> None:
        self.sample()

    def sample(self) -> Schedule:
        """What it is made of; of one that waits, over a long run."""
        with np.errstate(all="ignore"):  # what overflows is refused as infinite, by name
            return self.unchecked(total_steps=np.int32(LONG_RUN)).made() if self.needs_total_steps else self.made()

    def unchecked(self, **fields: Any) -> "Recipe":
        """This recipe with other fields, as they are."""
        other = copy.copy(self)
        for name, value in fields.items():
            object.__setattr__(other, name, value)
        return other

    def rate(self, count: jax.Array) -> jax.Array:
        return self._whole().rate(count)

    @property
    def length(self) -> Any:
        return self._whole().length

    @property
    def landmarks(self) -> list[int]:
        return self._whole().landmarks

    def resized(self, length: Any) -> Schedule | None:
        if not hasattr(self, "total_steps"):
            return self._whole().resized(length)
        return dataclasses.replace(self, total_steps=length)  # type: ignore[call-arg]  # it has the field

    def _whole(self) -> Schedule:
        if self.needs_total_steps:
            remedy = "this plan waits for it: plan.with_total_steps(10_000)"
            raise argument_error(ValueError, type(self).__name__, "total_steps", "known before there is a rate", None, remedy)
        return _made(self)


def shared_out(caller: str, total_steps: Any, **parts: Any) -> list[Any]:
    """What parts leave of a total, and the parts in updates, each less than what those before it leave.

    The total is at least 1, or what is left of it; if numbers are traced, at least one update is left.

    Raises: ValueError that names the part that does not fit.
    """
    total = STEPS.convert(caller, "total_steps", total_steps)
    left, resolved = total, []
    for name, given in parts.items():
        steps = updates(given, total)
        known = is_concrete(left) and is_concrete(steps)
        if known and np.any(np.asarray(steps) >= np.asarray(left)):
            remedy = "`total_steps` is the whole length, all parts included"
            if name == "warmup_steps" and steps.size == 1:
                remedy += f"; a run that ends in its warm-up is lrax.Warmup(lrax.Constant(peak), {steps})"
            if isinstance(given, Ratio):
                raise argument_error(
                    ValueError, caller, name, f"less than what is left of the total ({left / total:.4g})", given, remedy
                )
            raise argument_error(ValueError, caller, name, f"less than what is left of `total_steps` ({left})", given, remedy)
        left = np.asarray(left) - np.asarray(steps) if known else jnp.maximum(left - steps, 1)
        resolved.append(steps)
    return [left, *resolved]
