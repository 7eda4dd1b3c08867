"""`lrax.compat`: peers' schedules, number for number, against golden files made by their own code (see golden/)."""

import functools
import inspect
import json
import math
import pathlib
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax as _optax
import pytest

import lrax
import oracle
from lrax import compat
from lrax.compat import djl, mxnet, optax, torch

FILES = ("mxnet", "djl", "torch", "optax", "keras", "timm", "transformers")
GOLDEN = pathlib.Path(__file__).parent / "golden"
PEERS = {peer: json.loads((GOLDEN / f"{peer}.json").read_text()) for peer in FILES}
PLATEAUS = json.loads((GOLDEN / "plateaus.json").read_text())
CASES = [
    pytest.param(peer, i, id=f"{peer}-{case['function']}-{i}") for peer, g in PEERS.items() for i, case in enumerate(g["cases"])
]


def build(peer: str, case: dict[str, Any]) -> lrax.Schedule:
    """The schedule of a case, with the ones inside it."""
    return getattr(getattr(compat, peer), case["function"])(
        **{name: value_of(peer, name, value) for name, value in case["arguments"].items()}
    )


def value_of(peer: str, name: str, value: Any) -> Any:
    """An argument as JSON has it, as Python."""
    if name == "boundaries_and_scales":
        return {int(count): scale for count, scale in value.items()}
    if isinstance(value, dict) and "function" in value:
        return build(peer, value)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "function" in value[0]:
        return [build(peer, one) for one in value]
    return eval(value) if isinstance(value, str) and value.startswith("lambda") else value


@functools.cache
def computed(peer: str) -> list[np.ndarray]:
    """The rates of all cases of a peer, op by op, with as many counts each: all schedules share these few small programs."""
    longest, found = max(len(case["counts"]) for each in PEERS.values() for case in each["cases"]), []
    for case in PEERS[peer]["cases"]:
        counts = case["counts"] + case["counts"][:1] * (longest - len(case["counts"]))
        found.append(np.asarray(build(peer, case)(jnp.asarray(counts, jnp.int32)))[: len(case["counts"])])
    return found


@pytest.mark.parametrize(("peer", "i"), CASES)
def test_matches_the_peer(peer: str, i: int) -> None:
    """A schedule of `lrax.compat` gives the peer's rates, at both ends, around every change and past the end."""
    want = np.array(PEERS[peer]["cases"][i]["rates"])
    # DJL calculates in float32, with differences that cancel: its own error is up to 3 ulp of its largest rate
    # Keras's cosine is float32, and cancels
    noise = {"djl": 5e-7, "keras": 2e-7}.get(peer, 0.0) * np.abs(want).max()
    np.testing.assert_allclose(computed(peer)[i], want, rtol=5e-7, atol=noise)


@pytest.mark.parametrize("peer", PEERS)
def test_every_function_is_compared(peer: str) -> None:
    """A function without a golden case would be a promise that nobody checks."""
    watching = {case["function"] for case in PLATEAUS["cases"] if case["peer"] == peer}
    assert {case["function"] for case in PEERS[peer]["cases"]} | watching == set(getattr(compat, peer).__all__)


MAKERS: dict[str, Callable[[Any], lrax.Schedule]] = {
    "mxnet.FactorScheduler": lambda lr: mxnet.FactorScheduler(10, 0.5, base_lr=lr, warmup_steps=4),
    "mxnet.CosineScheduler": lambda lr: mxnet.CosineScheduler(30, base_lr=lr, warmup_steps=4),
    "djl.FactorTracker": lambda lr: djl.FactorTracker(lr, 0.9, maxUpdates=20),
    "djl.LinearTracker": lambda lr: djl.LinearTracker(lr, 0.1, maxUpdates=20),
    "djl.CyclicalTracker": lambda lr: djl.CyclicalTracker(lr, 2.0, 10, mode="TRIANGULAR2"),
    "torch.CyclicLR": lambda lr: torch.CyclicLR(lr, 1.0, 10, mode="exp_range", gamma=0.9),
    "torch.OneCycleLR": lambda lr: torch.OneCycleLR(lr, 47),
    "torch.MultiStepLR": lambda lr: torch.MultiStepLR(lr, [3, 3, 9]),
    "torch.ChainedScheduler": lambda lr: torch.ChainedScheduler(lr, [torch.StepLR(lr, 5), torch.LinearLR(lr)]),
    "optax.exponential_decay": lambda lr: optax.exponential_decay(lr, 10, 0.5, end_value=0.01),
    "optax.cosine_power": lambda lr: optax.cosine_decay_schedule(lr, 30, 0.1, exponent=2.0),
    "optax.linear_onecycle_schedule": lambda lr: optax.linear_onecycle_schedule(40, lr),
    "optax.join_schedules": lambda lr: optax.join_schedules([lrax.Constant(lr), lrax.Linear(lr, 0.0, 9)], [5]),
}
COUNTS = jnp.array([0, 1, 5, 13, 14, 30, 46, 100_000, 2**31 - 1], jnp.int32)


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS.keys())
def test_rates_may_be_traced(maker: Callable[[Any], lrax.Schedule]) -> None:
    """A rate may be traced and batched: under vmap a sweep gives what single schedules give, and gradients are finite."""
    rates = jnp.array([0.1, 0.3], jnp.float32)
    rate_at = lambda rate: maker(rate)(COUNTS)  # noqa: E731
    swept, slopes = jax.jit(lambda rates: (jax.vmap(rate_at)(rates), jax.jacfwd(rate_at)(rates[0])))(rates)
    np.testing.assert_allclose(swept[0], maker(0.1)(COUNTS), rtol=2e-6, atol=1e-12)
    assert np.isfinite(swept).all()
    assert np.isfinite(slopes).all()


def test_lengths_may_be_traced() -> None:
    """Optax's own schedules take no traced lengths; these do."""

    def rates(warmup: Any, steps: Any) -> jax.Array:
        return optax.warmup_cosine_decay_schedule(0.0, 0.5, warmup, steps, end_value=0.1)(jnp.array([0, 3, 10, 99, 100]))

    swept = jax.jit(jax.vmap(rates))(jnp.array([0, 10]), jnp.array([50, 100]))
    np.testing.assert_allclose(swept[0], rates(0, 50), rtol=1e-6)
    np.testing.assert_allclose(swept[1], rates(10, 100), rtol=1e-6)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("steps", [97, 100_001, 20_000_003, 2**31 - 1])
def test_one_cycle_is_exact(steps: int, strategy: str) -> None:
    """A peak between two updates costs no accuracy, at any length, near any end."""
    schedule: Any = torch.OneCycleLR(0.5, steps, pct_start=0.3, anneal_strategy=strategy, final_div_factor=1e8)
    marks = [0, *schedule.counts.tolist(), steps // 7, steps // 2]
    counts = sorted({min(max(mark + step, 0), steps - 1) for mark in marks for step in (-2, -1, 0, 1, 2)})
    errors = [oracle.ulps(got, oracle.rate(schedule, at)) for at, got in zip(counts, schedule(np.array(counts)), strict=True)]
    assert max(errors) <= 8


@pytest.mark.parametrize("steps", [100, 20_000_000, 2**31 - 1])
def test_power_of_a_cosine_is_exact(steps: int) -> None:
    """Optax's cosine to a power keeps its digits at both ends, falling and climbing."""
    counts = np.array([0, 1, 2, steps // 3, steps // 2, steps - 2, steps - 1, steps])
    for start, end in ((0.5, 0.0), (0.0, 0.5)):
        got = lrax.Cooldown(lrax.Constant(start), 0, steps, end, "cosine", 1.5)(counts)
        for at, rate in zip(counts.tolist(), got, strict=True):
            done, left = (math.sin(math.pi / 2 * share) ** 2 for share in oracle.parts(at, steps))
            want = start * left**1.5 + end * oracle.one_minus_power(left, done, 1.5)
            assert oracle.ulps(rate, want) <= 12


MISTAKES = {
    "mxnet growth": (
        lambda: mxnet.FactorScheduler(10, factor=2.0),
        "FactorScheduler: `factor` must be a number above",
    ),
    "mxnet begin": (
        lambda: mxnet.PolyScheduler(9, 0.1, warmup_begin_lr=1.0),
        "PolyScheduler: `warmup_begin_lr` must be at",
    ),
    "mxnet equal": (lambda: mxnet.CosineScheduler(9, warmup_steps=9), "CosineScheduler: `max_update` must be more than"),
    "mxnet zero": (
        lambda: mxnet.MultiFactorScheduler([0, 3]),
        "MultiFactorScheduler: `step` must be step numbers from 1",
    ),
    "mxnet mode": (lambda: mxnet.PolyScheduler(9, warmup_mode="liner"), "did you mean 'linear'"),
    "djl both": (lambda: djl.FactorTracker(1.0, 0.5, 0.1, 3), "FactorTracker: `maxUpdates` must be left out"),
    "djl floor": (
        lambda: djl.FactorTracker(1.0, 0.5, minValue=2.0),
        "FactorTracker: `minValue` must be below `baseValue`",
    ),
    "djl flat": (lambda: djl.FactorTracker(1.0, 1.0, minValue=0.5), "FactorTracker: `factor` must be below 1"),
    "djl away": (lambda: djl.LinearTracker(1.0, 0.1, minValue=0.5), "LinearTracker: `minValue` must be on the side"),
    "djl slope": (lambda: djl.LinearTracker(1.0, 0.0), "LinearTracker: `slope` must be not 0"),
    "djl steps": (lambda: djl.MultiFactorTracker(1.0, [5]), "MultiFactorTracker: `steps` must be two or more"),
    "djl final": (lambda: djl.CosineTracker(0.001, 9), "CosineTracker: `finalValue` must be below"),
    "djl cyclical": (lambda: djl.CyclicalTracker(0.1), "CyclicalTracker: `baseValue` must be at most `maxValue`"),
    "djl main": (
        lambda: djl.WarmUpTracker(lrax.Constant(0.1)),
        "WarmUpTracker: `mainTracker` must be a schedule made by",
    ),
    "torch length": (lambda: torch.StepLR(0.1, 0), "StepLR: `step_size` must be a whole number of steps, at least 1"),
    "torch cycle": (lambda: torch.OneCycleLR(0.1, 10, pct_start=0.1), "OneCycleLR: `pct_start` must be such that"),
    "torch traced": (
        lambda: jax.jit(lambda steps: torch.OneCycleLR(0.1, steps)(0))(9),
        "OneCycleLR: `total_steps` must be known when the schedule is made",
    ),
    "torch no length": (lambda: torch.OneCycleLR(0.1), "OneCycleLR: `total_steps` must be given"),
    "torch milestones": (lambda: torch.MultiStepLR(0.1, [3, -1]), "MultiStepLR: `milestones` must be"),
    "torch sequence": (
        lambda: torch.SequentialLR([lrax.Constant(0.1)], [3]),
        "SequentialLR: `milestones` must be one shorter",
    ),
    "torch chain": (lambda: torch.ChainedScheduler(0.1, []), "ChainedScheduler: `schedulers` must be at least one"),
    "optax total": (
        lambda: optax.warmup_cosine_decay_schedule(0.0, 0.1, 9, 9),
        "warmup_cosine_decay_schedule: `decay_steps` must be above `warmup_steps`",
    ),
    "optax unsorted": (
        lambda: optax.join_schedules([lrax.Constant(0.1)] * 3, [5, 3]),
        "join_schedules: `boundaries` must be counts in rising order",
    ),
    "timm unsorted": (
        lambda: compat.timm.MultiStepLRScheduler(1.0, [3, 1], 0.5),
        "MultiStepLRScheduler: `decay_t` must be counts in rising order, got [3, 1]; sort them",
    ),
    "keras factor": (
        lambda: compat.keras.CosineDecayRestarts(1.0, 5, t_mul=1e6),
        "CosineDecayRestarts: `t_mul` must be at most",
    ),
    "transformers traced": (
        lambda: jax.jit(lambda n: compat.transformers.get_cosine_schedule_with_warmup(1.0, 0, n, num_cycles=0.7)(0))(9),
        "get_cosine_schedule_with_warmup: `num_training_steps` must be known",
    ),
    "optax scale": (
        lambda: optax.piecewise_constant_schedule(0.1, {3: -1.0}),
        "piecewise_constant_schedule: `boundaries_and_scales` must be factors of at least 0",
    ),
}


@pytest.mark.parametrize(("make", "says"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes(make: Callable[[], object], says: str) -> None:
    """A mistake names the peer's function and argument."""
    with pytest.raises((ValueError, TypeError), match=re.escape(says)):
        make()


def test_no_kinds_of_its_own() -> None:
    """A schedule of another library is made of public classes, so that its repr can be read and `from_json` knows it."""
    kinds = {type(part) for peer in PEERS for case in PEERS[peer]["cases"] for part in _inside(build(peer, case))}
    assert {kind.__module__.rpartition(".")[0] for kind in kinds} == {"lrax.schedules"}
    assert {kind.__name__ for kind in kinds} <= {*lrax.schedules.__all__, "Partial"}


def _inside(schedule: lrax.Schedule) -> list[lrax.Schedule]:
    """A schedule and those that it is made of."""
    fields = [getattr(schedule, name) for name in schedule._rules]
    parts = [part for field in fields for part in (field if isinstance(field, tuple) else (field,))]
    return [schedule, *(inner for part in parts if isinstance(part, lrax.Schedule) for inner in _inside(part))]


def test_defaults_are_those_of_optax() -> None:
    """An argument that is left out is what it is for Optax's function of this name."""
    compared = 0
    for name in optax.__all__:
        theirs = inspect.signature(getattr(_optax, name)).parameters if hasattr(_optax, name) else {}
        for argument, ours in inspect.signature(getattr(optax, name)).parameters.items():
            if argument in theirs and ours.default is not inspect.Parameter.empty:
                assert ours.default == theirs[argument].default, (name, argument)
                compared += 1
    assert compared > 15


NOISY: dict[str, Callable[..., Any]] = {
    "CosineLRScheduler": lambda **noise: compat.timm.CosineLRScheduler(0.1, 90, **noise),
    "PolyLRScheduler": lambda **noise: compat.timm.PolyLRScheduler(0.1, 90, **noise),
    "TanhLRScheduler": lambda **noise: compat.timm.TanhLRScheduler(0.1, 90, **noise),
    "StepLRScheduler": lambda **noise: compat.timm.StepLRScheduler(0.1, 30, 0.5, **noise),
    "MultiStepLRScheduler": lambda **noise: compat.timm.MultiStepLRScheduler(0.1, [30], 0.5, **noise),
    "WSDLRScheduler": lambda **noise: compat.timm.WSDLRScheduler(0.1, 90, 30, **noise),
}


@pytest.mark.parametrize("name", NOISY)
def test_each_of_timm_s_schedules_takes_its_noise(name: str) -> None:
    """The bound, the standard deviation and the seed of the noise are those that were given."""
    made = NOISY[name](noise_range_t=40, noise_pct=0.25, noise_std=0.5, noise_seed=3)
    assert [part for part in _inside(made) if isinstance(part, lrax.schedules.Noise)] == [lrax.schedules.Noise(0.25, 3, 0.5)]


OPTIMIZERS = {"an optax one": _optax.sgd(0.1), "another": object()}
PASTED: dict[str, tuple[Callable[[Any], object], str]] = {
    "OneCycleLR": (
        lambda o: torch.OneCycleLR(o, max_lr=0.01, total_steps=900),
        r"OneCycleLR\(max_lr, total_steps, epochs, ...\)",
    ),
    "SequentialLR": (lambda o: torch.SequentialLR(o, [1, 2], [3]), r"SequentialLR\(schedulers, milestones\)"),
    "by name": (lambda o: torch.StepLR(optimizer=o, step_size=3), r"StepLR\(lr, step_size, gamma\)"),
    "StepLR": (lambda o: torch.StepLR(o, 3), r"give its learning rate as `lr`: the schedule is given to"),
    "ReduceLROnPlateau": (lambda o: torch.ReduceLROnPlateau(o, mode="min"), r"ReduceLROnPlateau\(lr, mode, factor, ...\)"),
    "timm": (lambda o: compat.timm.CosineLRScheduler(o, t_initial=9), r"CosineLRScheduler\(lr, t_initial, lr_min, ...\)"),
    "transformers": (
        lambda o: compat.transformers.get_scheduler("linear", o, 2, 9),
        r"get_scheduler\(name, lr, num_warmup_steps,",
    ),
    "transformers, by name": (
        lambda o: compat.transformers.get_linear_schedule_with_warmup(optimizer=o, num_warmup_steps=2, num_training_steps=9),
        r"get_linear_schedule_with_warmup\(lr,",
    ),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(("call", "says"), PASTED.values(), ids=PASTED)
def test_a_call_with_an_optimizer(call: Callable[[Any], object], says: str, optimizer: Any) -> None:
    """A call that is pasted with its optimizer is answered with leaving it out, and with how the call reads."""
    with pytest.raises(TypeError, match=rf"leave the optimizer out.*{says}"):
        call(optimizer)


LEFT_OUT: dict[str, tuple[Callable[[], object], str]] = {
    "momentum": (lambda: torch.OneCycleLR(0.1, 90, cycle_momentum=False), "`cycle_momentum`: leave it out; .*OneCycleMomentum"),
    "a cycle's": (lambda: torch.CyclicLR(0.1, 1.0, max_momentum=0.9), r"`max_momentum`: .*CyclicLR\(base_lr=max_momentum"),
    "an epoch": (lambda: torch.StepLR(0.1, 30, last_epoch=4), r"`last_epoch`: leave it out.*lrax.Shift\(schedule, last_epoch"),
    "verbose": (lambda: torch.ExponentialLR(0.1, 0.9, verbose=True), "`verbose`: leave it out; lrax.table"),
    "epochs": (lambda: compat.timm.StepLRScheduler(0.1, 3, t_in_epochs=True), "`t_in_epochs`: .*lrax.Stretch"),
    "a name": (lambda: compat.keras.CosineDecay(0.1, 9, name="x"), "`name`: leave it out"),
    "unknown": (lambda: torch.StepLR(0.1, 30, gama=0.5), "no argument `gama`; did you mean `gamma`"),
}


@pytest.mark.parametrize(("call", "says"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_arguments_that_only_the_other_library_has(call: Callable[[], object], says: str) -> None:
    """An argument that no function here takes is answered with what to do instead."""
    with pytest.raises(TypeError, match=says):
        call()


def test_no_peer_is_imported() -> None:
    """`lrax.compat` needs none of its peers: its modules have their names, and nothing else of them."""
    for peer in FILES:
        assert getattr(compat, peer).__name__ == f"lrax.compat.{peer}"
        assert peer not in vars(getattr(compat, peer))
