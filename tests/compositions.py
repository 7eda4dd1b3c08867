"""Random schedules inside schedules, each with its rate as a float64 function of the arguments of its call.

A `Plan` is a call that was drawn: the name of a kind or recipe and its arguments, among them other plans. `build` makes the
call; `Plan.rate` never asks the schedule, nor what a recipe is made of.
"""

import dataclasses
import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import lrax
from oracle_shapes import SHAPES, hyperbola, knot_slopes, linear, parts, polynomial, raised, relaxation, rex, tanh

LARGEST = 2**31 - 1
MODES = ("linear", "cosine", "polynomial", "one_minus_sqrt", "one_minus_square", "relaxation", "rex", "tanh")
VARIADIC = ("Maximum", "Minimum", "Product", "Sequence", "Sum")
Rate = Callable[[int], float]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A call that was drawn.

    Attributes:
      name: of the kind or recipe.
      fields: its arguments by name: numbers, lists of numbers, words, plans and lists of plans.
      rate: the rate at a count, from the arguments alone.
      length: the length in updates, or None.
    """

    name: str
    fields: dict[str, Any]
    rate: Rate
    length: int | None = None


def build(plan: Any, number: Callable[[Any], Any] = lambda value: value) -> Any:
    """The schedule of a plan, each of its numbers (and lists of numbers) as `number` makes it."""
    if isinstance(plan, list) and plan and isinstance(plan[0], Plan):
        return [build(part, number) for part in plan]
    if not isinstance(plan, Plan):
        is_number = not isinstance(plan, str | bool) and plan is not None and not callable(plan)
        return number(plan) if is_number else plan
    fields = {name: build(value, number) for name, value in plan.fields.items()}
    if plan.name in VARIADIC:
        return getattr(lrax, plan.name)(*fields["schedules"])
    if plan.name == "Clocked":
        return lrax.Clock(fields["sizes"], fields["boundaries"], fields["unit"]).to_steps(fields["schedule"], fields["scaling"])
    return getattr(lrax.schedules, plan.name)(**fields)


def share(length: Any, total: int) -> int:
    """A length in updates: a float below 1 is a share of the total, rounded up."""
    return math.ceil(Fraction(str(length)) * total) if isinstance(length, float) and length < 1 else int(length)


def climbed(rate: Rate, steps: int) -> Rate:
    """A straight warm-up that begins at its first rate above zero, as the recipes have it."""
    return lambda t: rate(0) * (t + 1) / (steps + 1) if t < steps else rate(t - steps)


def cooled(rate: Rate, begin: int, steps: int, end: float, mode: str, exponent: float | None = None) -> Rate:
    """A cool-down from the rate at `begin`."""
    return lambda t: (
        rate(t) if t < begin else raised(mode, exponent, rate(begin), end, *parts(t - begin, steps)) if steps else rate(t)
    )


class Draw:
    """Draws plans, always the same ones for a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def number(self) -> float:
        return round(self.random.uniform(0.05, 1.0), 3)

    def steps(self, most: int = 40) -> int:
        return self.random.randint(1, most)

    def mode(self) -> str:
        return self.random.choice(MODES)

    def counts(self, size: int, first: int = 1) -> list[int]:
        return sorted(self.random.sample(range(first, 60), size))

    def part(self, total: int, least: int = 0) -> Any:
        """A length of less than a quarter of the total, in updates or as a share."""
        return self.random.choice([max(total // 8, least), self.random.choice([0.05, 0.125, 0.2])])

    def plan(self, depth: int) -> Plan:
        """Any plan of at most so many levels around a leaf."""
        kinds = [*LEAVES.values(), *RECIPES.values()] if depth == 0 else [*AROUND.values()]
        return self.random.choice(kinds)(self, depth)

    def ending(self, depth: int) -> Plan:
        """One that has a length, and not too long a one."""
        while True:
            plan = self.plan(depth)
            if plan.length is not None and 1 <= plan.length <= 400:
                return plan

    def several(self, depth: int, ending: bool = False) -> list[Plan]:
        return [(self.ending if ending else self.plan)(self.random.randint(0, depth)) for _ in range(self.random.randint(1, 3))]


def phase(name: str, shape: Callable[..., float], **more: Any) -> Callable[[Draw, int], Plan]:
    """A phase from `start` to `end`, whose shape may have numbers of its own."""

    def drawn(draw: Draw, _: int) -> Plan:
        start, end, steps = draw.number(), draw.number(), draw.steps()
        extra = {key: draw.random.choice(values) for key, values in more.items()}
        fields = {"start": start, "end": end, "steps": steps, **extra}
        return Plan(name, fields, lambda t: shape(start, end, *parts(t, steps), *extra.values()), steps)

    return drawn


def decay(name: str, formula: Callable[..., float], **more: Any) -> Callable[[Draw, int], Plan]:
    """A decay for ever from `start`."""

    def drawn(draw: Draw, _: int) -> Plan:
        fields = {"start": draw.number(), **{key: draw.random.choice(values) for key, values in more.items()}}
        return Plan(name, fields, lambda t: formula(t, **fields))

    return drawn


def triangular(t: int, low: float, high: float, steps: int, rise: float, mode: str) -> float:
    at, peak = min(t, steps), rise * steps
    height = at / peak if at < peak else (steps - at) / (steps - peak)
    return SHAPES[mode](high, low, 1 - height, height)


def triangle(draw: Draw, _: int) -> Plan:
    fields = {
        "low": draw.number(),
        "high": draw.number(),
        "steps": draw.steps(),
        "rise": draw.random.choice([0.25, 0.5]),
        "mode": draw.mode(),
    }
    return Plan("Triangle", fields, lambda t: triangular(t, **fields), fields["steps"])


def hyperbolic(draw: Draw, _: int) -> Plan:
    start, low, steps = draw.number(), draw.number(), draw.steps()
    horizon = steps + draw.random.randint(0, 30)

    def rate(t: int) -> float:
        falling, rising = hyperbola(t, steps, horizon)
        return start * falling + low * rising

    return Plan("Hyperbolic", {"start": start, "low": low, "steps": steps, "horizon": horizon}, rate, steps)


def exp_hyperbolic(draw: Draw, depth: int) -> Plan:
    plan = hyperbolic(draw, depth)
    start, low, steps, horizon = plan.fields.values()
    rate = lambda t: start * (low / start) ** hyperbola(t, steps, horizon)[1]  # noqa: E731
    return Plan("ExpHyperbolic", plan.fields, rate, steps)


def listed(draw: Draw, size: int) -> tuple[list[Any], int | None, list[int]]:
    """Counts, or shares of a total of 100; the total, and the counts that they are."""
    if draw.random.random() < 0.4:
        shares = sorted(draw.random.sample([0.1, 0.25, 0.3, 0.5, 0.75, 0.9], size))
        return shares, 100, [share(one, 100) for one in shares]
    counts = draw.counts(size)
    return counts, None, counts


def multi_step(draw: Draw, _: int) -> Plan:
    given, total, at = listed(draw, draw.random.randint(1, 3))
    start, factor = draw.number(), draw.random.choice([0.5, 0.1, 1.5])
    fields = {"start": start, "factor": factor, "boundaries": given, "total_steps": total}
    return Plan("MultiStep", fields, lambda t: start * factor ** sum(one <= t for one in at), total)


def piecewise_constant(draw: Draw, _: int) -> Plan:
    given, total, at = listed(draw, draw.random.randint(1, 3))
    values = [draw.number() for _ in range(len(at) + 1)]
    fields = {"values": values, "boundaries": given, "total_steps": total}
    return Plan("PiecewiseConstant", fields, lambda t: values[sum(one <= t for one in at)], total)


def between(t: int, values: list[float], at: list[int], inside: Callable[[int], float]) -> float:
    if not at[0] <= t < at[-1]:
        return values[0] if t < at[0] else values[-1]
    return inside(sum(one <= t for one in at) - 1)


def piecewise(draw: Draw, _: int) -> Plan:
    given, total, at = listed(draw, draw.random.randint(2, 4))
    values, mode = [draw.number() for _ in at], draw.mode()
    piece = lambda t: lambda k: SHAPES[mode](values[k], values[k + 1], *parts(t - at[k], at[k + 1] - at[k]))  # noqa: E731
    fields = {"values": values, "counts": given, "mode": mode, "total_steps": total}
    return Plan("Piecewise", fields, lambda t: between(t, values, at, piece(t)), total or at[-1])


def spline(draw: Draw, _: int) -> Plan:
    given, total, at = listed(draw, draw.random.randint(2, 4))
    values = [draw.number() for _ in at]

    def inside(t: int, k: int) -> float:
        (s, left), gap, climb = parts(t - at[k], at[k + 1] - at[k]), at[k + 1] - at[k], values[k + 1] - values[k]
        if not climb:
            return values[k]
        a, b = (slope * gap / climb for slope in knot_slopes(values, at)[k : k + 2])
        falling = left * (b * s**2 + left**2 + (3 - a) * s * left)
        return values[k] * falling + values[k + 1] * s * (a * left**2 + s**2 + (3 - b) * s * left)

    fields = {"values": values, "counts": given, "total_steps": total}
    return Plan("Spline", fields, lambda t: between(t, values, at, lambda k: inside(t, k)), total or at[-1])


def restarts(t: int, start: float, end: float, steps: int, power: float) -> float:
    return polynomial(start, end, *parts(t, steps * max(1, -(-t // steps))), power)


def polynomial_restarts(draw: Draw, _: int) -> Plan:
    fields = {"start": draw.number(), "end": draw.number(), "steps": draw.steps(), "power": draw.random.choice([1.0, 2.0])}
    return Plan("PolynomialRestarts", fields, lambda t: restarts(t, **fields))


def constant(draw: Draw, _: int) -> Plan:
    value = draw.number()
    return Plan("Constant", {"value": value}, lambda t: value)


def hold(draw: Draw, _: int) -> Plan:
    value, steps = draw.number(), draw.steps()
    return Plan("Hold", {"value": value, "steps": steps}, lambda t: value, steps)


def function(draw: Draw, _: int) -> Plan:
    value = draw.number()
    return Plan("Function", {"function": lambda count: value}, lambda t: value)


def exponential(t: int, start: float, factor: float, every: int) -> float:
    return start * factor ** (t / every)


def step_decay(t: int, start: float, factor: float, every: int) -> float:
    return start * factor ** (t // every)


def inverse_power(t: int, start: float, power: float, timescale: float) -> float:
    return start * (1 + t / timescale) ** power


def inverse_time(t: int, start: float, timescale: float) -> float:
    return inverse_power(t, start, -1.0, timescale)


def root_decay(t: int, start: float, timescale: float) -> float:
    return start / math.sqrt(1 + t / timescale)


def wave(draw: Draw, _: int) -> Plan:
    high, low, steps, waves = draw.number(), draw.number(), draw.steps(), draw.random.randint(1, 5)

    def rate(t: int) -> float:
        done = Fraction(waves * t, steps) % 1
        return low + (high - low) * math.cos(math.pi * done) ** 2

    return Plan("Wave", {"high": high, "low": low, "steps": steps, "waves": waves}, rate)


def knots(draw: Draw, _: int) -> Plan:
    counts, mode = draw.counts(3), draw.mode()
    values, rests = [draw.number() for _ in counts], [draw.random.choice([0.0, 0.25, 0.5]) for _ in counts]
    at = [count + rest for count, rest in zip(counts, rests, strict=True)]

    def rate(t: int) -> float:
        if not at[0] <= t < at[-1]:
            return values[0] if t < at[0] else values[-1]
        k = sum(one <= t for one in at) - 1
        done = (t - at[k]) / (at[k + 1] - at[k])
        return SHAPES[mode](values[k], values[k + 1], done, (at[k + 1] - t) / (at[k + 1] - at[k]))

    length = math.ceil(at[-1])
    return Plan("Knots", {"values": values, "counts": counts, "parts": rests, "mode": mode}, rate, length)


SCALES = (1.0, 12.5)
LEAVES: dict[str, Callable[[Draw, int], Plan]] = {
    "Constant": constant,
    "Cosine": phase("Cosine", SHAPES["cosine"]),
    "ExpHyperbolic": exp_hyperbolic,
    "Exponential": decay("Exponential", exponential, factor=(0.5, 0.9), every=(1, 7)),
    "Function": function,
    "Geometric": phase("Geometric", SHAPES["geometric"]),
    "Hold": hold,
    "Hyperbolic": hyperbolic,
    "InverseSqrt": decay("InverseSqrt", root_decay, timescale=SCALES),
    "InverseTime": decay("InverseTime", inverse_time, timescale=SCALES),
    "Knots": knots,
    "Linear": phase("Linear", linear),
    "MultiStep": multi_step,
    "OneMinusSqrt": phase("OneMinusSqrt", SHAPES["one_minus_sqrt"]),
    "OneMinusSquare": phase("OneMinusSquare", SHAPES["one_minus_square"]),
    "Piecewise": piecewise,
    "PiecewiseConstant": piecewise_constant,
    "Polynomial": phase("Polynomial", polynomial, power=(1.0, 2.0, 0.5)),
    "PolynomialRestarts": polynomial_restarts,
    "Power": decay("Power", inverse_power, power=(-0.51, -1.0), timescale=SCALES),
    "Relaxation": phase("Relaxation", relaxation, ratio=(0.1, 0.5)),
    "Rex": phase("Rex", rex, beta=(0.5, 2.0)),
    "Spline": spline,
    "StepDecay": decay("StepDecay", step_decay, factor=(0.5, 0.9), every=(5, 30)),
    "Tanh": phase("Tanh", tanh, first=(-7.0, -2.0), last=(3.0, 1.0)),
    "Triangle": triangle,
    "Wave": wave,
}


def clip(draw: Draw, depth: int) -> Plan:
    inner, (low, high) = draw.plan(depth - 1), sorted([draw.number(), draw.number()])
    return Plan(
        "Clip", {"schedule": inner, "low": low, "high": high}, lambda t: min(max(inner.rate(t), low), high), inner.length
    )


def scale(draw: Draw, depth: int) -> Plan:
    inner, factor = draw.plan(depth - 1), draw.random.choice([-1.0, 0.5, 3.0])
    return Plan("Scale", {"schedule": inner, "factor": factor}, lambda t: factor * inner.rate(t), inner.length)


def algebra(name: str, combined: Callable[[list[float]], float]) -> Callable[[Draw, int], Plan]:
    def drawn(draw: Draw, depth: int) -> Plan:
        inner = draw.several(depth - 1)
        lengths = [one.length for one in inner]
        length = None if None in lengths else max(lengths)
        return Plan(name, {"schedules": inner}, lambda t: combined([one.rate(t) for one in inner]), length)

    return drawn


def after(rates: list[Plan], begins: list[int]) -> Rate:
    """Each from its own count 0."""
    return lambda t: next(one.rate(t - at) for one, at in zip(rates[::-1], begins[::-1], strict=True) if t >= at)


def sequence(draw: Draw, depth: int) -> Plan:
    first, last = draw.several(depth - 1, ending=True), draw.plan(depth - 1)
    begins = [sum(one.length for one in first[:i]) for i in range(len(first) + 1)]
    length = None if last.length is None else begins[-1] + last.length
    return Plan("Sequence", {"schedules": [*first, last]}, after([*first, last], begins), length)


def warmup(draw: Draw, depth: int) -> Plan:
    inner, steps, start = draw.plan(depth - 1), draw.random.randint(0, 20), draw.number()
    mode, power = draw.random.choice([*MODES, "constant"]), draw.random.choice([None, None, 2.0])
    power = None if mode == "constant" else power

    def rate(t: int) -> float:
        if t >= steps:
            return inner.rate(t - steps)
        return start if mode == "constant" else raised(mode, power, inner.rate(0), start, *parts(t, steps)[::-1])

    fields = {"schedule": inner, "warmup_steps": steps, "start": start, "mode": mode, "power": power}
    return Plan("Warmup", fields, rate, None if inner.length is None else steps + inner.length)


def cooldown(draw: Draw, depth: int) -> Plan:
    inner, begin, steps, end = draw.plan(depth - 1), draw.random.randint(0, 60), draw.steps(), draw.number()
    mode, power = draw.mode(), draw.random.choice([None, None, 2.0])
    fields = {"schedule": inner, "begin": begin, "steps": steps, "end": end, "mode": mode, "power": power}
    return Plan("Cooldown", fields, cooled(inner.rate, begin, steps, end, mode, power), begin + steps)


def until(draw: Draw, depth: int) -> Plan:
    inner, steps = draw.plan(depth - 1), draw.random.randint(0, 40)
    return Plan("Until", {"schedule": inner, "steps": steps}, inner.rate, steps)


def repeat(draw: Draw, depth: int) -> Plan:
    inner, times = draw.ending(depth - 1), draw.random.randint(1, 3)
    length = inner.length * times
    fields = {"schedule": inner, "times": times}
    return Plan("Repeat", fields, lambda t: inner.rate(t % inner.length if t < length else inner.length), length)


def cycle(draw: Draw, depth: int) -> Plan:
    """Lengths stay, or double; how others are rounded has tests of its own."""
    factor = draw.random.choice([1.0, 0.5])
    if draw.random.random() < 0.5:
        inner = draw.ending(depth - 1)
        rate = lambda t: factor ** (t // inner.length) * inner.rate(t % inner.length)  # noqa: E731
        return Plan("Cycle", {"phase": inner, "value_factor": factor}, rate)  # a traced factor may need another length
    start, end, steps = draw.number(), draw.number(), draw.steps()

    def doubled(t: int) -> float:
        k = math.floor(math.log2(t // steps + 1))
        return factor**k * SHAPES["cosine"](start, end, *parts(t - steps * (2**k - 1), steps * 2**k))

    phase = Plan("Cosine", {"start": start, "end": end, "steps": steps}, lambda t: 0.0, steps)
    return Plan("Cycle", {"phase": phase, "length_factor": 2, "value_factor": factor}, doubled)


def shift(draw: Draw, depth: int) -> Plan:
    inner, offset = draw.plan(depth - 1), draw.random.randint(-20, 20)
    length = None if inner.length is None else max(inner.length - offset, 0)
    return Plan("Shift", {"schedule": inner, "offset": offset}, lambda t: inner.rate(min(max(0, t + offset), LARGEST)), length)


def stretch(draw: Draw, depth: int) -> Plan:
    inner, every = draw.plan(depth - 1), draw.random.choice([2, 3, 1.5, 0.5])
    exact = Fraction(every)
    length = None if inner.length is None else math.ceil(inner.length * exact)
    return Plan(
        "Stretch", {"schedule": inner, "every": every}, lambda t: inner.rate(min(math.floor(t / exact), LARGEST)), length
    )


def warp(draw: Draw, _: int) -> Plan:
    name, power = draw.random.choice(["Cosine", "Linear"]), draw.random.choice([0.5, 2.0])
    inner = LEAVES[name](draw, 0)
    start, end, steps = inner.fields.values()

    def rate(t: int) -> float:
        done, left = parts(t, steps)
        rest = -math.expm1(power * (math.log1p(-left) if left < 0.5 else math.log(done))) if done else 1.0
        return SHAPES[name.lower()](start, end, done**power, rest)

    return Plan("Warp", {"phase": inner, "power": power}, rate, steps)


def extension(draw: Draw, depth: int) -> Plan:
    inner, mode = draw.ending(depth - 1), draw.random.choice(["stretch", "hold"])
    begin = draw.random.randint(0, inner.length - 1)
    total = inner.length + draw.random.randint(1, 60)
    old, new = inner.length - begin, total - begin

    def rate(t: int) -> float:
        ahead = t - begin
        if ahead <= 0:
            return inner.rate(t)
        if mode == "hold":
            return inner.rate(begin + max(ahead - (new - old), 0))
        whole, rest = divmod(min(ahead, new) * old, new)
        now = inner.rate(begin + whole)
        return now * (new - rest) / new + inner.rate(begin + whole + 1) * rest / new if rest else now

    return Plan("Extension", {"schedule": inner, "begin": begin, "total_steps": total, "mode": mode}, rate, total)


def clocked(draw: Draw, depth: int) -> Plan:
    inner, changes, unit = draw.plan(depth - 1), draw.counts(draw.random.randint(0, 2)), draw.random.choice([1, 4])
    sizes, scaling = [draw.random.randint(1, 9) for _ in range(len(changes) + 1)], draw.random.choice([0.0, 0.5, 1.0])

    def seen(t: int) -> int:
        begins, ends = [0, *changes], [*changes, t]
        return sum(size * max(min(t, end) - at, 0) for size, at, end in zip(sizes, begins, ends, strict=True))

    def rate(t: int) -> float:
        size = sizes[sum(at <= t for at in changes)]
        return inner.rate(min(seen(t) // unit, LARGEST)) * (size / sizes[0]) ** scaling

    length = None if inner.length is None else next(t for t in range(10**6) if seen(t) >= inner.length * unit)
    fields = {"schedule": inner, "sizes": sizes, "boundaries": changes, "unit": unit, "scaling": scaling}
    return Plan("Clocked", fields, rate, length)


def joined(draw: Draw, depth: int) -> Plan:
    given, total, at = listed(draw, draw.random.randint(1, 2))
    inner = [draw.plan(depth - 1) for _ in range(len(at) + 1)]
    length = total if total is not None or inner[-1].length is None else at[-1] + inner[-1].length
    return Plan("joined", {"schedules": inner, "boundaries": given, "total_steps": total}, after(inner, [0, *at]), length)


def warmed(draw: Draw, depth: int) -> Plan:
    inner, mode, start = draw.plan(depth - 1), draw.mode(), draw.random.choice([None, 0.0, 0.3])
    given = draw.random.randint(0, 20) if inner.length is None else draw.part(inner.length)
    steps = share(given, inner.length or 0)

    def rate(t: int) -> float:
        at, of, first = (t + 1, steps + 1, 0.0) if start is None else (t, steps, start)
        return inner.rate(t) * (1.0 if t >= steps else SHAPES[mode](1.0, first, *parts(at, of)[::-1]))

    return Plan("warmed", {"schedule": inner, "warmup_steps": given, "start_factor": start, "mode": mode}, rate, inner.length)


def faded(draw: Draw, depth: int) -> Plan:
    inner, total, end, mode = draw.plan(depth - 1), draw.random.randint(20, 90), draw.random.choice([0.0, 0.2]), draw.mode()
    given = draw.random.choice([0, 7, 0.2])
    steps = share(given, total)
    factor = cooled(lambda t: 1.0, total - steps, steps, end, mode)
    rate = lambda t: inner.rate(min(t, total)) * factor(min(t, total))  # noqa: E731
    fields = {"schedule": inner, "total_steps": total, "cooldown_steps": given, "end_factor": end, "mode": mode}
    return Plan("faded", fields, rate, total)


def branched(draw: Draw, depth: int) -> Plan:
    inner = draw.ending(depth - 1)
    at, steps, mode = draw.random.randint(0, inner.length - 1), draw.steps(), draw.mode()
    end = min(inner.rate(at), 0.0) - 0.125  # below the rate there, whatever it is
    return Plan(
        "branch",
        {"schedule": inner, "total_steps": at + steps, "at": at, "end": end, "mode": mode},
        cooled(inner.rate, at, steps, end, mode),
        at + steps,
    )


def extended(draw: Draw, depth: int) -> Plan:
    plan = extension(draw, depth)
    fields = {"at" if name == "begin" else name: value for name, value in plan.fields.items()}
    return Plan("extend", fields, plan.rate, plan.length)


def cyclical(draw: Draw, depth: int) -> Plan:
    low, high, steps, mode = draw.number(), draw.number(), draw.steps(), draw.mode()
    kind, factor, inner = draw.random.randrange(3), draw.random.choice([0.5, 0.9]), draw.plan(max(depth - 1, 0))
    more = [{"value_factor": factor}, {"amplitude_factor": factor}, {"amplitude": inner}][kind]
    fields = {"low": low, "high": high, "cycle_steps": steps, "mode": mode, "rise": 0.25, **more}

    def rate(t: int) -> float:
        k, local = divmod(t, steps)
        if kind == 0:
            return factor**k * triangular(local, low, high, steps, 0.25, mode)
        return low + triangular(local, 0.0, high - low, steps, 0.25, mode) * (factor**k if kind == 1 else inner.rate(t))

    return Plan("cyclical", fields, rate)


AROUND: dict[str, Callable[[Draw, int], Plan]] = {
    "Clip": clip,
    "Clocked": clocked,
    "Cooldown": cooldown,
    "Cycle": cycle,
    "Extension": extension,
    "Maximum": algebra("Maximum", max),
    "Minimum": algebra("Minimum", min),
    "Product": algebra("Product", math.prod),
    "Repeat": repeat,
    "Scale": scale,
    "Sequence": sequence,
    "Shift": shift,
    "Stretch": stretch,
    "Sum": algebra("Sum", math.fsum),
    "Until": until,
    "Warmup": warmup,
    "Warp": warp,
    "branch": branched,
    "cyclical": cyclical,
    "extend": extended,
    "faded": faded,
    "joined": joined,
    "warmed": warmed,
}


def decayed(name: str, shape: Callable[..., float]) -> Callable[[Draw, int], Plan]:
    """`warmup_cosine` and `warmup_linear`."""

    def drawn(draw: Draw, _: int) -> Plan:
        peak, end, total = draw.number(), draw.number(), draw.random.randint(24, 90)
        given, held, start = draw.part(total), draw.random.choice([None, 0, 5, 0.2]), draw.random.choice([None, 0.01])
        steps = share(given, total)
        fall = lambda t: shape(peak, end, *parts(t, total - steps - share(held or 0, total)))  # noqa: E731
        climb = climbed(fall, steps)
        rate = climb if start is None else lambda t: linear(start, peak, *parts(t, steps)) if t < steps else climb(t)
        fields = {"peak": peak, "total_steps": total, "warmup_steps": given, "end": end, "start": start, "end_steps": held}
        return Plan(name, fields, rate, total)

    return drawn


def wsd(draw: Draw, _: int) -> Plan:
    peak, end, total, mode = draw.number(), draw.number(), draw.random.randint(24, 90), draw.mode()
    given, cool = draw.part(total), draw.random.choice([0, 6, 0.2])
    steps, fall = share(given, total), share(cool, total)
    rate = climbed(cooled(lambda t: peak, total - steps - fall, fall, end, mode), steps)
    fields = {"peak": peak, "total_steps": total, "warmup_steps": given, "cooldown_steps": cool, "end": end, "mode": mode}
    return Plan("wsd", fields, rate, total)


def wsd_s(draw: Draw, _: int) -> Plan:
    peak, end, mode, cool = draw.number(), draw.number(), draw.mode(), draw.random.choice([5, 0.1])
    given, at = draw.random.choice([([0.3, 0.6], [30, 60]), ([30, 0.6], [30, 60]), ([25], [25]), ([], [])])
    ends, fall, warm = [*at, 100], share(cool, 100), draw.random.choice([0, 6])

    def rate(t: int) -> float:
        begin = next((one for one in ends if one > t), 100) - fall
        if t < begin:
            return peak * min((t + 1) / (warm + 1), 1)
        return SHAPES[mode](peak, end, *parts(t - begin, fall))

    fields = {
        "peak": peak,
        "total_steps": 100,
        "ends": given,
        "warmup_steps": warm,
        "cooldown_steps": cool,
        "end": end,
        "mode": mode,
    }
    return Plan("wsd_s", fields, rate, 100)


def flat_cosine(draw: Draw, _: int) -> Plan:
    peak, end, total, given = draw.number(), draw.number(), draw.random.randint(24, 90), draw.random.choice([0, 9, 0.5])
    flat = share(given, total)
    rate = lambda t: SHAPES["cosine"](peak, end, *parts(max(t - flat, 0), total - flat))  # noqa: E731
    return Plan("flat_cosine", {"peak": peak, "total_steps": total, "flat_steps": given, "end": end}, rate, total)


def warmup_inverse_sqrt(draw: Draw, _: int) -> Plan:
    peak, scale, end, ends = draw.number(), draw.random.choice([None, 7.5]), draw.number(), draw.random.random() < 0.5
    total, given, cool = (80, draw.part(80, 1), draw.random.choice([9, 0.2])) if ends else (None, draw.steps(20), None)
    steps, fall = share(given, total or 0), share(cool, 80) if ends else 0
    decay = lambda t: peak / math.sqrt(1 + t / (scale or steps))  # noqa: E731
    rate = climbed(cooled(decay, 80 - steps - fall, fall, end, "linear") if ends else decay, steps)
    fields = {"peak": peak, "warmup_steps": given, "timescale": scale, "total_steps": total, "cooldown_steps": cool, "end": end}
    return Plan("warmup_inverse_sqrt", fields, rate, total)


def warmup_power(draw: Draw, _: int) -> Plan:
    peak, steps = draw.number(), draw.steps(20)
    after = lambda t: min(peak, 8 * 0.5 * ((1 + max(0, t + steps - 1)) * 4.0) ** -0.5)  # noqa: E731
    fields = {"peak": peak, "warmup_steps": steps, "batch_size": 8.0, "step_tokens": 4.0, "amplitude": 0.5, "exponent": -0.5}
    return Plan("warmup_power", fields, climbed(after, steps))


def noam(draw: Draw, _: int) -> Plan:
    size, steps, factor = draw.random.choice([16.0, 512.0]), draw.steps(), draw.number()
    rate = lambda t: factor * size**-0.5 * min((t + 1) ** -0.5, (t + 1) * steps**-1.5)  # noqa: E731
    return Plan("noam", {"model_size": size, "warmup_steps": steps, "factor": factor}, rate)


def one_cycle(draw: Draw, _: int) -> Plan:
    low, high, steps, mode, end = draw.number(), draw.number(), draw.steps(), draw.mode(), draw.number()
    fall = draw.random.choice([None, 12])  # a traced 0 would be a length
    up = lambda t: triangular(t, low, high, steps, 0.25, mode)  # noqa: E731
    fields = {
        "low": low,
        "high": high,
        "cycle_steps": steps,
        "cooldown_steps": fall,
        "end": end if fall else None,
        "rise": 0.25,
        "mode": mode,
    }
    return Plan("one_cycle", fields, cooled(up, steps, fall, end, mode) if fall else up, steps + (fall or 0))


def one_cycle_two_phase(draw: Draw, _: int) -> Plan:
    start, peak, end, mode, total = draw.number(), draw.number(), draw.number(), draw.mode(), draw.random.randint(24, 90)
    given = draw.part(total)
    steps = share(given, total)

    def rate(t: int) -> float:
        if t < steps:
            return SHAPES[mode](peak, start, *parts(t, steps)[::-1])
        return SHAPES[mode](peak, end, *parts(t - steps, total - steps))

    fields = {"start": start, "peak": peak, "end": end, "total_steps": total, "warmup_steps": given, "mode": mode}
    return Plan("one_cycle_two_phase", fields, rate, total)


def one_cycle_momentum(draw: Draw, _: int) -> Plan:
    low, high, steps, mode = draw.number(), draw.number(), draw.steps(), draw.mode()
    fields = {"low": low, "high": high, "cycle_steps": steps, "rise": 0.25, "mode": mode}
    return Plan("one_cycle_momentum", fields, lambda t: triangular(t, high, low, steps, 0.25, mode), steps)


def sgdr(draw: Draw, _: int) -> Plan:
    peak, end, steps, factor = draw.number(), draw.number(), draw.random.randint(8, 40), draw.random.choice([1.0, 0.5])
    given = draw.random.choice([None, 0, 3, 0.25])
    warm = share(given or 0, steps)
    one = climbed(lambda t: SHAPES["cosine"](peak, end, *parts(t, steps - warm)), warm)
    fields = {"peak": peak, "end": end, "cycle_steps": steps, "length_factor": 1, "value_factor": factor, "warmup_steps": given}
    return Plan("sgdr", fields, lambda t: factor ** (t // steps) * one(t % steps))


def factors(draw: Draw, _: int) -> Plan:
    value, warm, every = draw.number(), draw.steps(20), draw.steps(20)
    text = "constant * linear_warmup*rsqrt_decay * decay_every"
    rate = lambda t: value * min(t / warm, 1) / math.sqrt(max(t, warm)) * 0.5 ** (t // every)  # noqa: E731
    return Plan("factors", {"text": text, "value": value, "warmup_steps": warm, "factor": 0.5, "every": every}, rate)


def tri_stage(draw: Draw, _: int) -> Plan:
    peak, total, first, last = draw.number(), draw.random.randint(24, 90), 0.1, 0.05
    given, held = draw.part(total), draw.part(total)
    warm, hold = share(given, total), share(held, total)

    def rate(t: int) -> float:
        if t < warm:
            return linear(peak * first, peak, *parts(t, warm))
        return peak * last ** parts(max(t - warm - hold, 0), total - warm - hold)[0]

    fields = {
        "peak": peak,
        "total_steps": total,
        "warmup_steps": given,
        "hold_steps": held,
        "start_factor": first,
        "end_factor": last,
    }
    return Plan("tri_stage", fields, rate, total)


RECIPES: dict[str, Callable[[Draw, int], Plan]] = {
    "factors": factors,
    "flat_cosine": flat_cosine,
    "warmup_inverse_sqrt": warmup_inverse_sqrt,
    "noam": noam,
    "one_cycle": one_cycle,
    "one_cycle_momentum": one_cycle_momentum,
    "one_cycle_two_phase": one_cycle_two_phase,
    "warmup_power": warmup_power,
    "sgdr": sgdr,
    "tri_stage": tri_stage,
    "warmup_cosine": decayed("warmup_cosine", SHAPES["cosine"]),
    "warmup_linear": decayed("warmup_linear", linear),
    "wsd": wsd,
    "wsd_s": wsd_s,
}
