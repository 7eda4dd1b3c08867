"""What a range test does with every curve: the table of docs/finder.md, a row a case."""

import pathlib
import re

import jax
import numpy as np
import pytest

import lrax
from lrax.finder import Reason
from problems import nothing, scripted

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
NOISE = np.random.default_rng(0).normal(size=250)
DROP = np.concatenate([np.ones(60), np.linspace(1, 0.2, 30), np.geomspace(0.2, 100, 70)])

CASES = {
    "NaN at the first step": ([np.nan], Reason.NON_FINITE, False),
    "NaN in the middle": ([*DROP[:85], np.nan], Reason.NON_FINITE, True),
    "NaN at the last step": ([*np.minimum(DROP, 0.9)[:99], np.nan], Reason.NON_FINITE, True),
    "+inf at the first step": ([np.inf], Reason.NON_FINITE, False),
    "+inf in the middle": ([*DROP[:85], np.inf], Reason.NON_FINITE, True),
    "negative losses": (DROP - 3, Reason.DIVERGED, True),
    "losses of exactly 0": ([0.0], Reason.COMPLETED, False),
    "flat": ([1.0], Reason.COMPLETED, False),
    "already diverged": (np.geomspace(1, 1e30, 250), Reason.DIVERGED, False),
    "never diverges": (np.minimum(DROP, 0.9), Reason.COMPLETED, True),
    "noise larger than the trend": (1 + NOISE - 0.001 * np.arange(250), None, None),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("rule", [lrax.finder.loss_drop, lrax.finder.steepest])
def test_every_curve_ends_with_a_result_and_a_reason(name, rule):
    """Whatever the losses, a range test ends with a curve, its reason, and a suggestion only where there is one to make."""
    losses, reason, suggests = CASES[name]
    ramp, stop = lrax.Geometric(1e-6, 10.0, 159), lrax.finder.TimesMedian(10.0)
    curve = lrax.range_test(scripted(losses), nothing, key=KEY, ramp=ramp, stop=stop)
    if suggests is not None:  # else it may suggest a learning rate, or find the curve flat
        assert curve.reason is reason
        assert (curve.suggest(rule) is not None) == suggests
    assert curve.explanation in str(curve)
    assert len(curve.learning_rates) == len(curve.losses) == curve.steps_run == len(curve.smoothed)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:find_lr")
def test_a_search_ends_too(name):
    """A search ends with a result and a reason on the same losses."""
    found = lrax.find_lr(scripted(CASES[name][0]), nothing, key=KEY)
    assert isinstance(found.reason, Reason)
    assert found.peak is None or found.peak > 0
    assert found.explanation


def test_the_table_in_the_docs_names_every_case():
    """docs/finder.md has a row for each case of this file's table, with its reason."""
    page = (pathlib.Path(__file__).parents[2] / "docs" / "finder.md").read_text().partition("## Edge cases")[2]
    for name, (_, reason, suggests) in CASES.items():
        row = re.search(rf"^\| {re.escape(name)} \| (.*?) \|", page, flags=re.MULTILINE)
        assert row, name
        assert suggests is None or str(reason) in row.group(1), name
