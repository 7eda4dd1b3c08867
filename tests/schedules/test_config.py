"""Schedules from a configuration: what a call takes, by the same checks; a product from a text of factors."""

import collections
import json
import types
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from schedule_cases import CASES, Case, Roulette, SquareRoot

SAVABLE = {name: case for name, case in CASES.items() if "Function" not in name}


@pytest.mark.parametrize("case", SAVABLE.values(), ids=SAVABLE)
def test_it_is_what_the_text_holds(case: Case) -> None:
    """What `to_json` writes is a configuration of the same schedule, with its version and without."""
    schedule = case.build()
    data = json.loads(lrax.to_json(schedule))
    for config in (data, data["schedule"], types.MappingProxyType(data["schedule"])):
        assert lrax.from_config(config, custom_types=[Roulette, SquareRoot]) == schedule


def test_written_by_hand() -> None:
    """Recipes and kinds by name, nested, in any mapping and with tuples, and a plan that waits."""
    clock = {"kind": "Clock", "batch_sizes": (256, 512), "boundaries": (1000,), "unit": 256}
    config = collections.OrderedDict(
        kind="Clocked", clock=clock, schedule={"kind": "wsd", "peak": 0.1, "warmup_steps": 0.01, "cooldown_steps": 0.2}
    )
    plan = lrax.Clock([256, 512], [1000], 256).to_steps(lrax.wsd(0.1, warmup_steps=0.01, cooldown_steps=0.2))
    assert lrax.from_config(config) == plan
    parts = [{"kind": "Hold", "value": 0.1, "steps": 5}, {"kind": "Cosine", "start": 0.1, "end": 0, "steps": 10}]
    want = lrax.Sequence(lrax.Hold(0.1, 5), lrax.Cosine(0.1, 0.0, 10))
    assert lrax.from_config({"kind": "Sequence", "schedules": parts}) == want


WSD = {"kind": "wsd", "peak": 0.1, "total_steps": 100, "warmup_steps": 0.1, "cooldown_steps": 0.2}
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no mapping": (3, TypeError, "from_config: `config` must be a dict: a `kind` and its arguments, got 3"),
    "text": ("{}", TypeError, "got '{}'; from_json reads text"),
    "no kind": ({"peak": 0.1}, ValueError, "`schedule` must be a schedule: an object with a `kind`, got"),
    "a misspelt kind": (
        WSD | {"kind": "wds"},
        ValueError,
        "`schedule.kind` must be the name of a schedule class, got 'wds'; did you mean",
    ),
    "an own kind": (WSD | {"kind": "Roulette"}, ValueError, r"give custom classes: from_config\(config, custom_types="),
    "a misspelt argument": (WSD | {"warmup": 3}, ValueError, "`schedule.warmup` .* did you mean 'warmup_steps'"),
    "a missing argument": ({"kind": "wsd", "peak": 0.1}, ValueError, "`schedule.warmup_steps` must be given for a wsd"),
    "a bad number": (
        WSD | {"warmup_steps": 0.9},
        ValueError,
        "from_config: `schedule`: wsd: `cooldown_steps` must be less than",
    ),
    "a number as text": (
        WSD | {"peak": "1e-3"},
        TypeError,
        "`schedule.peak` must be a number, got '1e-3'; YAML takes 1e-3 for",
    ),
    "a clock alone": ({"kind": "Clock", "batch_sizes": 8}, ValueError, "`schedule` must be a schedule, got Clock"),
    "a list of numbers": ({"kind": "Sequence", "schedules": [1, 2]}, TypeError, r"`schedules\[0\]` must be a schedule"),
    "one schedule for a list": ({"kind": "Sequence", "schedules": WSD}, TypeError, "`schedules` must be a list of schedules"),
    "an inner mistake": (
        {"kind": "Scale", "factor": 1, "schedule": WSD | {"kind": "X"}},
        ValueError,
        "`schedule.schedule.kind`",
    ),
    "a wrong factor": (
        {"kind": "factors", "text": "constant * linear_warmpu", "value": 1},
        ValueError,
        "factors: `text` must be one of .* got 'linear_warmpu'; did you mean 'linear_warmup'",
    ),
    "a factor without its number": (
        {"kind": "factors", "text": "constant * rsqrt_decay", "value": 1},
        ValueError,
        "factors: `warmup_steps` must be given where 'rsqrt_decay' is a factor",
    ),
}


@pytest.mark.parametrize(("config", "error", "says"), BAD.values(), ids=BAD)
def test_bad_configurations_are_named(config: Any, error: type[Exception], says: str) -> None:
    """The message says where in the configuration what is wrong, and what was meant."""
    with pytest.raises(error, match=says):
        lrax.from_config(config)


def test_factors_are_t5s() -> None:
    """Every factor is the formula of t5x and Flax's examples, at both sides of each change."""
    steps = np.array([0, 1, 5, 9, 10, 11, 49, 50, 51, 59, 60, 61, 100, 999], np.int64)
    warm, factor, every, cycle = 10, 0.5, 50, 50
    cosine = 0.5 * (1 + np.cos(np.pi * ((np.maximum(0, steps - warm) / cycle) % 1)))
    formulas = {
        "constant": np.full(len(steps), 0.25),
        "linear_warmup": np.minimum(1, steps / warm),
        "rsqrt_decay": 1 / np.sqrt(np.maximum(steps, warm)),
        "rsqrt_normalized_decay": np.sqrt(warm) / np.sqrt(np.maximum(steps, warm)),
        "rsqrt_hidden_size": np.full(len(steps), 64**-0.5),
        "decay_every": factor ** (steps // every),
        "cosine_decay": np.maximum(0, cosine),
    }
    for text in [*formulas, " * ".join(formulas)]:
        want = np.prod([formulas[name] for name in text.split(" * ")], axis=0)
        got = lrax.schedules.factors(text, 0.25, warm, factor, every, cycle, 64)(jnp.asarray(steps.astype(np.int32)))
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-9)
