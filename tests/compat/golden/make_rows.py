"""Makes rows_*.json of libraries that are large: rows of docs/migrating.md, run by the files that hold their schedules.

    pip install torch==2.13.0 jax==0.10.2 optax==0.2.8 && python make_rows.py FOLDER

FOLDER holds one file of each, under the library's name: deepspeed.py (DeepSpeed edaa722, deepspeed/runtime/lr_schedules.py),
megatron.py (megatron-core 0.16.1, optimizer_param_scheduler.py), olmo_core.py (ai2-olmo-core 3.0.0, optim/scheduler.py),
axlearn.py (axlearn 0.0.1, common/schedule.py), maxtext.py (maxtext e591f30, utils/maxtext_utils.py), big_vision.py (big_vision
0127fb6, utils.py), composer.py (mosaicml 0.32.1, optim/scheduler.py). What they import of the rest of their library is
replaced by what stands here. Paddle (3.0), Levanter (2025), detectron2 (0.6), mmengine (0.10), ultralytics (8.3) and darknet
are their formulas, written from documentation and code.
"""

import ast
import enum
import math
import pathlib
import re
import sys
import types
from typing import Any

import jax
from record import counts, write

TABLE = pathlib.Path(__file__).parents[3] / "docs" / "migrating.md"
MARKS = (10, 20, 30, 60, 70, 80, 90)


class Anything:
    """Stands for what a file imports and does not use here: calls, attributes and decorators of it are it, too."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args[0] if len(args) == 1 and not kwargs and isinstance(args[0], type) else self

    def __getattr__(self, name: str) -> Any:
        return self


class Base:
    """Stands for a base class; `register` is a decorator that changes nothing."""

    @classmethod
    def register(cls, name: str) -> Any:
        del name
        return lambda kind: kind


class Time:
    """A number of batches."""

    def __init__(self, value: float, unit: Any = None) -> None:
        self.value, self.unit = value, unit

    def __class_getitem__(cls, kind: Any) -> Any:
        return cls

    @classmethod
    def from_timestring(cls, text: str) -> "Time":
        """Of text such as 30ba."""
        return cls(int(text.removesuffix("ba")), "batch")

    def __sub__(self, other: "Time") -> "Time":
        return Time(self.value - other.value, self.unit)

    def __truediv__(self, other: "Time") -> "Time":
        return Time(self.value / other.value, self.unit)

    def __lt__(self, other: "Time") -> bool:
        return self.value < other.value

    def __gt__(self, other: "Time") -> bool:
        return self.value > other.value

    def __ge__(self, other: "Time") -> bool:
        return self.value >= other.value

    def get(self, unit: Any) -> "Time":
        """The time in batches."""
        del unit
        return self


def load(path: pathlib.Path, given: dict[str, Any], only: tuple[str, ...] = ()) -> dict[str, Any]:
    """The names of a file, or some of its functions, with its imports of its own library replaced."""
    tree = ast.parse(path.read_text())
    own = ("megatron", "composer", "axlearn", "deepspeed", "olmo_core")
    kept = []
    for node in tree.body:
        relative = isinstance(node, ast.ImportFrom) and (node.level > 0 or (node.module or "").split(".")[0] in own)
        wanted = not only or getattr(node, "name", "") in only
        if not relative and wanted and not isinstance(node, ast.If):
            kept.append(node)
    tree.body = kept
    names = {**given, "__name__": path.stem}
    sys.modules[path.stem] = types.ModuleType(path.stem)  # dataclasses look there
    exec(compile(tree, str(path), "exec"), names)
    return names


def optimizer() -> Any:
    """Any optimizer of PyTorch, at the rate 0.1."""
    import torch

    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def deepspeed(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """The optimizer's rate after `count` steps."""
    made_for = optimizer()
    names = load(folder / "deepspeed.py", {"logger": Anything()})
    made = eval(call, {**names, "optimizer": made_for})
    found = []
    for _ in range(last + 1):
        found.append(made_for.param_groups[0]["lr"])
        made.step()
    return found


def megatron(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """The optimizer's rate after `step` was called so often."""
    made_for = optimizer()
    names = load(folder / "megatron.py", {"log_single_rank": Anything(), "MegatronOptimizer": Any})
    decay = "start_wd=0.0, end_wd=0.0, wd_incr_steps=1, wd_incr_style='constant')"
    made = eval(f"{call.removesuffix(')')}, {decay}", {**names, "optimizer": made_for})
    found = []
    for _ in range(last + 1):
        found.append(made_for.param_groups[0]["lr"])
        made.step(1)
    return found


def olmo_core(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """Its `get_lr(0.1, count, 100)`."""
    given = {
        "Config": type("Config", (), {}),
        "Registrable": Base,
        "StrEnum": enum.StrEnum,
        "Trainer": Any,
        "OLMoConfigurationError": ValueError,
    }
    names = load(folder / "olmo_core.py", {**given, "LR_FIELD": "lr", "INITIAL_LR_FIELD": "initial_lr", "get_rank": Anything()})
    made = eval(call, names)
    return [float(made.get_lr(0.1, count, 100)) for count in range(last + 1)]


def axlearn(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """A function of the count, in float64."""

    class Deferred:
        def __init__(self, function: Any) -> None:
            self.function = function

        def set(self, **arguments: Any) -> Any:
            return self.function(**arguments)

    given = {"config_for_function": Deferred, "Tensor": Any, "InstantiableConfig": Deferred}
    made = eval(call, load(folder / "axlearn.py", given))
    return [float(made(jax.numpy.int64(count))) for count in range(last + 1)]


def maxtext(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """A function of the count, in float64."""
    import optax

    kinds = types.SimpleNamespace(
        LearningRateScheduleType=types.SimpleNamespace(COSINE="cosine"), WsdDecayStyle=types.SimpleNamespace(LINEAR="linear")
    )
    given = {"optax": optax, "jnp": jax.numpy, "types": kinds, "Config": types.SimpleNamespace}
    made = eval(call, load(folder / "maxtext.py", given, only=("create_learning_rate_schedule",)))
    return [float(made(jax.numpy.asarray(count))) for count in range(last + 1)]


def big_vision(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """A function of the count; float32, as it is."""
    made = eval(call, load(folder / "big_vision.py", {"jnp": jax.numpy}, only=("create_learning_rate_schedule", "steps")))
    return [float(made(count)) for count in range(last + 1)]


def composer(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """A rate of 0.1 times what the scheduler returns for a state."""
    units = types.SimpleNamespace(SECOND="second", DURATION="duration", EPOCH="epoch", BATCH="batch")
    given = {"Time": Time, "TimeUnit": units, "State": Any, "ComposerScheduler": object}
    given |= {"Protocol": object, "LambdaLR": Any, "LRScheduler": Any}
    source = folder / "composer.py"
    only = tuple(re.findall(r"^(?:class|def) (\w+)", source.read_text(), re.MULTILINE))
    only = tuple(name for name in only if name not in ("ComposerScheduler", "compile_composer_scheduler"))
    import inspect
    import logging
    import textwrap
    import warnings

    given |= {"inspect": inspect, "logging": logging, "math": math, "textwrap": textwrap, "warnings": warnings}
    from typing import Union

    names = load(source, {**given, "Union": Union}, only)
    found = []
    for count in range(last + 1):
        state = types.SimpleNamespace(timestamp=Time(count, "batch"), max_duration=Time(100, "batch"), dataloader_len=None)
        found.append(0.1 * eval(call, {**names, "state": state}))
    return found


def paddle(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """The formulas of its documentation, in float64; a scheduler is a function of the count here."""
    del folder

    def warmed(inner: Any, warmup_steps: int, start_lr: float, end_lr: float) -> Any:
        return lambda t: start_lr + (end_lr - start_lr) * t / warmup_steps if t < warmup_steps else inner(t - warmup_steps)

    names = {
        "NaturalExpDecay": lambda lr, gamma: lambda t: lr * math.exp(-gamma * t),
        "InverseTimeDecay": lambda lr, gamma: lambda t: lr / (1 + gamma * t),
        "PiecewiseDecay": lambda boundaries, values: lambda t: values[sum(at <= t for at in boundaries)],
        "PolynomialDecay": lambda lr, decay_steps, end_lr, power: (
            lambda t: end_lr + (lr - end_lr) * (1 - min(t, decay_steps) / decay_steps) ** power
        ),
        "CosineAnnealingDecay": lambda lr, T_max: lambda t: lr * (1 + math.cos(math.pi * t / T_max)) / 2,
        "LinearWarmup": warmed,
    }
    made = eval(call, names)
    return [made(count) for count in range(last + 1)]


def levanter(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """The formula of its `lr_scheduler(100)`, in float64: numbers below 1 are parts of the length, rounded down."""
    del folder
    arguments = eval(call, {"AdamConfig": dict})

    def steps(name: str, default: float) -> int:
        given = arguments.get(name, default)
        return int(given * 100 if given < 1 else given)

    lr, warmup = arguments["learning_rate"], steps("warmup", 0.01)
    low, kind = lr * arguments.get("min_lr_ratio", 0.1), arguments.get("lr_schedule", "cosine")

    def rate(t: int) -> float:
        if t < warmup:
            return lr * t / warmup
        done = min((t - warmup) / (100 - warmup), 1.0)
        return low + (lr - low) * ((1 + math.cos(math.pi * done)) / 2 if kind == "cosine" else 1 - done)

    return [rate(count) for count in range(last + 1)]


def detectron2(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """The formulas of its warm-ups: a factor on the schedule of the same iteration."""
    del folder

    def factor(t: int, warmup_iters: int, warmup_factor: float) -> float:
        return 1.0 if t >= warmup_iters else warmup_factor * (1 - t / warmup_iters) + t / warmup_iters

    def steps(_: Any, milestones: list[int], gamma: float, warmup_factor: float, warmup_iters: int) -> Any:
        return lambda t: 0.1 * factor(t, warmup_iters, warmup_factor) * gamma ** sum(at <= t for at in milestones)

    def cosine(_: Any, max_iters: int, warmup_factor: float, warmup_iters: int) -> Any:
        return lambda t: 0.1 * factor(t, warmup_iters, warmup_factor) * (1 + math.cos(math.pi * t / max_iters)) / 2

    rate = eval(call, {"WarmupMultiStepLR": steps, "WarmupCosineLR": cosine, "optimizer": None})
    return [rate(count) for count in range(last + 1)]


def mmengine(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """Its recursions, one after the other at each iteration: the linear one by iterations, the steps by epochs of ten."""
    del folder
    linear, steps = eval(call, {"LinearLR": dict, "MultiStepLR": dict})
    rate, rates = 0.1, []
    for t in range(last + 1):
        if t == 0:
            rate *= linear["start_factor"]
        elif t < linear["end"]:
            climb = 1 - linear["start_factor"]
            rate *= 1 + climb / ((linear["end"] - 1) * linear["start_factor"] + (t - 1) * climb)
        if t % 10 == 0 and t // 10 in steps["milestones"]:
            rate *= steps["gamma"]
        rates.append(rate)
    return rates


def ultralytics(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """The formula of its trainer for all but biases, with ten batches an epoch: from 0 to the rate of the epoch."""
    del folder
    given = eval(call, {"train": dict})
    warmup = 10 * given["warmup_epochs"]

    def rate(t: int) -> float:
        left = max(1 - t // 10 / given["epochs"], 0) * (1 - given["lrf"]) + given["lrf"]
        return given["lr0"] * left * min(t / warmup, 1)

    return [rate(count) for count in range(last + 1)]


def darknet(folder: pathlib.Path, call: str, last: int) -> list[float]:
    """The formula of `get_current_rate`, whose power is 4 if none is given."""
    del folder
    net = eval(call.replace("[net]", "dict"))

    def rate(t: int) -> float:
        if t < net["burn_in"]:
            return net["learning_rate"] * (t / net["burn_in"]) ** 4
        passed = sum(at <= t for at in net["steps"])
        return net["learning_rate"] * math.prod(net["scales"][:passed])

    return [rate(count) for count in range(last + 1)]


LIBRARIES = {
    "DeepSpeed": deepspeed,
    "Megatron-LM": megatron,
    "OLMo-core": olmo_core,
    "axlearn": axlearn,
    "MaxText": maxtext,
    "big_vision": big_vision,
    "composer": composer,
    "Paddle": paddle,
    "Levanter": levanter,
    "detectron2": detectron2,
    "mmengine": mmengine,
    "ultralytics": ultralytics,
    "darknet": darknet,
}

if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    source = pathlib.Path(sys.argv[1])
    for library, rates in LIBRARIES.items():
        calls = re.findall(rf"^\| {library} \| `([^`]+)` \|", TABLE.read_text(), re.MULTILINE)
        # where a cosine climbs back, or a length ends, the comparison stops
        cases = [{"call": call, "counts": [count for count in counts(100, *MARKS) if count <= 99]} for call in calls]
        made = f"{library}, by make_rows.py"
        name = f"rows_{library.lower().replace('-', '_')}"
        write(name, made, cases, lambda case, rates=rates: [rates(source, case["call"], 99)[count] for count in case["counts"]])
