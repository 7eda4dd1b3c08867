"""What holds of every public schedule."""

import copy
import dataclasses
import inspect
import pickle
import types
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from problems import enable_x64
from public_names import public
from schedule_cases import CASES, KINDS, TRACED, Case, each, rates, sampled

every_case = each()
every_kind = pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)


def assert_close(got: Any, want: Any, ulp: int = 4) -> None:
    """Two programs may contract multiplications and additions differently: equal to a few float32 ulp of a value."""
    np.testing.assert_array_max_ulp(np.asarray(got), np.asarray(want), maxulp=ulp)


def test_all_is_sorted_and_exact() -> None:
    """`__all__` names what `lrax` holds in public, once and in order."""
    public = {name for name, value in vars(lrax).items() if name[0] != "_" and not isinstance(value, types.ModuleType)}
    assert lrax.__all__ == sorted(public | {"__version__"})


def test_every_public_schedule_is_covered() -> None:
    """A kind or a recipe that has no case here fails."""
    covered = {name.split(":")[0] for name in CASES}
    names = public()
    kinds = {n for n, v in names.items() if isinstance(v, type) and issubclass(v, lrax.Schedule) and not inspect.isabstract(v)}
    recipes = {n for n, v in names.items() if getattr(v, "__module__", "").endswith(("recipes", "_plan"))}
    assert kinds | recipes <= covered


@every_case
def test_eager_is_jit_is_vmap(case: Case) -> None:
    """Called with an array of counts, under jit, and one count at a time, the rates are the same."""
    schedule, counts = case.build(), jnp.asarray(case.counts)
    compiled = rates(schedule, counts)
    assert compiled.dtype == jnp.float32
    assert_close(schedule(counts.reshape(4, 4)), compiled.reshape(4, 4))


@every_case
def test_flatten_and_unflatten(case: Case) -> None:
    """A schedule is its leaves: float32 or int32, and putting them back gives the same schedule."""
    schedule = case.build()
    leaves, structure = jax.tree.flatten(schedule)
    assert {leaf.dtype for leaf in leaves} <= {np.dtype("float32"), np.dtype("int32")}
    again = jax.tree.unflatten(structure, leaves)
    assert repr(again) == repr(schedule)
    assert jax.tree.structure(again) == structure
    assert jax.tree.structure(jax.tree.map(lambda leaf: None, schedule)) is not None  # placeholders pass through
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(schedule)]
    assert len(set(paths)) == len(leaves)


@every_case
def test_one_trace(case: Case) -> None:
    """Thirty schedules of a kind, numbers given as Python numbers, NumPy scalars and jax arrays, share one trace."""
    counts, before = jnp.asarray(case.counts), len(TRACED)
    wrap = (lambda number: number, np.asarray, jnp.asarray)
    for variant in range(30):
        numbers = case.numbers_of(variant).items()
        made = {name: wrap[(variant + i) % 3](number) for i, (name, number) in enumerate(numbers)}
        rates(case.make(**made), counts)
    assert len(TRACED) <= before + 1


@pytest.mark.slow  # a program a kind, vmapped: a quarter of all that is compiled here
@every_case
def test_batched_fields(case: Case) -> None:
    """A batch of schedules, made under vmap or from arrays, equals the separate ones, for every number of every kind."""
    if not case.numbers:
        return
    counts = jnp.asarray(case.counts)
    variants = [case.numbers_of(variant) for variant in range(3)]
    batch = {name: np.array([numbers[name] for numbers in variants]) for name in case.numbers}
    batch = {name: jnp.asarray(v, jnp.int32 if v.dtype.kind == "i" else jnp.float32) for name, v in batch.items()}
    want = jnp.stack([rates(case.make(**numbers), counts) for numbers in variants])
    assert_close(jax.vmap(lambda numbers: rates(case.make(**numbers), counts))(batch), want, 16)
    made = case.make(**batch)
    axes = jax.tree.map(lambda leaf, one: None if np.ndim(leaf) == np.ndim(one) else 0, made, case.build())
    assert_close(jax.vmap(rates, in_axes=(axes, None))(made, counts), want, 16)


def _with_rates(schedule: lrax.Schedule) -> tuple[list[Any], Any]:
    """The float leaves of a schedule, and how to make a schedule from others."""
    leaves, structure = jax.tree.flatten(schedule)
    floats = [i for i, leaf in enumerate(leaves) if leaf.dtype == np.float32]

    def rebuild(values: list[Any]) -> lrax.Schedule:
        return jax.tree.unflatten(structure, [values[floats.index(i)] if i in floats else x for i, x in enumerate(leaves)])

    return [jnp.asarray(leaves[i]) for i in floats], rebuild


@every_case
def test_gradients_are_finite(case: Case) -> None:
    """The gradient with respect to every rate is finite at both ends, at both sides of each change, and far past."""
    values, rebuild = _with_rates(case.build())
    gradient = jax.jit(jax.vmap(jax.grad(lambda values, count: rebuild(values)(count)), in_axes=(None, 0)))
    for leaf in gradient(values, jnp.asarray(case.counts)):
        assert np.isfinite(leaf).all()


@every_kind
def test_any_integer_is_a_count(case: Case) -> None:
    """Counts of every integer dtype give float32; what is negative counts as 0, what is past the largest as the largest."""
    schedule = case.build()
    first, seventh, last = rates(schedule, jnp.array([0, 7] + [2**31 - 1] * 14))[:3]  # the length of `case.counts`
    for count in (7, np.int8(7), np.uint8(7), np.uint64(7), jnp.uint32(7), jnp.int16(7)):
        rate = schedule(count)
        assert rate.dtype == jnp.float32
        assert rate.shape == ()
        assert_close(rate, seventh)
    for count in (-1, -(2**70), np.int64(-(2**40)), jnp.int32(-(2**31))):
        assert_close(schedule(count), first)
    for count in (2**70, np.int64(2**40), np.uint64(2**63), jnp.uint32(2**32 - 1)):
        assert_close(schedule(count), last)


@pytest.mark.parametrize("count", [1.0, np.float32(2), "3", None, True, jnp.float32(1)], ids=repr)
def test_a_count_is_an_integer(count: Any) -> None:
    """What is no integer is refused by name."""
    with pytest.raises(TypeError, match="Constant: `count` must be an integer"):
        lrax.Constant(0.1)(count)


@sampled(KINDS)
def test_with_64_bits(case: Case) -> None:
    """With 64-bit numbers switched on the leaves and the rates are the same, and int64 counts work."""
    counts = case.counts
    want = rates(case.build(), jnp.asarray(counts))
    with enable_x64(True):
        schedule = case.build()
        assert {leaf.dtype for leaf in jax.tree.leaves(schedule)} <= {np.dtype("float32"), np.dtype("int32")}
        got = rates(schedule, jnp.asarray(counts.astype(np.int64)))
        assert got.dtype == jnp.float32
        assert_close(got, want)
        assert_close(jax.jit(schedule)(jnp.int64(2**40)), want[-1])


@every_case
def test_copies(case: Case) -> None:
    """Pickle, copy, deepcopy, replace and tree.map give a schedule that reads the same."""
    schedule = case.build()
    copies = [
        pickle.loads(pickle.dumps(schedule)) if "Function" not in repr(case) else schedule,
        copy.copy(schedule),
        copy.deepcopy(schedule),
        dataclasses.replace(schedule),
        jax.tree.map(lambda leaf: leaf, schedule),
    ]
    for again in copies:
        assert type(again) is type(schedule)
        assert repr(again) == repr(schedule)
        chex.assert_trees_all_equal(jax.tree.leaves(again), jax.tree.leaves(schedule))
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.anything = 1


@sampled(KINDS)
def test_as_learning_rate(case: Case) -> None:
    """Works as `learning_rate` of sgd, adamw, inject_hyperparams and multi_transform, in a scan inside jit."""
    weights, gradient = {"a": jnp.ones(2), "b": jnp.ones(3)}, {"a": jnp.ones(2), "b": jnp.full(3, 2.0)}

    @jax.jit
    def train(schedule: lrax.Schedule) -> tuple[Any, Any, Any]:
        transforms = {"sgd": optax.sgd(schedule), "adamw": optax.adamw(schedule)}
        multi = optax.multi_transform({"x": optax.sgd(schedule), "y": optax.adamw(0.1)}, {"a": "x", "b": "y"})
        transforms |= {"inject": optax.inject_hyperparams(optax.sgd)(learning_rate=schedule), "multi": multi}

        def update(carry: Any, _: None) -> tuple[Any, Any]:
            moved = {name: transforms[name].update(gradient, state, weights) for name, state in carry.items()}
            states = {name: state for name, (_, state) in moved.items()}
            hyperparameters = states["inject"].hyperparams["learning_rate"]
            return states, ({name: changes["a"][0] for name, (changes, _) in moved.items()}, hyperparameters)

        return jax.lax.scan(update, {name: tx.init(weights) for name, tx in transforms.items()}, None, length=4)

    schedule = case.build()
    want = rates(schedule, jnp.arange(4))
    with jax.numpy_dtype_promotion("standard"):  # optax's adamw mixes dtypes
        _, (changes, injected) = train(schedule)
    for name in ("sgd", "inject", "multi"):
        assert_close(-changes[name], want)
    assert_close(injected, want)
    assert np.isfinite(changes["adamw"]).all()


@pytest.mark.parametrize("name", ["warmup_cosine", "MultiStep", "Cycle: growing"])
def test_in_a_flax_step(name: str) -> None:
    """A jitted Flax training step takes a schedule, and moves the weights by its rate."""
    linen = pytest.importorskip("flax.linen")
    train_state = pytest.importorskip("flax.training.train_state")
    model, schedule = linen.Dense(1, use_bias=False), CASES[name].build()
    images = jnp.ones((4, 3))
    weights = model.init(jax.random.key(0), images)
    state = train_state.TrainState.create(apply_fn=model.apply, params=weights, tx=optax.sgd(schedule))

    @jax.jit
    def step(state: Any) -> Any:
        gradient = jax.grad(lambda weights: state.apply_fn(weights, images).mean())(state.params)
        return state.apply_gradients(grads=gradient)

    before = state.params["params"]["kernel"]
    after = step(state).params["params"]["kernel"]
    np.testing.assert_allclose(before - after, schedule(0) * jnp.ones((3, 1)), rtol=1e-5, atol=1e-7)
