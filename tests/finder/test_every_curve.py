"""What a finder does with every curve: the table of docs/finder.md, a row a case."""

import pathlib
import re

import jax
import numpy as np
import pytest

import lrax
from lrax.finder import Reason
from problems import (
    linear_learner,
    nothing,
    regression,
    scripted,
)

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


NOISE = np.random.default_rng(0).normal(size=250)
FALL = np.concatenate([np.ones(120), np.linspace(1, 0.2, 60), np.geomspace(0.2, 100, 70)])

CASES = {
    "NaN at the first update": ([np.nan], Reason.NON_FINITE, False),
    "NaN in the middle": ([*FALL[:170], np.nan], Reason.NON_FINITE, True),
    "NaN at the last update": ([*np.minimum(FALL, 0.9)[:249], np.nan], Reason.NON_FINITE, True),
    "+inf at the first update": ([np.inf], Reason.NON_FINITE, False),
    "+inf in the middle": ([*FALL[:170], np.inf], Reason.NON_FINITE, True),
    "negative losses": (FALL - 3, Reason.DIVERGED, True),
    "losses of exactly 0": ([0.0], Reason.FLAT, False),
    "flat": ([1.0], Reason.FLAT, False),
    "already diverged": (np.geomspace(1, 1e30, 250), Reason.DIVERGED, False),
    "never diverges": (np.minimum(FALL, 0.9), Reason.COMPLETED, True),
    "noise larger than the trend": (1 + NOISE - 0.001 * np.arange(250), Reason.COMPLETED, None),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("rule", [lrax.finder.fall, lrax.finder.steepest])
def test_every_curve_ends_with_a_result_and_a_reason(name, rule):
    """Whatever the losses, one ramp ends with a result, its reason, and a suggestion only where there is one to make."""
    losses, reason, suggests = CASES[name]
    found = lrax.find_lr(scripted(losses), nothing, key=KEY, rule=rule)
    if suggests is not None:  # else it may suggest a rate, or find the curve flat
        assert found.reason is reason
        assert (found.suggestion is not None) == suggests
    assert found.explanation in str(found)
    assert len(found.rates) == len(found.losses) == found.updates == len(found.smoothed)


@pytest.mark.parametrize("name", CASES)
def test_the_default_ends_too(name):
    """The two ramps of the default end with a result and a reason on the same losses."""
    losses, _, _ = CASES[name]
    found = lrax.find_lr(scripted(losses), nothing, key=KEY, refine=True)
    assert isinstance(found.reason, Reason)
    assert found.suggestion is None or found.suggestion > 0


@pytest.mark.parametrize("updates", [1, 2, 5])
def test_a_few_updates(updates):
    """Tests of one, two and five updates end as too short."""
    found = lrax.find_lr(linear_learner(), DATA, batch_size=8, key=KEY, ramp=lrax.Geometric(1e-3, 1.0, 4), updates=updates)
    assert (found.updates, found.reason, found.suggestion) == (updates, Reason.TOO_SHORT, None)
    found.plot()


def test_the_table_in_the_docs_names_every_case():
    """docs/finder.md has a row for each case of this file's table, with its reason."""
    page = (pathlib.Path(__file__).parents[2] / "docs" / "finder.md").read_text().partition("## It never fails")[2]
    for name, (_, reason, suggests) in CASES.items():
        row = re.search(rf"^\| {re.escape(name)} \| (.*?) \|", page, flags=re.MULTILINE)
        assert row, name
        assert suggests is None or str(reason) in row.group(1), name
