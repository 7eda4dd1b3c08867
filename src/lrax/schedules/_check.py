"""Checks of a schedule against the run that it is meant for."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import jax
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, check_call, is_concrete
from lrax.fields._rules import LARGEST, whole_number
from lrax.schedules._base import Schedule, ScheduleRule
from lrax.schedules._display import plot, rates_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]

EVERY = 16_384
"""Runs of up to this many steps are checked at every step, longer ones at about half as many counts."""

EARLY, HIGH, SMALL = 0.05, 0.1, 0.01
"""Fractions. Changes that all lie in the first `EARLY` of the run look like epochs. A last learning rate above `HIGH` of the
peak is far from the end; below `SMALL` of it, a step changes almost nothing."""

CLOSE, NEAR = 0.01, 0.2
"""Fractions of the run. A decay that ends this much before or after it was meant for another length: `check` reports the first,
a warning needs the second."""

AFTER = 20
"""How many times the length of the run is looked at after its end."""


class Finding(NamedTuple):
    """A probable mistake in a schedule.

    Attributes:
      code: what it is, such as `"unfinished"`; see `lrax.check` for all codes.
      step: the step at which it is seen, 0-based.
      message: what happens there and what to change.
    """

    code: str
    step: int
    message: str


@dataclasses.dataclass(frozen=True)
class Report:
    """What `lrax.check` found: an iterable of `Finding`; `str` is the text, and `plot` marks each finding in a picture.

    Attributes:
      schedule: the schedule.
      total_steps: the length of the run.
      findings: what was found, in the order of the steps; empty if nothing was.
    """

    schedule: Schedule
    total_steps: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        if self.ok:
            return f"no findings in {self.total_steps:,} steps"
        number = "1 finding" if len(self) == 1 else f"{len(self)} findings"
        return "\n".join(
            [f"{number} in {self.total_steps:,} steps:", *(f"- {one.code}: {one.message}" for one in self.findings)]
        )

    __repr__ = __str__

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draws the schedule, the end of the run and a numbered mark at each finding.

        Args:
          axes: where to draw; new axes by default.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed.
        """
        furthest = max([self.total_steps, *(one.step + 1 for one in self.findings)])
        axes = plot(self.schedule, min(furthest + furthest // 10 + 1, LARGEST), axes)
        axes.axvline(self.total_steps, color="0.5", linestyle=":", label="end of the run")
        values = _evaluator(self.schedule)(np.array([one.step for one in self.findings] or [0]))
        for number, (one, value) in enumerate(zip(self.findings, values, strict=False), 1):
            axes.plot([one.step], [value], "o", color="C3", label=f"{number}. {one.code}, step {one.step:,}")
            axes.annotate(str(number), (one.step, value), textcoords="offset points", xytext=(4, 4), color="C3")
        axes.legend(fontsize="small")
        axes.set_title(str(self).partition("\n")[0].rstrip(":"), fontsize="medium")
        return axes


@check_call
def check(
    schedule: object,
    total_steps: int,
    *,
    warmup_steps: int | None = None,
    dataset_size: int | None = None,
    batch_size: int | None = None,
    epochs: float | None = None,
) -> Report:
    """Reports what is probably wrong with a schedule for a run of `total_steps` steps.

    The schedule is only called; it may come from lrax, from Optax or be any function of the count. Nothing is raised for a bad
    schedule. The codes:

    | code | what was found |
    | --- | --- |
    | `not_finite`, `negative`, `zero` | a NaN or an infinite value; a value below 0; 0 at every step |
    | `zero_start` | step 0 has learning rate 0 |
    | `rising_at_end` | the learning rate still rises at the last step: the warm-up is as long as the run |
    | `warmup` | the peak is not reached where `warmup_steps` says |
    | `unfinished` | the decay ends after the run does, by more than a hundredth of the run |
    | `milestone_after_end` | a drop comes after the run has ended |
    | `finished_early` | the learning rate is almost 0 for the last hundredth of the run or longer |
    | `epochs` | all changes lie in the first twentieth of the run: lengths were probably counted in epochs |
    | `rises_after_end` | after `total_steps` the learning rate rises again: a longer run would restart |
    | `jump` | the learning rate more than doubles from one step to the next, or drops to less than a twentieth |
    | `length` | `total_steps` does not fit `epochs` passes over the data |

    Args:
      schedule: a schedule, or a function from the 0-based count to a learning rate.
      total_steps: the number of optimizer steps of the run, at least 1.
      warmup_steps: the number of steps after which the peak should be reached, if there is one.
      dataset_size: examples in one epoch; needs `batch_size`.
      batch_size: examples in one step; needs `dataset_size`.
      epochs: passes over the data that the run should make; needs both sizes.

    Returns: a `Report`, which prints as text and can be plotted.

    Raises: TypeError if `schedule` cannot be called; ValueError for a length below 1.

    >>> decay = optax.warmup_cosine_decay_schedule(0.0, 0.1, warmup_steps=500, decay_steps=90_000)
    >>> report = lrax.check(decay, total_steps=9_000)
    >>> [finding.code for finding in report]
    ['zero_start', 'unfinished']
    >>> print(lrax.check(lrax.warmup_cosine(peak=0.1, warmup_steps=500, total_steps=9_000), total_steps=9_000))
    no findings in 9,000 steps
    """
    whole = ScheduleRule().convert("check", "schedule", schedule)
    total = whole_number("check", "total_steps", total_steps, 1, LARGEST)
    if warmup_steps is not None:
        warmup_steps = whole_number("check", "warmup_steps", warmup_steps, 0, LARGEST)
    per_epoch = _steps_per_epoch(dataset_size, batch_size, epochs)
    counts, evaluate = _counts(whole, total), _evaluator(whole)
    run = Sampled(evaluate, total, counts, evaluate(counts))
    if not np.all(np.isfinite(run.values)):
        step = run.first(~np.isfinite(run.values))
        found = [Finding("not_finite", step, f"the learning rate at step {step:,} is {run.at(step):g}")]
    elif not np.any(run.values):
        found = [Finding("zero", 0, "the learning rate is 0 at every step")]
    else:
        found = [*_start(run, warmup_steps), *_end(run, per_epoch, CLOSE), *_after(run), *_jumps(run)]
        if {one.code for one in found}.isdisjoint(SURE):
            found += _declared(run, whole)
    if per_epoch is not None and epochs is not None:
        found += _length(total, per_epoch, epochs)
    return Report(whole, total, tuple(sorted(found, key=lambda one: one.step)))


class ScheduleWarning(UserWarning):
    """A schedule that does not fit its run, as found by `lrax.check`. `find_lr` and `run_sweep` give this warning.

    >>> import warnings
    >>> warnings.filterwarnings("ignore", category=lrax.schedules.ScheduleWarning)
    >>> warnings.resetwarnings()
    """


SURE = ("rising_at_end", "epochs", "unfinished", "milestone_after_end", "finished_early")
"""The findings that a plan for a run of a known length has only by mistake."""


def warn_of(
    caller: str, schedule: Schedule, total_steps: int, counts: Counts, values: Values, codes: Sequence[str], stacklevel: int
) -> bool:
    """Warns of some findings in values that are there: nothing is compiled if the plan looks right.

    Args:
      counts, values: learning rates of the plan, at rising counts below `total_steps`.
      codes: the findings.
      stacklevel: of the warning, for a call from here.

    Returns: whether it warned.
    """
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all() or not np.any(values):
        return False
    run = Sampled(lambda more: np.interp(more, counts, values), total_steps, np.asarray(counts), values)
    found = [*_start(run, None), *_end(run, None, NEAR)]
    if run.last > HIGH * run.peak and _goes_on(schedule, total_steps, bool(values[-1] == values[-2:][0])):
        found += _after(dataclasses.replace(run, evaluate=_evaluator(schedule)))
    text = "; ".join(one.message for one in found if one.code in codes)
    if text:
        text = f"{caller}: {text}; print(lrax.check(schedule, {total_steps})) says more"
        warnings.warn(text, ScheduleWarning, stacklevel=stacklevel + 1)
    return bool(text)


def _length_of(schedule: Schedule) -> int | None:
    """The length of a schedule as a number, if it has one."""
    try:
        length = schedule.length
    except Exception:  # of a custom schedule
        return None
    return int(length) if length is not None and is_concrete(length) and np.ndim(length) == 0 else None


def _goes_on(schedule: Schedule, total_steps: int, is_level: bool) -> bool:
    """Whether a schedule has a length above `total_steps`, or drops in a step after it."""
    try:
        is_endless, marks = schedule.length is None, schedule.landmarks
    except Exception:  # of a custom schedule
        return False
    if not is_endless:
        return (_length_of(schedule) or 0) > total_steps
    return is_level and any(mark > total_steps for mark in marks)


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A schedule's values at counts of its run, from 0 to the last step, and a function for its values at others."""

    evaluate: Callable[[Counts], Values]
    total: int
    counts: Counts
    values: Values

    @property
    def peak(self) -> float:
        """The largest value."""
        return float(self.values.max())

    @property
    def last(self) -> float:
        """The value at the last step."""
        return float(self.values[-1])

    @property
    def slack(self) -> float:
        """How far another length may be from that of the run, in steps."""
        return max(CLOSE * self.total, 1)

    def ending(self, peak: float) -> str:
        """The value at the last step, as text."""
        return f"the last step has learning rate {self.last:.4g}, {self.last / peak:.2g} times the peak"

    def first(self, where: npt.NDArray[np.bool_]) -> int:
        """The first count at which something holds."""
        return int(self.counts[np.argmax(where)])

    def at(self, count: int) -> float:
        """The value at one count."""
        return float(self.evaluate(np.array([count]))[0])

    def boundary(self, low: int, high: int, holds: Callable[[float], bool]) -> int:
        """The first count above `low`, where a condition fails, from which it holds: by bisection."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(self.at(middle)) else (middle, high)
        return high

    def settled(self) -> int:
        """The count from which on the value is that of the last step."""
        changing = np.flatnonzero(self.values != self.last)
        if not changing.size:
            return 0
        low, high = int(self.counts[changing[-1]]), int(self.counts[changing[-1] + 1])
        return self.boundary(low, high, lambda value: value == self.last)


def _counts(schedule: Schedule, total: int) -> Counts:
    """The counts of a run that are looked at: all, or both ends, an even grid, and both sides of the schedule's boundaries."""
    if total <= EVERY:
        return np.arange(total)
    few = EVERY // 8
    try:
        marks = np.array(schedule.landmarks[:few], np.int64)
    except Exception:  # a custom schedule without them is looked at all the same
        marks = np.zeros(0, np.int64)
    found = [np.arange(few), total - 1 - np.arange(few), np.linspace(0, total - 1, 2 * few).astype(np.int64)]
    counts = np.unique(np.concatenate([*found, *(marks + shift for shift in (-1, 0, 1))]))
    return counts[(counts >= 0) & (counts < total)]


def _evaluator(schedule: Schedule) -> Callable[[Counts], Values]:
    """Gives the values at some counts, all by one program; of a function that cannot be traced, by one call for each."""
    traced = jax.jit(jax.vmap(schedule))
    function = getattr(schedule, "function", schedule)

    def values(counts: Counts) -> Values:
        try:
            return rates_at(traced, counts)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
            return np.array([float(function(int(count))) for count in counts])

    return values


def _start(run: Sampled, warmup_steps: int | None) -> Iterator[Finding]:
    """What is wrong with the first steps, the sign or the warm-up."""
    below = run.values < -1e-6 * np.abs(run.values).max()  # rounding ends some decays a little below 0
    if np.any(below):
        step = run.first(below)
        yield Finding("negative", step, f"the learning rate is negative from step {step:,}: {run.at(step):g} raises the loss")
    if run.values[0] == 0:
        remedy = "start the warm-up above 0, as lrax.warmup_cosine does"
        yield Finding("zero_start", 0, f"step 0 has learning rate 0 and changes no parameter; {remedy}")
    top = run.first(run.values >= run.peak * (1 - 1e-6))
    if top == run.total - 1 > 0 and run.values[0] < run.peak:
        wanted = "" if warmup_steps is None else f", and not after the {warmup_steps:,} steps of `warmup_steps`"
        text = f"the learning rate rises to the last step: the peak is not reached within {run.total:,} steps{wanted}"
        yield Finding("rising_at_end", top, f"{text}; shorten the warm-up")
    elif warmup_steps is not None and abs(top - warmup_steps) > max(1, warmup_steps // 50):
        yield Finding(
            "warmup", top, f"the peak, {run.peak:.4g}, is first reached at step {top:,}, not after {warmup_steps:,} steps"
        )


def _end(run: Sampled, per_epoch: tuple[int, int] | None, early: float) -> Iterator[Finding]:
    """What is wrong with the way to the last step: a schedule that has done everything this part of the run before."""
    settled = run.settled()
    dropped = run.last < 0.2 * run.peak
    if dropped and run.total > 20 and settled <= EARLY * run.total:
        told = "multiply them by the steps in an epoch"
        if per_epoch is not None:
            told += f" ({per_epoch[1]:,})"
        text = f"the last change is at step {settled:,} of {run.total:,}: lengths were probably counted in epochs; {told}"
        yield Finding("epochs", settled, text)
    elif run.last < SMALL * run.peak and run.total - settled >= max(early * run.total, 2):
        part = 1 - settled / run.total
        text = (
            f"the learning rate is {run.last:.3g} from step {settled:,} on: the last {part:.0%} of the run does almost nothing"
        )
        yield Finding("finished_early", settled, f"{text}; make the schedule {run.total:,} steps long")


def _after(run: Sampled) -> Iterator[Finding]:
    """What a schedule does after the run, if that shows that it was meant for another length."""
    if run.total >= LARGEST:
        return
    most = min(AFTER * run.total, LARGEST)
    near = np.arange(run.total, min(run.total + 64, most))
    counts = np.unique(np.concatenate([near, np.linspace(run.total, most, 4096).astype(np.int64)]))
    later = run.evaluate(counts)
    higher = (later > run.last + HIGH * run.peak) & (counts <= 4 * run.total)
    if np.any(higher) and run.last < run.peak:
        step = int(counts[np.argmax(higher)])
        text = f"after the end the learning rate rises again, to {later[higher].max():.4g}: a run that takes longer restarts"
        yield Finding("rises_after_end", step, text)
        return
    final, changing = later[-1], np.flatnonzero(later != later[-1])
    if not final < 0.5 * run.last or (changing.size and changing[-1] == len(counts) - 2):
        return  # it is at its end, or has no end
    low = int(counts[changing[-1]]) if changing.size else run.total - 1
    end = run.boundary(low, int(counts[changing[-1] + 1]) if changing.size else run.total, lambda value: value == final)
    if run.at(end - max(end // 10, 1)) < 1e-3 * run.peak:
        return  # an exponential decay, which reaches 0 by rounding
    if end - run.total <= run.slack:
        return
    peak = max(run.peak, float(later.max()))
    if len(np.unique(run.values)) <= 16 < run.total:
        text = f"the learning rate drops to {final:.4g} at step {end:,}, after the run has ended at {run.total:,}"
        yield Finding("milestone_after_end", end, text)
    else:
        text = f"{run.ending(peak)}: the decay ends at step {end:,}; make the schedule {run.total:,} steps long"
        yield Finding("unfinished", run.total - 1, text)


def _declared(run: Sampled, schedule: Schedule) -> Iterator[Finding]:
    """Whether a schedule says that it has another length than the run, and ends at another value than the run does."""
    length = _length_of(schedule)
    if length is None or abs(length - run.total) <= run.slack:
        return
    fix = f"make the schedule {run.total:,} steps long"
    if length > run.total and abs(run.at(length) - run.last) > CLOSE * run.last:
        yield Finding(
            "unfinished",
            run.total - 1,
            f"{run.ending(run.peak)}: the schedule ends at step {length:,}, at {run.at(length):.4g}; {fix}",
        )
    elif length < run.total and run.last < 0.5 * run.peak:
        yield Finding(
            "finished_early", length, f"the schedule ends at step {length:,}, and {run.last:.4g} is held from there on; {fix}"
        )


def _jumps(run: Sampled) -> Iterator[Finding]:
    """The largest rise and the largest drop within one step."""
    changes = np.diff(run.values)
    for sign, words in ((1, "rises"), (-1, "drops")):
        size = sign * changes
        size[:1] = 0 if sign > 0 else size[:1]  # the first step of a warm-up may be many times the start
        place = int(np.argmax(size)) if size.size else 0
        if not size.size or size[place] < 0.2 * run.peak:
            continue
        low, high = int(run.counts[place]), int(run.counts[place + 1])
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if sign * (run.at(middle) - run.at(low)) > 0.5 * size[place] else (middle, high)
        before, after = run.at(low), run.at(high)
        if (after > 2 * before) if sign > 0 else (after < before / 20):
            yield Finding("jump", high, f"the learning rate {words} from {before:.4g} to {after:.4g} at step {high:,}")


def _steps_per_epoch(dataset_size: int | None, batch_size: int | None, epochs: float | None) -> tuple[int, int] | None:
    """The steps of an epoch, without and with a partial last batch; None if the sizes are not given."""
    if dataset_size is None and batch_size is None and epochs is None:
        return None
    if dataset_size is None or batch_size is None:
        missing = "dataset_size" if dataset_size is None else "batch_size"
        raise argument_error(
            ValueError, "check", missing, "given with the other sizes", None, "give dataset_size and batch_size"
        )
    size, batch = whole_number("check", "dataset_size", dataset_size), whole_number("check", "batch_size", batch_size)
    if epochs is not None and not (isinstance(epochs, int | float) and 0 < epochs < float("inf")):
        raise argument_error(ValueError, "check", "epochs", "a number above 0", epochs)
    return max(size // batch, 1), -(-size // batch)


def _length(total: int, per_epoch: tuple[int, int], epochs: float) -> Iterator[Finding]:
    """Whether a run makes as many passes over the data as it should."""
    low, high = (int(np.floor(epochs * steps)) for steps in per_epoch)
    if not low <= total <= high + 1:
        made = total / per_epoch[1]
        wanted = f"{high:,}" if low == high else f"{low:,} (without partial batches) to {high:,}"
        text = f"{total:,} steps are {made:.3g} epochs of {per_epoch[1]:,} steps; {epochs:g} epochs are {wanted} steps"
        yield Finding("length", total - 1, text)
