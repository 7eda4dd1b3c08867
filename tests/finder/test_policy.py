"""The search: which short runs are made within a budget, and what is read off their ends."""

import numpy as np
import pytest

from lrax.finder._policy import POWERS, _next, bottom, find_peak, ramp_steps

RATES = np.geomspace(1e-7, 100.0, 100)
RAMP = RATES, 1 / (1 + (RATES / 0.01) ** 2) + 0.01


def train_to(best, made, width=1.0):
    """Runs that end lowest at a peak; too high ones diverge."""

    def train(peaks, steps):
        made.extend((peak, steps) for peak in peaks)
        return [float("inf") if peak > 30 * best else 0.01 + (np.log10(peak / best) / width) ** 2 for peak in peaks]

    return train


@pytest.mark.parametrize("best", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("budget", [400, 900, 3_000])
def test_the_best_peak_is_found(best, budget):
    """Where the best peak falls as the policy supposes, it is found within the budget, and the interval contains it."""
    made = []
    run_steps = max(budget // 4, 100) if budget < 600 else budget // 6
    at_length = best * (10_000 / run_steps) ** POWERS[False]
    answer = find_peak(*RAMP, 100 + budget, 10_000, train_to(at_length, made), False)
    assert abs(np.log10(answer.peak / best)) < 0.3
    assert answer.low < best < answer.high
    assert sum(steps for _, steps in made) <= budget


def test_a_search_has_few_constants_for_its_lengths():
    """The ramp has at most a third of the budget, and no run is longer than the plan."""
    assert [ramp_steps(budget) for budget in (20, 150, 300, 5_000)] == [7, 50, 100, 100]
    made = []
    find_peak(*RAMP, 1_000, 60, train_to(0.1, made), False)
    assert max(steps for _, steps in made) <= 60


def test_the_peak_falls_with_the_length():
    """From the length of the runs to that of the plan, the peak falls more where the optimizer is scale-invariant."""
    made = []
    less, more = (find_peak(*RAMP, 500, 10_000, train_to(0.05, made), invariant) for invariant in (False, True))
    assert made[-1][1] == 100
    assert more.peak / less.peak == pytest.approx(0.01**0.25, rel=0.01)


def test_the_lengths_of_runs():
    """By default there are four runs of 50 steps; a larger budget makes them longer; a tiny one makes two."""
    for budget, number, steps in ((300, 4, 50), (500, 4, 100), (1_000, 6, 150), (120, 4, 5)):
        made = []
        find_peak(*RAMP, budget, 10_000, train_to(0.1, made), False)
        assert (len(made), made[0][1]) == ((number, steps) if budget > 120 else (2, 10))


def test_runs_that_all_diverge_give_no_peak():
    """If no score is finite there is no answer."""
    assert np.isnan(find_peak(*RAMP, 500, 1_000, lambda peaks, steps: [float("inf")] * len(peaks)).peak)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({-2: 3.0, 0: 2.0, 2: 1.0}, 4),  # still falling: beyond
        ({-2: 1.0, 0: 2.0, 2: 3.0}, -4),
        ({-2: 3.0, 0: 1.0, 2: 2.0}, 1),  # between the best and its better neighbour
        ({-2: 2.0, 0: 1.0, 2: np.inf}, -1),
        ({-1: 2.0, 0: 1.0, 1: 3.0}, -3),  # nothing lies between: beyond that side
        ({-2: np.inf, 0: np.inf, 2: np.inf}, -4),  # too high, all of them
        ({-2: 2.31, 0: 2.30, 2: 2.29}, 6),  # on a plateau: twice as far
        ({-2: 2.31, 0: 2.30, 2: np.inf}, 1),
    ],
)
def test_one_more_run_goes_where_it_tells_most(scores, expected):
    """It goes beyond an outermost best, else beside the best on its better side."""
    assert _next(scores) == expected


def test_the_bottom_lies_between_the_runs():
    """The bottom of a parabola through uneven places is found; it is never nearer to a neighbour than to the best."""
    places = [-4, -1, 0]
    assert bottom(places, [-((x + 1.5) ** 2) * -1 - 5 for x in places]) == pytest.approx(-1.5)
    assert bottom([-2, 0, 2], [1.1, 1.0, np.inf]) < 0
    assert bottom([-2, 0, 2], [np.inf, 1.0, 1.1]) > 0
    assert -1 <= bottom([-2, 0, 2], [1.0 + 1e-9, 1.0, 50.0]) < 0
    assert bottom([-2, 0, 2], [1.0, 1.0, 1.0]) == -2
    assert bottom([0, 2], [2.0, 1.0]) == 2
    uneven = [([0, 4, 5], [100, 1, 1.0001], 4.5), ([0, 4, 5], [1.0001, 1, 100], 2), ([0, 1, 5], [100, 1, 1.0001], 3)]
    for places, scores, half_way in uneven:
        assert bottom(places, scores) == pytest.approx(half_way, abs=1e-3)
