"""Changes the package in many small ways, one at a time, and counts the changes that no test notices.

    python tests/mutation/mutate.py --number 300 --seed 0
    python tests/mutation/mutate.py --only finder --number 40
    python tests/mutation/mutate.py --line finder/_stop.py:73

The first call measures which lines each test file runs, which takes as long as all the tests. Later calls read it from
`.cache/mutation`.
"""

import argparse
import collections
import dataclasses
import fnmatch
import functools
import itertools
import json
import math
import os
import pathlib
import random
import time
import tomllib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import forks
from mutations import Mutation, differs, mutations
from project import Project, Workers, measured
from selection import Chosen, Selector, batches, together

DECISIONS = {
    "finder": "range_test policy rules stop find rescale",
    "sweeps": "race score sweep results",
    "schedules": "clock plan combinators intmath",
    "theory": "",
    "optimizers": "rates groups plateau recorded",
    "training": "driver evaluating batches memory storage",
}
"""What decides, rather than computes: the beginnings of the names of files, in each package."""

WEIGHTS = (
    *((pattern, 0) for pattern in ("*picture*", "*plots*", "*_version.py")),  # display code, and no code
    *((f"{package}/_{name}*", 4) for package, names in DECISIONS.items() for name in names.split() or [""]),
    *((f"{package}/*", 2) for package in DECISIONS if package != "schedules"),
)
"""How often a line is drawn, by the first pattern that its file matches in the package; 1 where none does."""

LEAST = 2
"""How many mutations each package has, however few lines."""

FIRST = (6.0, 20.0)
"""Seconds of tests in the first two runs of a mutation, alone. The tests that are left are run on several mutations at once."""

GROUP, PART = 8, 60.0
"""How many mutations are run at once, and on how many seconds of tests."""

MOST = 40.0
"""Seconds of tests that a mutation is given at most, nearest first."""

EQUIVALENT = pathlib.Path(__file__).with_name("equivalent.toml")


@dataclasses.dataclass
class Result:
    """What became of a mutation.

    Attributes:
      mutation: the change.
      status: "killed", "timed out", "survived", or "uncovered" where no test runs it.
      killers: the tests that failed, and the first line of their errors.
      tests: the files whose tests were run.
      left_out: the files whose tests run it, but had no time.
      reason: why it is equivalent, if it is listed as such.
    """

    mutation: Mutation
    status: str = "survived"
    killers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    tests: list[str] = dataclasses.field(default_factory=list)
    left_out: list[str] = dataclasses.field(default_factory=list)
    reason: str = ""

    @property
    def dead(self) -> bool:
        """Whether a test noticed."""
        return self.status in ("killed", "timed out")


class Named:
    """A pytest plugin that keeps the tests that were chosen."""

    def __init__(self, chosen: Sequence[Chosen], without: frozenset[str]) -> None:
        self.names = {one.file: one.names for one in chosen}
        self.without = without

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        """Drops the others."""
        kept = [item for item in items if self._keeps(item.nodeid)]
        items[:] = kept

    def _keeps(self, name: str) -> bool:
        names = self.names.get(name.partition("::")[0])
        return name not in self.without and (names is None or name in names)

    def report(self) -> dict[str, Any]:
        """Nothing more."""
        return {}


# what is drawn


def drawn(project: Project, number: int, seed: int, only: str, line: str) -> list[Mutation]:
    """Mutations in random order, each of another line; all of one line if that is given.

    A line's chance depends on its own text, not on what else there is: a seed draws nearly the same after a change elsewhere.
    """
    lines: dict[tuple[str, tuple[int, ...]], list[Mutation]] = collections.defaultdict(list)
    sources = {path.relative_to(project.source).as_posix(): path.read_bytes() for path in sorted(project.source.rglob("*.py"))}
    for file, source in sources.items():
        for one in mutations(file, source) if file.startswith(only) else ():
            lines[file, one.lines].append(one)
    if line:
        file, _, at = line.rpartition(":")
        return [one for (name, here), every in lines.items() if file.endswith(name) and int(at) in here for one in every]
    found, count = list[Mutation](), collections.Counter[str]()
    for every in sorted(lines.values(), key=lambda every: _place(seed, every[0])):
        package = every[0].file.partition("/")[0]
        if _weight(every[0].file) and (len(found) < number or count[package] < LEAST):
            one = next((one for one in _shuffled(seed, every) if differs(one, sources[one.file])), None)
            found += [] if one is None else [one]
            count[package] += one is not None
    extra = found[number:]  # of packages with few lines: they take the places of the last of the others
    return _shuffled(seed, found[: max(0, number - len(extra))] + extra)


def _weight(file: str) -> float:
    return next((weight for pattern, weight in WEIGHTS if fnmatch.fnmatch(file, pattern)), 1)


def _place(seed: int, mutation: Mutation) -> float:
    """Where a line comes in the order: weighted sampling without replacement (Efraimidis & Spirakis 2006)."""
    weight = _weight(mutation.file)
    chance = random.Random(f"{seed}|{mutation.file}|{mutation.scope}|{mutation.before}").random()
    return -math.log(chance) / weight if weight else math.inf


def _shuffled(seed: int, every: list[Mutation]) -> list[Mutation]:
    return sorted(every, key=lambda one: random.Random(f"{seed}|{one.operator}|{one.key}").random())


# what is run


@dataclasses.dataclass
class Bench:
    """Where one worker runs tests on mutations.

    Attributes:
      project: the project itself.
      copy: the copy that is mutated.
      number: of the worker.
      without: tests that fail without a mutation.
    """

    project: Project
    copy: Project
    number: int
    without: frozenset[str]

    def run(self, mutations: Sequence[Mutation], chosen: Sequence[Chosen], *options: str) -> forks.Outcome:
        """Runs tests on a copy with these mutations."""
        seconds = sum(one.seconds for one in chosen)
        limits = forks.Limits(cpu=15 + 3 * seconds, wall=300 + 20 * seconds)
        kept = {one.file: (self.copy.source / one.file).read_bytes() for one in mutations}
        try:
            for file, source in kept.items():
                for one in sorted(mutations, key=lambda one: -one.start):
                    source = one.applied(source) if one.file == file else source
                self._write(file, source)
            plugins = functools.partial(_named, chosen, self.without)
            log = self.project.log(self.number)
            return forks.run(self.copy.root, [one.file for one in chosen], log, limits, self.project.programs, plugins, options)
        finally:
            for file, source in kept.items():
                self._write(file, source)

    def _write(self, file: str, source: bytes) -> None:
        path = self.copy.source / file
        path.write_bytes(source)
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()

    def alone(self, chosen: list[list[Chosen]], mutation: Mutation) -> Result:
        """Runs batches of tests on one mutation, until one fails."""
        result = Result(mutation)
        for batch in chosen:
            outcome = self.run([mutation], batch, "-x")
            result.tests += [one.file for one in batch]
            if not outcome.passed:
                result.status = "timed out" if outcome.timed_out else "killed"
                result.killers = outcome.failed
                break
        return result

    def settle(self, group: list[Mutation], chosen: list[Chosen]) -> dict[Mutation, forks.Outcome]:
        """The mutations of a group that tests notice, and how.

        The tests that failed on the whole group are run on each half of it, and so on, until each failure has its mutation.
        A mutation that hides another one can make it survive; `--line` runs each mutation alone.
        """
        outcome = self.run(group, chosen, *([] if len(group) > 1 else ["-x"]))
        if outcome.passed:
            return {}
        if len(group) == 1:
            return {group[0]: outcome}
        names = frozenset(name for name, _ in outcome.failed)
        files = {name.partition("::")[0] for name in names}
        again = [
            Chosen(one.file, one.names if one.file in names else names, one.seconds) for one in chosen if one.file in files
        ]
        half = len(group) // 2
        return {**self.settle(group[:half], again or chosen), **self.settle(group[half:], again or chosen)}


def _named(chosen: Sequence[Chosen], without: frozenset[str]) -> list[Any]:
    return [Named(chosen, without)]


def _alone(project: Project, copy: Project, number: int, given: tuple[Any, ...]) -> Result:
    mutation, chosen, without = given
    return Bench(project, copy, number, without).alone(chosen, mutation)


def _settle(project: Project, copy: Project, number: int, given: tuple[Any, ...]) -> dict[Mutation, forks.Outcome]:
    group, chosen, without = given
    return Bench(project, copy, number, without).settle(group, chosen)


def _control(project: Project, copy: Project, number: int, given: tuple[Any, ...]) -> list[str]:
    """Those of the tests that fail without a mutation."""
    chosen, without = given
    return [name for name, _ in Bench(project, copy, number, without).run([], chosen).failed]


class Session:
    """Runs mutations, many at a time.

    Attributes:
      without: tests that fail without a mutation, which kill nothing.
      sound: tests that have killed, and pass without a mutation.
    """

    def __init__(self, project: Project, say: Any) -> None:
        self.workers, self.say = Workers(project), say
        known = measured(project, self.workers, say)
        self.selector = Selector(project.source, known)
        self.without = {test for one in known.values() for test in one.failed}
        self.sound: set[str] = set()

    def run(self, mutations: list[Mutation]) -> list[Result]:
        """Runs mutations; those that are noticed only by tests that fail anyway are run again without these tests."""
        again = mutations
        found: dict[Mutation, Result] = {}
        while again:
            found |= self._results(again)
            unsound = self._unsound([one for one in found.values() if one.dead])
            again = [one.mutation for one in found.values() if any(name in unsound for name, _ in one.killers)]
        return [found[one] for one in mutations]

    def _results(self, mutations: list[Mutation]) -> dict[Mutation, Result]:
        chosen = {one: self.selector.chosen(one) for one in mutations}
        parts = {one: batches(tests, FIRST) for one, tests in chosen.items()}
        found = {one: Result(one, "uncovered") for one, tests in chosen.items() if not tests}
        tasks = [(one, parts[one][0], frozenset(self.without)) for one in mutations if one not in found]
        for (one, _, _), result in self.workers.run(_alone, tasks):
            found[one] = result
        waiting = [one for one in mutations if found[one].status == "survived" and parts[one][1]]
        for one in waiting:
            given, found[one].left_out = _within(parts[one][1], MOST)
            found[one].tests += [test.file for test in given]
            parts[one] = (parts[one][0], given)
        tasks = [
            (group, part, frozenset(self.without))
            for group in _groups(waiting)
            for part in batches(together([parts[one][1] for one in group]), itertools.repeat(PART))[0]
        ]
        for _, killed in self.workers.run(_settle, tasks):
            for one, outcome in killed.items():
                found[one].status = "timed out" if outcome.timed_out else "killed"
                found[one].killers += outcome.failed
        return found

    def _unsound(self, dead: list[Result]) -> set[str]:
        """Those of the tests that killed which fail without a mutation too."""
        names = {name for one in dead for name, _ in one.killers[:1] if "::" in name} - self.sound
        if not names:
            return set()
        files = collections.defaultdict(set)
        for name in names:
            files[name.partition("::")[0]].add(name)
        chosen = [Chosen(file, frozenset(tests), self.selector.measured[file].seconds) for file, tests in sorted(files.items())]
        tasks = [(some, frozenset(self.without)) for some in (chosen[::2], chosen[1::2]) if some]
        unsound = {name for _, failed in self.workers.run(_control, tasks) for name in failed}
        self.sound |= names - unsound
        self.without |= unsound
        for name in sorted(unsound):
            self.say(f"fails without a mutation: {name}")
        return unsound


def _within(chosen: list[Chosen], most: float) -> tuple[list[Chosen], list[str]]:
    """The first of the choices, as many as have time, and the names of the files of the rest."""
    taken, spent = [], 0.0
    for one in chosen:
        if spent + one.seconds <= most:
            taken.append(one)
            spent += one.seconds
    return taken, sorted({one.file for one in chosen} - {one.file for one in taken})


def _groups(mutations: list[Mutation]) -> list[list[Mutation]]:
    """Groups of mutations of different functions, neighbours first: they share most of their tests."""
    found: list[list[Mutation]] = []
    for one in sorted(mutations, key=lambda one: (one.file, one.start)):
        free = (
            group
            for group in found
            if len(group) < GROUP and all((one.file, one.scope) != (other.file, other.scope) for other in group)
        )
        group = next(free, None)
        if group is None:
            found.append([one])
        else:
            group.append(one)
    return found


# what is reported


def equivalents(path: pathlib.Path = EQUIVALENT) -> dict[tuple[str, str], str]:
    """The reason of each mutation that no test could notice, by the lines before and after."""
    entries = tomllib.loads(path.read_text())["equivalent"] if path.exists() else []
    return {(one["before"].strip(), one["after"].strip()): one["reason"] for one in entries}


def note_equivalents(results: Iterable[Result]) -> None:
    """Gives each result the reason why it is equivalent, or none."""
    reasons = equivalents()
    for one in results:
        one.reason = reasons.get((one.mutation.before, one.mutation.after), "")


def table(results: Collection[Result]) -> Iterator[str]:
    """The score of each package, and of all."""
    packages = collections.defaultdict(list)
    for one in results:
        packages[one.mutation.file.partition("/")[0]].append(one)
    yield "package          mutations equivalent  killed timed out survived uncovered  score"
    for name, some in [*sorted(packages.items()), ("all", list(results))]:
        real = [one for one in some if not one.reason]
        count = collections.Counter(one.status for one in real)
        score = f"{sum(one.dead for one in real) / len(real):.0%}" if real else "-"
        numbers = count["killed"], count["timed out"], count["survived"], count["uncovered"]
        start = f"{name:<16}{len(some):>10}{len(some) - len(real):>11}"
        yield start + f"{numbers[0]:>8}{numbers[1]:>10}{numbers[2]:>9}{numbers[3]:>10}{score:>7}"


def story(package: str, result: Result) -> Iterator[str]:
    """One mutation as a text."""
    one = result.mutation
    yield f"src/{package}/{one.file}:{one.line} {result.status}: {one.operator} in {one.scope or 'the module'}"
    yield from (f"  - {line}" for line in one.before.splitlines())
    yield from (f"  + {line}" for line in one.after.splitlines())
    if result.reason:
        yield f"  equivalent: {result.reason}"
    elif result.dead:
        yield from (f"  {name}: {error}" for name, error in result.killers[:3])
    else:
        yield f"  tests: {' '.join(result.tests) or 'none runs it'}"
        if result.left_out:
            yield f"  no time for: {' '.join(result.left_out)}"


def saved(results: Sequence[Result]) -> str:
    """Results as JSON."""
    return json.dumps([dataclasses.asdict(one) for one in results], indent=1)


def loaded(text: str) -> list[Result]:
    """Results from JSON."""
    found = []
    for one in json.loads(text):
        given = one.pop("mutation")
        caller = given["caller"] and tuple(given["caller"])
        killers = [tuple(pair) for pair in one.pop("killers")]
        found.append(Result(Mutation(**given | {"lines": tuple(given["lines"]), "caller": caller}), killers=killers, **one))
    return found


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of a call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=300, help="how many mutations are drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", default="", help="the beginning of a path in the package, such as finder")
    parser.add_argument("--line", default="", help="FILE:LINE, all mutations of one line, instead of a draw")
    parser.add_argument("--resume", action="store_true", help="keeps the results of the output, and runs the rest")
    parser.add_argument("--survivors", action="store_true", help="as --resume, but runs again what has survived")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begins nothing after so many minutes")
    parser.add_argument("--at-once", type=int, default=30, help="how many mutations are finished before others begin")
    parser.add_argument("--dry", action="store_true", help="only shows what is drawn")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2], help="the project")
    parser.add_argument("--output", type=pathlib.Path, help="JSON of the results; .cache/mutation/results.json by default")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws mutations, runs tests on them and prints what survives."""
    given = parsed(arguments)
    project = Project(given.root.resolve())
    output = given.output or project.cache / ("line.json" if given.line else "results.json")
    chosen = drawn(project, given.number, given.seed, given.only, given.line)
    if given.dry:
        print(*(line for one in chosen for line in story(project.package, Result(one, "drawn"))), sep="\n")
        return
    before = loaded(output.read_text()) if output.exists() and (given.resume or given.survivors) else []
    done = {one.mutation.key: one for one in before if one.dead or not given.survivors}
    left = [one for one in chosen if one.key not in done]
    begun = time.monotonic()
    if left:
        os.nice(max(0, 10 - os.nice(0)))
        forks.preload()
        session = Session(project, functools.partial(print, flush=True))
    while left and time.monotonic() - begun < 60 * given.minutes:
        done |= {one.mutation.key: one for one in session.run(left[: given.at_once])}
        left = left[given.at_once :]
        note_equivalents(done.values())
        output.write_text(saved(list(done.values())))
        print(
            f"{len(left)} left after {(time.monotonic() - begun) / 60:.0f} minutes", *table(done.values()), sep="\n", flush=True
        )
    note_equivalents(done.values())
    shown = [one for one in done.values() if not one.dead or given.line]
    print(*(line for one in shown for line in story(project.package, one)), *table(done.values()), sep="\n")
    print(f"results: {output}")


if __name__ == "__main__":
    main()
