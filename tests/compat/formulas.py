"""The peers' formulas in float64: what each function of `lrax.compat` is to give, at an update count, for any arguments.

Written from what the peers' documentation says of each argument, with the quirks that `lrax.compat` names.
"""

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any

Rate = Callable[[int], float]


def cosine(start: float, end: float, done: float) -> float:
    """Half a cosine from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def line(start: float, end: float, done: float) -> float:
    """A straight line."""
    return start + (end - start) * done


def joined(parts: Sequence[Rate], boundaries: Sequence[int], t: int) -> float:
    """Each part from its own count 0; of equal boundaries the last one counts."""
    i = bisect.bisect_right(boundaries, t)
    return parts[i](t - boundaries[i - 1] if i else t)


def triangle(up: int, down: int, t: int) -> tuple[int, float]:
    """The index of a cycle, from 0, and the height in it."""
    index, at = divmod(t, up + down)
    return index, at / up if at <= up else (up + down - at) / down


# --- optax -----------------------------------------------------------------------------------------------------------


def optax_polynomial(t: int, init_value: float, end_value: float, power: float, steps: int, begin: int = 0) -> float:
    """A power of what is left; no length and no power leave the first rate."""
    if steps <= 0 or power == 0:
        return init_value
    left = 1 - min(max(t - max(begin, 0), 0), steps) / steps
    return end_value + (init_value - end_value) * left**power


def optax_exponential(
    t: int,
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> float:
    """A power, in one piece or in steps, stopped at `end_value`."""
    if transition_steps <= 0 or decay_rate == 0:
        return init_value
    past = max(t - max(transition_begin, 0), 0)
    rate = init_value * decay_rate ** (past // transition_steps if staircase else past / transition_steps)
    return rate if end_value is None else max(rate, end_value) if decay_rate < 1 else min(rate, end_value)


def optax_cosine(t: int, init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0) -> float:
    """A power of half a cosine, down to a part of the first rate."""
    remaining = cosine(1.0, 0.0, min(t, decay_steps) / decay_steps) ** exponent if t < decay_steps or exponent else 0.0
    remaining = 1.0 if exponent == 0 else remaining if t < decay_steps else 0.0
    return init_value * ((1 - alpha) * remaining + alpha)


def optax_warmup_cosine(
    t: int,
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> float:
    """A line and a power of half a cosine."""
    if t < warmup_steps:
        return line(init_value, peak_value, t / warmup_steps)
    alpha = end_value / peak_value if peak_value else 0.0
    return optax_cosine(t - warmup_steps, peak_value, decay_steps - warmup_steps, alpha, exponent)


def optax_table(t: int, init_value: float, scales: dict[int, float], shape: Any = None) -> float:
    """The product of the factors so far; with a shape, led through."""
    knots = [(0, init_value)]
    for at, scale in sorted(scales.items()):
        knots.append((at, knots[-1][1] * scale))
    reached = max(i for i, (at, _) in enumerate(knots) if at <= t)
    if shape is None or reached == len(knots) - 1:
        return knots[reached][1]
    (begin, start), (end, stop) = knots[reached], knots[reached + 1]
    return shape(start, stop, (t - begin) / (end - begin))


def optax_sgdr(t: int, cosine_kwargs: list[dict[str, Any]]) -> float:
    """Warm-ups and cosines one after the other."""
    ends = [sum(part["decay_steps"] for part in cosine_kwargs[: i + 1]) for i in range(len(cosine_kwargs))]
    parts = [lambda at, part=part: optax_warmup_cosine(at, **part) for part in cosine_kwargs]
    return joined(parts, ends[:-1], t)


def optax_warmup_exponential(t: int, init_value: float, peak_value: float, warmup_steps: int, **decay: Any) -> float:
    """A line and a power."""
    if t < warmup_steps:
        return line(init_value, peak_value, t / warmup_steps)
    return optax_exponential(t - warmup_steps, peak_value, **decay)


def optax_onecycle(t: int, steps: int, peak: float, marks: dict[float, float], last: float, div: float, shape: Any) -> float:
    """Factors at parts of the length, rounded down; a part that comes twice has its last factor."""
    return optax_table(t, peak / div, {**{int(part * steps): factor for part, factor in marks.items()}, steps: last}, shape)


# --- PyTorch ---------------------------------------------------------------------------------------------------------


def torch_linear(t: int, lr: float, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5) -> float:
    """A factor along a line; with no length it never moves."""
    return lr * line(start_factor, end_factor, min(t, total_iters) / total_iters if total_iters else 0.0)


def torch_warm_restarts(t: int, lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> float:
    """Half a cosine again and again, each longer."""
    length = T_0
    while t >= length:
        t, length = t - length, length * T_mult
    return cosine(lr, eta_min, t / length)


def torch_cyclic(
    t: int, base_lr: float, max_lr: float, step_size_up: int, step_size_down: int | None, mode: str, gamma: float
) -> float:
    """Triangles whose height may shrink, by the cycle or by the update."""
    index, height = triangle(step_size_up, step_size_down or step_size_up, t)
    return base_lr + (max_lr - base_lr) * height * {"triangular": 1, "triangular2": 0.5**index, "exp_range": gamma**t}[mode]


def torch_swa(t: int, lr: float, swa_lr: float, anneal_epochs: int, anneal_strategy: str) -> float:
    """From one rate to another."""
    done = min(t, anneal_epochs) / anneal_epochs if anneal_epochs else 1.0
    return (cosine if anneal_strategy == "cos" else line)(lr, swa_lr, done)


def torch_one_cycle(t: int, values: list[float], total_steps: int, pct_start: float, anneal_strategy: str) -> float:
    """Two or three phases whose ends need not be whole; the first that has not ended counts, the last one otherwise."""
    ends = [pct_start * total_steps - 1, *([2 * pct_start * total_steps - 2] if len(values) == 4 else []), total_steps - 1]
    t, begin = min(t, total_steps - 1), 0.0
    for i, end in enumerate(ends):
        if t <= end or i == len(ends) - 1:
            return (cosine if anneal_strategy == "cos" else line)(values[i], values[i + 1], (t - begin) / (end - begin))
        begin = end
    raise AssertionError


# --- MXNet: updates are counted from 1 -------------------------------------------------------------------------------


def mxnet_warmup(n: int, begin: float, base: float, steps: int, mode: str) -> float:
    """The rate of update `n` of a warm-up."""
    return line(begin, base, n / steps) if mode == "linear" else begin


def mxnet_factor(n: int, step: int, factor: float, stop: float, base: float) -> float:
    """Drops after each `step` updates, none below `stop`; a rate below it is raised."""
    for _ in range((n - 1) // step):
        base = max(base * factor, stop)
    return base


def mxnet_decay(
    n: int, max_update: int, base: float, final: float, warmup_steps: int, weight: Callable[[float], float]
) -> float:
    """From the end of the warm-up to `max_update`; one that is over before leaves the first rate."""
    if max_update < warmup_steps:
        return base
    done = (min(n, max_update) - warmup_steps) / (max_update - warmup_steps)
    return final + (base - final) * weight(done)


# --- DJL: updates are counted from 1 ---------------------------------------------------------------------------------


def djl_cyclical(n: int, low: float, high: float, up: int, down: int, mode: str, gamma: float) -> float:
    """PyTorch's triangles, a count later."""
    return torch_cyclic(n, low, high, up, down or None, mode.lower(), gamma)


def djl_warmup(n: int, main: Rate, steps: int, begin: float, mode: str) -> float:
    """Up to the main tracker's value at 0, and then the tracker from there."""
    if n < steps:
        return line(begin, main(0), n / steps) if mode == "LINEAR" else begin
    return main(n - steps)
