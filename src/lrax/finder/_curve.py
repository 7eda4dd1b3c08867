"""What a range test measured: a pytree of arrays, with suggestions, a sentence and a picture where its numbers are concrete."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax._pictures import inline, paragraph
from lrax.fields._errors import any_traced, argument_error, check_call, choice, name_of, plural
from lrax.finder._rules import FEWEST, check_rule, is_flat, smooth
from lrax.training._batches import AGAIN, told
from lrax.training._core import CODES, RUNNING, Reason, Run
from lrax.training._driver import is_rising

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SuggestionRule = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], object]
"""`(learning_rates, losses) -> learning rate`, NaN or None for none: `lrax.finder.steepest`, ... or your own."""

Points = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Learning rates and losses, float32 of shape (n,) each."""

Of = Literal["losses", "evaluations"]

SMOOTH = 0.2
"""Half the width, in decades, of the window under which curves are drawn and rules see them."""

LOW, TINY = 1.0, 1e-5
"""A ramp that ends below the first should climb higher. Up to the second, a learning rate does not make a loss non-finite."""

SOON = 100.0
"""A ramp that ends before it has climbed this many times its first learning rate began too high."""

SCALE = "scale the inputs and the targets to about 1"
"""What helps where every learning rate is too high or too low."""

GAINED = 0.05
"""If more than this part of the drop was made in the last tenth of the ramp's decades, the loss still dropped at its end."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """What a range test measured: a pytree. Inside `jit` and `vmap` the arrays have room for all steps and end in infinities.

    Attributes:
      learning_rates: of each step that was made, float32 of shape (steps,).
      losses: of each step, measured on its batch before its learning rate acted, float32 of shape (steps,). The last one is NaN
        or infinite where that ended the test.
      smoothed: the losses as the stop rule saw them, float32 of shape (steps,).
      evaluations: where the state was evaluated, float32 of shape (evaluations, 2): the learning rate before, and the metric.
      reason_code: why the test ended, int32: the index of a `lrax.finder.Reason`, which `reason` returns.
      goal: `"min"` if a smaller metric is better, `"max"` if a larger one is.
      left_out: how many partial batches, each the last of a pass over an iterable, were left out.
      fault: which batch holds a NaN or an infinity that made its loss not finite; "" if none does.

    Source: Smith 2015, Cyclical learning rates for training neural networks, section 3.3.
    """

    learning_rates: npt.NDArray[np.float32]
    losses: npt.NDArray[np.float32]
    smoothed: npt.NDArray[np.float32]
    evaluations: npt.NDArray[np.float32]
    reason_code: np.int32
    goal: str = dataclasses.field(default="min", metadata={"static": True})
    left_out: int = dataclasses.field(default=0, metadata={"static": True})
    fault: str = dataclasses.field(default="", metadata={"static": True})

    @property
    def steps_run(self) -> int:
        """How many steps were made: an int, or for traced or several curves an integer array."""
        if any_traced(self.losses) or np.ndim(self.losses) > 1:
            return jnp.isfinite(self.learning_rates).sum(axis=-1)  # type: ignore[return-value]
        return len(self.made.learning_rates)

    @property
    def reason(self) -> Reason:
        """Why the test ended."""
        return list(Reason)[int(self.made.reason_code)]

    @property
    def made(self) -> "Curve":
        """The curve in NumPy, without the room for steps that were not made.

        Raises: ValueError for several curves in one, as `vmap` makes them.
        """
        if isinstance(self.losses, np.ndarray) and self.losses.ndim == 1 and np.isfinite(self.learning_rates).all():
            return self
        if np.ndim(self.losses) != 1:
            remedy = "take one: jax.tree.map(lambda leaf: leaf[0], curves)"
            raise argument_error(ValueError, "Curve", "losses", "of shape (steps,)", np.shape(self.losses), remedy)
        arrays = jax.device_get((self.learning_rates, self.losses, self.smoothed, self.evaluations))
        rates, losses, smoothed, evaluations = map(np.asarray, arrays)
        steps = int(np.isfinite(rates).sum())
        evaluations = evaluations[np.isfinite(evaluations[:, 0])]
        code, rest = np.int32(self.reason_code), (self.goal, self.left_out, self.fault)
        return Curve(rates[:steps], losses[:steps], smoothed[:steps], evaluations, code, *rest)

    def paired(self) -> Points:
        """Each learning rate with the loss after its step, which is that of the next one; shape (steps - 1,) each."""
        return self.made.learning_rates[:-1], self.made.losses[1:]

    def extended(self, of: Of = "losses") -> Points:
        """The pairs, and behind a loss that diverged one more decade of learning rates whose losses are NaN.

        `of="evaluations"` pairs learning rates and metrics, with the other sign where a larger one is better.
        """
        rates, losses = self.paired() if of == "losses" else (self.made.evaluations[:, 0], self.made.evaluations[:, 1])
        losses = -losses if of == "evaluations" and self.goal == "max" else losses
        if self.reason not in (Reason.DIVERGED, Reason.NON_FINITE) or len(rates) < 2:
            return rates, losses
        factor = max(rates[-1] / rates[-2], 1.01)
        more = rates[-1] * factor ** np.arange(1, 1 + math.ceil(math.log(10) / math.log(factor)))
        diverged = np.full(len(more), np.nan, np.float32)
        return np.concatenate([rates, more.astype(np.float32)]), np.concatenate([losses, diverged])

    def _recorded(self) -> Points:
        """The learning rate of each step with the smoothed loss of that step, up to the first that is not finite."""
        count = int(np.isfinite(self.made.smoothed).cumprod().sum())
        return self.made.learning_rates[:count], self.made.smoothed[:count]

    def smooth(self) -> Points:
        """The pairs with `lrax.finder.smooth` over the losses."""
        rates, losses = self.paired()
        return rates, smooth(rates, losses, SMOOTH)

    def supports_none(self, of: Of = "losses") -> bool:
        """Whether it is too short or too flat for any suggestion."""
        points = len(self.made.learning_rates if of == "losses" else self.made.evaluations)
        return points <= FEWEST or is_flat(*self.extended(of))

    @check_call
    def suggest(self, rule: SuggestionRule, width: float = SMOOTH, of: Of | Literal["smoothed"] = "losses") -> float | None:
        """The learning rate that `rule` reads off this curve, or None where the curve is too short or too flat for any.

        Args:
          rule: `(learning_rates, losses) -> learning rate`, such as `lrax.finder.steepest`; it is given NumPy arrays, float32
            of shape (n,), with NaN losses where the loss was not finite, and for a decade behind a curve that diverged.
          width: half the width, in decades, of the window of `lrax.finder.smooth` that the rule sees it under; 0 for none.
          of: the values to read: the losses; the `"evaluations"`, with the other sign where a larger metric is better; or
            `"smoothed"`, the losses as the stop rule saw them, each with the learning rate of its own step, which is what the
            finders of other libraries read. Then `width` is not used.

        Raises: TypeError if `rule` is not a function of two arguments or returns something else than one learning rate.
        """
        check_rule("Curve.suggest", rule)
        choice("Curve.suggest", "of", of, ("losses", "evaluations", "smoothed"))
        if of == "smoothed":
            rates, losses = self._recorded()
        elif self.supports_none(of):
            return None
        else:
            rates, losses = self.extended(of)
            losses = smooth(rates, losses, width) if width else losses
        read: Any = rule(rates, losses)
        if read is not None and np.shape(read) != ():
            needs = "a function (learning_rates, losses) -> one learning rate, or NaN or None for none"
            raise argument_error(TypeError, "Curve.suggest", "rule", needs, f"shape {np.shape(read)}")
        rate = math.nan if read is None else float(read)
        return rate if math.isfinite(rate) and rate > 0 else None

    @check_call
    def plot(self, axes: "Axes | None" = None, rules: Sequence[SuggestionRule] = ()) -> "Axes":
        """Draws the loss over the learning rate, and marks what rules suggest. Needs matplotlib.

        Dots are losses, and the line is their mean over the learning rates around. What is above the axes, or not finite, is
        marked at their upper edge. Metrics of an evaluation have their own axis at the right. Several curves in one, as `vmap`
        makes them, are drawn together.

        Args:
          axes: where to draw; by default new axes.
          rules: suggestion rules to mark, such as `(lrax.finder.steepest, lrax.finder.valley)`.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed; TypeError if `rules` are not rules.
        """
        from lrax.finder._picture import plot_curves

        if callable(rules):
            remedy = "give (lrax.finder.steepest,)"
            raise argument_error(TypeError, "Curve.plot", "rules", "a sequence of rules", rules, remedy)
        for rule in rules:
            check_rule("Curve.plot", rule)
        if np.ndim(self.losses) > 1:
            rows = range(math.prod(np.shape(self.losses)[:-1]))
            axis = np.ndim(self.losses) - 1
            flat = jax.tree.map(lambda leaf: np.reshape(leaf, (len(rows), *np.shape(leaf)[axis:])), self)
            return plot_curves([jax.tree.map(lambda leaf, i=i: leaf[i], flat).made for i in rows], axes)
        return plot_curves([self.made], axes, [(name_of(rule), self.suggest(rule)) for rule in rules], title=f"{self.reason}")

    def __repr__(self) -> str:
        return f"<Curve: {self}>"

    def __str__(self) -> str:
        if not hasattr(self.losses, "dtype"):  # `jax.tree.map` may put anything in the place of an array
            return f"losses {self.losses!r}"
        if any_traced(self.losses) or np.ndim(self.losses) != 1:
            return f"losses of shape {np.shape(self.losses)}"
        return f"range test of {plural(int(self.steps_run), 'step')} ({self.reason}: {self.explanation})"

    def _repr_html_(self) -> str:
        return inline(paragraph(str(self)), self.plot, str(self))

    @property
    def explanation(self) -> str:
        """Why the test ended, with its numbers, and what to do where there is something to do."""
        its = self.made
        if self.reason is Reason.INTERRUPTED:
            why = f"it was interrupted after {plural(len(its.losses), 'step')}; what it had measured is kept"
        else:
            why = why_nothing(its) if self.supports_none() or self.reason is Reason.DATA_ENDED else _what_happened(its)
        return why + told(self.left_out, False, self.fault)

    def ended_too_soon(self) -> bool:
        """Whether the ramp ran to its end and a fair part of the drop was made in the last tenth of its decades."""
        rates, means = self.smooth()
        finite = np.isfinite(means)
        rates, means = rates[finite], means[finite]
        if self.reason is not Reason.COMPLETED or len(means) < FEWEST:
            return False
        early = rates < rates[-1] * (rates[0] / rates[-1]) ** 0.1
        before = np.min(means[early], initial=np.inf)
        return bool(before - means[-1] > GAINED * (means[0] - means[-1]))


def curve_of(run: Run, otherwise: Reason, goal: str = "min", left_out: int = 0, fault: str = "") -> Curve:
    """The curve of a run on the host, and why it ended: `otherwise` if it has not stopped."""
    rates, losses, smoothed = np.array(run.history, np.float32).reshape(-1, 3).T
    if run.is_nan and len(losses):
        losses[-1] = np.nan  # infinite inside the program
    counts, metrics = np.asarray(run.evaluations, np.float32).reshape(-1, 2).T
    evaluations = np.stack([rates[counts.astype(np.int64) - 1], metrics], axis=1)
    code = CODES[otherwise] if int(run.reason) == RUNNING else int(run.reason)
    return Curve(rates, losses, smoothed, evaluations, np.int32(code), goal, left_out, fault)


def levels(curve: Curve) -> tuple[float, float, float]:
    """The first loss, the lowest and the last, of the smoothed curve; the first as measured where there is no more."""
    means = curve.smooth()[1]
    means = means[np.isfinite(means)]
    if not len(means):
        first = float(curve.losses[0]) if len(curve.losses) else math.nan
        return first, first, first
    return float(means[0]), float(np.min(means)), float(means[-1])


def _last_lr(curve: Curve) -> float:
    """The last learning rate that acted before the last loss was measured."""
    return float(curve.learning_rates[-2:][0]) if len(curve.learning_rates) else math.nan


def _what_happened(curve: Curve) -> str:
    """What the loss did on a ramp that supports a suggestion."""
    first, lowest, last = levels(curve)
    dropped = f"the loss dropped from {first:.3g} to {lowest:.3g}"
    if curve.reason is Reason.DIVERGED:
        return f"{dropped}, and passed the stop rule's limit at learning rate {_last_lr(curve):.3g}, as a range test should end"
    if curve.reason is Reason.NON_FINITE:
        return f"{dropped}, and was not finite after learning rate {_last_lr(curve):.3g}, which is one way a range test ends"
    if curve.ended_too_soon():
        end = f"the ramp ended at learning rate {curve.learning_rates[-1]:.3g} while the loss still dropped"
        return f"{end}, from {first:.3g} at first to {last:.3g} there: let it climb higher"
    return dropped


def why_nothing(curve: Curve, own_ramp: bool = True) -> str:
    """Why a ramp supports no suggestion, and what to do; `own_ramp` is whether the user can give another ramp."""
    steps, end = len(curve.learning_rates), f"learning rate {_last_lr(curve):.3g}"
    if curve.reason is Reason.DATA_ENDED:
        where = f"after {plural(steps, 'step')}, at {end}," if steps else "before the first step"
        return f"the data ended {where} and could not be iterated again: {AGAIN}"
    if curve.reason is Reason.NON_FINITE and steps:
        at_once, number = not np.isfinite(curve.losses[0]), str(curve.losses[-1]).replace("nan", "NaN")
        when = f"the loss of step {steps} was {number}"
        when = f"the very first loss was {number}, before any learning rate had acted" if at_once else when
        if curve.fault:
            return when
        if at_once:
            return f"{when}: look at the data and the initial parameters"
        if _last_lr(curve) <= TINY and not is_rising(curve.losses):
            small = f"{when} after {end}, which is {'hardly' if steps > 2 else 'seldom'} the cause"
            remedy = "start the ramp lower" if own_ramp else SCALE
            lower = f", or {remedy}" if steps == 2 else ""  # one finite loss does not tell whether it has risen
            return f"{small}: look at the batch of that step, and at the loss that it gives{lower}"
    if steps <= FEWEST:
        diverged = f" before a loss that was not finite, after {end}: {'start the ramp lower' if own_ramp else SCALE}"
        remedy = diverged if curve.reason is Reason.NON_FINITE else f" for a suggestion: give the ramp more than {FEWEST + 1}"
        return f"{plural(steps, 'step')} {'is' if steps == 1 else 'are'} too few{remedy}"
    never = f"the loss never dropped by more than its noise below {levels(curve)[0]:.3g}"
    if curve.reason in (Reason.DIVERGED, Reason.NON_FINITE):
        verb = "diverged" if curve.reason is Reason.DIVERGED else "was not finite"
        larger = "give larger batches, or use learning rates far below: a trained model has little left to gain"
        soon = f"{SCALE}{', or start the ramp lower' if own_ramp else ''}"
        return f"{never} before it {verb} after {end}: {soon if _last_lr(curve) < SOON * curve.learning_rates[0] else larger}"
    highest = float(curve.learning_rates[-1])
    remedy = "give larger batches or a longer ramp" if own_ramp else "give larger batches"
    remedy = "let the ramp climb higher, or give larger batches" if highest < LOW else remedy
    return f"{never} up to learning rate {highest:.3g}: {remedy}, and check that the loss depends on the trained parameters"
