"""The nets, the data and the bare loop in PyTorch: what its three finders share."""

import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from peers.tasks import CONTEXT, SYMBOLS, TASKS, UPDATES, Arrays


class Transformer(nn.Module):
    """Two causal blocks of width 64 with four heads, over characters."""

    def __init__(self, width: int = 64, blocks: int = 2) -> None:
        super().__init__()
        self.characters, self.places = nn.Embedding(SYMBOLS, width), nn.Embedding(CONTEXT, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, blocks, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.last = nn.Linear(width, SYMBOLS)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT))

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """Logits of the next character at every place."""
        hidden = self.characters(characters) + self.places.weight
        return self.last(self.blocks(hidden, mask=self.mask, is_causal=True))


def mlp() -> nn.Module:
    """784-64-10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


def lenet() -> nn.Module:
    """Two convolutions with max pooling, three dense layers."""
    convolutions = (
        nn.Conv2d(1, 6, 5, padding="same"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    dense = nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
    return nn.Sequential(*convolutions, nn.Flatten(), *dense)


NETS: dict[str, Callable[[], nn.Module]] = {"mlp": mlp, "lenet": lenet, "transformer": Transformer}


def loss_fn(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, over images or over all places of a text."""
    return nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten())


def make_optimizer(task: str, params: Any) -> torch.optim.Optimizer:
    """The optimizer at the lowest rate."""
    chosen = TASKS[task]
    return (
        torch.optim.SGD(params, chosen.low, momentum=0.9) if chosen.optimizer == "sgd" else torch.optim.Adam(params, chosen.low)
    )


def make_loader(task: str, data: Arrays) -> DataLoader:
    """Shuffled batches, each gathered by one index: several times faster than the usual loader, which collates examples."""
    inputs, labels = (torch.from_numpy(each) for each in data)
    examples = TensorDataset(inputs if inputs.is_floating_point() else inputs.long(), labels.long())
    return DataLoader(
        examples, batch_size=None, sampler=BatchSampler(RandomSampler(examples), TASKS[task].batch, drop_last=True)
    )


def make_bare(task: str, data: Arrays) -> Callable[[], int]:
    """The training loop that everyone writes, on the loader that the finders get too."""
    net, loader = NETS[task](), make_loader(task, data)
    optimizer = make_optimizer(task, net.parameters())

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    def run() -> int:
        net.train()
        for _, (inputs, labels) in zip(range(UPDATES), batches(), strict=False):
            optimizer.zero_grad()
            loss_fn(net(inputs), labels).backward()
            optimizer.step()
        return UPDATES

    return run


class TorchRuns:
    """Makes runs of one task with a library on PyTorch; `folder` is for what it writes."""

    def __init__(self, task: str, data: Arrays) -> None:
        self.task, self.data, self.folder = task, data, tempfile.TemporaryDirectory()

    def bare(self) -> Callable[[], int]:
        """The training loop that everyone writes, on the loader that the finders get too."""
        return make_bare(self.task, self.data)
