"""What the scripts that make the golden files share. Run them from here, each in an environment of its own: see each script."""

import json
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

HERE = pathlib.Path(__file__).parent


def counts(last: int, *marks: int) -> list[int]:
    """Both ends, both sides of each mark, a few between, and a few past `last`."""
    near = [mark + step for mark in (0, *marks, last) for step in (-1, 0, 1)]
    between = [last * i // 7 for i in range(8)]
    return sorted({count for count in (*near, *between, last + last // 3) if count >= 0})


def call(case: dict[str, Any]) -> str:
    """A case as it would be written."""
    return f"{case['function']}({', '.join(f'{name}={value!r}' for name, value in case['arguments'].items())})"


def write(name: str, made: str, cases: Iterable[dict[str, Any]], rates: Callable[[dict[str, Any]], list[float]]) -> None:
    """Writes `name`.json: how it was made, and the cases with the rates at their counts, to 12 digits."""
    lines = []
    for case in cases:
        found = [float(f"{rate:.12g}") for rate in rates(case)]
        print(case.get("call") or call(case), found[:3], "...", found[-1])
        lines.append(json.dumps({**case, "rates": found}))
    text = f'{{"made": {json.dumps(made)}, "cases": [\n' + ",\n".join(lines) + "\n]}\n"
    (HERE / f"{name}.json").write_text(text)
