"""Makes docs/gallery.md and its pictures from the code: `python docs/make_gallery.py`.

The formulas and first sentences are those of the docstrings; what is written here is a call to draw and when to use it. A test
fails when a public kind or recipe is missing, or when the page is not what this script makes.
"""

import ast
import inspect
import pathlib
import re
from typing import NamedTuple

import lrax

HERE = pathlib.Path(__file__).parent
PAGE = HERE / "gallery.md"
PICTURES = HERE / "images" / "gallery"
STEPS = 1200


class Entry(NamedTuple):
    """A call to draw, and when to use it."""

    call: str
    when: str
    log: bool = False


SECTIONS: dict[str, dict[str, Entry]] = {
    "Phases": {
        "Hold": Entry("Hold(0.1, steps=1000)", "The stable part of a `Sequence`."),
        "Linear": Entry("Linear(0.1, 0.0, steps=1000)", "The plain choice for a fixed budget: a straight line to zero."),
        "Cosine": Entry("Cosine(0.1, 0.0, steps=1000)", "The usual choice for a fixed budget: gentle at both ends."),
        "Polynomial": Entry("Polynomial(0.1, 0.0, steps=1000, power=2)", "Faster than a line at first, flat at the end."),
        "Geometric": Entry("Geometric(1e-5, 1.0, steps=1000)", "The ramp of a range test; a decay over decades.", log=True),
        "Triangle": Entry("Triangle(0.0, 0.1, steps=1000, rise=0.2)", "One cycle; with a small `rise`, fine-tuning (ULMFiT)."),
        "OneMinusSqrt": Entry("OneMinusSqrt(0.1, 0.0, steps=1000)", "The cool-down of a warmup-stable-decay run."),
        "OneMinusSquare": Entry("OneMinusSquare(0.1, 0.0, steps=1000)", "A cool-down that stays high for long."),
        "Relaxation": Entry("Relaxation(0.1, 0.0, steps=1000)", "An exponential cool-down that may end at zero."),
        "Rex": Entry("Rex(0.1, 0.0, steps=1000)", "Small budgets: stays high, then falls ever more steeply."),
        "Tanh": Entry("Tanh(0.1, 0.0, steps=1000)", "High for most of the run, one smooth fall."),
    },
    "Endless": {
        "Constant": Entry("Constant(0.1)", "A baseline; the stable phase of a run whose end is not known."),
        "StepDecay": Entry("StepDecay(0.1, factor=0.5, every=250)", "The classic for convolutional nets, at even distances."),
        "MultiStep": Entry("MultiStep(0.1, factor=0.3, boundaries=[300, 700, 900])", "The classic, at counts of your choice."),
        "PiecewiseConstant": Entry(
            "PiecewiseConstant([0.03, 0.1, 0.02], boundaries=[200, 800])", "Rates of your choice between counts of your choice."
        ),
        "Piecewise": Entry(
            "Piecewise([0.0, 0.1, 0.03, 0.0], counts=[0, 200, 700, 1000])", "Any curve through points, with one shape between."
        ),
        "Exponential": Entry("Exponential(0.1, factor=0.5, every=250)", "A half-life; reinforcement learning, online runs."),
        "InverseSqrt": Entry("InverseSqrt(0.1, timescale=50)", "Runs without a fixed end, with a decay all the same."),
        "InverseTime": Entry("InverseTime(0.1, timescale=100)", "The decay of stochastic approximation: 1 / t."),
        "Power": Entry("Power(0.1, power=-0.3, timescale=10)", "Any power of the count between constant and 1 / t."),
        "PolynomialRestarts": Entry(
            "PolynomialRestarts(0.1, 0.01, steps=300)", "A polynomial whose horizon moves on: Keras's `cycle=True`."
        ),
    },
    "Combinators": {
        "Sequence": Entry("Sequence(Linear(0.0, 0.1, 200), Hold(0.1, 400), Cosine(0.1, 0.0, 400))", "Phases in a row."),
        "Cycle": Entry("Cycle(Cosine(0.1, 0.0, 150), length_factor=2, value_factor=0.8)", "Warm restarts of any phase."),
        "Repeat": Entry("Repeat(Triangle(0.02, 0.1, 250), times=4)", "A number of cycles, and then the end is held."),
        "Warmup": Entry("Warmup(StepDecay(0.1, 0.5, 300), warmup_steps=150)", "A gentle beginning for anything."),
        "Cooldown": Entry("Cooldown(InverseSqrt(0.1, 50), begin=700, steps=300, end=0.0)", "An end for anything."),
        "Shift": Entry("Shift(Cosine(0.1, 0.0, 1000), offset=-200)", "Begin later, or skip the first counts."),
        "Stretch": Entry("Stretch(Cosine(0.1, 0.0, 10), every=100)", "A schedule counted in epochs: one rate an epoch."),
        "Warp": Entry("Warp(Cosine(0.1, 0.0, 1000), power=3)", "k-decay: any phase, staying longer near its start."),
        "Extension": Entry("Extension(Cosine(0.1, 0.0, 800), begin=400, total_steps=1200)", "What `extend` makes."),
        "Scale": Entry("Scale(Cosine(0.1, 0.0, 1000), factor=0.3)", "A factor: batch-size rules, groups of parameters."),
        "Clip": Entry("Clip(Exponential(0.2, 0.5, 200), low=0.02, high=0.1)", "A floor and a ceiling."),
        "Sum": Entry("Sum(Cosine(0.08, 0.0, 1000), Cycle(Triangle(0.0, 0.02, 100)))", "One schedule on top of another."),
        "Product": Entry("Product(Cosine(0.1, 0.0, 1000), Cycle(Triangle(0.5, 1.0, 100)))", "A factor that is a schedule."),
        "Maximum": Entry("Maximum(Exponential(0.1, 0.5, 150), Constant(0.02))", "Whichever schedule is higher."),
        "Minimum": Entry("Minimum(Linear(0.0, 0.2, 400), InverseSqrt(0.1, 200))", "Whichever schedule is lower."),
        "Function": Entry("Function(lambda count: 0.1 / (1 + count / 100) ** 2)", "A callable of your own."),
    },
    "Recipes": {
        "warmup_cosine": Entry("warmup_cosine(0.1, total_steps=1000, warmup_steps=100)", "The default for most training runs."),
        "wsd": Entry(
            "wsd(0.1, total_steps=1000, warmup_steps=100, cooldown_steps=200)", "Large models; runs that may be lengthened."
        ),
        "flat_cosine": Entry("flat_cosine(0.1, total_steps=1000, flat_steps=700)", "Fine-tuning and Ranger: flat, then down."),
        "inverse_sqrt": Entry(
            "inverse_sqrt(0.1, warmup_steps=100, total_steps=1000, cooldown_steps=200)",
            "Long pre-training, with a cool-down.",
        ),
        "noam": Entry("noam(model_size=512, warmup_steps=200)", "The original Transformer."),
        "one_cycle": Entry(
            "one_cycle(0.02, 0.1, cycle_steps=700, cooldown_steps=300, end=0.0)", "Super-convergence: short runs at high rates."
        ),
        "one_cycle_two_phase": Entry(
            "one_cycle_two_phase(0.004, 0.1, 1e-6, total_steps=1000, warmup_steps=300)",
            "One cycle as in PyTorch and fastai.",
        ),
        "one_cycle_momentum": Entry("one_cycle_momentum(0.85, 0.95, cycle_steps=700)", "The momentum beside `one_cycle`."),
        "cyclical": Entry("cyclical(0.02, 0.1, cycle_steps=300, value_factor=0.7)", "Exploring; snapshots at each low."),
        "sgdr": Entry("sgdr(0.1, 0.0, cycle_steps=150)", "Cosine with warm restarts; a model at the end of each cycle."),
        "extend": Entry("extend(Cosine(0.1, 0.0, 800), total_steps=1200, at=400)", "A run that shall take longer."),
        "branch": Entry(
            "branch(Warmup(Constant(0.1), 100), total_steps=900, at=700)",
            "A finished model off a run that goes on.",
        ),
    },
}

HEAD = """# Gallery

Every kind and recipe, drawn over 1200 updates. Made by `docs/make_gallery.py` from the code; do not edit by hand.
"""


def schedule(call: str) -> lrax.Schedule:
    """The schedule of a call, with the names of lrax at hand."""
    return eval(compile(ast.parse(call, mode="eval"), "gallery", "eval"), vars(lrax))


def page() -> str:
    """The text of the page."""
    parts = [HEAD]
    for title, entries in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        parts += [_section(name, entry) for name, entry in entries.items()]
    return "".join(parts)


def _section(name: str, entry: Entry) -> str:
    text = inspect.cleandoc(getattr(lrax, name).__doc__)
    first = " ".join(text.split("\n\n")[0].split())
    formulas = [" ".join(formula.split()) for formula in re.findall(r"\$\$(.*?)\$\$", text, flags=re.DOTALL)]
    formula = "".join(f"\n$${formula}$$\n" for formula in formulas)
    picture = f"![{name}](images/gallery/{name}.png)"
    return f"\n### {name}\n\n{first} **When:** {entry.when}\n{formula}\n```python\nlrax.{entry.call}\n```\n\n{picture}\n"


def draw() -> None:
    """The pictures, as PNG files of a few colours."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    PICTURES.mkdir(parents=True, exist_ok=True)
    for entries in SECTIONS.values():
        for name, entry in entries.items():
            figure, axes = plt.subplots(figsize=(4.2, 2.6), dpi=100, layout="constrained")
            lrax.plot(schedule(entry.call), STEPS, axes, log=entry.log)
            path = PICTURES / f"{name}.png"
            figure.savefig(path)
            plt.close(figure)
            with Image.open(path) as picture:
                small = picture.convert("RGB").quantize(24)
            small.save(path, optimize=True)


if __name__ == "__main__":
    draw()
    PAGE.write_text(page())
