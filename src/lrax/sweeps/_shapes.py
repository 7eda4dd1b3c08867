"""Shapes of schedules, searched: each is judged at its own best rate, and the best by seeds that chose nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, check_call, check_whole
from lrax.fields._rules import whole_number
from lrax.schedules._base import Schedule, ScheduleRule
from lrax.schedules._combinators import Scale
from lrax.sweeps._proposals import Propose, Tried, arguments_of, check_space, random_shapes
from lrax.sweeps._score import Score, check_part
from lrax.sweeps._shape_runs import Scored, Search
from lrax.sweeps._shapes_result import Shapes
from lrax.training._core import part_of


@check_call
def search_shapes(
    train: Callable[..., Any],
    shape: Callable[..., Any],
    space: Mapping[str, Any],
    rates: Any,
    *,
    key: jax.Array,
    total_steps: int | None = None,
    propose: Propose | int = 64,
    rungs: Sequence[int] = (1, 2, 4),
    keep: float = 0.25,
    beside: Mapping[str, Any] | None = None,
    fresh: int = 8,
    score: Score | None = None,
    lanes: int | None = None,
) -> Shapes:
    """Searches for the best shape of a schedule, with the height factored out: each shape is judged at its own best rate.

    All runs are whole runs, for what a shape is good for shows at its end. Every shape that is proposed is trained with every
    rate and the seeds of the first rung, and then half-way between its best rate and the neighbours (or beyond, where there is
    none). The best go on to the seeds of the next rung, where each comes closer to its own best rate in the same way. All
    shapes see the same seeds. In the end the winner, and what stands `beside`, are trained with seeds
    that were used for no choice: their scores are what is reported, and their difference, seed by seed, with its error.

    Args:
      train: a pure function `(schedule, key) -> metrics` that trains for `total_steps` updates, as for `lrax.run_sweep`; the
        key stands for a start and its batches.
      shape: a function of the names in `space` that makes a schedule; its height does not matter. It is mapped: what it is
        given is traced. Ranges of many decades are for it to make, by `10.0**argument`.
      space: by name, a range `(low, high)`, of whole numbers if both ends are, or a list of numbers to choose from.
      rates: rates to try, rising, as one would for a constant schedule: some around the rate of
        `found.schedule(lrax.Constant(1.0), total_steps)`. Each shape is tried at peaks of these times its
        `lrax.theory.lr_ratio` to a constant one.
      key: random key, from which all seeds and proposals follow.
      total_steps: the length of the run in updates; by default what the first shape says.
      propose: how many shapes to draw, or a proposal: `lrax.sweeps.random_shapes`, `grid_shapes`, `halving_shapes`, or your own
        `(key, axes, tried) -> points`.
      rungs: how many new seeds each rung has.
      keep: the part of the shapes that goes on after a rung, rounded up.
      beside: schedules to compare with, by name, such as recipes; each is given all rungs, at its own best rate too.
      fresh: how many seeds judge in the end, at least 2.
      score, lanes: as for `lrax.run_sweep`.

    Returns: a `Shapes`: the best schedule, a table and pictures. Shapes that diverge at every rate come last.

    Raises: TypeError or ValueError for arguments that cannot be used.

    Source: the height factored out as by Naganuma, Agarwala, Kasimbeg & Dahl 2026 (arXiv 2603.10301).

    >>> def train(schedule, key):
    ...     def update(weight, count):
    ...         noise = jax.random.normal(jax.random.fold_in(key, count))
    ...         return weight - schedule(count) * (weight + noise), weight**2
    ...     return jax.lax.scan(update, 3.0, jnp.arange(40))[0] ** 2
    >>> shape = lambda cooldown: lrax.wsd(1.0, 40, 0, cooldown)
    >>> found = search_shapes(train, shape, {"cooldown": (1, 39)}, [0.05, 0.1, 0.2, 0.4], key=jax.random.key(0), propose=6)
    >>> print(len(found.scores), found.schedule.length)
    6 40
    """
    space, others = check_space("search_shapes", space), _check_beside(beside)
    heights, seeds, keep = _check_rates(rates), _check_seeds(rungs, fresh), check_part("search_shapes", "keep", keep)
    proposals = random_shapes(propose) if isinstance(propose, int) else propose
    for name, value in (("shape", shape), ("propose", proposals)):
        if not callable(value):
            raise argument_error(TypeError, "search_shapes", name, "a function", value)
    steps = _check_steps(shape, space, total_steps)
    drawing, key = jax.random.split(key)
    keys = jax.random.split(key, sum(seeds) + fresh)
    search = Search(Scored(train, score), lanes, heights, keys[: sum(seeds)])
    points = np.zeros((0, len(space)))
    while (more := _ask(proposals, jax.random.fold_in(drawing, len(points)), points, search)) is not None:
        points = np.concatenate([points, more])
        search.rung(search.enter(_mapped(shape, arguments_of(space, more), steps)), 0, seeds[0])
    inside, seen = list(range(len(points))), seeds[0]
    compared = search.enter(_sampled(others, steps))
    search.rung(compared, 0, seeds[0])
    for number in seeds[1:]:
        inside = sorted(inside, key=search.score_of)[: part_of(len(inside), keep)]
        search.rung([*inside, *compared], seen, number)
        seen += number
    best = min(inside, key=search.score_of)
    final = search.judge([best, *compared], keys[sum(seeds) :])
    arguments = arguments_of(space, points)
    plan = ScheduleRule().convert("search_shapes", "shape", shape(**{name: values[best] for name, values in arguments.items()}))
    return Shapes(
        arguments=arguments,
        standings=tuple(search.standings[: len(points)]),
        beside=dict(zip(others, search.standings[len(points) :], strict=True)),
        winner=best,
        schedule=Scale(plan, search.standings[best].peak / search.standings[best].highest),
        fresh=dict(zip(["best", *others], final, strict=True)),
        runs=search.runs,
    )


def _ask(propose: Any, key: jax.Array, points: np.ndarray[Any, Any], search: Search) -> np.ndarray[Any, Any] | None:
    """The next points of a proposal, checked; None where it has no more."""
    axes = points.shape[1]
    more = propose(key, axes, Tried(points, np.array([standing.score for standing in search.standings])))
    if more is None:
        if not len(points):
            raise argument_error(ValueError, "search_shapes", "propose", "a proposal of at least one shape", more)
        return None
    more = np.asarray(more, np.float64)
    if more.ndim != 2 or more.shape[1] != axes or not len(more) or not ((more >= 0) & (more <= 1)).all():
        raise argument_error(
            ValueError, "search_shapes", "propose", f"a function that gives points of shape (n, {axes}) in [0, 1]", more
        )
    return more


def _mapped(shape: Any, arguments: dict[str, Any], steps: int) -> np.ndarray[Any, Any]:
    """The rates of the shapes of some arguments, (shapes, updates): one program for all of them."""

    def rates(arguments: Any) -> jax.Array:
        plan = ScheduleRule().convert("search_shapes", "shape", shape(**arguments))
        return jnp.broadcast_to(plan(jnp.arange(steps)), (steps,))

    return np.asarray(jax.jit(jax.vmap(rates))(arguments))


def _sampled(schedules: Mapping[str, Schedule], steps: int) -> np.ndarray[Any, Any]:
    counts = jnp.arange(steps)
    rows = [np.asarray(jax.jit(lambda counts, plan=plan: plan(counts))(counts)) for plan in schedules.values()]
    return np.stack(rows) if rows else np.zeros((0, steps), np.float32)


def _check_steps(shape: Any, space: Mapping[str, Any], total_steps: Any) -> int:
    if total_steps is None:
        middle = {name: values[0] for name, values in arguments_of(space, np.full((1, len(space)), 0.5)).items()}
        total_steps = ScheduleRule().convert("search_shapes", "shape", shape(**middle)).length
        if total_steps is None:
            raise argument_error(ValueError, "search_shapes", "total_steps", "given for shapes without an end", None)
    return whole_number("search_shapes", "total_steps", total_steps, 2)


def _check_beside(beside: Any) -> dict[str, Schedule]:
    if beside is not None and not isinstance(beside, Mapping):
        raise argument_error(TypeError, "search_shapes", "beside", "a dict: name -> schedule", beside)
    found = dict(beside or {})
    return {name: ScheduleRule().convert("search_shapes", f"beside[{name!r}]", one) for name, one in found.items()}


def _check_rates(rates: Any) -> np.ndarray[Any, Any]:
    found = np.asarray(rates, np.float64)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all() or found[0] <= 0 or (np.diff(found) <= 0).any():
        raise argument_error(ValueError, "search_shapes", "rates", "a list of rates above 0, rising", rates)
    return found


def _check_seeds(rungs: Any, fresh: Any) -> list[int]:
    seeds = list(rungs) if isinstance(rungs, Sequence) else [rungs]
    for name, value in (("fresh", fresh), *(("rungs", number) for number in seeds)):
        check_whole("search_shapes", name, value)
    if not seeds or fresh < 2:
        raise argument_error(
            ValueError, "search_shapes", "fresh" if seeds else "rungs", "at least 2 seeds, to tell an error", fresh
        )
    return seeds
