"""What a race found."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from lrax.fields._errors import argument_error, check_call
from lrax.schedules._base import Schedule
from lrax.training._batches import AGAIN, told
from lrax.training._evaluating import SIGNS, WRONG, contradicts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrax.sweeps._table import Table


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RaceResult:
    """The outcome of a race.

    Printed, it is a table; in a notebook, a table and a picture.

    Attributes:
      schedules: one a lane.
      losses: of every update of every lane, measured before its rate acted, float32 of shape (lanes, updates); NaN where a lane
        was not trained any more.
      end_losses: the end loss of each lane's last rung, float32 of shape (lanes,); infinite if it diverged: if a loss in that
        rung was not finite.
      rungs: how many rungs each lane was in, int of shape (lanes,).
      peaks: the highest rate of each lane's schedule, float32 of shape (lanes,).
      order: the lanes from best to worst: by rungs, then by end loss, or by end metric if they were evaluated; those that
        diverged come last.
      updates: how many updates were made in all, over all lanes.
      state: the learner's state after the best lane's last update; None if every lane diverged.
      plan: how the lanes were run, in words.
      ends: the counts of updates at which the rungs ended.
      ended: whether the data ended before the last rung did.
      evaluated: the counts of updates after which lanes were evaluated, int of shape (evaluations,); none without `evaluate`.
      evaluations: the metrics of every lane there, float32 of shape (lanes, evaluations); NaN where a lane was not trained any
        more.
      end_metrics: the metrics that ranked the lanes, of each lane's last rung, float32 of shape (lanes,); None without
        `evaluate`.
      mode: `"min"` if a smaller metric is better, `"max"` if a larger one is.
      left_out: how many partial batches, each the last of a pass over an iterable, were left out.
      fault: which batch holds a NaN or an infinity that made a loss not finite, in words; "" if none does.
      optimizer: the learner's optimizer factory, if it has one. It is not saved.

    Source: Jamieson & Talwalkar 2016, Non-stochastic best arm identification and hyperparameter optimization.
    """

    schedules: tuple[Schedule, ...]
    losses: np.ndarray[Any, Any]
    end_losses: np.ndarray[Any, Any]
    rungs: np.ndarray[Any, Any]
    peaks: np.ndarray[Any, Any]
    order: np.ndarray[Any, Any]
    updates: int
    state: Any
    plan: str
    ends: tuple[int, ...]
    ended: bool = False
    evaluated: np.ndarray[Any, Any] = dataclasses.field(default_factory=lambda: np.zeros(0, np.int32))
    evaluations: np.ndarray[Any, Any] = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.float32))
    end_metrics: np.ndarray[Any, Any] | None = None
    mode: str = "min"
    left_out: int = 0
    fault: str = ""
    optimizer: Callable[[Any], Any] | None = None

    @property
    def scores(self) -> np.ndarray[Any, Any]:
        """What ranks the lanes, the lower the better, float32 of shape (lanes,); infinite for a lane that diverged.

        End losses, or end metrics if lanes were evaluated, with the other sign where a larger one is better.
        """
        if self.end_metrics is None:
            return self.end_losses
        signed = self.end_metrics if self.mode == "min" else -self.end_metrics
        return np.where(np.isfinite(signed) & np.isfinite(self.end_losses), signed, np.float32(np.inf))

    @property
    def winner(self) -> int | None:
        """The winner's lane, or None if every lane diverged."""
        return int(self.order[0]) if np.isfinite(self.scores[self.order[0]]) else None

    @property
    def schedule(self) -> Schedule | None:
        """The winner's schedule, ready to train with, or None if every lane diverged."""
        return None if self.winner is None else self.schedules[self.winner]

    @property
    def count(self) -> int | None:
        """The steps that the winner has made: the count at which its schedule goes on. None if every lane diverged."""
        return None if self.winner is None else int(np.sum(~np.isnan(self.losses[self.winner])))

    @check_call
    def opt_state_for(self, optimizer: Any, opt_state: Any = None, params: Any = None) -> Any:
        """The winner's optimizer state, for an optimizer that follows the winner's schedule: to train on with optax.

        Args:
          optimizer: the optimizer of the race, made with `race.schedule`: `optax.sgd(race.schedule, momentum=0.9)`, also inside
            a chain, `optax.MultiSteps`, `lrax.recorded`, `lrax.by_path` or `optax.inject_hyperparams`, whether the learner's
            optimizer was wrapped in it or not.
          opt_state, params: the winner's optimizer state and parameters; by default those fields of `race.state`.

        Returns: a state of `optimizer` with the winner's moments. The count of the schedule is `race.count`: races call
          schedules from count 0, also where the learner's state was not fresh. `lrax.recorded` has recorded no step yet.

        Raises: ValueError if every lane diverged, or if `optimizer` is another one than that of the race; TypeError if
          `race.state` has no such fields.

        >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
        >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.adam)
        >>> race = lrax.race(learner, [jnp.ones(3)], [lrax.Linear(0.1, 0.0, steps=8), lrax.Constant(1e-3)], rungs=(2, 2))
        >>> tx = optax.adam(race.schedule)
        >>> params, opt_state = race.state.params, race.opt_state_for(tx)
        >>> changes, opt_state = tx.update(jnp.ones(3), opt_state, params)
        >>> print(lrax.count_of(opt_state))
        5
        """
        from lrax.training._resume import resumed

        if self.schedule is None or self.count is None:
            raise argument_error(
                ValueError, "RaceResult.opt_state_for", "race", "one with a winner", self, "every lane diverged"
            )
        for name, given in (("opt_state", opt_state), ("params", params)):
            if given is None and getattr(self.state, name, None) is None:
                remedy = f"give `{name}`, which is a part of race.state"
                raise argument_error(
                    TypeError, "RaceResult.opt_state_for", "state", f"a state with the field `{name}`", type(self.state), remedy
                )
        opt_state = self.state.opt_state if opt_state is None else opt_state
        params = self.state.params if params is None else params
        made = self.count, self.schedule, self.optimizer
        return resumed("RaceResult.opt_state_for", optimizer, opt_state, params, *made)

    def rows(self) -> list[dict[str, Any]]:
        """A row a lane in plain values, for `pandas.DataFrame(race.rows())`.

        Returns: dicts with `lane`, `place` (0 for the winner), `kind`, `schedule` (as text), `peak`, `end_loss`, `rungs` and
          `diverged`; and `end_metric` if lanes were evaluated.
        """
        from lrax.sweeps._rows import race_rows

        return race_rows(self.schedules, self.peaks, self.end_losses, self.rungs, self.order, self.end_metrics)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes `rows` to a file of comma-separated values, with a header, whole or not at all.

        Raises: OSError, with the file's name, if it cannot be written.
        """
        from lrax.sweeps._rows import write_csv

        write_csv("RaceResult.to_csv", pathlib.Path(path), self.rows())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all of it to one plain .npz file, whole or not at all; schedules as their JSON, the state's arrays by path.

        Of a schedule that has no JSON, such as a function, its name is kept.

        Args:
          path: the file; one that exists is replaced.

        Raises: OSError, with the file's name, if it cannot be written; ValueError if parts of the state are on other hosts.
        """
        from lrax.sweeps._stored import write_race

        names = [field.name for field in dataclasses.fields(self) if field.name != "optimizer"]
        write_race(pathlib.Path(path), **{name: getattr(self, name) for name in names})

    @staticmethod
    @check_call
    def load(path: str | os.PathLike[str], state: Any = None, kinds: Iterable[type[Schedule]] = ()) -> "RaceResult":
        """Reads a file that `save` wrote: the same numbers, table and pictures.

        Args:
          path: the file.
          state: a state with the structure, shapes and dtypes of the winner's, such as `learner.state`, which the winner's
            numbers take the place of. Without it, the race that is returned has none.
          kinds: your own kinds of schedules that may be in it.

        Raises: ValueError, with the file's name, if the file is something else, of a newer format, or was changed after it was
          written, or if `state` does not fit; TypeError or ValueError for `kinds` that are not schedule classes.
        """
        from lrax.sweeps._stored import read_race

        return RaceResult(**read_race(pathlib.Path(path), state, kinds))

    def __repr__(self) -> str:
        return f"<RaceResult: {len(self.schedules)} lanes, {self.updates} updates, winner {self.schedule!r}>"

    def __str__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        from lrax.sweeps._html import html

        return html(self._table, self.plot if self.end_metrics is None else self.plot_evaluations, repr(self))

    def _table(self) -> "Table":
        from lrax.sweeps._table import race_table

        after = f"the data ended after {self.losses.shape[1]} updates, before the last rung did: {AGAIN}\n"
        notes = told(self.left_out, False, self.fault)
        wrong = f"\n{note}" if (note := contradiction(self)) else ""
        spent = f"{after * self.ended}{self.updates} updates in all; {self.plan}{notes}{wrong}"
        columns = self.end_losses, self.end_metrics
        return race_table(self.schedules, self.peaks, columns, self.winner is not None, self.rungs, self.order, spent)

    @check_call
    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draws a running mean of the losses of every lane, the winner in black, the others' colour by their peak rates.

        Dotted lines are the ends of rungs, circles the lanes that did not go on, crosses those that diverged.

        Args:
          axes: where to draw; by default new axes.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed.
        """
        from lrax.sweeps._curves import plot_race

        return plot_race(self.schedules, self.peaks, self.losses, self.end_losses, self.rungs, self.ends, self.winner, axes)

    @check_call
    def plot_evaluations(self, axes: "Axes | None" = None) -> "Axes":
        """Draws the metric of every lane over updates, the winner in black, the others' colour by their peak rates.

        Args:
          axes: where to draw; by default new axes.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed; ValueError if lanes were not evaluated.
        """
        from lrax.sweeps._curves import plot_metrics

        if self.end_metrics is None:
            remedy = "give lrax.race evaluate=, or draw the losses with plot"
            raise argument_error(
                ValueError, "RaceResult.plot_evaluations", "race", "one whose lanes were evaluated", self, remedy
            )
        return plot_metrics(self.schedules, self.peaks, self.evaluated, self.evaluations, self.winner, axes)


def contradiction(race: RaceResult) -> str:
    """What is said where the metric of `evaluate` is worst at the lowest losses, over the evaluations of all lanes; or ""."""
    if not race.evaluations.size:
        return ""
    places = np.clip(race.evaluated[:, None] + np.arange(-2, 3), 0, race.losses.shape[1] - 1)
    near = race.losses[:, places]
    finite = np.isfinite(near)
    known = finite.any(axis=2)
    means = np.where(finite, near, 0).sum(axis=2)[known] / finite.sum(axis=2)[known]
    scores = SIGNS[race.mode] * race.evaluations[known]
    return WRONG[race.mode] if contradicts(float(np.median(race.losses[:, 0])), means, scores) else ""
