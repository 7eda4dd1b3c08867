"""The range test of fastai, and PyTorch's bare loop."""

from collections.abc import Callable
from functools import partial

import torch
from fastai.basics import DataLoaders, Learner, OptimWrapper
from fastai.callback.schedule import Learner as Scheduled  # which gives Learner its lr_find

from peers.tasks import TASKS, UPDATES
from peers.torch_nets import NETS, TorchRuns, loss_fn, make_loader

OPTIMIZERS = {"sgd": partial(torch.optim.SGD, momentum=0.9), "adam": torch.optim.Adam}
assert Scheduled is Learner


class Runs(TorchRuns):
    """Makes runs of one task; a run returns how many updates it made."""

    def finder(self) -> Callable[[], int]:
        """`Learner.lr_find` without bar and picture, by PyTorch's optimizer."""
        loader, task = make_loader(self.task, self.data), TASKS[self.task]
        learner = Learner(
            DataLoaders(loader, loader),
            NETS[self.task](),
            loss_func=loss_fn,
            opt_func=partial(OptimWrapper, opt=OPTIMIZERS[task.optimizer]),
            path=self.folder.name,
        )

        def run() -> int:
            with learner.no_bar():
                learner.lr_find(start_lr=task.low, end_lr=task.high, num_it=UPDATES, stop_div=False, show_plot=False)
            return len(learner.recorder.losses)

        return run
