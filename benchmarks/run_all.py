"""Runs every benchmark that is here and writes one Markdown file, `RESULTS-<platform>.md`, beside them.

    python benchmarks/run_all.py [--quality] [--quick] [--only finder_peers early_stop]

Each script runs in a process of its own, one after the other; the file gives the load of the machine around each. Tables of a
run before stay in the file for scripts that `--only` leaves out. A script that fails is named in the file, the others go on,
and the exit status is 1. `--quick` runs few pairs, to see that everything works, and writes `RESULTS-<platform>-quick.md`.
"""

import argparse
import datetime
import os
import pathlib
import subprocess
import sys
import time
from typing import NamedTuple

import jax

from _machine import machine

HERE = pathlib.Path(__file__).parent


class Benchmark(NamedTuple):
    """A script, the heading of its tables, and its arguments.

    Attributes:
      heading: in the file; also what finds the tables of a run before.
      quick: arguments for few pairs.
      always: arguments of every run.
    """

    heading: str
    quick: tuple[str, ...] = ()
    always: tuple[str, ...] = ()


BENCHMARKS = {
    "finder_peers": Benchmark("Range test compared with other libraries", ("--pairs", "2", "--processes", "1")),
    "finder_overhead": Benchmark("Range test over the bare step", ("--pairs", "3")),
    "first_call": Benchmark("The first search", ("--processes", "1")),
    "blocks": Benchmark("Steps in a block", ("--turns", "1")),
    "early_stop": Benchmark("Early stop", ("--pairs", "3")),
    "sweep": Benchmark("Sweeps", ("--pairs", "1", "--updates", "20")),
    "accuracy": Benchmark("Accuracy of schedules"),
    "schedule_cost": Benchmark("Cost of schedules"),
    "finder_quality": Benchmark("Quality of the finder's rate", always=("report",)),
}


def load() -> str:
    """How many processes wanted a core in the last minute, on average."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def measured(name: str, quick: bool) -> tuple[str, bool]:
    """What a script prints, with the load around it, and whether it ended well."""
    benchmark, before, begun = BENCHMARKS[name], load(), time.perf_counter()
    arguments = [*benchmark.always, *(benchmark.quick if quick else ())]
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    printed = done.stdout.strip()
    if done.returncode:
        printed += f"\n\n**`{name}.py` failed with status {done.returncode}; what it said is on the terminal.**"
    took = f"{time.perf_counter() - begun:.0f} s, load {before} before and {load()} after"
    shown = " ".join([f"{name}.py", *arguments])
    return f"`{shown}`: {took}\n\n{printed}\n", done.returncode == 0


def sections(path: pathlib.Path) -> dict[str, str]:
    """The text under each heading of a file of a run before."""
    if not path.exists():
        return {}
    parts = path.read_text(encoding="utf-8").split("\n## ")[1:]
    return {heading: text.strip() + "\n" for heading, _, text in (part.partition("\n") for part in parts)}


def write(path: pathlib.Path, found: dict[str, str]) -> None:
    """The file, its headings in the order of the list above."""
    shown = [benchmark.heading for benchmark in BENCHMARKS.values() if benchmark.heading in found]
    where = f"{machine()}; {datetime.date.today()}"
    top = f"# Results on {jax.default_backend()}\n\n{where}. Written by `run_all.py`; `README.md` says how to read it.\n"
    path.write_text("\n".join([top, *(f"## {heading}\n\n{found[heading]}" for heading in shown)]), encoding="utf-8")


def main() -> None:
    """Runs, and writes after every script, so that what was measured stays when a later one is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", action="store_true", help="also the finder's quality, which takes long")
    parser.add_argument("--quick", action="store_true", help="few pairs, to see that all of it runs")
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), help="some scripts")
    options = parser.parse_args()
    chosen = options.only or [name for name in BENCHMARKS if name != "finder_quality" or options.quality]
    path = HERE / f"RESULTS-{jax.default_backend()}{'-quick' * options.quick}.md"
    found, failed = sections(path), []
    for name in chosen:
        if not (HERE / f"{name}.py").exists():
            print(f"{name}.py is not here", file=sys.stderr)
            continue
        print(f"{name}.py ...", file=sys.stderr, flush=True)
        found[BENCHMARKS[name].heading], ended_well = measured(name, options.quick)
        failed += [] if ended_well else [name]
        write(path, found)
    print(path)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
