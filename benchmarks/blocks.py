"""How many updates to a block of the range test's scan: time an update, and what a stop wastes.

    python benchmarks/blocks.py [--turns 9] [--sizes 1 2 4 8 16 32 64]

An MLP (784-64-10, batch 64) on real digits, 384 updates in one program. A block of one update asks after every update whether
the loop goes on, as a `while_loop` over updates does; on an accelerator each such question is a word with the host. Sizes take
turns.
"""

import argparse
from typing import Any

import jax
import numpy as np

import lrax
from _machine import machine, table
from early_stop import STOPS, digits_learner, stop_at
from finder_overhead import seconds
from lrax.training import _core, _programs

UPDATES = 384
RAMP = lrax.Geometric(1e-6, 1e-2, UPDATES - 1)


def tests(sizes: list[int], lanes: int) -> dict[int, Any]:
    """(after how many updates it stops) -> losses, compiled with blocks of each size."""
    learner, data = digits_learner()
    compiled = {}
    for size in sizes:
        _core.BLOCK = size
        _programs._shared.clear()  # programs that were made with another size

        def ranged(limit: Any, key: Any) -> Any:
            return lrax.range_test(learner, data, key=key, stop=stop_at(limit), batch_size=64, ramp=RAMP).losses

        key: Any = jax.random.key(1)
        if lanes > 1:
            ranged, key = jax.vmap(ranged), jax.random.split(key, lanes)
        limit = np.full(lanes if lanes > 1 else (), UPDATES, np.int32)
        compiled[size] = jax.jit(ranged).lower(limit, key).compile(), key
    return compiled


def rows(sizes: list[int], turns: int) -> list[list[str]]:
    """A row a number of lanes and size."""
    found = []
    for lanes in (1, 8):
        programs = tests(sizes, lanes)
        stops = STOPS[:lanes] if lanes > 1 else STOPS[0]
        limits = {"full": np.full_like(stops, UPDATES), "stopped": stops}
        times: dict[Any, list[float]] = {(size, name): [] for size in sizes for name in limits}
        for turn in range(turns + 1):
            for size in sizes if turn % 2 else sizes[::-1]:
                program, key = programs[size]
                for name, limit in limits.items():
                    spent = seconds(lambda program=program, limit=limit, key=key: program(limit, key))
                    if turn:
                        times[size, name].append(spent)
        for size in sizes:
            full, stopped = (np.array(times[size, name]) for name in limits)
            beside = np.median(full / np.array(times[sizes[0], "full"]))
            ratio = np.median(stopped / full)
            found.append([str(lanes), str(size), f"{np.median(full) / UPDATES * 1e6:.0f}", f"{beside:.2f}", f"{ratio:.3f}"])
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64])
    options = parser.parse_args()
    head = ["runs", "block", "µs per step", "÷ first size", f"stopped ÷ full ({STOPS[0] / UPDATES:.3f} of the steps)"]
    print(machine(), table(head, rows(options.sizes, options.turns)), sep="\n\n")


if __name__ == "__main__":
    main()
