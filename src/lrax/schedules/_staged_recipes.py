"""Named compositions for long runs: cool-downs that come back, three stages, a power of the tokens."""

from typing import Any, final

import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._ratio import Ratio
from lrax.fields._rules import LARGEST
from lrax.fields._shares import DelayOrShare, EndsOrShares, MaybeStepsOrShare, StepsOrShare, Total, updates
from lrax.fields._types import Positive, Rate, default
from lrax.fields._value import decimal
from lrax.fields._words import Shown, argument_error
from lrax.schedules._algebra import Minimum
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Cooldown, Warmup
from lrax.schedules._decays import Constant, Power
from lrax.schedules._dips import Dips
from lrax.schedules._modes import Mode
from lrax.schedules._recipe import LONG_RUN, Recipe, shared_out
from lrax.schedules._recipes import MayEnd, first_rate
from lrax.schedules._time import Shift


@final
class wsd_s(Recipe):  # noqa: N801  # a recipe is called as a function
    """Warm-up, stable, decay, again and again: before each end it falls to `end`, and from there on it is back at `peak`.

    One run gives finished models of several lengths, each of which goes on from the last: nothing is trained twice. The first
    update has a rate already: `peak / (warmup_steps + 1)`.

    Args:
      peak: rate between the falls.
      total_steps: the whole length in updates, the last end; None for a plan that waits for it.
      ends: where the models before the last one are finished, rising: in updates, or as shares of the total; shape (n,). At an
        end the rate is `peak` again.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the total.
      cooldown_steps: length of each fall, > 0: in updates, or as a share of the total.
      end: rate that each fall leads to, and from count `total_steps` on.
      mode: shape of the falls (see `Cooldown`).

    Made of `Shift`, `Warmup` and `Constant`, with the falls put in.

    Raises: ValueError if the parts do not fit before the ends, or a number is out of range.

    Source: Wen et al. 2024, Understanding warmup-stable-decay learning rates: a river valley loss landscape perspective.

    >>> schedule = wsd_s(peak=0.5, total_steps=100, ends=[0.4], warmup_steps=4, cooldown_steps=10)
    >>> print(schedule(jnp.array([0, 30, 35, 40, 95, 100])))
    [0.1  0.5  0.25 0.5  0.25 0.  ]
    """

    peak: Rate
    total_steps: Total = default(None)
    ends: EndsOrShares = default(...)
    warmup_steps: DelayOrShare = default(...)
    cooldown_steps: StepsOrShare = default(...)
    end: Rate = default(0.0)
    mode: Mode = "linear"

    def sample(self) -> Schedule:
        shares = [isinstance(length, Ratio) for length in (self.ends, self.warmup_steps, self.cooldown_steps)]
        only = shares[0] and is_concrete(self.ends.denominator) and np.all(np.asarray(self.ends.denominator) > 1)
        if not self.needs_total_steps or not any(shares) or only:
            return Recipe.sample(self)
        # ends at counts beside shares of the total fit some totals only: they are checked once there is one
        return Recipe.sample(self.unchecked(ends=np.zeros(0, np.int32)))

    def made(self) -> Schedule:
        lengths = {"warmup_steps": self.warmup_steps, "cooldown_steps": self.cooldown_steps}
        left, warm, cool = shared_out("wsd_s", self.total_steps, **lengths)
        total = left + warm + cool
        parts = self.ends if isinstance(self.ends, Ratio) else (self.ends,)
        array: Any = np if all(map(is_concrete, (total, *parts))) else jnp
        total = array.expand_dims(total, -1)
        ends = updates(self.ends, total)
        batch = np.broadcast_shapes(ends.shape[:-1], total.shape[:-1])
        ends = array.concatenate([array.broadcast_to(one, (*batch, one.shape[-1])) for one in (ends, total)], axis=-1)
        self._check(ends, warm, cool)
        return Dips(first_rate(Constant(self.peak), warm), ends, cool, self.end, self.mode)

    def _check(self, ends: Any, warm: Any, cool: Any) -> None:
        """Raises ValueError if an end is not before the total, or a fall begins before the peak is reached."""
        if not all(map(is_concrete, (ends, warm, cool))):
            return
        between = np.diff(ends, axis=-1, prepend=0)
        if np.any(between <= 0):
            given = decimal(self.ends).tolist() if isinstance(self.ends, Ratio) else self.ends
            raise argument_error(ValueError, "wsd_s", "ends", f"rising, and less than the total ({ends[..., -1]})", given)
        first, others = between[..., 0] - warm, between[..., 1:].min(axis=-1, initial=LARGEST)
        if np.any(np.asarray(cool) > np.minimum(first, others)):
            distance: Any = np.minimum(first, others)
            if np.all(ends[..., -1] == LONG_RUN):  # no total yet
                distance = Shown(f"{np.min(distance) / LONG_RUN:.4g} of the total")
            needs = f"at most the distance between ends ({distance}), the first of which begins after the warm-up"
            raise argument_error(ValueError, "wsd_s", "cooldown_steps", needs, self.cooldown_steps)


@final
class tri_stage(Recipe):  # noqa: N801  # a recipe is called as a function
    """Three stages: up in a straight line, hold, and down by the same factor at every update; as in speech recognition.

    Args:
      peak: rate after the warm-up, above 0.
      total_steps: the whole length in updates, all parts included; None for a plan that waits for it.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the total.
      hold_steps: how long the peak is held, >= 0: in updates, or as a share of the total.
      start_factor: what the peak is multiplied by for the rate at count 0, > 0.
      end_factor: what the peak is multiplied by for the rate from count `total_steps` on, > 0.

    Made of `Warmup`, `Cooldown` and `Constant`.

    Raises: ValueError if the parts leave no update of the total, or a number is out of range.

    Source: Park et al. 2019, SpecAugment, section 3.1; fairseq, `tri_stage`.

    >>> schedule = tri_stage(peak=0.5, total_steps=100, warmup_steps=0.1, hold_steps=0.4)
    >>> print(schedule(jnp.array([0, 10, 50, 75, 100])))
    [0.005 0.5   0.5   0.05  0.005]
    """

    peak: Positive
    total_steps: Total = default(None)
    warmup_steps: DelayOrShare = default(...)
    hold_steps: DelayOrShare = default(...)
    start_factor: Positive = default(0.01)
    end_factor: Positive = default(0.01)

    def made(self) -> Schedule:
        lengths = {"warmup_steps": self.warmup_steps, "hold_steps": self.hold_steps}
        steps, warm, hold = shared_out("tri_stage", self.total_steps, **lengths)
        fall = Cooldown(Constant(self.peak), hold, steps, self.peak * self.end_factor, "geometric")
        return Warmup(fall, warm, self.peak * self.start_factor)


@final
class power(MayEnd):  # noqa: N801  # a recipe is called as a function
    r"""A power of the tokens that were seen, at most `peak`: one setting for every length of a run.

    $$\eta(t) = \min\!\left(peak,\; batch\_size \cdot amplitude \cdot (t \cdot step\_tokens)^{exponent}\right)$$

    after a straight warm-up to it, and at last, if asked, down to `end`. The first update has a rate already.

    Args:
      peak: the largest rate.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the total.
      batch_size: examples an update, > 0.
      step_tokens: tokens that one count stands for, > 0: those of an update, or the `unit` of the clock that reads this.
      amplitude: a number that is found on a small model and carries over, > 0.
      exponent: of the tokens, below 0 for a rate that falls.
      total_steps: the whole length in updates, if there is a cool-down; None for a plan that waits for it, or has no end.
      cooldown_steps: length of the cool-down, > 0: in updates, or as a share of the total; None for none.
      end: rate from count `total_steps` on.
      mode: shape of the cool-down (see `Cooldown`).

    Made of `Shift`, `Warmup`, `Minimum`, `Power` and `Cooldown`.

    Raises: ValueError if only one of `total_steps` and a length that needs it is given, the parts leave no update, or a
      number is out of range.

    Source: Shen et al. 2024, Power scheduler: a batch size and token number agnostic learning rate scheduler; the defaults are
      theirs, for models in the maximal update parametrization.

    >>> schedule = power(peak=0.02, warmup_steps=100, batch_size=128, step_tokens=128 * 4096)
    >>> print([f"{rate:.4f}" for rate in schedule(jnp.array([0, 100, 100_000]))])
    ['0.0002', '0.0200', '0.0020']
    """

    peak: Rate
    warmup_steps: DelayOrShare
    batch_size: Positive
    step_tokens: Positive
    amplitude: Positive = default(4.6)
    exponent: Rate = default(-0.51)
    total_steps: Total = default(None)
    cooldown_steps: MaybeStepsOrShare = default(None)
    end: Rate = default(0.0)
    mode: Mode = "linear"

    def decay(self, warmup_steps: Any) -> Schedule:
        array: Any = np if is_concrete(self.step_tokens) and is_concrete(self.exponent) else jnp
        first = self.batch_size * self.amplitude * array.power(self.step_tokens, self.exponent)
        return Minimum(Constant(self.peak), Shift(Power(first, self.exponent), warmup_steps - 1))
