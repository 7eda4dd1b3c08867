"""Makes docs/gallery.md and its pictures from the code: `python docs/make_gallery.py`, of some only with their names behind it.

The formulas and first sentences are those of the docstrings; what is written here is a call to draw and when to use it. A test
fails when a public kind or recipe is missing, or when the page is not what this script makes.
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
"""The counts that a letter above the axes takes."""

SMALL: dict[str, Any] = {"prop": {"family": "monospace", "size": 6}, "handlelength": 1.5}
"""Of the legend."""


Marks: TypeAlias = Mapping[str, int | float | tuple[int, int]]


class Entry(NamedTuple):
    """A call to draw, when to use it, and what is marked.

    Attributes:
      call: as one writes it after `lrax.`.
      when: a sentence or two.
      marks: what the arguments do, by a word: an int is a count, a float a rate, a pair of counts the way between them.
      beside: calls that are drawn dashed beside it, such as what it was made of.
      log: whether rates are drawn over their logarithms.
    """

    call: str
    when: str
    marks: Marks = MappingProxyType({})
    beside: tuple[str, ...] = ()
    log: bool = False


FALL: Marks = {"start": 0.1, "end": 0.0, "steps": 1000}
"""The marks of most phases."""

SECTIONS: dict[str, dict[str, Entry]] = {
    "Phases": {
        "Hold": Entry(
            "Hold(0.1, steps=1000)",
            "The stable part of a `Sequence`. The rates are those of `Constant`, but it has an end, where a next part begins.",
            {"value": 0.1, "steps, where a next part begins": 1000},
        ),
        "Linear": Entry("Linear(0.1, 0.0, steps=1000)", "The plain choice for a fixed budget: a straight line to zero.", FALL),
        "Cosine": Entry("Cosine(0.1, 0.0, steps=1000)", "The usual choice for a fixed budget: gentle at both ends.", FALL),
        "CosinePower": Entry(
            "CosinePower(0.1, 0.0, steps=1000, power=2)",
            "A cosine that falls sooner, and lands more softly.",
            FALL,
            ("Cosine(0.1, 0.0, steps=1000)",),
        ),
        "Polynomial": Entry(
            "Polynomial(0.1, 0.0, steps=1000, power=2)",
            "Faster than a line at first, flat at the end.",
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
        "OneMinusSquare": Entry("OneMinusSquare(0.1, 0.0, steps=1000)", "A cool-down that stays high for long.", FALL),
        "Relaxation": Entry("Relaxation(0.1, 0.0, steps=1000)", "An exponential cool-down that may end at zero.", FALL),
        "Rex": Entry("Rex(0.1, 0.0, steps=1000)", "Small budgets: stays high, then falls ever more steeply.", FALL),
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
        "Tanh": Entry("Tanh(0.1, 0.0, steps=1000)", "High for most of the run, one smooth fall.", FALL),
    },
    "Endless": {
        "Constant": Entry("Constant(0.1)", "A baseline; the stable phase of a run whose end is not known.", {"value": 0.1}),
        "StepDecay": Entry(
            "StepDecay(0.1, factor=0.5, every=250)",
            "The classic for convolutional nets, at even distances.",
            {"start": 0.1, "× factor": 0.05, "every": (0, 250), "every ": (250, 500)},
        ),
        "MultiStep": Entry(
            "MultiStep(0.1, factor=0.3, boundaries=[300, 700, 900])",
            "The classic, at counts of your choice.",
            {"start": 0.1, "× factor": 0.03, "boundaries": 300, "700": 700, "900": 900},
        ),
        "PiecewiseConstant": Entry(
            "PiecewiseConstant([0.03, 0.1, 0.02], boundaries=[200, 800])",
            "Rates of your choice between counts of your choice.",
            {"values[0]": 0.03, "values[1]": 0.1, "values[2]": 0.02, "boundaries[0]": 200, "boundaries[1]": 800},
        ),
        "Piecewise": Entry(
            "Piecewise([0.0, 0.1, 0.03, 0.0], counts=[0, 200, 700, 1000])",
            "Any curve through points, with one shape between.",
            {"values[1]": 0.1, "values[2]": 0.03, "counts[1]": 200, "counts[2]": 700, "counts[3]": 1000},
        ),
        "Knots": Entry(
            "Knots([0.0, 0.1, 0.0], counts=[0, 249, 1000], parts=[0.0, 0.5, 0.0])",
            "A `Piecewise` whose values may be reached between two steps: PyTorch's one-cycle.",
            {"values[1]": 0.1, "counts[1] + parts[1]": (0, 249.5), "counts[2]": 1000},
        ),
        "Spline": Entry(
            "Spline([0.0, 0.1, 0.03, 0.0], counts=[0, 200, 700, 1000])",
            "A smooth curve through points; a shape to search.",
            {"values[1]": 0.1, "values[2]": 0.03, "counts[1]": 200, "counts[2]": 700, "counts[3]": 1000},
        ),
        "Exponential": Entry(
            "Exponential(0.1, factor=0.5, every=250)",
            "A half-life; reinforcement learning, online runs.",
            {"start": 0.1, "× factor": 0.05, "every": (0, 250), "every ": (250, 500)},
        ),
        "InverseSqrt": Entry(
            "InverseSqrt(0.1, timescale=50)",
            "Runs without a fixed end, with a decay all the same.",
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
            "A factor to multiply with: another one at every update, the same for a seed.",
            {"1 + spread": 1.2, "1 − spread": 0.8},
        ),
        "Wave": Entry(
            "Wave(0.1, 0.02, steps=1000, waves=3)",
            "A cosine that climbs back, for ever; its period need not be whole.",
            {"high": 0.1, "low": 0.02, "steps": (0, 1000)},
        ),
        "PolynomialRestarts": Entry(
            "PolynomialRestarts(0.1, 0.01, steps=300)",
            "A polynomial whose horizon moves on: Keras's `cycle=True`.",
            {"start": 0.1, "end": 0.01, "steps": (0, 300), "steps ": (300, 600)},
        ),
    },
    "Combinators": {
        "Sequence": Entry(
            "Sequence(Linear(0.0, 0.1, 200), Hold(0.1, 400), Cosine(0.1, 0.0, 400))",
            "Phases in a row.",
            {"Linear": (0, 200), "Hold": (200, 600), "Cosine": (600, 1000)},
        ),
        "Cycle": Entry(
            "Cycle(Cosine(0.1, 0.0, 150), length_factor=2, value_factor=0.8)",
            "Warm restarts of any phase.",
            {"150": (0, 150), "2 × 150": (150, 450), "2 × 2 × 150": (450, 1050), "× value_factor": 0.08},
        ),
        "Repeat": Entry(
            "Repeat(Triangle(0.02, 0.1, 250), times=4)",
            "A number of cycles, and then the end is held.",
            {"1": (0, 250), "2": (250, 500), "3": (500, 750), "times": (750, 1000)},
        ),
        "Until": Entry(
            "Until(InverseSqrt(0.1, 50), steps=400)",
            "The first steps of a schedule that has no end, or another one: so that it can be followed or repeated.",
            {"steps": (0, 400)},
        ),
        "Warmup": Entry(
            "Warmup(StepDecay(0.1, 0.5, 300), warmup_steps=150)",
            "A gentle beginning for anything.",
            {"warmup_steps": (0, 150), "the schedule from its count 0 on": (150, 1200)},
        ),
        "Cooldown": Entry(
            "Cooldown(InverseSqrt(0.1, 50), begin=700, steps=300, end=0.0)",
            "An end for anything.",
            {"begin": 700, "steps": (700, 1000), "end": 0.0},
            ("InverseSqrt(0.1, 50)",),
        ),
        "Shift": Entry(
            "Shift(Cosine(0.1, 0.0, 1000), offset=-200)",
            "Begin later, or skip the first counts.",
            {"−offset": (0, 200)},
            ("Cosine(0.1, 0.0, 1000)",),
        ),
        "Stretch": Entry(
            "Stretch(Cosine(0.1, 0.0, 10), every=100)",
            "A schedule counted in epochs, one rate an epoch; or a plan at 1.5 times its length.",
            {"every": (0, 100), "10 × every": 1000},
        ),
        "Warp": Entry(
            "Warp(Cosine(0.1, 0.0, 1000), power=3)",
            "k-decay: any phase, staying longer near its start.",
            {"steps": 1000},
            ("Cosine(0.1, 0.0, 1000)",),
        ),
        "Extension": Entry(
            "Extension(Cosine(0.1, 0.0, 800), begin=400, total_steps=1200)",
            "What `extend`, which checks the plan first, returns: write `extend`.",
            {"begin": 400, "total_steps": 1200},
            ("Cosine(0.1, 0.0, 800)",),
        ),
        "Scale": Entry(
            "Scale(Cosine(0.1, 0.0, 1000), factor=0.3)",
            "A factor: batch-size rules, groups of parameters.",
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
            "One schedule on top of another.",
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
            "Whichever schedule is higher.",
            {},
            ("Exponential(0.1, 0.5, 150)", "Constant(0.02)"),
        ),
        "Minimum": Entry(
            "Minimum(Linear(0.0, 0.2, 400), InverseSqrt(0.1, 200))",
            "Whichever schedule is lower.",
            {},
            ("Linear(0.0, 0.2, 400)", "InverseSqrt(0.1, 200)"),
        ),
        "Clocked": Entry(
            'Clocked(Cosine(0.1, 0.0, 2000), Clock([1, 2, 4], boundaries=[300, 600]), scaling="sqrt")',
            "Batches that grow: a plan in examples or tokens (dashed: read one by one), read by a clock.",
            {"1": (0, 300), "2": (300, 600), "4 at a time": (600, 875)},
            ("Cosine(0.1, 0.0, 2000)",),
        ),
        "Function": Entry("Function(lambda count: 0.1 / (1 + count / 100) ** 2)", "A callable of your own."),
    },
    "Recipes": {
        "warmup_cosine": Entry(
            "warmup_cosine(0.1, total_steps=1000, warmup_steps=100)",
            "The default for most training runs.",
            {"peak": 0.1, "warmup_steps": (0, 100), "total_steps": 1000},
        ),
        "warmup_linear": Entry(
            "warmup_linear(0.1, total_steps=1000, warmup_steps=0.1)",
            "Straight to zero: language models on many tokens.",
            {"peak": 0.1, "warmup_steps": (0, 100), "total_steps": 1000},
        ),
        "wsd": Entry(
            "wsd(0.1, total_steps=1000, warmup_steps=100, cooldown_steps=200)",
            "Large models; runs that may be lengthened.",
            {"peak": 0.1, "warmup_steps": (0, 100), "cooldown_steps": (800, 1000), "total_steps": 1000},
        ),
        "wsd_s": Entry(
            "wsd_s(0.1, total_steps=1000, ends=[0.3, 0.6], warmup_steps=0.05, cooldown_steps=0.1)",
            "One run that gives finished models of several lengths.",
            {"peak": 0.1, "cooldown_steps": (900, 1000), "total_steps": 1000},
        ),
        "tri_stage": Entry(
            "tri_stage(0.1, total_steps=1000, warmup_steps=0.1, hold_steps=0.4)",
            "Speech recognition.",
            {"peak": 0.1, "warmup_steps": (0, 100), "hold_steps": (100, 500), "total_steps": 1000},
        ),
        "flat_cosine": Entry(
            "flat_cosine(0.1, total_steps=1000, flat_steps=700)",
            "Fine-tuning and Ranger: flat, then down.",
            {"peak": 0.1, "flat_steps": (0, 700), "total_steps": 1000},
        ),
        "inverse_sqrt": Entry(
            "inverse_sqrt(0.1, warmup_steps=100, total_steps=1000, cooldown_steps=200)",
            "Long pre-training, with a cool-down.",
            {"peak": 0.1, "warmup_steps": (0, 100), "cooldown_steps": (800, 1000), "total_steps": 1000},
        ),
        "power": Entry(
            "power(0.1, warmup_steps=50, batch_size=32, step_tokens=2**17, total_steps=1000, cooldown_steps=0.1)",
            "One setting for every length, in the maximal update parametrization.",
            {"warmup_steps": (0, 50), "cooldown_steps": (900, 1000), "total_steps": 1000},
        ),
        "noam": Entry("noam(model_size=512, warmup_steps=200)", "The original Transformer.", {"warmup_steps": (0, 200)}),
        "one_cycle": Entry(
            "one_cycle(0.02, 0.1, cycle_steps=700, cooldown_steps=300, end=0.0)",
            "Super-convergence: short runs at high rates.",
            {"low": 0.02, "high": 0.1, "end": 0.0, "cycle_steps": (0, 700), "cooldown_steps": (700, 1000)},
        ),
        "one_cycle_two_phase": Entry(
            "one_cycle_two_phase(0.004, 0.1, 1e-6, total_steps=1000, warmup_steps=300)",
            "One cycle as in PyTorch and fastai.",
            {"start": 0.004, "peak": 0.1, "warmup_steps": (0, 300), "total_steps": 1000},
        ),
        "one_cycle_momentum": Entry(
            "one_cycle_momentum(0.85, 0.95, cycle_steps=700)",
            "The momentum beside `one_cycle`: it falls while the rate climbs.",
            {"low": 0.85, "high": 0.95, "cycle_steps": (0, 700)},
        ),
        "cyclical": Entry(
            "cyclical(0.02, 0.1, cycle_steps=300, height_factor=0.7)",
            "Exploring; snapshots at each low. `height_factor` keeps `low`; `value_factor` (dashed) shrinks `low` too, at once "
            "where a cycle begins, so its lows have a step.",
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
            "Parts at boundaries of your own.",
            {"Linear": (0, 200), "Constant": (200, 500), "InverseSqrt": (500, 1200)},
        ),
        "warmed": Entry(
            "warmed(MultiStep(0.1, 0.5, [150, 400, 700]), warmup_steps=300)",
            "Configurations of detectron2, mmdetection, ultralytics and darknet: boundaries stay where they are (dashed).",
            {"warmup_steps": (0, 300)},
            ("MultiStep(0.1, 0.5, [150, 400, 700])",),
        ),
        "faded": Entry(
            "faded(StepDecay(0.1, 0.7, 200), total_steps=1000, cooldown_steps=0.4)",
            "A cool-down that stays with its schedule (dashed), whatever it does.",
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
            "A run that shall take longer: what is left is stretched, from where it stands. It returns an `Extension`.",
            {"at": 400, "total_steps": 1200},
            ("Cosine(0.1, 0.0, 800)",),
        ),
        "branch": Entry(
            "branch(Warmup(Constant(0.1), 100), total_steps=900, at=700)",
            "A finished model off a run that goes on (dashed); that of a `wsd` that was planned to end here.",
            {"at": 700, "total_steps": 900},
            ("Warmup(Constant(0.1), 100)",),
        ),
    },
}

HEAD = """# Gallery

Every kind and recipe, drawn over 1200 updates. Made by `docs/make_gallery.py` from the code; do not edit by hand.
"""


def schedule(call: str) -> lrax.Schedule:
    """The schedule of a call, with the names of lrax at hand."""
    return eval(compile(ast.parse(call, mode="eval"), "gallery", "eval"), vars(lrax.schedules))


def path(name: str) -> str:
    """Where a name of a schedule is found."""
    return f"lrax.{name}" if name in lrax.__all__ else f"lrax.schedules.{name}"


def written(entry: Entry) -> str:
    """The call as a script has it."""
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
            for call in entry.beside:
                axes.plot(*_line(call), color="grey", linestyle="--", linewidth=1, label=call, zorder=1)
            lrax.plot(schedule(entry.call), STEPS, axes, log=entry.log)
            _mark(axes, entry)
            path = PICTURES / f"{name}.png"
            figure.savefig(path)
            plt.close(figure)
            with Image.open(path) as picture:
                small = picture.convert("RGB").quantize(24)
            small.save(path, optimize=True)


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
    if entry.beside:
        axes.legend(*zip(*[(line, line.get_label()) for line in axes.lines[: len(entry.beside)]], strict=True), **SMALL)


if __name__ == "__main__":
    draw(sys.argv[1:])
    PAGE.write_text(page())
