"""Which tests can notice a mutation, and in which order they are run."""

import ast
import collections
import dataclasses
import pathlib
from collections.abc import Collection, Iterable, Iterator

from mutations import Mutation, loads
from project import Measured

WHOLE, MANY = 8.0, 60
"""Of a file with more tests than `MANY` that takes longer than `WHOLE` seconds, only the tests that call the function are run.
Other files are run whole, because one of their tests may use what another has computed."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Tests of one file.

    Attributes:
      file: the file.
      names: the tests of it; None for all.
      seconds: processor time, at most.
    """

    file: str
    names: frozenset[str] | None
    seconds: float


class Selector:
    """Chooses tests by the lines that they run."""

    def __init__(self, source: pathlib.Path, measured: dict[str, Measured]) -> None:
        self.measured = measured
        self.readers: dict[str, set[tuple[str, int]]] = collections.defaultdict(set)
        self.functions: dict[str, list[tuple[int, int, int]]] = {}
        for path in sorted(source.rglob("*.py")):
            file, text = path.relative_to(source).as_posix(), path.read_bytes()
            self.functions[file] = functions(text)
            for name, line in loads(text):
                self.readers[name].add((file, line))

    def chosen(self, mutation: Mutation, excluded: Collection[str] = ()) -> list[Chosen]:
        """The tests that run what is mutated, near and fast ones first."""
        for lines in self._lines(mutation):
            called = {f"{file}:{function}" for file, line in lines if (function := self._function(file, line))}
            found = [self._of_file(name, one, lines, called) for name, one in self.measured.items() if name not in excluded]
            kept = [one for one in found if one is not None]
            if kept:
                package = mutation.file.rpartition("/")[0]
                near = [f"tests/{package}/", f"/{mutation.file}"]
                return sorted(kept, key=lambda one: one.seconds * (0.3 if any(part in one.file for part in near) else 1))
        return []

    def _lines(self, mutation: Mutation) -> Iterator[set[tuple[str, int]]]:
        """The lines, of whatever file, that show that a mutation is run; then lines that show it less certainly.

        What is run when its module is imported, such as a constant, is used by the functions that read its name, or else by the
        methods of its class or the functions of its module; a default, by its function.
        """
        file = mutation.file
        if mutation.function is not None:
            if not mutation.default:
                yield {(file, line) for line in mutation.lines}
            yield from (
                {(file, line) for line in range(body, last + 1)}
                for first, body, last in self.functions[file]
                if first == mutation.function
            )
            return
        if mutation.caller is None:
            readers = {line for name in mutation.named.split() for line in self.readers[name]}
            yield {line for line in readers if self._function(*line)}
        first, last = mutation.caller or (0, 0)
        yield {(file, line) for line in range(first, last + 1) if self._function(file, line)}
        yield {(file, line) for _, body, last in self.functions[file] for line in range(body, last + 1)}
        yield {(file, line) for line in mutation.lines}

    def _function(self, file: str, line: int) -> int | None:
        """The first line of the innermost function in whose body a line is; None outside of functions."""
        return max((first for first, body, last in self.functions[file] if body <= line <= last), default=None)

    @staticmethod
    def _of_file(name: str, one: Measured, lines: set[tuple[str, int]], called: set[str]) -> Chosen | None:
        if not one.tests or not any(line in one.lines.get(file, ()) for file, line in lines):
            return None
        names = {test for test, functions in one.tests.items() if functions & called}
        if one.seconds <= WHOLE or len(one.tests) <= MANY or one.collected & called or not names:
            return Chosen(name, None, one.seconds)
        return Chosen(name, frozenset(names), 2 + sum(one.costs[test] for test in names))


def functions(source: bytes) -> list[tuple[int, int, int]]:
    """The first line, decorators included, the first of the body, and the last line of each function."""
    return [
        (min(one.lineno for one in (node, *node.decorator_list)), node.body[0].lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def batches(chosen: list[Chosen], budgets: Iterable[float]) -> tuple[list[list[Chosen]], list[Chosen]]:
    """Batches whose seconds fit the budgets, one after the other, and the rest."""
    found, left = [], list(chosen)
    for budget in budgets:
        if not left:
            break
        batch: list[Chosen] = []
        while left and (not batch or sum(one.seconds for one in batch) + left[0].seconds <= budget):
            batch.append(left.pop(0))
        found.append(batch)
    return found, left


def together(parts: list[list[Chosen]]) -> list[Chosen]:
    """The tests of several choices, each once."""
    found: dict[str, Chosen] = {}
    for one in (one for part in parts for one in part):
        other = found.setdefault(one.file, one)
        if other is not one:
            names = None if one.names is None or other.names is None else one.names | other.names
            seconds = max(one.seconds, other.seconds) if names is None else one.seconds + other.seconds
            found[one.file] = Chosen(one.file, names, seconds)
    return list(found.values())
