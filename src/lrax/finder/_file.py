"""The file that a result is saved to: plain JSON."""

import json
import pathlib
from typing import Any

import numpy as np

from lrax.fields._words import complain
from lrax.finder._result import Curve, Found, Refined
from lrax.training._reason import Reason

FORMAT = 1
"""The version of the file; a change that older readers would misread adds one."""


def write(found: Found, path: pathlib.Path) -> None:
    """Writes a result beside `path` first, so that a file is there whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"lrax": "Found", "format": FORMAT, **to_plain(found)}, indent=1))
    partial.replace(path)


def read(path: pathlib.Path) -> Found:
    """The result that `write` wrote."""
    try:
        plain = json.loads(path.read_text())
        kind, version = plain.pop("lrax"), plain.pop("format")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise complain(ValueError, "Found.load", "path", "a file that Found.save wrote", str(path)) from error
    if kind != "Found" or version > FORMAT:
        remedy = "a newer lrax wrote it: update lrax" if kind == "Found" else ""
        raise complain(ValueError, "Found.load", "path", f"a Found of format {FORMAT} or older", str(path), remedy)
    return from_plain(plain)


def to_plain(found: Found) -> dict[str, Any]:
    """A result in the types of JSON; numbers that are not finite as strings."""

    def numbers(array: np.ndarray[Any, Any]) -> list[Any]:
        return [float(x) if np.isfinite(x) else str(x) for x in array]

    def curve(curve: Curve) -> dict[str, Any]:
        plain = {name: numbers(getattr(curve, name)) for name in ("rates", "losses", "smoothed")}
        return {**plain, "reason": str(curve.reason)}

    refined = found.refined and {
        "rates": numbers(found.refined.rates),
        "losses": numbers(found.refined.losses),
        "spent": found.refined.spent,
    }
    return {
        "curves": [curve(lane) for lane in found.curves],
        "fast": [curve(lane) for lane in found.fast],
        "reason": str(found.reason),
        "suggestion": found.suggestion,
        "band": found.band,
        "refined": refined,
    }


def from_plain(plain: dict[str, Any]) -> Found:
    """A result from what `to_plain` made."""

    def array(numbers: list[Any]) -> np.ndarray[Any, Any]:
        return np.array([float(x) for x in numbers], np.float32)

    curves, fast = (
        tuple(
            Curve(array(curve["rates"]), array(curve["losses"]), array(curve["smoothed"]), Reason(curve["reason"]))
            for curve in plain[name]
        )
        for name in ("curves", "fast")
    )
    refined = plain["refined"] and Refined(
        array(plain["refined"]["rates"]), array(plain["refined"]["losses"]), plain["refined"]["spent"]
    )
    band = plain["band"] and (float(plain["band"][0]), float(plain["band"][1]))
    return Found(curves, Reason(plain["reason"]), plain["suggestion"], band, fast, refined)
