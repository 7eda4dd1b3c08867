"""Where a schedule is called: outside jit, in shard_map, with other libraries' counts, inside and around optax's schedules."""

import itertools
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, PartitionSpec

import lrax
from compilations import compilations
from devices import xla_flags
from lrax.schedules import Until
from schedule_cases import KINDS, Case, each, rates, sampled

every_case = each()


def test_compilations_are_seen() -> None:
    """The listener of the next test hears what it listens for."""
    with compilations() as compiled:
        jax.jit(lambda number: number * 3.5)(2.0)
    assert compiled


@every_case
def test_a_second_call_compiles_nothing(case: Case) -> None:
    """Outside jit, only the first call compiles; one with another count, or with other numbers in the schedule, does not."""
    case.build()(np.int32(3))
    schedule = case.build(1)  # a user's callable may keep its numbers on the device
    with compilations() as compiled:
        schedule(np.int32(5))
        schedule(7)
    assert not compiled


class Counter:
    """A count that knows how to become an array of JAX, as variables of NNX and of Keras do."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __jax_array__(self) -> jax.Array:
        return jnp.asarray(self.value)


def nnx_variable(value: Any) -> Any:
    """The kind of variable that counts the updates of an `nnx.Optimizer`."""
    nnx = pytest.importorskip("flax.nnx")
    return nnx.Variable(jnp.asarray(value))


@pytest.mark.parametrize("wrap", [Counter, nnx_variable])
def test_counts_of_other_libraries(wrap: Callable[[Any], Any]) -> None:
    """An object that says how it becomes an array is a count, and a length, outside jit and in it."""
    schedule = lrax.Cosine(0.1, 0.0, 10)
    assert schedule(wrap(np.int32(5))) == schedule(5)
    assert jax.jit(lambda count: schedule(wrap(count)))(5) == jax.jit(schedule)(5)
    assert lrax.Cosine(0.1, 0.0, wrap(np.int32(10))).length == 10
    assert jax.jit(lambda steps: lrax.Linear(0.0, 1.0, wrap(steps))(5))(10) == 0.5
    with pytest.raises(TypeError, match="Cosine: `count` must be an integer"):
        schedule(wrap(np.float32(5)))


@pytest.mark.parametrize("dtype", [jnp.int4, jnp.uint4])
def test_counts_of_four_bits(dtype: Any) -> None:
    """The smallest integers are counts too, of NumPy and of JAX, and below 0 they count as 0."""
    schedule = lrax.Linear(0.0, 1.0, 10)
    want = schedule(jnp.array([0, 3, 7]))
    np.testing.assert_array_equal(schedule(jnp.array([0, 3, 7]).astype(dtype)), want)
    np.testing.assert_array_equal(schedule(np.array([0, 3, 7]).astype(dtype)), want)
    np.testing.assert_array_equal(jax.jit(schedule)(jnp.array([0, 3, 7]).astype(dtype)), want)
    if dtype == jnp.int4:
        assert schedule(jnp.asarray(-3, dtype)) == 0.0


def in_shard_map(case: Case, devices: Any) -> None:
    """The rates of divided counts are those of whole ones, for known and for traced numbers."""
    mesh, split = Mesh(np.asarray(devices), ("x",)), PartitionSpec("x")
    counts = jnp.asarray(case.counts)
    schedule = case.build()
    divided = jax.jit(jax.shard_map(lambda counts: schedule(counts), mesh=mesh, in_specs=split, out_specs=split))
    np.testing.assert_array_max_ulp(np.asarray(divided(counts)), np.asarray(rates(schedule, counts)), maxulp=4)
    both = jax.shard_map(lambda one, counts: one(counts), mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=split)
    np.testing.assert_array_max_ulp(np.asarray(jax.jit(both)(schedule, counts)), np.asarray(rates(schedule, counts)), maxulp=4)


looks_up_in_shard_map = pytest.mark.skipif(
    jax.__version_info__ < (0, 8), reason="jnp.searchsorted itself fails there inside shard_map, unless check_vma=False"
)


@looks_up_in_shard_map
@sampled(KINDS)
def test_in_shard_map(case: Case) -> None:
    """Every kind takes counts that are divided over devices."""
    in_shard_map(case, jax.devices()[:1])


@pytest.mark.slow
def test_a_length_factor_in_shard_map() -> None:
    """A factor of lengths may differ from device to device."""
    mesh, split = Mesh(np.asarray(jax.devices()[:1]), ("x",)), PartitionSpec("x")

    def rate(factor: jax.Array) -> jax.Array:
        return lrax.Cycle(lrax.Linear(1.0, 0.0, 10), factor[0])(jnp.arange(40))[None]

    divided = jax.jit(jax.shard_map(rate, mesh=mesh, in_specs=split, out_specs=split))
    np.testing.assert_array_equal(divided(jnp.array([1.5]))[0], lrax.Cycle(lrax.Linear(1.0, 0.0, 10), 1.5)(jnp.arange(40)))


SCRIPT = """
import jax
from schedule_cases import CASES
from contract.test_everywhere import in_shard_map
assert len(jax.devices()) == 4
names = ["Cycle: growing", "Cycle: ends between two steps", "Wave", "Noise", "Extension", "MultiStep"]
for name in [*names, "sgdr: with a warm-up"]:
    in_shard_map(CASES[name], jax.devices())
print("as one")
"""


@pytest.mark.slow
@looks_up_in_shard_map
def test_on_four_devices() -> None:
    """The kinds that loop do so on several devices, each its own number of times."""
    tests = str(pathlib.Path(__file__).parents[1])
    environment = {"XLA_FLAGS": xla_flags(4), "JAX_PLATFORMS": "cpu"}
    path = ":".join([tests, *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**environment, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert "as one" in done.stdout, done.stderr


WRAPPERS: dict[str, Callable[[Any], lrax.Schedule]] = {
    "Warmup": lambda inner: lrax.Warmup(inner, 3, 0.01),
    "Cooldown": lambda inner: lrax.Cooldown(inner, 30, 10, 0.001, "cosine"),
    "Extension": lambda inner: lrax.schedules.Extension(inner, 5, 100),
    "Extension: holding": lambda inner: lrax.schedules.Extension(inner, 5, 100, "hold"),
    "Sequence": lambda inner: lrax.Sequence(inner, lrax.Hold(0.1, 5)),
    "Shift": lambda inner: lrax.Shift(inner, 2),
    "Stretch": lambda inner: lrax.Stretch(inner, 2),
    "Scale": lambda inner: lrax.Scale(inner, 0.9),
    "Clip": lambda inner: lrax.Clip(inner, 0.0, 1.0),
    "Sum": lambda inner: lrax.Sum(inner, lrax.Constant(0.1)),
    "Product": lambda inner: lrax.Product(inner, lrax.Constant(0.9)),
    "Maximum": lambda inner: lrax.Maximum(inner, lrax.Constant(0.1)),
    "Minimum": lambda inner: lrax.Minimum(inner, lrax.Constant(0.1)),
    "Repeat": lambda inner: lrax.Repeat(inner, 2),
    "Cycle": lambda inner: lrax.Repeat(Until(lrax.Cycle(inner, 1, 0.9), 40), 2),
    "Until": lambda inner: Until(inner, 50),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_nesting_adds_to_the_program(wrap: Callable[[Any], lrax.Schedule]) -> None:
    """Each level of nesting adds as much to the program as the one before; where lengths are looked up, a little more."""

    def equations(depth: int) -> int:
        schedule: lrax.Schedule = lrax.Linear(0.1, 0.0, 20)
        for _ in range(depth):
            schedule = wrap(schedule)
        return str(jax.make_jaxpr(lambda schedule, count: schedule(count))(schedule, 3)).count(" = ")

    few, some, many = equations(2), equations(4), equations(8)
    looks_up = wrap in (WRAPPERS["Sequence"], WRAPPERS["Repeat"])  # its part's length, which is that of its own part, ...
    assert many - some <= (4 if looks_up else 2) * (some - few)


@sampled(KINDS)
def test_in_optax_combinators(case: Case) -> None:
    """Optax's joins, scalings and injections take every kind."""
    schedule = case.build()
    joined = optax.join_schedules([schedule, optax.linear_schedule(1.0, 0.0, 4), schedule], [3, 7])
    want = [*schedule(jnp.arange(3)), 1.0, 0.75, 0.5, 0.25, *schedule(jnp.arange(3))]
    np.testing.assert_allclose(jax.jit(jax.vmap(joined))(jnp.arange(10)), want, rtol=1e-6)
    tx = optax.scale_by_schedule(schedule)
    update, _ = tx.update({"w": jnp.float32(1)}, tx.init({"w": jnp.float32(1)}))
    np.testing.assert_allclose(update["w"], schedule(0), rtol=1e-6)


OPTAX = {
    "cosine": optax.cosine_decay_schedule(0.5, 10, 0.1),
    "joined": optax.join_schedules([optax.linear_schedule(0.1, 0.5, 5), optax.exponential_decay(0.5, 2, 0.9)], [5]),
    "steps": optax.piecewise_constant_schedule(0.5, {2: 0.5, 6: 0.1}),
}
AROUND: dict[str, tuple[Callable[[Any], lrax.Schedule], Callable[[Any, int], Any]]] = {
    "Warmup": (lambda s: lrax.Warmup(s, 4), lambda s, t: s(0) * t / 4 if t < 4 else s(t - 4)),
    "Cooldown": (lambda s: lrax.Cooldown(s, 8, 4, 0.0), lambda s, t: s(t) if t < 8 else s(8) * max(12 - t, 0) / 4),
    "Sequence": (lambda s: lrax.Sequence(lrax.Hold(0.3, 3), s), lambda s, t: 0.3 if t < 3 else s(t - 3)),
    "Shift": (lambda s: lrax.Shift(s, 2), lambda s, t: s(t + 2)),
    "Stretch": (lambda s: lrax.Stretch(s, 3), lambda s, t: s(t // 3)),
    "Scale": (lambda s: lrax.Scale(s, 0.5), lambda s, t: 0.5 * s(t)),
    "Clip": (lambda s: lrax.Clip(s, 0.2, 0.4), lambda s, t: min(max(s(t), 0.2), 0.4)),
    "Sum": (lambda s: lrax.Sum(s, s), lambda s, t: 2 * s(t)),
    "Product": (lambda s: lrax.Product(s, s), lambda s, t: s(t) ** 2),
    "Maximum": (lambda s: lrax.Maximum(s, lrax.Constant(0.3)), lambda s, t: max(s(t), 0.3)),
    "Minimum": (lambda s: lrax.Minimum(s, lrax.Constant(0.3)), lambda s, t: min(s(t), 0.3)),
    "Cycle": (lambda s: lrax.Cycle(Until(s, 7)), lambda s, t: s(t % 7)),
    "Repeat": (lambda s: lrax.Repeat(Until(s, 5), 2), lambda s, t: s(t % 5 if t < 10 else 5)),
    "Extension": (lambda s: lrax.extend(Until(s, 8), 12, at=4, mode="hold"), lambda s, t: s(min(t, 4) + max(t - 8, 0))),
    "join_schedules": (
        lambda s: lrax.compat.optax.join_schedules([s, lrax.Constant(0.2), s], [4, 6]),
        lambda s, t: s(t) if t < 4 else 0.2 if t < 6 else s(t - 6),
    ),
}


@pytest.mark.parametrize(
    ("around", "formula", "theirs"),
    [(*pair, theirs) for pair, theirs in zip(AROUND.values(), itertools.cycle(OPTAX.values()), strict=False)],
    ids=AROUND,
)
@pytest.mark.standard_promotion
def test_optax_in_combinators(around: Callable[[Any], lrax.Schedule], formula: Callable[[Any, int], Any], theirs: Any) -> None:
    """Every combinator takes optax's schedules as they are; each of them is taken by some."""
    got = jax.jit(jax.vmap(around(theirs)))(jnp.arange(16))
    table = [float(rate) for rate in jax.vmap(theirs)(jnp.arange(32))]
    np.testing.assert_allclose(got, [formula(table.__getitem__, t) for t in range(16)], rtol=2e-6)
