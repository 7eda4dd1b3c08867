"""What a schedule costs: what exactness costs, time to compile, time an evaluation; and a training step with and without one.

    python benchmarks/schedule_cost.py
    python benchmarks/schedule_cost.py exactness    # the first table alone, which takes seconds

Evaluations are timed inside a `lax.scan`, as in a training loop, less the scan of a schedule that does nothing. Optax's program
grows with the number of boundaries, so it is given at most 1,000 boundaries and 200 cycles, which take seconds to compile.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrax
from _machine import machine, table

UPDATES = 100_000
LONG = 2**31 - 1
RECIPES: dict[Any, Callable[[], Any]] = {
    lrax.warmup_linear: lambda: lrax.warmup_linear(0.1, warmup_steps=0.01, total_steps=UPDATES),
    lrax.schedules.tri_stage: lambda: lrax.schedules.tri_stage(0.1, warmup_steps=0.1, hold_steps=0.4, total_steps=UPDATES),
    lrax.schedules.warmup_power: lambda: lrax.schedules.warmup_power(
        0.1, 0.01, 128, 2**19, total_steps=UPDATES, cooldown_steps=0.1
    ),
    lrax.schedules.faded: lambda: lrax.schedules.faded(lrax.InverseSqrt(0.1), cooldown_steps=0.1, total_steps=UPDATES),
    lrax.schedules.joined: lambda: lrax.schedules.joined([lrax.Linear(0.0, 0.1, 1000), lrax.Cosine(0.1, 0.0, UPDATES)], [1000]),
    lrax.schedules.factors: lambda: lrax.schedules.factors("constant * linear_warmup * rsqrt_decay", 1.0, 1000),
}


def boundaries(number: int) -> np.ndarray:
    """So many boundaries, evenly over the updates."""
    return np.linspace(1, UPDATES - 1, number).astype(int)


def cycles(number: int) -> optax.Schedule:
    """Optax's SGDR with so many cycles."""
    each = UPDATES // number
    cycle = {"init_value": 0.0, "peak_value": 0.1, "warmup_steps": 1, "decay_steps": each, "end_value": 0.0}
    return optax.sgdr_schedule([cycle] * number)


def schedules() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Name, library, and how the schedule is made."""
    yield "cosine", "lrax", lambda: lrax.Cosine(0.1, 0.0, UPDATES)
    yield "cosine", "optax", lambda: optax.cosine_decay_schedule(0.1, UPDATES)
    yield "warm-up, cosine", "lrax", lambda: lrax.warmup_cosine(0.1, warmup_steps=1000, total_steps=UPDATES)
    yield "warm-up, cosine", "optax", lambda: optax.warmup_cosine_decay_schedule(0.0, 0.1, 1000, UPDATES)
    yield "logarithmic warm-up, cosine", "lrax", lambda: lrax.Warmup(lrax.Cosine(0.1, 0.0, UPDATES), 1000, 0.0, "logarithmic")
    yield "cosine to a power", "lrax", lambda: lrax.Cooldown(lrax.Constant(0.1), 0, UPDATES, 0.0, "cosine", 1.5)
    yield "cosine to a power", "optax", lambda: optax.cosine_decay_schedule(0.1, UPDATES, exponent=1.5)
    yield "REX", "lrax", lambda: lrax.schedules.Rex(0.1, 0.0, UPDATES, 0.3)
    yield "hyperbolic", "lrax", lambda: lrax.schedules.Hyperbolic(0.1, 0.0, UPDATES, 2 * UPDATES)
    yield "exponential hyperbolic", "lrax", lambda: lrax.schedules.ExpHyperbolic(0.1, 1e-4, UPDATES, 2 * UPDATES)
    yield "stretched by 1.5, cosine", "lrax", lambda: lrax.Stretch(lrax.Cosine(0.1, 0.0, UPDATES), 1.5)
    yield "noise", "lrax", lambda: lrax.schedules.Noise(0.2)
    for number in (10, 10_000):
        at = boundaries(number)
        yield f"spline, {number:,}", "lrax", lambda at=at: lrax.Spline(np.linspace(0.1, 1.0, len(at)) ** 2, at)
        values = np.linspace(0.1, 1.0, number + 1)
        yield f"multi-step, {number:,}", "lrax", lambda at=at: lrax.MultiStep(0.1, 0.99, at)
        yield f"piecewise constant, {number:,}", "lrax", lambda at=at, values=values: lrax.PiecewiseConstant(values, at)
        yield f"piecewise linear, {number:,}", "lrax", lambda at=at, values=values: lrax.Piecewise(values[1:], at)
        yield f"cycles of one length, {number:,}", "lrax", lambda n=number: lrax.Cycle(lrax.Cosine(0.1, 0.0, UPDATES // n))
    for number in (2, 1_000):
        begins = boundaries(number)[1:]
        sizes = np.linspace(2**20, 2**22, number).astype(int) // 4096 * 4096
        yield (
            f"clock, {number:,} batch sizes",
            "lrax",
            lambda s=sizes, b=begins: lrax.Clock(s, b).to_steps(lrax.Cosine(0.1, 0.0, LONG)),
        )
        yield (
            f"clock, {number:,} batch sizes, in units",
            "lrax",
            lambda s=sizes, b=begins: lrax.Clock(s, b, 4096).to_steps(lrax.Cosine(0.1, 0.0, LONG), "sqrt"),
        )
        ends = np.arange(1, number) * (UPDATES // number)
        yield (
            f"wsd_s, {number:,} ends",
            "lrax",
            lambda at=ends: lrax.wsd_s(0.1, ends=at, warmup_steps=0, cooldown_steps=10, total_steps=UPDATES),
        )
    for kind, make in RECIPES.items():
        yield kind.__name__, "lrax", make
    yield "cycles, each 1.2 times as long", "lrax", lambda: lrax.Cycle(lrax.Cosine(0.1, 0.0, 10), 1.2)
    yield "cycles, each twice as long", "lrax", lambda: lrax.Cycle(lrax.Cosine(0.1, 0.0, 10), 2)
    for number in (10, 1_000):
        scales = dict.fromkeys(boundaries(number).tolist(), 0.99)
        yield f"multi-step, {number:,}", "optax", lambda s=scales: optax.piecewise_constant_schedule(0.1, s)
    for number in (10, 1_000):
        scales = dict.fromkeys(boundaries(number).tolist(), 0.99)
        yield f"piecewise linear, {number:,}", "optax", lambda s=scales: optax.piecewise_interpolate_schedule("linear", 0.1, s)
    for number in (10, 200):
        yield f"cycles of one length, {number:,}", "optax", lambda n=number: cycles(n)


def scanned(schedule: Any) -> Any:
    """The sum of the rates of all updates, as a program that takes the schedule's numbers."""
    leaves, structure = jax.tree.flatten(schedule if isinstance(schedule, lrax.Schedule) else ())
    leaves = [jnp.asarray(leaf) for leaf in leaves]

    def total(leaves: list[Any], begin: jax.Array) -> jax.Array:
        rate = jax.tree.unflatten(structure, leaves) if leaves else schedule
        return jax.lax.scan(lambda total, step: (total + rate(begin + step), None), 0.0, jnp.arange(UPDATES))[0]

    return jax.jit(total), leaves


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes until its result is there."""
    begun = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - begun


def costs(schedule: Any) -> tuple[int, float, float]:
    """Instructions of one evaluation, seconds to trace and compile it, nanoseconds an evaluation in a scan."""
    is_ours = isinstance(schedule, lrax.Schedule)
    one = jax.jit((lambda schedule, count: schedule(count)) if is_ours else (lambda _, count: schedule(count)))
    begun = time.perf_counter()
    program = one.lower(schedule if is_ours else None, jnp.int32(0)).compile()
    compiling = time.perf_counter() - begun
    instructions = sum(" = " in line for line in program.as_text().splitlines())
    total, leaves = scanned(schedule)
    jax.block_until_ready(total(leaves, jnp.int32(0)))
    best = min(seconds(lambda: total(leaves, jnp.int32(0))) for _ in range(5))
    return instructions, compiling, best / UPDATES * 1e9


def kinds() -> Iterator[list[str]]:
    """A row a schedule."""
    empty = costs(lambda count: count.astype(jnp.float32))[2]
    for name, library, make in schedules():
        instructions, compiling, nanoseconds = costs(make())
        yield [name, library, f"{instructions:,}", f"{compiling:.2f}", f"{max(nanoseconds - empty, 0):,.0f}"]


def equations(jaxpr: Any) -> int:
    """The equations of a program before XLA sees it, those of its inner programs included."""
    inner = [sub for eqn in jaxpr.eqns for sub in jax.tree.leaves(list(eqn.params.values())) if hasattr(sub, "jaxpr")]
    return len(jaxpr.eqns) + sum(equations(sub.jaxpr) for sub in inner)


def exactness() -> Iterator[list[str]]:
    """A row for each pair of equal schedules of lrax and optax: what an evaluation with exact counts costs, and making one."""

    def joined() -> Any:
        parts = [optax.linear_schedule(0.0, 0.1, 1_000), optax.constant_schedule(0.1), optax.linear_schedule(0.1, 0.0, 20_000)]
        return optax.join_schedules(parts, [1_000, 80_000])

    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "cosine": (lambda: lrax.Cosine(0.1, 0.0, UPDATES), lambda: optax.cosine_decay_schedule(0.1, UPDATES)),
        "warm-up, cosine": (
            lambda: lrax.warmup_cosine(0.1, warmup_steps=1_000, total_steps=UPDATES),
            lambda: optax.warmup_cosine_decay_schedule(0.0, 0.1, 1_000, UPDATES),
        ),
        "wsd": (lambda: lrax.wsd(0.1, warmup_steps=1_000, cooldown_steps=20_000, total_steps=UPDATES), joined),
    }
    for name, (make, make_other) in pairs.items():
        counted = []
        for made in (make, make_other):
            schedule = made()
            is_ours = isinstance(schedule, lrax.Schedule)
            one = (lambda one, count: one(count)) if is_ours else (lambda _, count, schedule=schedule: schedule(count))
            jaxpr = jax.make_jaxpr(one)(schedule if is_ours else None, jnp.int32(0)).jaxpr
            making = []
            for _ in range(20):
                begun = time.process_time()  # of the processor, which other programs hardly change
                for _ in range(50):
                    made()
                making.append((time.process_time() - begun) / 50)
            counted.append((f"{equations(jaxpr)}", f"{costs(schedule)[0]}", f"{min(making) * 1e6:.0f}"))
        yield [name, *(f"{own}, {other}" for own, other in zip(*counted, strict=True))]


def training() -> Iterator[list[str]]:
    """Steps of an MLP in pairs of short runs, one with a schedule and one with a constant rate, in turn."""
    images, labels = jnp.ones((64, 784)), jnp.zeros(64, jnp.int32)
    keys = jax.random.split(jax.random.key(0))
    weights = [jax.random.normal(keys[0], (784, 64)) / 28, jax.random.normal(keys[1], (64, 10)) / 8]

    def loss(weights: list[jax.Array]) -> jax.Array:
        logits = jax.nn.relu(images @ weights[0]) @ weights[1]
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def run(rate: Any) -> Callable[[int], float]:
        optimizer = optax.sgd(rate, momentum=0.9)

        @jax.jit
        def step(weights: Any, state: Any) -> tuple[Any, Any]:
            changes, state = optimizer.update(jax.grad(loss)(weights), state)
            return optax.apply_updates(weights, changes), state

        state = (weights, optimizer.init(weights))

        def steps(number: int) -> float:
            def train() -> Any:
                carry = state
                for _ in range(number):
                    carry = step(*carry)
                return carry

            return seconds(train) / number

        steps(20)
        return steps

    rates = {
        "warm-up, cosine": lrax.warmup_cosine(0.1, warmup_steps=500, total_steps=10_000),
        "multi-step, 10,000 boundaries": lrax.MultiStep(0.1, 0.999, np.arange(10_000)),
        "cycles, each 1.2 times as long": lrax.Cycle(lrax.Cosine(0.1, 0.0, 10), 1.2),
    }
    constant = run(0.1)
    for name, schedule in {"constant rate again": 0.1, **rates}.items():
        scheduled = run(schedule)
        pairs = [(scheduled(50), constant(50)) if k % 2 else (constant(50), scheduled(50))[::-1] for k in range(60)]
        own, other = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(first / second for first, second in pairs)
        yield [name, f"{own * 1e6:.0f}", f"{other * 1e6:.0f}", f"{ratio:.3f}"]


def main() -> None:
    """Prints the tables."""
    print(f"What exactness costs: lrax, optax. {machine()}\n")
    print(table(["schedule", "equations", "HLO instructions", "µs to make one"], exactness()))
    if sys.argv[1:] == ["exactness"]:
        return
    print(f"\nCost of one schedule. {machine()}\n")
    print(table(["schedule", "library", "HLO instructions", "trace and compile, s", "ns an evaluation in a scan"], kinds()))
    print("\nA training step (MLP 784-64-10, batch 64, SGD with momentum) with a schedule and with a constant rate,")
    print("medians of 60 paired runs of 50 steps\n")
    print(table(["schedule", "µs a step", "µs with a constant rate", "ratio, median of pairs"], training()))


if __name__ == "__main__":
    main()
