"""A convergence bound of schedules, and what follows from it: the best scale, the ratio of best peaks, refined schedules."""

import functools
import math
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.typing import ArrayLike

from lrax.fields._errors import argument_error, as_array, choice, is_concrete
from lrax.fields._rules import LARGEST, Number, whole_number
from lrax.schedules._base import RateFunction, Schedule, ScheduleRule
from lrax.schedules._tables import Piecewise

LONG = 2**20
"""The learning rates of a longer schedule are sampled: all of them would take seconds and gigabytes."""

EVEN = 2**16
"""Evenly spaced samples of a long schedule, where only its overall shape counts."""

CELLS, MARKS, EACH = 2**15, 32, 4
"""About how many cells a long schedule has, around how many landmarks they are small, and samples in each cell."""

PerStep: TypeAlias = npt.ArrayLike | jax.Array
"""A number for each step."""
Float64s: TypeAlias = npt.NDArray[np.float64]
Terms: TypeAlias = tuple[jax.Array, jax.Array, jax.Array]


class Sampled(NamedTuple):
    """A long schedule in cells of neighbouring steps."""

    widths: Float64s
    """Steps of each cell, shape (cells,)."""
    rates: npt.NDArray[np.float32]
    """Learning rates at some steps of each cell, shape (cells, `EACH`)."""


def sampled(schedule: Schedule, steps: int) -> Sampled:
    """The learning rates of a schedule whose numbers are concrete, in `CELLS` cells or a few more.

    Cells are single steps at both ends and at landmarks, where the formula changes, and grow with the distance from these. So a
    short warm-up, a narrow peak and a last descent are resolved. The steps inside a cell are random, with a fixed seed, because
    evenly spaced samples alias with cycles. A peak of a few steps away from all landmarks may be missed.
    """
    with jax.ensure_compile_time_eval():
        marks = np.unique([mark for mark in schedule.landmarks if 0 < mark < steps])
        marks = marks[np.linspace(0, len(marks) - 1, min(len(marks), MARKS)).astype(int)]
        each = CELLS // 4 // (len(marks) + 2)
        away = np.append(0, np.geomspace(1, steps, each).astype(np.int64))
        near = [mark + side * away for mark in (0, *marks, steps) for side in (-1, 1)]
        edges = np.concatenate([*near, np.linspace(0, steps, CELLS // 2).astype(np.int64)])
        edges = np.unique(edges[(edges >= 0) & (edges <= steps)])
        widths = np.diff(edges).astype(np.float64)
        inside = (np.arange(EACH) + np.random.default_rng(0).random((len(widths), EACH))) / EACH
        counts = np.minimum(edges[:-1, None] + (inside * widths[:, None]).astype(np.int64), steps - 1)
        padded = np.pad(counts.ravel(), (0, -counts.size % (CELLS * EACH)), mode="edge")  # so that all lengths share a program
        rates = np.asarray(lrs_at(schedule, padded.astype(np.int32)))
    return Sampled(widths, rates[: counts.size].reshape(counts.shape))


def evenly(schedule: Schedule, steps: int) -> npt.NDArray[np.float32]:
    """The learning rates of a long schedule at `EVEN` evenly spaced steps, shape (EVEN,)."""
    with jax.ensure_compile_time_eval():
        return np.asarray(lrs_at(schedule, ((np.arange(EVEN) + 0.5) * (steps / EVEN)).astype(np.int32)))


@jax.jit
def lrs_at(schedule: Schedule, counts: jax.Array) -> jax.Array:
    """The learning rates of one schedule at some counts, in one program."""
    return jnp.broadcast_to(schedule(counts), counts.shape)


def scheduled(caller: str, name: str, given: object, total_steps: object) -> tuple[Schedule, int]:
    """A schedule or a callable as a schedule, and its number of steps; raises if there is no concrete number of them."""
    schedule = ScheduleRule().convert(caller, name, given)
    steps = whole_number(caller, "total_steps", _length(caller, schedule) if total_steps is None else total_steps)
    if steps > LARGEST:
        raise argument_error(ValueError, caller, "total_steps", f"at most {LARGEST}, the largest count", steps)
    return schedule, steps


def is_long(schedule: Schedule, steps: int) -> bool:
    """Whether a schedule is sampled: it is long, and its numbers are concrete."""
    return steps > LONG and all(is_concrete(leaf) for leaf in jax.tree.leaves(schedule))


def planned(caller: str, name: str, given: object, total_steps: object) -> jax.Array:
    """The learning rates of a schedule, or those that were given, float32 of shape (steps,)."""
    if callable(given):
        return rates_of(*scheduled(caller, name, given, total_steps))
    needs = "a schedule, a function count -> learning rate, or learning rates: real numbers of shape (steps,)"
    rates = as_array(given)
    if rates.ndim != 1 or rates.dtype.kind not in "iuf":
        raise argument_error(TypeError, caller, name, needs, given, "use jax.vmap for many" if rates.ndim > 1 else "")
    if total_steps is not None and whole_number(caller, "total_steps", total_steps) != rates.size:
        raise argument_error(
            ValueError, caller, "total_steps", f"left out, or the number of learning rates ({rates.size})", total_steps
        )
    if not rates.size or (is_concrete(rates) and not np.all(np.isfinite(rates) & (np.asarray(rates) >= 0))):
        raise argument_error(ValueError, caller, name, "at least one learning rate, finite and none below 0", given)
    return jnp.asarray(rates, jnp.float32)


def _length(caller: str, schedule: Schedule) -> object:
    length = schedule.length
    if length is None or not is_concrete(length) or np.ndim(length):
        remedy = "give it: the schedule does not have one concrete length"
        raise argument_error(ValueError, caller, "total_steps", "a whole number of steps", None, remedy)
    return length


@functools.partial(jax.jit, static_argnums=1)
def rates_of(schedule: Schedule, steps: int) -> jax.Array:
    """The learning rates of one schedule, shape (steps,), in one program; a batch of schedules needs `jax.vmap`."""
    return jnp.broadcast_to(schedule(jnp.arange(steps, dtype=jnp.int32)), (steps,))


KNOTS = 1000
"""A refined schedule has at most this many knots before the 0 at its end."""


def refined(
    gradient_norms: PerStep,
    total_steps: int | None = None,
    *,
    norm: Literal["l2", "l1"] = "l2",
    smooth: float = 0.1,
    peak: Number = 1.0,
) -> Piecewise:
    r"""The schedule that is best in theory for a run whose gradients have these norms.

    $$w_t = G_t^{-2}, \qquad \eta_t \propto w_t \sum_{p \ge t} w_p$$ with $w_t = G_t^{-1}$ for `"l1"`, scaled to the peak
    `peak`. Constant norms give the straight line to 0. Norms that fall at the start give a warm-up, norms that rise at the end
    a faster decay.

    It was derived for convex losses and the norms of the *next* run, of which those of the last are an estimate: use a run of
    the same model and data. If gradients vanish (a loss near 0) it climbs to the end: then the theory does not fit.

    Args:
      gradient_norms: of the steps of a run, or of evenly spaced ones; above 0, shape (n,). `lrax.recorded(..., norm="l2")`
        records that of the last step.
      total_steps: the length of the new run, at least n; by default n.
      norm: how they were measured: `"l2"` for SGD; `"l1"`, the sum of absolute values, for Adam and similar optimizers.
      smooth: the width of the median filter that is applied first, as a fraction of the run, from 0 (none) to 1.
      peak: the highest learning rate.

    Returns: a `Piecewise` with a knot for each norm, and 0 at count `total_steps`. More than 1,000 norms are first reduced by
      medians of neighbours. The norms and `peak` may be traced.

    Raises: TypeError or ValueError if an argument has another type or is out of range.

    Source: Defazio, Cutkosky, Mehta & Mishchenko 2023, When, why and how much? Adaptive learning rate scheduling by refinement
      (arXiv 2310.07831), algorithms 1 and 2. There the sum begins after $t$, so the last step has the learning rate 0; here it
      begins at $t$, so that the straight line is that of `Linear`.

    >>> print(refined(np.full(5, 3.0)))
    Piecewise(values=[1.0, 0.8, 0.6, 0.4, 0.2, 0.0], counts=[0, 1, 2, 3, 4, 5])
    """
    norms = as_array(gradient_norms)
    needs = "norms of gradients, finite numbers above 0 of shape (n,)"
    if norms.ndim != 1 or norms.dtype.kind not in "iuf" or not norms.size:
        raise argument_error(TypeError, "refined", "gradient_norms", needs, gradient_norms)
    if is_concrete(norms) and not np.all((np.asarray(norms) > 0) & np.isfinite(norms)):
        raise argument_error(
            ValueError, "refined", "gradient_norms", needs, gradient_norms, "leave out steps that were skipped"
        )
    if not isinstance(smooth, int | float) or not 0 <= smooth <= 1:
        raise argument_error(ValueError, "refined", "smooth", "a fraction of the run, from 0 to 1", smooth)
    steps = whole_number("refined", "total_steps", norms.size if total_steps is None else total_steps, norms.size)
    power = {"l2": 2, "l1": 1}[choice("refined", "norm", norm, ("l2", "l1"))]
    knots = min(norms.size, KNOTS)
    values = peak * _shape(jnp.asarray(norms, jnp.float32), knots, max(int(smooth * knots) // 2, 0), power)
    counts = np.arange(knots + 1, dtype=np.int64) * steps // knots
    return Piecewise(values=values, counts=counts.astype(np.int32))


def _shape(norms: jax.Array, knots: int, half: int, power: int) -> jax.Array:
    """The learning rate at each knot, the highest 1, and a 0 at the end."""
    if norms.size > knots:
        places = np.arange(knots) * norms.size // knots
        each = math.ceil(norms.size / knots)
        norms = jnp.median(norms[np.minimum(places[:, None] + np.arange(each), norms.size - 1)], axis=1)
    if half:
        window = np.abs(np.arange(knots)[:, None] + np.arange(-half, half + 1))  # reflected at both ends
        window = np.where(window >= knots, np.maximum(2 * knots - 2 - window, 0), window)
        norms = jnp.median(norms[window], axis=1)
    weights = (norms / jnp.min(norms)) ** -power  # at most 1, so that nothing overflows
    rates = weights * jnp.cumsum(weights[::-1])[::-1]
    return jnp.append(rates / jnp.max(rates), jnp.float32(0))


def bound(
    schedule: RateFunction | PerStep, total_steps: int | None = None, distance: ArrayLike = 1.0, gradient: PerStep = 1.0
) -> jax.Array:
    r"""An upper bound of the loss above its minimum, for convex losses after the last step of gradient descent.

    $$\Omega(\eta) = \frac{D^2}{2\sum_t \eta_t} + \frac{\sum_t \eta_t^2 G_t^2}{2\sum_t \eta_t} + \frac{1}{2} \sum_{k<T}
    \frac{\eta_k}{\sum_{t>k} \eta_t} \cdot \frac{\sum_{t \ge k} \eta_t^2 G_t^2}{\sum_{t \ge k} \eta_t}$$

    Steps with the learning rate 0 are left out; a schedule of zeros has an infinite bound. It holds for (stochastic)
    subgradient descent with gradients of these norms. It does not predict the loss of a network, but its order of schedules,
    and the ratios of their best peaks, were found to hold for AdamW on language models and for small networks of many types.

    Args:
      schedule: a schedule or a callable `count -> learning rate`, at least 0, or learning rates of shape (steps,).
      total_steps: the length of the run, a concrete integer; by default the length of the schedule.
      distance: from the start to the optimum, $D$, above 0; a number, which may be traced.
      gradient: the norm of the gradients, $G$, above 0; a number, or one for each step, shape (steps,).

    Returns: a float32 scalar, within $10^{-6}$ of the float64 value for lengths to $2^{20}$, in time proportional to the
      length. Works under `jit` and `vmap`, and is differentiable in the learning rates, `distance` and `gradient`. A longer
      schedule with concrete numbers is sampled at some 100,000 steps, most of them near its ends and landmarks: within 0.002 of
      the value, and within $10^{-5}$ without cycles, unless it has peaks of a few steps away from all `landmarks`.

    Raises: TypeError or ValueError if an argument has another type or is out of range.

    Source: Schaipp, Hägele, Taylor, Simsekli & Bach 2025, The surprising agreement between convex optimization theory and
      learning-rate scheduling (arXiv 2501.18965), theorem 3.1; Defazio et al. 2023 (arXiv 2310.07831), theorem 10.

    >>> print(f"{lrax.theory.bound(lrax.Constant(0.018), 400):.4f} {lrax.theory.bound(lrax.Linear(0.05, 0.0, 400)):.4f}")
    0.1376 0.1006
    """
    highest, start, noise = _terms_of("bound", "schedule", schedule, total_steps, distance, gradient)
    return start * jnp.asarray(distance, jnp.float32) ** 2 / highest + noise * highest


def best_scale(
    schedule: RateFunction | PerStep, total_steps: int | None = None, distance: ArrayLike = 1.0, gradient: PerStep = 1.0
) -> jax.Array:
    r"""The factor of a schedule that gives the lowest `bound`: $\sqrt{T_1 / (T_2 + T_3)}$ with the three terms of `bound`.

    It is proportional to `distance / gradient`, which are unknown for a network and cancel in `lr_ratio`.

    Args:
      schedule, total_steps, distance, gradient: as for `bound`.

    Returns: a float32 scalar; as accurate, traceable and differentiable as `bound`. Infinite for a schedule of zeros.

    Source: Schaipp et al. 2025 (arXiv 2501.18965), section 3.

    >>> print(f"{lrax.theory.best_scale(lrax.Constant(1.0), 400):.3f} {lrax.theory.best_scale(lrax.Linear(1.0, 0.0, 400)):.3f}")
    0.018 0.050
    """
    highest, start, noise = _terms_of("best_scale", "schedule", schedule, total_steps, distance, gradient)
    return jnp.asarray(distance, jnp.float32) * jnp.sqrt(start / noise) / highest


def lr_ratio(
    from_: RateFunction | PerStep, to: RateFunction | PerStep, total_steps: int | None = None, *, from_steps: int | None = None
) -> jax.Array:
    """The best peak learning rate of one schedule over the best peak of another.

    Multiply the best peak of `from_` by this to get the peak for `to`. Only shapes count: the peaks of both arguments do not.

    On real tasks, constant : warmup-stable-decay : warm-up-cosine was 1 : 1.9 : 3.4, where this gives 1 : 1.6 : 3.0. How the
    best peak of *one* schedule falls with the length differs between tasks (powers of 0 to 1.5; here 0.5), so trust the ratio
    between shapes more than between lengths.

    Args:
      from_: the schedule, or the learning rates, whose best peak you know.
      to: the schedule, or the learning rates, whose best peak you want.
      total_steps: the length of both runs, a concrete integer; by default that of `to`.
      from_steps: the length of the run with `from_`, if it was another one.

    Returns: a float32 scalar, above 0; as accurate, traceable and differentiable as `bound`.

    Source: Schaipp et al. 2025 (arXiv 2501.18965), section 4.

    >>> cosine = lrax.warmup_cosine(peak=1.0, warmup_steps=300, total_steps=3000)
    >>> print(f"{lrax.theory.lr_ratio(lrax.Constant(1.0), cosine):.2f}")
    2.95
    """
    if callable(to):
        to, total_steps = scheduled("lr_ratio", "to", to, total_steps)
    steps = total_steps if callable(to) else as_array(to).size
    _, start, noise = _terms_of("lr_ratio", "to", to, total_steps)
    _, other_start, other_noise = _terms_of("lr_ratio", "from_", from_, steps if from_steps is None else from_steps)
    return jnp.sqrt(start / noise) / jnp.sqrt(other_start / other_noise)


def _check(caller: str, distance: object, gradient: object, steps: int) -> None:
    for name, value, shapes in (("distance", distance, ((),)), ("gradient", gradient, ((), (steps,)))):
        array = as_array(value)
        needs = "a number above 0" if len(shapes) == 1 else f"a number above 0, or one for each of {steps} steps"
        if array.dtype.kind not in "iuf" or array.shape not in shapes:
            raise argument_error(TypeError, caller, name, needs, value)
        if is_concrete(array) and not np.all((np.asarray(array) > 0) & np.isfinite(array)):
            raise argument_error(ValueError, caller, name, needs, value)


def _terms_of(
    caller: str, name: str, given: object, total_steps: object, distance: object = 1.0, gradient: PerStep = 1.0
) -> Terms:
    """`_terms` of a schedule or of learning rates, once the arguments are checked; those of a long schedule from samples."""
    if callable(given):
        schedule, steps = scheduled(caller, name, given, total_steps)
        _check(caller, distance, gradient, steps)
        if is_long(schedule, steps) and not np.ndim(gradient):
            highest, start, noise = _long_terms(schedule, steps)
            return highest, start, noise * jnp.asarray(gradient, jnp.float32) ** 2
        return _terms(planned(caller, name, schedule, steps), gradient)
    rates = planned(caller, name, given, total_steps)
    _check(caller, distance, gradient, rates.size)
    return _terms(rates, gradient)


def _long_terms(schedule: Schedule, steps: int) -> Terms:
    r"""`_terms` of a long schedule, where each cell of its samples counts as steps of one learning rate.

    With the learning rate $r$ and its square $s$ in a cell of $w$ steps, and their sums $A$ and $B$ over all later steps, the
    sum of $r (B + js) / ((A + (j-1) r)(A + jr))$ over $j = 1 \dots w$ is $B w r / (A (A + wr)) + (s / r)
    (1/x - w/(x + w) + \psi(x + w) - \psi(x + 1))$ for $x = A/r$. The last step that moves has no term.
    """
    cells = sampled(schedule, steps)
    rates = cells.rates.astype(np.float64)
    highest = rates.max()
    if not highest > 0:
        return jnp.float32(1), jnp.float32(np.inf), jnp.float32(0)
    rates = rates / highest
    each, square = rates.mean(axis=1), (rates**2).mean(axis=1)
    moves = each > 0
    width, each, square = cells.widths[moves], each[moves], square[moves]
    after = np.append(np.cumsum((width * each)[::-1])[::-1], 0)
    noise = np.append(np.cumsum((width * square)[::-1])[::-1], 0)
    behind, squares = after[1:-1], noise[1:-1]
    w, r, s = width[:-1], each[:-1], square[:-1]
    x = behind / r
    terms = squares * w * r / (behind * after[:-2]) + s / r * (1 / x - w / (x + w) + _digamma(x + w) - _digamma(x + 1))
    last = square[-1] / each[-1] * (_digamma(width[-1:]) - _digamma(np.ones(1)))[0]  # the harmonic number of w - 1
    return jnp.float32(highest), jnp.float32(0.5 / after[0]), jnp.float32(0.5 * (noise[0] / after[0] + terms.sum() + last))


def _digamma(x: Float64s) -> Float64s:
    """The digamma function above 0, to 1e-12: its asymptotic series at x + 8, and the recurrence back to x."""
    y = x + 8.0
    series = np.log(y) - 1 / (2 * y) - 1 / (12 * y**2) + 1 / (120 * y**4) - 1 / (252 * y**6) + 1 / (240 * y**8)
    return np.asarray(series - sum(1 / (x + i) for i in range(8)))


@jax.jit
def _terms(rates: jax.Array, gradient: ArrayLike) -> Terms:
    """The peak, and at peak 1 the part of the bound that falls with the peak, and the part that grows with it.

    All sums are of positive numbers, so float32 suffices for a million steps. Dividing by the peak first keeps squares of small
    learning rates in the range of float32.
    """
    highest = jax.lax.stop_gradient(jnp.max(rates))  # any divisor gives the same result, so it has no derivative
    shape = rates / jnp.where(highest > 0, highest, 1)
    square = shape**2 * jnp.broadcast_to(jnp.asarray(gradient, jnp.float32) ** 2, shape.shape)
    here, noise = _tails(jnp.stack([shape, square]))
    after = jnp.append(here[1:], jnp.zeros(1, jnp.float32))
    moves = after > 0  # not at the last step with a learning rate above 0
    term = jnp.where(moves, shape / _safe(after) * (noise / _safe(here)), 0)
    total = _safe(here[0])
    start = jnp.where(here[0] > 0, 0.5 / total, jnp.inf)
    return jnp.where(highest > 0, highest, 1), start, 0.5 * (noise[0] / total + _tails(term)[0])


def _safe(number: jax.Array) -> jax.Array:
    """A divisor; 1 in place of 0, so that derivatives are finite."""
    return jnp.where(number > 0, number, 1)


Compensated: TypeAlias = tuple[jax.Array, jax.Array]
"""A sum and its rounding error."""


def _tails(numbers: jax.Array) -> jax.Array:
    """The sum of each number and all later ones, along the last axis, to an ulp or two.

    All rows are summed at once, then their totals, each with a compensation for its rounding errors. The program is small at
    any length and makes 2 sqrt(length) steps; a tree of additions takes seconds to compile.
    """
    length = numbers.shape[-1]
    side = math.isqrt(length - 1) + 1
    rows = -(-length // side)
    padding = [(0, 0)] * (numbers.ndim - 1) + [(0, rows * side - length)]
    grid = jnp.pad(numbers, padding).reshape(*numbers.shape[:-1], rows, side)

    def add(total: Compensated, number: jax.Array) -> tuple[Compensated, Compensated]:
        high, low = _added(total, number)
        return (high, low), (high, low)

    def add_row(total: Compensated, row: Compensated) -> tuple[Compensated, Compensated]:
        high, low = _added(total, row[0])
        return (high, low + row[1]), total

    nothing = grid[..., 0] * 0  # varies over devices as the numbers do
    whole, (high, low) = jax.lax.scan(add, (nothing, nothing), jnp.moveaxis(grid, -1, 0), reverse=True)
    by_row = jax.tree.map(lambda part: jnp.moveaxis(part, -1, 0), whole)
    _, (high_after, low_after) = jax.lax.scan(add_row, (nothing[..., 0], nothing[..., 0]), by_row, reverse=True)
    high_after, low_after = (jnp.moveaxis(part, 0, -1)[None] for part in (high_after, low_after))
    total, lost = _added((high, low), high_after)
    tails = total + (lost + low_after)
    return jnp.moveaxis(tails, 0, -1).reshape(*numbers.shape[:-1], rows * side)[..., :length]


def _added(so_far: Compensated, number: jax.Array) -> Compensated:
    """A sum and its rounding error after one more addition (Knuth's two-sum)."""
    high, low = so_far
    total = high + number
    part = total - high
    return total, low + jax.lax.stop_gradient((high - (total - part)) + (number - part))
