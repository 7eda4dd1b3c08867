"""The range test of torch-lr-finder, and PyTorch's bare loop."""

from collections.abc import Callable

from torch_lr_finder import LRFinder

from peers.tasks import TASKS, UPDATES
from peers.torch_nets import NETS, TorchRuns, loss_fn, make_loader, make_optimizer


class Runs(TorchRuns):
    """Makes runs of one task; a run returns how many updates it made."""

    def finder(self) -> Callable[[], int]:
        """The range test, and the model as it was afterwards."""
        net, loader, task = NETS[self.task](), make_loader(self.task, self.data), TASKS[self.task]
        optimizer = make_optimizer(self.task, net.parameters())

        def run() -> int:
            finder = LRFinder(net, optimizer, loss_fn, device="cpu")
            finder.range_test(loader, start_lr=task.low, end_lr=task.high, num_iter=UPDATES, diverge_th=float("inf"))
            finder.reset()
            return len(finder.history["loss"])

        return run
