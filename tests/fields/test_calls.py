"""Calls that do not fit."""

import inspect
import re

import pytest

import lrax
import lrax.compat.djl
import lrax.compat.keras
import lrax.compat.mxnet
import lrax.compat.optax
import lrax.compat.timm
import lrax.compat.torch
import lrax.compat.transformers
import lrax.sweeps

ROOMS = {
    "lrax": lrax,
    "finder": lrax.finder,
    "sweeps": lrax.sweeps,
    "compat.djl": lrax.compat.djl,
    "compat.mxnet": lrax.compat.mxnet,
    "compat.optax": lrax.compat.optax,
    "compat.keras": lrax.compat.keras,
    "compat.timm": lrax.compat.timm,
    "compat.torch": lrax.compat.torch,
    "compat.transformers": lrax.compat.transformers,
}
MAKERS = {
    "Learner.create": lrax.Learner.create,
    "SweepResult.create": lrax.sweeps.SweepResult.create,
    "SweepResult.load": lrax.sweeps.SweepResult.load,
    "RaceResult.load": lrax.sweeps.RaceResult.load,
    "from_nnx": lrax.flax.from_nnx,
    "from_train_state": lrax.flax.from_train_state,
}


def public():
    """What a user calls, by its name: functions, kinds and recipes, and what makes results."""
    for room, module in ROOMS.items():
        for name in module.__all__:
            value = getattr(module, name)
            concrete = isinstance(value, type) and issubclass(value, lrax.Schedule) and not inspect.isabstract(value)
            if inspect.isfunction(value) or concrete:
                yield f"{room}.{name}", value
    yield from MAKERS.items()


def misspelt(function):
    """An argument of a function with a letter too many, and the argument."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [name for name, one in inspect.signature(function).parameters.items() if one.kind in kinds]
    return (names[-1] + names[-1][-1], names[-1]) if names else ("its", "")


def test_a_misspelt_argument_is_known():
    """Everything public that is called says who complains, what there is not, what was meant and how the call reads."""
    others = {}
    for name, function in public():
        wrong, meant = misspelt(function)
        caller = name if name in MAKERS else name.rpartition(".")[2]
        with pytest.raises(TypeError) as caught:
            function(**{wrong: 1})
        said = rf"{caller}: there is no argument `{wrong}`; (did you mean `{meant}`\? I|i)t is {caller}\("
        if not re.match(said, str(caught.value)):
            others[name] = str(caught.value)
    assert not others


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: lrax.find_lr(1, 2, 3, 4),
            r"^find_lr: takes 3 positional arguments but 4 were given; it is find_lr\(learner, data, ",
        ),
        (lambda: lrax.find_lr(1), r"^find_lr: `data` is missing; it is find_lr\("),
        (lambda: lrax.race(1, 2, 3), r"^race: `rungs` is missing; it is race\("),
        (
            lambda: lrax.table(1, schedules=2),
            r"^table: got multiple values for argument `schedules`; it is",
        ),
        (
            lambda: lrax.steps_for(1),
            r"^steps_for: takes 0 positional arguments but 1 were given; it is steps_for\(\*, f",
        ),
        (lambda: lrax.sweep(), r"^sweep: `train` is missing; it is sweep\(train, schedules, \*others, execution=None"),
        (
            lambda: lrax.finder.Curve.plot(1, rule=2),
            r"^Curve.plot: .* did you mean `rules`\? It is Curve.plot\(axes=None, ",
        ),
        (
            lambda: lrax.find_lr(1, 2, total_step=3),
            r"^find_lr: there is no argument `total_step`; did you mean `total_steps`\?",
        ),
    ],
)
def test_a_call_that_does_not_fit_is_told_how_it_reads(call, said):
    """Too many arguments, one that is missing or twice, and what other libraries call it: by one form of message."""
    with pytest.raises(TypeError, match=said):
        call()


def test_what_is_missing_for_an_amount_is_named():
    """A length from epochs needs the size of the data set, and says so."""
    with pytest.raises(ValueError, match="steps_for: `dataset_size` must be given with `epochs`, got None"):
        lrax.steps_for(epochs=10)


def test_signatures_can_be_read():
    """What an editor shows of a public call is types, not the rules that check them."""
    for name, function in public():
        shown = str(inspect.signature(function))
        assert "Annotated[" not in shown, name
        assert " object at 0x" not in shown, name
