"""Makes docs/gallery.md and its pictures: `python docs/make_gallery.py`, or with names after it for some of them.

Formulas and first sentences come from the docstrings. This file has a call to draw and when to use it. A test fails when a
public schedule class or recipe is missing, or when the page differs from the output of this script.
"""

import ast
import inspect
import pathlib
import re
import sys
import textwrap
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

import lrax

HERE = pathlib.Path(__file__).parent
PAGE = HERE / "gallery.md"
PICTURES = HERE / "images" / "gallery"
STEPS = 1200

LETTER = 26
"""The width of a letter above the axes, in counts."""

SMALL: dict[str, Any] = {"prop": {"family": "monospace", "size": 6}, "handlelength": 1.5}
"""The style of the legend."""


Marks: TypeAlias = Mapping[str, int | float | tuple[int, int]]


class Entry(NamedTuple):
    """A call to draw, when to use it, and its labels.

    Attributes:
      call: the call, without `lrax.`.
      when: a sentence or two.
      marks: labels of arguments: an int is a count, a float a learning rate, a pair the interval between two counts.
      compared: calls that are drawn dashed, such as the schedule that it modifies.
      log: whether the axis of learning rates is logarithmic.
    """

    call: str
    when: str
    marks: Marks = MappingProxyType({})
    compared: tuple[str, ...] = ()
    log: bool = False


FALL: Marks = {"start": 0.1, "end": 0.0, "steps": 1000}
"""The marks of most phases."""

SECTIONS: dict[str, dict[str, Entry]] = {
    "Phases": {
        "Hold": Entry(
            "Hold(0.1, steps=1000)",
            "The stable part of a `Sequence`. It equals `Constant`, but it has an end at which the next part begins.",
            {"value": 0.1, "steps, where a next part begins": 1000},
        ),
        "Linear": Entry("Linear(0.1, 0.0, steps=1000)", "The simple choice for a fixed budget: linear decay to zero.", FALL),
        "Cosine": Entry("Cosine(0.1, 0.0, steps=1000)", "The usual choice for a fixed budget: gentle at both ends.", FALL),
        "Polynomial": Entry(
            "Polynomial(0.1, 0.0, steps=1000, power=2)",
            "Faster than linear at first, flat at the end.",
            FALL,
            ("Polynomial(0.1, 0.0, steps=1000, power=1)", "Polynomial(0.1, 0.0, steps=1000, power=0.5)"),
        ),
        "Geometric": Entry(
            "Geometric(1e-5, 1.0, steps=1000)",
            "The ramp of a range test; a decay over decades.",
            {"start": 1e-5, "end": 1.0, "steps": 1000},
            log=True,
        ),
        "Triangle": Entry(
            "Triangle(0.0, 0.1, steps=1000, rise=0.2)",
            "One cycle; with a small `rise`, fine-tuning (ULMFiT).",
            {"low": 0.0, "high": 0.1, "rise × steps": 200, "steps": 1000},
        ),
        "OneMinusSqrt": Entry("OneMinusSqrt(0.1, 0.0, steps=1000)", "The cool-down of a warmup-stable-decay run.", FALL),
        "OneMinusSquare": Entry("OneMinusSquare(0.1, 0.0, steps=1000)", "A cool-down that stays high for longer.", FALL),
        "Relaxation": Entry("Relaxation(0.1, 0.0, steps=1000)", "An exponential cool-down that may end at zero.", FALL),
        "Rex": Entry("Rex(0.1, 0.0, steps=1000)", "Small budgets: stays high, then decays more and more steeply.", FALL),
        "Hyperbolic": Entry(
            "Hyperbolic(0.1, 0.0, steps=1000, horizon=2000)",
            "Tune on short runs, train long ones: the start stays the same.",
            {"start": 0.1, "steps": 1000},
            ("Hyperbolic(0.1, 0.0, steps=500, horizon=2000)",),
        ),
        "ExpHyperbolic": Entry(
            "ExpHyperbolic(0.1, 1e-3, steps=1000, horizon=2000)",
            "The same on a logarithmic axis.",
            {"start": 0.1, "steps": 1000},
            ("ExpHyperbolic(0.1, 1e-3, steps=500, horizon=2000)",),
            log=True,
        ),
        "Tanh": Entry("Tanh(0.1, 0.0, steps=1000)", "High for most of the run, then one smooth decay.", FALL),
    },
    "Without a length": {
        "Constant": Entry("Constant(0.1)", "A baseline; the stable phase of a run of unknown length.", {"value": 0.1}),
        "StepDecay": Entry(
            "StepDecay(0.1, factor=0.5, every=250)",
            "The classic for convolutional networks, at a fixed interval.",
            {"start": 0.1, "× factor": 0.05, "every": (0, 250), "every ": (250, 500)},
        ),
        "MultiStep": Entry(
            "MultiStep(0.1, factor=0.3, boundaries=[300, 700, 900])",
            "The classic, at counts of your choice.",
            {"start": 0.1, "× factor": 0.03, "boundaries": 300, "700": 700, "900": 900},
        ),
        "PiecewiseConstant": Entry(
            "PiecewiseConstant([0.03, 0.1, 0.02], boundaries=[200, 800])",
            "Learning rates of your choice between counts of your choice.",
            {"values[0]": 0.03, "values[1]": 0.1, "values[2]": 0.02, "boundaries[0]": 200, "boundaries[1]": 800},
        ),
        "Piecewise": Entry(
            "Piecewise([0.0, 0.1, 0.03, 0.0], counts=[0, 200, 700, 1000])",
            "Any curve through points, with one interpolation curve.",
            {"values[1]": 0.1, "values[2]": 0.03, "counts[1]": 200, "counts[2]": 700, "counts[3]": 1000},
        ),
        "Knots": Entry(
            "Knots([0.0, 0.1, 0.0], counts=[0, 249, 1000], parts=[0.0, 0.5, 0.0])",
            "A `Piecewise` with points between two steps: PyTorch's one-cycle schedule.",
            {"values[1]": 0.1, "counts[1] + parts[1]": (0, 249.5), "counts[2]": 1000},
        ),
        "Spline": Entry(
            "Spline([0.0, 0.1, 0.03, 0.0], counts=[0, 200, 700, 1000])",
            "A smooth curve through points, for example to search a shape.",
            {"values[1]": 0.1, "values[2]": 0.03, "counts[1]": 200, "counts[2]": 700, "counts[3]": 1000},
        ),
        "Exponential": Entry(
            "Exponential(0.1, factor=0.5, every=250)",
            "A half-life: reinforcement learning, online runs.",
            {"start": 0.1, "× factor": 0.05, "every": (0, 250), "every ": (250, 500)},
        ),
        "InverseSqrt": Entry(
            "InverseSqrt(0.1, timescale=50)",
            "Decay in runs without a fixed end.",
            {"start": 0.1, "half": 0.05, "3 × timescale": 150},
        ),
        "InverseTime": Entry(
            "InverseTime(0.1, timescale=100)",
            "The decay of stochastic approximation: 1 / t.",
            {"start": 0.1, "half": 0.05, "timescale": 100},
        ),
        "Power": Entry(
            "Power(0.1, power=-0.3, timescale=10)",
            "Any power of the count between constant and 1 / t.",
            {"start": 0.1},
            ("Power(0.1, power=-0.1, timescale=10)", "Power(0.1, power=-0.5, timescale=10)"),
        ),
        "Noise": Entry(
            "Noise(spread=0.2, seed=0)",
            "A random factor for a `Product`: different at every step, reproducible by its seed.",
            {"1 + spread": 1.2, "1 − spread": 0.8},
        ),
        "Wave": Entry(
            "Wave(0.1, 0.02, steps=1000, waves=3)",
            "A cosine that oscillates without end; its period need not be an integer.",
            {"high": 0.1, "low": 0.02, "steps": (0, 1000)},
        ),
        "PolynomialRestarts": Entry(
            "PolynomialRestarts(0.1, 0.01, steps=300)",
            "A polynomial that restarts with a longer horizon: Keras's `cycle=True`.",
            {"start": 0.1, "end": 0.01, "steps": (0, 300), "steps ": (300, 600)},
        ),
    },
    "Combinators": {
        "Sequence": Entry(
            "Sequence(Linear(0.0, 0.1, 200), Hold(0.1, 400), Cosine(0.1, 0.0, 400))",
            "Phases one after the other.",
            {"Linear": (0, 200), "Hold": (200, 600), "Cosine": (600, 1000)},
        ),
        "Cycle": Entry(
            "Cycle(Cosine(0.1, 0.0, 150), length_factor=2, value_factor=0.8)",
            "Warm restarts of any phase.",
            {"150": (0, 150), "2 × 150": (150, 450), "2 × 2 × 150": (450, 1050), "× value_factor": 0.08},
        ),
        "Repeat": Entry(
            "Repeat(Triangle(0.02, 0.1, 250), times=4)",
            "A number of cycles, then the end value.",
            {"1": (0, 250), "2": (250, 500), "3": (500, 750), "times": (750, 1000)},
        ),
        "Until": Entry(
            "Until(InverseSqrt(0.1, 50), steps=400)",
            "The first steps of a schedule, so that another schedule can follow it or it can be repeated.",
            {"steps": (0, 400)},
        ),
        "Warmup": Entry(
            "Warmup(StepDecay(0.1, 0.5, 300), warmup_steps=150)",
            "A warm-up before any schedule.",
            {"warmup_steps": (0, 150), "the schedule from its count 0 on": (150, 1200)},
        ),
        "Cooldown": Entry(
            "Cooldown(InverseSqrt(0.1, 50), begin=700, steps=300, end=0.0)",
            "A cool-down for any schedule.",
            {"begin": 700, "steps": (700, 1000), "end": 0.0},
            ("InverseSqrt(0.1, 50)",),
        ),
        "Shift": Entry(
            "Shift(Cosine(0.1, 0.0, 1000), offset=-200)",
            "Start later, or skip the first counts.",
            {"−offset": (0, 200)},
            ("Cosine(0.1, 0.0, 1000)",),
        ),
        "Stretch": Entry(
            "Stretch(Cosine(0.1, 0.0, 10), every=100)",
            "A schedule in epochs, with one learning rate per epoch; or a schedule at 1.5 times its length.",
            {"every": (0, 100), "10 × every": 1000},
        ),
        "Warp": Entry(
            "Warp(Cosine(0.1, 0.0, 1000), power=3)",
            "k-decay: any phase that stays near its start for longer.",
            {"steps": 1000},
            ("Cosine(0.1, 0.0, 1000)",),
        ),
        "Extension": Entry(
            "Extension(Cosine(0.1, 0.0, 800), begin=400, total_steps=1200)",
            "The result of `extend`. Use `extend`, which checks its arguments.",
            {"begin": 400, "total_steps": 1200},
            ("Cosine(0.1, 0.0, 800)",),
        ),
        "Scale": Entry(
            "Scale(Cosine(0.1, 0.0, 1000), factor=0.3)",
            "A constant factor: batch-size rules, parameter groups.",
            {"× factor": 0.03},
            ("Cosine(0.1, 0.0, 1000)",),
        ),
        "Clip": Entry(
            "Clip(Exponential(0.2, 0.5, 200), low=0.02, high=0.1)",
            "A floor and a ceiling.",
            {"low": 0.02, "high": 0.1},
            ("Exponential(0.2, 0.5, 200)",),
        ),
        "Sum": Entry(
            "Sum(Cosine(0.08, 0.0, 1000), Cycle(Triangle(0.0, 0.02, 100)))",
            "The sum of two schedules.",
            {},
            ("Cosine(0.08, 0.0, 1000)",),
        ),
        "Product": Entry(
            "Product(Cosine(0.1, 0.0, 1000), Cycle(Triangle(0.5, 1.0, 100)))",
            "A factor that is a schedule.",
            {},
            ("Cosine(0.1, 0.0, 1000)",),
        ),
        "Maximum": Entry(
            "Maximum(Exponential(0.1, 0.5, 150), Constant(0.02))",
            "The larger of two schedules.",
            {},
            ("Exponential(0.1, 0.5, 150)", "Constant(0.02)"),
        ),
        "Minimum": Entry(
            "Minimum(Linear(0.0, 0.2, 400), InverseSqrt(0.1, 200))",
            "The smaller of two schedules.",
            {},
            ("Linear(0.0, 0.2, 400)", "InverseSqrt(0.1, 200)"),
        ),
        "Clocked": Entry(
            'Clocked(Cosine(0.1, 0.0, 2000), Clock([1, 2, 4], boundaries=[300, 600]), scaling="sqrt")',
            "Batch-size ramp-up: a schedule in examples or tokens (dashed: batch size 1), converted to steps by a clock.",
            {"1": (0, 300), "2": (300, 600), "4 at a time": (600, 875)},
            ("Cosine(0.1, 0.0, 2000)",),
        ),
        "Function": Entry("Function(lambda count: 0.1 / (1 + count / 100) ** 2)", "Your own callable."),
    },
    "Recipes": {
        "warmup_cosine": Entry(
            "warmup_cosine(0.1, total_steps=1000, warmup_steps=100)",
            "The default for most training runs.",
            {"peak": 0.1, "warmup_steps": (0, 100), "total_steps": 1000},
        ),
        "warmup_linear": Entry(
            "warmup_linear(0.1, total_steps=1000, warmup_steps=0.1)",
            "Linear decay to zero: language models on many tokens.",
            {"peak": 0.1, "warmup_steps": (0, 100), "total_steps": 1000},
        ),
        "wsd": Entry(
            "wsd(0.1, total_steps=1000, warmup_steps=100, cooldown_steps=200)",
            "Large models; runs that may be extended.",
            {"peak": 0.1, "warmup_steps": (0, 100), "cooldown_steps": (800, 1000), "total_steps": 1000},
        ),
        "wsd_s": Entry(
            "wsd_s(0.1, total_steps=1000, ends=[0.3, 0.6], warmup_steps=0.05, cooldown_steps=0.1)",
            "One run with finished models of several lengths.",
            {"peak": 0.1, "cooldown_steps": (900, 1000), "total_steps": 1000},
        ),
        "tri_stage": Entry(
            "tri_stage(0.1, total_steps=1000, warmup_steps=0.1, hold_steps=0.4)",
            "Speech recognition.",
            {"peak": 0.1, "warmup_steps": (0, 100), "hold_steps": (100, 500), "total_steps": 1000},
        ),
        "flat_cosine": Entry(
            "flat_cosine(0.1, total_steps=1000, flat_steps=700)",
            "Fine-tuning and Ranger: constant, then a decay.",
            {"peak": 0.1, "flat_steps": (0, 700), "total_steps": 1000},
        ),
        "warmup_inverse_sqrt": Entry(
            "warmup_inverse_sqrt(0.1, warmup_steps=100, total_steps=1000, cooldown_steps=200)",
            "Long pre-training, with a cool-down.",
            {"peak": 0.1, "warmup_steps": (0, 100), "cooldown_steps": (800, 1000), "total_steps": 1000},
        ),
        "warmup_power": Entry(
            "warmup_power(0.1, warmup_steps=50, batch_size=32, step_tokens=2**17, total_steps=1000, cooldown_steps=0.1)",
            "One setting for every length, with the maximal update parametrization.",
            {"warmup_steps": (0, 50), "cooldown_steps": (900, 1000), "total_steps": 1000},
        ),
        "noam": Entry("noam(model_size=512, warmup_steps=200)", "The original Transformer.", {"warmup_steps": (0, 200)}),
        "one_cycle": Entry(
            "one_cycle(0.02, 0.1, cycle_steps=700, cooldown_steps=300, end=0.0)",
            "Super-convergence: short runs at high learning rates.",
            {"low": 0.02, "high": 0.1, "end": 0.0, "cycle_steps": (0, 700), "cooldown_steps": (700, 1000)},
        ),
        "one_cycle_two_phase": Entry(
            "one_cycle_two_phase(0.004, 0.1, 1e-6, total_steps=1000, warmup_steps=300)",
            "The one-cycle schedule of PyTorch and fastai.",
            {"start": 0.004, "peak": 0.1, "warmup_steps": (0, 300), "total_steps": 1000},
        ),
        "one_cycle_momentum": Entry(
            "one_cycle_momentum(0.85, 0.95, cycle_steps=700)",
            "The momentum for `one_cycle`: it falls while the learning rate rises.",
            {"low": 0.85, "high": 0.95, "cycle_steps": (0, 700)},
        ),
        "cyclical": Entry(
            "cyclical(0.02, 0.1, cycle_steps=300, amplitude_factor=0.7)",
            "Exploring; snapshots at each low. `amplitude_factor` keeps `low`; `value_factor` (dashed) scales `low` too, "
            "at the start of each cycle, so `low` changes in steps.",
            {"low": 0.02, "high": 0.1, "cycle_steps": (0, 300), "": 600},
            ("cyclical(0.02, 0.1, cycle_steps=300, value_factor=0.7)",),
        ),
        "sgdr": Entry(
            "sgdr(0.1, 0.0, cycle_steps=150)",
            "Cosine with warm restarts; a model at the end of each cycle.",
            {"peak": 0.1, "cycle_steps": (0, 150), "2 × cycle_steps": (150, 450), "4 × cycle_steps": (450, 1050)},
        ),
        "joined": Entry(
            "joined([Linear(0.0, 0.1, 200), Constant(0.1), InverseSqrt(0.1, 100)], boundaries=[200, 500])",
            "Schedules joined at your own boundaries.",
            {"Linear": (0, 200), "Constant": (200, 500), "InverseSqrt": (500, 1200)},
        ),
        "warmed": Entry(
            "warmed(MultiStep(0.1, 0.5, [150, 400, 700]), warmup_steps=300)",
            "detectron2, mmdetection, ultralytics and darknet: a warm-up that does not move boundaries (dashed).",
            {"warmup_steps": (0, 300)},
            ("MultiStep(0.1, 0.5, [150, 400, 700])",),
        ),
        "faded": Entry(
            "faded(StepDecay(0.1, 0.7, 200), total_steps=1000, cooldown_steps=0.4)",
            "A cool-down that multiplies any schedule (dashed).",
            {"cooldown_steps": (600, 1000), "total_steps": 1000},
            ("StepDecay(0.1, 0.7, 200)",),
        ),
        "factors": Entry(
            'factors("constant * linear_warmup * rsqrt_decay", value=1.0, warmup_steps=100)',
            "Configurations of T5 and Flax.",
            {"warmup_steps": (0, 100)},
        ),
        "extend": Entry(
            "extend(Cosine(0.1, 0.0, 800), total_steps=1200, at=400)",
            "A longer run: `extend` stretches the rest of the schedule from `at` on. It returns an `Extension`.",
            {"at": 400, "total_steps": 1200},
            ("Cosine(0.1, 0.0, 800)",),
        ),
        "branch": Entry(
            "branch(Warmup(Constant(0.1), 100), total_steps=900, at=700)",
            "A finished model from a run that continues (dashed), as if a `wsd` had been planned to end here.",
            {"at": 700, "total_steps": 900},
            ("Warmup(Constant(0.1), 100)",),
        ),
    },
}

HEAD = """# Gallery

Every schedule class and recipe, plotted over 1200 steps. `docs/make_gallery.py` generates this page; do not edit it.
"""


def schedule(call: str) -> lrax.Schedule:
    """The schedule that a call makes, with the names of `lrax.schedules`."""
    return eval(compile(ast.parse(call, mode="eval"), "gallery", "eval"), vars(lrax.schedules))


def path(name: str) -> str:
    """The module path of a schedule."""
    return f"lrax.{name}" if name in lrax.__all__ else f"lrax.schedules.{name}"


def written(entry: Entry) -> str:
    """The call with its module path."""
    name, bracket, arguments = entry.call.partition("(")
    return path(name) + bracket + arguments


def page() -> str:
    """The text of the page."""
    parts = [HEAD]
    for title, entries in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        parts += [_section(name, entry) for name, entry in entries.items()]
    return "".join(parts)


def _section(name: str, entry: Entry) -> str:
    text = inspect.cleandoc(getattr(lrax.schedules, name).__doc__)
    first = " ".join(text.split("\n\n")[0].split())
    formulas = [" ".join(formula.split()) for formula in re.findall(r"\$\$(.*?)\$\$", text, flags=re.DOTALL)]
    formula = "".join(f"\n$${formula}$$\n" for formula in formulas)
    picture = f"![{name}](images/gallery/{name}.png)"
    return f"\n### {name}\n\n{first} **When:** {entry.when}\n{formula}\n```python\n{written(entry)}\n```\n\n{picture}\n"


def draw(names: Collection[str] = ()) -> None:
    """The pictures of these entries, or of all, as PNG files of a few colours."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    PICTURES.mkdir(parents=True, exist_ok=True)
    for entries in SECTIONS.values():
        for name, entry in entries.items():
            if names and name not in names:
                continue
            figure, axes = plt.subplots(figsize=(4.8, 3.0), dpi=100, layout="constrained")
            for call in entry.compared:
                axes.plot(*_line(call), color="grey", linestyle="--", linewidth=1, label=call, zorder=1)
            lrax.plot(schedule(entry.call), STEPS, axes, log=entry.log)
            _mark(axes, entry)
            path = PICTURES / f"{name}.png"
            figure.savefig(path)
            plt.close(figure)
            with Image.open(path) as picture:
                small = picture.convert("RGB").quantize(24)
            small.save(path, optimize=True)
            (PICTURES / f"{name}.svg").write_text(thumbnail(entry))


def thumbnail(entry: Entry) -> str:
    """The curve without text, which is too small to read in a thumbnail: an SVG, with compared schedules dashed."""
    lines = [_line(call)[1] for call in (*entry.compared, entry.call)]
    lines = [np.log(np.maximum(line, 1e-9)) if entry.log else line for line in lines]
    low, high = min(0.0, *map(np.min, lines)) if not entry.log else np.min(lines), np.max(lines)
    drawn = []
    for line in lines:
        last = line is lines[-1]
        counts = np.flatnonzero(np.r_[True, np.diff(line, 2) != 0, True])  # a straight part needs its ends only
        counts = np.union1d(counts, counts + 1)[:-1] if len(counts) < 300 else np.arange(0, STEPS + 1, 5)
        points = zip(8 + 224 * counts / STEPS, 110 - 98 * (line[counts] - low) / (high - low or 1), strict=True)
        style = 'stroke="#0072b2" stroke-width="3"' if last else 'stroke="#777" stroke-width="1.5" stroke-dasharray="5 4"'
        drawn.append(f'<polyline {style} points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
    axes = '<path stroke="#999" d="M8 6V112H234"/>'
    shapes = "\n".join(drawn)
    head = 'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 120" fill="none" stroke-linejoin="round"'
    return f"<svg {head}>\n{axes}\n{shapes}\n</svg>\n"


def _line(call: str) -> tuple[np.ndarray, np.ndarray]:
    counts = np.arange(STEPS + 1)
    return counts, np.asarray(jax.vmap(schedule(call))(counts))


def _mark(axes: Any, entry: Entry) -> None:
    """The call as the title; dotted lines where an argument acts, with its name above, or at the right for a rate."""
    rates = {name: value for name, value in entry.marks.items() if isinstance(value, float)}
    counts = {name: value for name, value in entry.marks.items() if not isinstance(value, float)}
    dotted: dict[str, Any] = {"color": "grey", "linestyle": ":", "linewidth": 1, "zorder": 0}
    for rate in rates.values():
        axes.axhline(rate, **dotted)
    right = axes.secondary_yaxis("right")
    right.set_yticks(list(rates.values()), list(rates), fontsize="x-small")
    right.tick_params(length=2, pad=2, which="major")
    right.minorticks_off()
    for count in sorted(
        {edge for value in counts.values() for edge in (value if isinstance(value, tuple) else (value,))} - {0}
    ):
        axes.axvline(count, **dotted)
    places = {name: sum(value) / 2 if isinstance(value, tuple) else float(value) for name, value in counts.items()}
    ends, texts = [-1000.0, -1000.0], []
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        half = len(name.strip()) * LETTER / 2
        row = 0 if place - half > ends[0] else 1
        ends[row] = place + half + LETTER
        texts.append((place, row, name.strip()))
    above = 2 + 9 * (1 + max((row for _, row, _ in texts), default=-1))
    for place, row, text in texts:
        where = (place, 1.0), (0, 2 + 9 * row)
        axes.annotate(text, where[0], where[1], ("data", "axes fraction"), "offset points", ha="center", fontsize="x-small")
    width = len(entry.call) // -(-len(entry.call) // 68) + 14
    axes.set_title("\n".join(textwrap.wrap(entry.call, width)), family="monospace", fontsize=7.5, pad=above + 3)
    if entry.compared:
        axes.legend(*zip(*[(line, line.get_label()) for line in axes.lines[: len(entry.compared)]], strict=True), **SMALL)


if __name__ == "__main__":
    draw(sys.argv[1:])
    PAGE.write_text(page())
