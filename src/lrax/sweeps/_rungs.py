"""The rungs of a race: who trains, who goes on."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lrax.training._core import Run, part_of
from lrax.training._driver import Trainer


@dataclasses.dataclass
class Standing:
    """How a race stands after some of its rungs; the lanes' states go beside it.

    Attributes:
      ended: how many rungs have ended.
      over: whether there is no other: the data ended, or no lane is left.
      inside: the lanes that go on.
      begun: the count at which they stand.
      spare: who wins, should all that go on diverge; None if nobody was left behind.
      end_losses: of each lane's last rung, float32 of shape (lanes,); infinite where it diverged.
      scores: what the lanes are ranked by, the lower the better, float32 of shape (lanes,): their end losses, or what they were
        evaluated to.
      rungs: how many rungs each lane was in, int32 of shape (lanes,).
      ends: the counts at which rungs ended.
    """

    ended: int
    over: bool
    inside: list[int]
    begun: int
    spare: int | None
    end_losses: np.ndarray[Any, Any]
    scores: np.ndarray[Any, Any]
    rungs: np.ndarray[Any, Any]
    ends: list[int]

    @staticmethod
    def first(lanes: int) -> "Standing":
        """Before the first rung of so many lanes."""
        losses, rungs = np.full(lanes, np.inf, np.float32), np.zeros(lanes, np.int32)
        return Standing(0, False, list(range(lanes)), 0, None, losses, losses.copy(), rungs, [])

    def run(
        self,
        trainer: Trainer,
        runs: list[Run],
        lengths: Sequence[int],
        keep: float,
        tail: float,
        keeping: Callable[["Standing"], None],
    ) -> None:
        """The rungs that are left; `keeping` is called after each."""
        for length in lengths[self.ended :]:
            if self.over:
                return
            self._train(trainer, runs, length, keep, tail)
            keeping(self)

    def _train(self, trainer: Trainer, runs: list[Run], length: int, keep: float, tail: float) -> None:
        """One rung."""
        trained = trainer.train([runs[lane] for lane in self.inside], self.begun + length)
        for lane, run in zip(self.inside, trained, strict=True):
            runs[lane] = run
        made = max(int(run.steps) for run in trained) - self.begun
        if made:
            self.rungs[self.inside] += 1
            self.ends.append(self.begun + made)
            self.end_losses[self.inside] = [run.end_loss(tail, self.begun) for run in trained]
            self.scores[self.inside] = [trainer.score(run, tail, self.begun) for run in trained]
        ranked = sorted((i for i in self.inside if np.isfinite(self.scores[i])), key=lambda i: self.scores[i])
        kept = part_of(len(self.inside), keep)
        staying, others = ranked[:kept], ranked[kept:]
        self.spare = others[0] if others else self.spare
        for lane in set(range(len(runs))) - set(staying) - {self.spare}:
            runs[lane] = runs[lane]._replace(state=None)
        self.inside = sorted(staying)
        self.begun += made
        self.ended += 1
        self.over = made < length or not self.inside
