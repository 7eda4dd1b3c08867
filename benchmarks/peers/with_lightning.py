"""The range test of Lightning's tuner, and PyTorch's bare loop."""

import logging
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.tuner import Tuner

from peers.tasks import TASKS, UPDATES
from peers.torch_nets import NETS, TorchRuns, loss_fn, make_loader, make_optimizer

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Module(pl.LightningModule):
    """A net as Lightning wants it."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task, self.learning_rate, self.net = task, TASKS[task].low, NETS[task]()

    def training_step(self, batch: Any, place: int) -> torch.Tensor:
        """The loss."""
        inputs, labels = batch
        return loss_fn(self.net(inputs), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer."""
        return make_optimizer(self.task, self.parameters())


class Runs(TorchRuns):
    """Makes runs of one task; a run returns how many updates it made."""

    def finder(self) -> Callable[[], int]:
        """`Tuner.lr_find` of a trainer that logs and shows as little as it can."""
        module, loader, task = Module(self.task), make_loader(self.task, self.data), TASKS[self.task]
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        trainer = pl.Trainer(accelerator="cpu", default_root_dir=self.folder.name, max_epochs=-1, **quiet)

        def run() -> int:
            found = Tuner(trainer).lr_find(
                module, loader, min_lr=task.low, max_lr=task.high, num_training=UPDATES, early_stop_threshold=None
            )
            return len(found.results["loss"])

        return run
