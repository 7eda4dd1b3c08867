"""One library's process: `python -m peers.worker LIBRARY TASK DATA [--once]`, begun by `finder_peers.py`.

With `--once` it runs the range test once and ends. Otherwise it runs both programs once, so that everything is compiled, and
then takes turns: each line of its input names the programs in the order to run them in, and is answered by the seconds of each,
by the clock and of all cores together.
"""

import importlib
import json
import sys
import time
from typing import Any

import numpy as np

from peers.tasks import UPDATES

ANSWER = "seconds: "
"""What an answer begins with, among what else a library prints."""


def answer(value: dict[str, Any]) -> None:
    """Gives seconds to the parent process."""
    print(ANSWER + json.dumps(value), flush=True)


def main() -> None:
    """Runs."""
    begun = time.perf_counter()
    library, task, path, *once = sys.argv[1:]
    runs_of = importlib.import_module(f"peers.with_{library}").Runs
    imported = time.perf_counter() - begun
    with np.load(path) as file:
        runs = runs_of(task, (file["inputs"], file["labels"]))
    makers = {"bare": runs.bare, "finder": runs.finder}

    def measure(name: str) -> tuple[float, float]:
        run = makers[name]()
        begun, spent = time.perf_counter(), time.process_time()
        made = run()
        seconds = time.perf_counter() - begun, time.process_time() - spent
        if made != UPDATES:
            raise RuntimeError(f"{library} made {made} updates of {task}, not {UPDATES}")
        return seconds

    if once:
        answer({"imports": imported, "first": measure("finder")})
        return
    for name in makers:
        measure(name)
    answer({})
    for line in sys.stdin:
        answer({name: measure(name) for name in line.split()})


if __name__ == "__main__":
    main()
