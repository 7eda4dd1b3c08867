"""The base: frozen pytrees, callables of a user, and kinds of a user."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.schedules._intmath import add_lengths
from public_names import public
from schedule_cases import Roulette, SquareRoot, plain, rates_at


def test_own_phase() -> None:
    """A subclass with fields and one formula is a schedule: checked, frozen, resizable, and at home in every combinator."""
    root = SquareRoot(peak=0.1, steps=100)
    np.testing.assert_allclose(rates_at(root, [0, 75, 100, 500]), [0.1, 0.05, 0.0, 0.0], rtol=1e-6)
    assert root.length == 100
    np.testing.assert_allclose(rates_at(lrax.Cycle(root, 2), [100, 250]), [0.1, 0.05], rtol=1e-6)
    np.testing.assert_allclose(rates_at(lrax.Sequence(root, lrax.Constant(1.0)), [75, 100]), [0.05, 1.0], rtol=1e-6)
    with pytest.raises(ValueError, match="SquareRoot: `steps`"):
        SquareRoot(peak=0.1, steps=0)


def test_own_noise() -> None:
    """A rate drawn from a seed is a function of the count: the same again, whichever order the counts come in."""
    noise = Roulette(low=0.1, high=0.2, seed=1)
    forward, backward = rates_at(noise, range(50)), noise(jnp.arange(50)[::-1])[::-1]
    np.testing.assert_array_equal(forward, backward)
    assert len(set(forward.tolist())) > 45
    assert forward.min() >= 0.1
    assert forward.max() <= 0.2
    assert not np.array_equal(forward, rates_at(Roulette(low=0.1, high=0.2, seed=2), range(50)))


def test_annotations_say_what_a_field_holds() -> None:
    """`float`, `int`, `str` and `bool` work as annotations; anything else is refused, and so is a phase without `steps`."""

    class Own(lrax.Schedule):
        peak: float
        delay: int = 0
        label: str = ""
        active: bool = True

        def rate(self, count: jax.Array) -> jax.Array:
            return jnp.where(count < self.delay, 0.0, self.peak if self.active else 0.0)

    own = Own(0.1, 5, "a")
    assert len(jax.tree.leaves(own)) == 2
    assert repr(own) == "Own(peak=0.1, delay=5, label='a')"
    np.testing.assert_allclose(rates_at(own, [4, 5]), [0.0, 0.1])
    with pytest.raises(TypeError, match="Wrong: annotate `peak` with"):
        type("Wrong", (lrax.Schedule,), {"__annotations__": {"peak": dict}})
    with pytest.raises(TypeError, match="needs a field `steps"):
        type("Endless", (lrax.Phase,), {"curve": lambda self, done, left: done})


@pytest.mark.parametrize(
    "function",
    {
        "a function": plain,
        "a lambda": lambda count: 0.1 / (1 + count),
        "optax": optax.cosine_decay_schedule(0.1, 1000),
        "functools.partial": functools.partial(lambda scale, count: scale / (1 + count), 0.1),
        "a Python number": lambda count: 0.1,
        "a Partial with leaves": jax.tree_util.Partial(lambda scale, count: scale / (1 + count), jnp.float32(0.1)),
    }.values(),
)
@pytest.mark.parametrize(
    "combine",
    {
        "Sequence": lambda f: lrax.Sequence(lrax.Linear(0.0, 0.1, 10), f),
        "Warmup": lambda f: lrax.Warmup(f, 10),
        "Cooldown": lambda f: lrax.Cooldown(f, 20, 10, 0.0),
        "Shift": lambda f: lrax.Shift(f, -10),
        "Scale": lambda f: lrax.Scale(f, 0.5),
        "Clip": lambda f: lrax.Clip(f, 0.01, 0.05),
        "Cycle": lambda f: lrax.Cycle(lrax.Cooldown(f, 10, 10, 0.0)),
    }.values(),
)
def test_any_callable_combines(combine: Any, function: Any) -> None:
    """A callable `count -> rate` stands where a schedule can, inside and outside jit, and gives float32."""
    with jax.numpy_dtype_promotion("standard"):  # optax and these functions mix dtypes
        schedule = combine(function)
        eager, compiled = schedule(15), jax.jit(lambda schedule, count: schedule(count))(schedule, 15)
    assert eager.dtype == compiled.dtype == jnp.float32
    np.testing.assert_allclose(eager, compiled, rtol=1e-6)
    assert "Function" in repr(schedule)


def test_a_traced_rate_in_a_closure() -> None:
    """A function that closes over a traced rate works: a finder overrides rates that way."""
    rate = jax.jit(lambda rate: lrax.Warmup(lambda count: rate, 4)(2))(jnp.float32(0.5))
    np.testing.assert_allclose(rate, 0.25)


def test_repr_reads_like_the_call() -> None:
    """What `repr` shows can be pasted: evaluated, it makes the same schedule; a traced number shows its dtype and shape."""
    schedule = lrax.Warmup(lrax.Sequence(lrax.Hold(0.1, 5), lrax.MultiStep(0.1, 0.5, [3, 9])), 4)
    assert repr(eval(repr(schedule), vars(lrax))) == repr(schedule)
    shown: list[str] = []
    jax.jit(lambda schedule: shown.append(repr(schedule)))(lrax.Constant(0.1))
    assert shown == ["Constant(value=<float32[]>)"]
    assert repr(lrax.MultiStep(0.1, 0.5, np.arange(20))) == "MultiStep(start=0.1, factor=0.5, boundaries=<int32[20]>)"


def test_lengths_do_not_wrap() -> None:
    """Sums of lengths stop at 2**31 - 1, known or traced."""
    largest = np.int32(2**31 - 1)
    assert add_lengths(largest, largest, np.int32(1)) == largest
    assert jax.jit(add_lengths)(largest, np.int32(1)) == largest
    assert add_lengths(np.int32(3), None) is None
    huge = lrax.Sequence(*(lrax.Linear(0.0, 1.0, 2**30) for _ in range(5)))
    assert huge.length == largest
    assert huge(2**30) == 0.0
    assert huge(2**30 + 2**29) == 0.5


def test_no_attribute_claims_optax() -> None:
    """No schedule has `init` or `update`, by which optax would take it for a stateful one."""
    assert not [name for name, value in public().items() if {"init", "update"} <= set(dir(value))]
