"""The file that a result is saved to: plain JSON, of which every part is checked before anything is built from it."""

import json
import os
import pathlib
from typing import Any, NoReturn

import numpy as np

from lrax.fields._errors import argument_error
from lrax.finder._curve import Curve
from lrax.finder._runs import Runs
from lrax.training._core import Reason

FORMAT = 1
"""The version of the file; a change that older readers would misread adds one."""

NOT_FINITE = ("nan", "inf", "-inf")
"""How numbers that JSON does not know are written."""

GREATEST, MOST = float(np.finfo(np.float32).max), 2**53
"""The largest number that float32 holds, and the largest whole number that a file may have."""


def write(found: Any, path: pathlib.Path) -> None:
    """Writes a result beside `path` first, so that a file is there whole or not at all; what a full disk cut off is removed."""
    text = json.dumps({"lrax": "FinderResult", "format": FORMAT, **to_plain(found)}, indent=1)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def to_plain(found: Any) -> dict[str, Any]:
    """A result in the types of JSON; numbers that are not finite as strings."""

    def numbers(array: np.ndarray[Any, Any]) -> list[Any]:
        return [float(x) if np.isfinite(x) else str(x) for x in array]

    def curve(curve: Curve) -> dict[str, Any]:
        plain = {name: numbers(getattr(curve, name)) for name in ("rates", "losses", "smoothed")}
        rates, metrics = map(numbers, curve.evaluated())
        evaluations = {"rates": rates, "metrics": metrics, "mode": curve.mode}
        return {**plain, "reason": str(curve.reason), "evaluations": evaluations}

    def runs(runs: Runs) -> dict[str, Any]:
        peaks, losses = numbers(runs.peaks), numbers(runs.losses)
        scores = None if runs.scores is None else numbers(runs.scores)
        plain = {"updates": runs.updates, "spent": runs.steps_run, "best": runs.best}
        return {"peaks": peaks, "losses": losses, "scores": scores, **plain}

    return {
        "curves": [curve(lane) for lane in found.curves],
        "reason": str(found.reason),
        "suggestion": found.suggestion,
        "band": found.band,
        "runs": [runs(one) for one in found.runs],
        "refined": None if found.refined is None else runs(found.refined),
        "groups": {pattern: to_plain(group) for pattern, group in found.groups.items()},
        "grows": found.grows,
        "left_out": found.left_out,
        "ended": found.ended,
        "fault": found.fault,
    }


def read(path: pathlib.Path) -> dict[str, Any]:
    """The parts of the result that `write` wrote, by the names that `FinderResult` has for them; those of groups as dicts.

    Raises: ValueError that names the file and the part that is missing or not as it must be.
    """
    if path.is_dir():
        raise argument_error(
            ValueError, "FinderResult.load", "path", "a file that FinderResult.save wrote", path.name, f"{path} is a directory"
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise argument_error(
            ValueError, "FinderResult.load", "path", "a file that FinderResult.save wrote", path.name, f"{path}: {error}"
        ) from error
    if not isinstance(plain, dict) or plain.get("lrax") != "FinderResult":
        raise argument_error(
            ValueError, "FinderResult.load", "path", "a file that FinderResult.save wrote", path.name, f"{path} is none"
        )
    file = Part(path, "the file", plain)
    if file.part("format").whole(1) > FORMAT:
        needs = f"a FinderResult of format {FORMAT} or older"
        raise argument_error(
            ValueError, "FinderResult.load", "path", needs, path.name, f"a newer lrax wrote {path}: update lrax"
        )
    return read_found(file)


def read_found(file: "Part", group: bool = False) -> dict[str, Any]:
    """The parts of a result, or of the result for a group, which has no groups itself."""
    if group and file.part("groups").named():
        file.part("groups").refuse("empty in a group")
    suggestion, band, refined = file.part("suggestion"), file.part("band"), file.part("refined")
    return {
        "curves": tuple(part.curve() for part in file.part("curves").items(fewest=1)),
        "reason": file.part("reason").reason(),
        "suggestion": None if suggestion.value is None else suggestion.rate(),
        "band": None if band.value is None else band.band(),
        "runs": tuple(part.runs() for part in file.part("runs").items()),
        "refined": None if refined.value is None else refined.runs(),
        "groups": {name: read_found(one, True) for name, one in file.part("groups").named().items()},
        "grows": file.part("grows").known(),
        "left_out": file.part("left_out").whole(0),
        "ended": file.part("ended").flag(),
        "fault": file.part("fault").text(),
    }


class Part:
    """A value of a file with its place, so that what is wrong can be named.

    Attributes:
      path: the file.
      place: where in it the value stands, such as `curves[0].rates`.
      value: what stands there.
    """

    def __init__(self, path: pathlib.Path, place: str, value: Any) -> None:
        self.path, self.place, self.value = path, place, value

    def refuse(self, needs: str) -> NoReturn:
        """Raises ValueError: which file, which part, what it must be."""
        value = repr(self.value)[:40] if isinstance(self.value, str | int | float | None) else f"a {type(self.value).__name__}"
        shown = f"in {self.path}, `{self.place}` must be {needs}, and is {value}"
        raise argument_error(
            ValueError, "FinderResult.load", "path", "a whole file that FinderResult.save wrote", self.path.name, shown
        )

    def part(self, name: str) -> "Part":
        """A named part of this one."""
        place = name if self.place == "the file" else f"{self.place}.{name}"
        if not isinstance(self.value, dict):
            self.refuse("an object with parts")
        if name not in self.value:
            remedy = f"in {self.path}, `{place}` is missing"
            raise argument_error(
                ValueError, "FinderResult.load", "path", "a whole file that FinderResult.save wrote", self.path.name, remedy
            )
        return Part(self.path, place, self.value[name])

    def named(self) -> dict[str, "Part"]:
        """The parts of an object by their names."""
        if not isinstance(self.value, dict):
            self.refuse("an object with parts")
        return {name: self.part(name) for name in self.value}

    def items(self, fewest: int = 0) -> list["Part"]:
        """The parts of a list."""
        if not isinstance(self.value, list) or len(self.value) < fewest:
            self.refuse(f"a list of at least {fewest}" if fewest else "a list")
        return [Part(self.path, f"{self.place}[{i}]", value) for i, value in enumerate(self.value)]

    def whole(self, least: int) -> int:
        """A whole number."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not least <= self.value <= MOST:
            self.refuse(f"a whole number from {least} to 2**53")
        return self.value

    def number(self) -> float:
        """A number that float32 can hold, or the name of one that is not finite."""
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if self.value not in NOT_FINITE and not (is_number and abs(self.value) <= GREATEST):
            self.refuse("a number")
        return float(self.value)

    def rate(self) -> float:
        """A finite rate above 0."""
        rate = self.number()
        if not 0 < np.float32(rate) < np.inf:
            self.refuse("a rate above 0")
        return rate

    def known(self) -> bool | None:
        """True, False, or null where it is not known."""
        if self.value is not None and not isinstance(self.value, bool):
            self.refuse("true, false or null")
        return self.value

    def flag(self) -> bool:
        """True or False."""
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return self.value

    def text(self) -> str:
        """A text."""
        if not isinstance(self.value, str):
            self.refuse("a text")
        return self.value

    def word(self, *words: str) -> str:
        """One of some words."""
        if self.value not in words:
            self.refuse(f"one of {', '.join(words)}")
        return str(self.value)

    def reason(self) -> Reason:
        """A reason by its words."""
        return Reason(self.word(*Reason))

    def band(self) -> tuple[float, float]:
        """Two rates, the lower first."""
        rates = [part.rate() for part in self.items()]
        if len(rates) != 2 or rates[0] > rates[1]:
            self.refuse("two rates, the lower first")
        return rates[0], rates[1]

    def arrays(self, *names: str, fewest: int = 0) -> dict[str, np.ndarray[Any, Any]]:
        """Lists of numbers of one length by their names; those called `rates` or `peaks` are rates."""
        parts = {name: self.part(name).items(fewest) for name in names}
        if len({len(items) for items in parts.values()}) > 1:
            self.refuse(f"an object with as many {' as '.join(names)}")
        values = {
            name: [one.rate() if name in ("rates", "peaks") else one.number() for one in items] for name, items in parts.items()
        }
        return {name: np.array(numbers, np.float32) for name, numbers in values.items()}

    def curve(self) -> Curve:
        """A curve."""
        evaluations = self.part("evaluations")
        pairs = evaluations.arrays("rates", "metrics")
        return Curve(
            **self.arrays("rates", "losses", "smoothed"),
            reason=self.part("reason").reason(),
            evaluations=np.stack([pairs["rates"], pairs["metrics"]], axis=1),
            mode=evaluations.part("mode").word("min", "max"),
        )

    def runs(self) -> Runs:
        """Short runs."""
        best, numbers = self.part("best"), dict[str, Any](self.arrays("peaks", "losses", fewest=1))
        numbers["scores"] = self.arrays("peaks", "scores")["scores"] if self.part("scores").value is not None else None
        chosen = None if best.value is None else best.rate()
        return Runs(**numbers, updates=self.part("updates").whole(1), steps_run=self.part("spent").whole(0), best=chosen)
