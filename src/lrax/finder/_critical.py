"""The critical rate: the smallest one at which an update raises the loss of its own batch. Where a range test looks from below,
this looks from above.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from lrax.fields._errors import argument_error, check_call, check_whole
from lrax.finder._rises import Measuring, crossing
from lrax.training._batches import AGAIN, told
from lrax.training._driver import Source, Trainer, make_trainer
from lrax.training._learner import Learner
from lrax.training._steps import check_learner

SMALL = 1e-3
"""The part of the fresh state's critical rate at which it is warmed: enough to fill the momenta, and it hardly moves."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Critical:
    """The critical rate of a learner.

    Attributes:
      rates: that of each batch, float32 of shape (batches,): infinite where no rate raised the loss, 0 where every one did, NaN
        where the loss was not finite before any rate had acted. Fewer than were asked for where the data ended.
      reason: `"found"`, `"never raised"`, `"always raised"`, `"non-finite"` or `"data ended"`, as `rate` is.
      highest: the highest rate that was tried for.
      steps_run: how many updates were made, those that warmed the state included.
      left_out: how many partial batches, each the last of a pass over an iterable, were left out.
      ended: whether the data ended before all batches were measured.
      fault: which batch holds a NaN or an infinity that made its loss not finite, in words; "" if none does.
    """

    rates: np.ndarray[Any, Any]
    reason: str
    highest: float
    steps_run: int
    left_out: int = 0
    ended: bool = False
    fault: str = ""

    @property
    def rate(self) -> float:
        """The median over batches: the lower of the two in the middle, if there are two; NaN if none has a rate."""
        return middle(self.rates)

    @property
    def band(self) -> tuple[float, float] | None:
        """The lowest and the highest of the batches' rates; None where fewer than two have one."""
        known = self.rates[~np.isnan(self.rates)]
        return (float(known.min()), float(known.max())) if len(known) > 1 else None

    @property
    def explanation(self) -> str:
        """What `reason` means, and what to do where there is something to do."""
        why = {
            "found": "higher rates raise the loss of the batch that they act on",
            "never raised": f"no rate up to {self.highest:.3g} raised the loss of the batch that it acted on",
            "always raised": "the lowest rate raised the loss already: the update does not go downhill on its own batch",
            "non-finite": "the loss was not finite before any rate had acted"
            + (": look at the data and the parameters" if not self.fault else ""),
            "data ended": f"the data ended before a batch could be measured: {AGAIN}",
        }[self.reason]
        return why + told(self.left_out, self.ended and self.reason != "data ended", self.fault)

    def __float__(self) -> float:
        return self.rate

    def __repr__(self) -> str:
        return f"<Critical: {self}>"

    def __str__(self) -> str:
        band = f" ({self.band[0]:.2g} to {self.band[1]:.2g} over {len(self.rates)} batches)" if self.band else ""
        return f"critical rate {self.rate:.3g}{band} after {self.steps_run} updates ({self.reason}: {self.explanation})"


@check_call
def critical_lr(
    learner: Learner,
    data: Any,
    *,
    key: jax.Array | None = None,
    batch_size: int | None = None,
    batches: int = 5,
    warm: int = 0,
    warm_rate: float | None = None,
    start: float = 1e-3,
    lowest: float = 1e-10,
    highest: float = 1e6,
    transform: Callable[[Any], Any] | None = None,
    accumulate: int = 1,
) -> Critical:
    r"""The smallest rate at which one update raises the loss of its own batch.

    For plain gradients training does not go downhill above it, so that it bounds rates from above, as a range test finds them
    from below. On a quadratic loss with gradient $g$ and curvature $H$ it is $2\, g^\top d / d^\top H d$ for an update
    $-rate \cdot d$. It is no suggestion: good peaks lie some way below it.

    Momenta change it: in a fresh state they are empty, and one update says little of the hundredth. Give `warm=20` for
    optimizers that have them (momentum, Adam), or a learner that is half-way through its run.

    Nothing is touched: the learner's state is bit for bit what it was.

    Args:
      learner: a state and its update; the critical rate is that of this state.
      data: as for `lrax.find_lr`: arrays with `batch_size`, a sampler `key -> batch`, or an iterable of batches.
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays.
      batches: on how many batches it is measured, all from the same state; the answer is their median.
      warm: how many small updates are made before, on batches of their own.
      warm_rate: the rate of those; by default a thousandth of the fresh state's critical rate on the first batch.
      start: the rate that the search begins at. It goes up, or down, by factors of 4 to where the loss is raised, or is no
        longer, and halves what lies between; a loss that rises and falls again within such a factor may be passed over.
      lowest, highest: the ends of the search.
      transform: a function of every batch, as for `lrax.find_lr`.
      accumulate: batches to one optimizer update, for learners that accumulate gradients; the loss is their mean.

    Returns: a `lrax.finder.Critical`: the rate, infinite if it was never raised; its band over the batches; each batch's. A
      loss that is not finite counts as raised.

    Raises: TypeError or ValueError for arguments, data or an update that cannot be used, before anything runs.

    The two losses see the same noise: what is no floating-point number in the state (random keys, counts) is for the second
    loss what it was for the first, so that dropout leaves out the same units. A learner that draws noise in another way, from
    its parameters or outside JAX, has a critical rate that scatters with it.

    Source: Kalra & Barkeshli 2024, Why warmup the learning rate? (arXiv 2406.09405), section 6; Kalra et al. 2026 (arXiv
    2601.16979), who watch runs by it.

    >>> loss_fn = lambda params, batch: 0.5 * jnp.sum(jnp.array([1.0, 8.0]) * params**2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.ones(2), optax.sgd)
    >>> critical = critical_lr(learner, jnp.zeros((4, 1)), batch_size=4, key=jax.random.key(0))
    >>> print(f"{critical.rate:.3f} {2 * (1 + 8**2) / (1 + 8**3):.3f}")
    0.253 0.253
    """
    caller = "critical_lr"
    check_whole(caller, "batches", batches)
    check_whole(caller, "accumulate", accumulate)
    if warm != 0:
        check_whole(caller, "warm", warm)
    rates = {"start": start, "lowest": lowest, "highest": highest}
    for name, rate in {**rates, **({} if warm_rate is None else {"warm_rate": warm_rate})}.items():
        if not isinstance(rate, int | float | np.number | np.ndarray | jax.Array) or np.ndim(rate) or not 0 < rate < math.inf:
            raise argument_error(ValueError, caller, name, "a finite rate above 0", rate)
    if not lowest <= start <= highest:
        raise argument_error(ValueError, caller, "start", f"between lowest and highest, {lowest} and {highest}", start)
    check_learner(caller, learner, key)
    trainer = make_trainer(caller, [learner], Source(data, key, batch_size, transform, accumulate), capacity=1)
    ends = float(start), float(lowest), float(highest)
    return critical_of(trainer, trainer.states[0], key, batches, warm, None if warm_rate is None else float(warm_rate), ends)


def critical_of(
    trainer: Trainer,
    state: Any,
    key: jax.Array | None,
    batches: int = 5,
    warm: int = 0,
    warm_rate: float | None = None,
    ends: tuple[float, float, float] = (1e-3, 1e-10, 1e6),
) -> Critical:
    """`critical_lr` for who has a trainer; `ends` are where the search starts, its lowest and its highest rate."""
    measuring = Measuring(trainer, trainer.order(key))
    start, lowest, highest = ends
    if warm:
        sources = measuring.next()
        if warm_rate is None and sources:
            fresh = crossing(measuring.rise(state, sources), start, lowest, highest)
            warm_rate = SMALL * fresh if 0 < fresh < math.inf else start
            start = min(max(fresh, lowest), highest) if fresh == fresh else start
        for _ in range(warm):
            if sources:
                state = measuring.pair(state, warm_rate or start, sources)[0]
                sources = measuring.next()
        measuring.waiting = sources
    found: list[float] = []
    while len(found) < batches and (sources := measuring.next()):
        found.append(crossing(measuring.rise(state, sources), start, lowest, highest))
        if math.isnan(found[-1]):
            measuring.look_at(sources)
        start = found[-1] if 0 < found[-1] < math.inf else start
    rates = np.array(found, np.float32)
    notes = dataclasses.asdict(trainer.notes)
    return Critical(rates, reason_of(rates), highest, measuring.steps_run, **notes)


def middle(rates: np.ndarray[Any, Any]) -> float:
    """The median of the rates that are numbers, the lower of two; NaN if there are none."""
    known = np.sort(rates[~np.isnan(rates)])
    return float(known[(len(known) - 1) // 2]) if len(known) else math.nan


def reason_of(rates: np.ndarray[Any, Any]) -> str:
    """Why the rates have the median that they have."""
    rate = middle(rates)
    if math.isnan(rate):
        return "non-finite" if len(rates) else "data ended"
    return "never raised" if math.isinf(rate) else "always raised" if rate == 0 else "found"
