"""A peak for each group of parameters: one search at a time, the others frozen."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax
import pytest

import lrax
from compilations import compilations
from lrax.training._probes import in_group
from problems import momentum

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = jnp.ones((16, 1))
SCALES = {"body": 1.0, "head": 100.0}


def loss_fn(params, batch):
    """Two bowls, one a hundred times as steep as the other."""
    return sum(scale * jnp.mean((params[name]["kernel"] - 1) ** 2) for name, scale in SCALES.items()) + 0 * batch.sum()


def learner(optimizer=momentum):
    """Trains both bowls."""
    return lrax.Learner.create(loss_fn, {name: {"kernel": jnp.zeros(3)} for name in SCALES}, optimizer)


def find(one=None, **options):
    """A test of both and of each."""
    options = {"batch_size": 4, "key": KEY, "groups": ("body", "head"), **options}
    return lrax.find_lr(learner() if one is None else one, DATA, **options)


@pytest.fixture(scope="module")
def found():
    """The result of the default test."""
    with jax.numpy_dtype_promotion("standard"):
        return find()


def test_each_group_has_its_own_peak(found):
    """The steep bowl's peak is a hundredth of the flat one's, and all together are trained at the steep one's."""
    body, head = found.groups["body"].peak, found.groups["head"].peak
    assert 30 < body / head < 300
    assert found.group_factors == {"body": body / found.peak, "head": head / found.peak}
    whole = found.curves[0].steps_run + found.runs.steps_run
    assert found.steps_run == found.groups["body"].steps_run + found.groups["head"].steps_run + whole
    assert lrax.by_path(optax.sgd, found.schedule, found.group_factors).init(learner().state.params)


@pytest.mark.parametrize("optimizer", [optax.adam, momentum])
@pytest.mark.parametrize("frozen_lr", [0.0, 0.01])
def test_one_group_is_trained_and_the_others_are_frozen(optimizer, frozen_lr):
    """A group's parameters and moments are those of a step at the learning rate; the others' are of one at the frozen one."""
    one = learner(optimizer)
    for number, name in enumerate(SCALES):
        grouped = in_group("find_lr", one, tuple(SCALES), number, frozen_lr)
        state, loss = grouped.step(grouped.state, DATA, jnp.float32(0.1))
        whole, expected = one.step(one.state, DATA, jnp.float32(0.1))
        still = one.step(one.state, DATA, jnp.float32(frozen_lr))[0] if frozen_lr else one.state
        assert loss == expected
        for (path, leaf), new, old in zip(
            jax.tree.leaves_with_path(state.inner), jax.tree.leaves(whole), jax.tree.leaves(still), strict=True
        ):
            keys = jax.tree_util.keystr(path)
            moves = name in keys or not any(other in keys for other in SCALES)
            np.testing.assert_array_equal(leaf, new if moves else old)


def test_all_groups_share_a_program():
    """Groups are told apart by a number of the state: what one compiles, the next runs."""
    for number, most in ((0, 99), (1, 0)):
        one = in_group("find_lr", learner(optax.sgd), tuple(SCALES), number, 0.0)
        with compilations() as compiled:
            lrax.find_lr(one, DATA, batch_size=4, key=KEY, loop="python", budget=60)
        assert len(compiled) <= most


def test_a_user_s_learner_and_the_rest():
    """Without `params` in it, a whole state is grouped by its paths; a last pattern that fits all takes the rest."""

    def step(state, batch, rate):
        loss, slope = jax.value_and_grad(loss_fn)(state, batch)
        return jax.tree.map(lambda one, its: one - rate * its, state, slope), loss

    one = lrax.Learner({name: {"kernel": jnp.zeros(3)} for name in SCALES}, step)
    evaluation = lrax.Evaluation(lambda state: loss_fn(state, DATA), every=5)
    found = find(one, groups=["head", ""], evaluation=evaluation)
    assert 30 < found.groups[""].peak / found.groups["head"].peak < 300
    assert found.groups["head"].interval is not None
    assert len(found.groups["head"].curves[0].evaluations) > 5


def test_it_prints_a_table_and_draws_a_panel_for_each(found):
    """A row a group with its peak and what it was read from; a panel a group with its pattern above."""
    mpl.use("Agg")
    lines = str(found).splitlines()
    assert lines[1].split() == ["group", "peak", "interval", "read", "from"]
    assert [line.split()[0] for line in lines[2:]] == ["body", "head"]
    assert f"{found.groups['head'].peak:.3g}" in lines[3]
    panels = found.plot_groups()
    assert [axes.get_title().partition(":")[0] for axes in panels] == ["body", "head"]
    assert "\n" not in found.plot().get_title()
    assert "<pre>" in found._repr_html_()
    unnamed = dataclasses.replace(found, groups={"head": found.groups["head"], "": found.groups["body"]})
    assert str(unnamed).splitlines()[3].split()[0] == "(rest)"
    assert unnamed.plot_groups()[1].get_title().startswith("(rest): ")
    with pytest.raises(ValueError, match="`found` must be a result with groups"):
        found.groups["body"].plot_groups()


def test_an_interrupt_keeps_the_groups_that_ended():
    """Ctrl-C in a group's test comes through with the test of all parameters and the groups before."""

    def interrupted():
        for count in itertools.count():
            if count == 150:  # two searches of 60 steps have ended
                raise KeyboardInterrupt
            yield DATA[:4]

    data = interrupted()
    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.find_lr(learner(), data, groups=("body", "head"), budget=60)
    assert caught.value.found.peak is not None
    assert list(caught.value.found.groups) == ["body"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": "head"}, "`groups` must be different regular expressions"),
        ({"groups": ()}, "`groups` must be different regular expressions"),
        ({"groups": ("head", "tail")}, "`groups` must be patterns that each name parameters, got 'tail'; the paths are body"),
        ({"groups": ("(",)}, "`groups` must be by regular expression"),
        ({"frozen_lr": -1.0}, "`frozen_lr` must be a finite learning rate of at least 0"),
    ],
)
def test_what_cannot_be_used_is_named(options, message):
    """A bad argument is an error that names it, before anything runs."""
    with pytest.raises((TypeError, ValueError), match=f"find_lr: {message}".replace("(", r"\(")):
        find(**options)
