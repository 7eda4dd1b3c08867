"""The bar of `progress=True` counts every piece of work once, and its total is what will be done."""

import pathlib
from typing import Any, Self

import jax
import numpy as np
import optax
import pytest

import lrax
from problems import linear_learner, regression

KEY = jax.random.key(0)
OPTIONS: dict[str, Any] = {"batch_size": 16, "key": KEY, "progress": True}


class Bar:
    """Tqdm's bar, without a picture: the total that it is made with, and what it has counted."""

    made: list["Bar"]

    def __init__(self, *, total: int, desc: str, unit: str) -> None:
        self.planned = self.total = total
        self.n = self.initial = 0
        self.made.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def reset(self) -> None:
        self.n = 0

    def set_description(self, text: str, refresh: bool) -> None:
        pass

    def update(self, done: int) -> None:
        self.n += done

    def refresh(self) -> None:
        pass


def accumulated(lr: Any) -> Any:
    """SGD that makes a step of two batches."""
    return optax.MultiSteps(optax.sgd(lr), 2)


CALLS: dict[str, tuple[int, Any]] = {
    "range_test": (7, lambda: lrax.range_test(linear_learner(), regression(), stop=None, steps=7, **OPTIONS)),
    "range_test, batches of a step": (
        14,
        lambda: lrax.range_test(linear_learner(accumulated), regression(), stop=None, steps=7, accumulate=2, **OPTIONS),
    ),
    "race": (
        2 * 2 + 4,  # the better one goes on
        lambda: lrax.race(linear_learner(), regression(), [lrax.Constant(0.01), lrax.Constant(0.02)], rungs=(2, 4), **OPTIONS),
    ),
    "run_sweep": (3, lambda: lrax.run_sweep(lambda schedule: schedule(0), lrax.Constant(np.ones(3)), progress=True)),
    "run_sweep in Python": (
        3,
        lambda: lrax.run_sweep(lambda schedule: float(schedule(0)), lrax.Constant(np.ones(3)), traced=False, progress=True),
    ),
}


@pytest.mark.standard_promotion
def test_what_was_in_the_folder_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A sweep or a race that goes on counts the work that it has found, which took no time."""
    Bar.made = []
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    schedules = lrax.Constant(np.float32([0.01, 0.02, 0.03]))
    for name in ("traced", "in Python", "race"):
        for _ in range(2):
            if name == "race":
                lrax.race(linear_learner(), regression(), schedules, rungs=2, folder=tmp_path / name, **OPTIONS)
            else:
                train = (lambda schedule: schedule(0)) if name == "traced" else (lambda schedule: float(schedule(0)))
                lrax.run_sweep(train, schedules, traced=name == "traced", folder=tmp_path / name, progress=True)
    assert [(bar.n, bar.planned) for bar in Bar.made] == [(3, 3)] * 4 + [(6, 6)] * 2
    assert [bar.initial for bar in Bar.made[1::2]] == [0, 0, 0]  # the clock has not begun


@pytest.mark.standard_promotion
@pytest.mark.parametrize(("work", "call"), CALLS.values(), ids=CALLS)
def test_the_bar_counts_to_its_total(work: int, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end the count is the total that the bar was made with."""
    Bar.made = []
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    call()
    (bar,) = Bar.made
    assert bar.n == bar.planned
    assert bar.n == work
