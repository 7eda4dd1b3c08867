"""Measures which lines of the package each test file runs, and how long each takes."""

import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest


class Tracer:
    """A pytest plugin that records the lines of the package that run, and the functions that each test calls.

    Only functions of the package are traced line by line, each until all its lines have run.
    """

    def __init__(self, source: pathlib.Path) -> None:
        self.source = f"{source}/"
        self.lines: dict[str, set[int]] = {}
        self.codes: dict[int, tuple[Any, Callable[..., Any]]] = {}
        self.called: set[str] = set()
        self.tests: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}
        sys.settrace(self._call)
        threading.settrace(self._call)

    def _call(self, frame: Any, event: str, arg: Any) -> Any:
        code = frame.f_code
        name = code.co_filename
        if not name.startswith(self.source):
            return None
        name = name[len(self.source) :]
        self.called.add(f"{name}:{code.co_firstlineno}")
        if id(code) not in self.codes:
            self.codes[id(code)] = self._watched(code, self.lines.setdefault(name, set()))
        return self.codes[id(code)][1](frame, event, arg)

    @staticmethod
    def _watched(code: Any, ran: set[int]) -> tuple[Any, Callable[..., Any]]:
        """A code object, kept so that its id stays its own, and its trace function, which ends when all its lines have run."""
        left = {line for _, _, line in code.co_lines() if line}

        def trace(frame: Any, event: str, arg: Any) -> Any:
            ran.add(frame.f_lineno)
            left.discard(frame.f_lineno)
            return trace if left else None

        return code, trace

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        before, self.called, begun = self.called, set(), time.process_time()
        try:
            return (yield)
        finally:
            self.tests[item.nodeid] = sorted(self.called)
            self.seconds[item.nodeid] = time.process_time() - begun
            self.called = before

    def report(self) -> dict[str, Any]:
        """What was recorded. What runs while a file is imported or collected belongs to all its tests."""
        lines = {name: sorted(ran) for name, ran in self.lines.items()}
        return {"lines": lines, "collected": sorted(self.called), "tests": self.tests, "seconds": self.seconds}
