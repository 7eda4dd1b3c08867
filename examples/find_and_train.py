"""Finds a learning rate for LeNet on real digits, then trains with five schedules at that rate, a tenth and ten times of it.

    python examples/find_and_train.py
    python examples/find_and_train.py --dataset fashion_mnist --source /usr/share/datasets/fashion-mnist

Prints a table of final loss and test accuracy, and draws the range test and the schedules into a folder.
"""

import argparse
import functools
import pathlib
import sys
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from tqdm import tqdm

import image_data
import lrax

SETTLED = 20
"""The final loss is the mean over this many last updates."""


class LeNet(nn.Module):
    """LeNet with ReLU and max pooling: two convolutions, three dense layers."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits of shape (n, 10) of images of shape (n, 28, 28, 1)."""
        hidden = nn.relu(nn.Conv(6, (5, 5))(images))
        hidden = nn.max_pool(hidden, (2, 2), strides=(2, 2))
        hidden = nn.relu(nn.Conv(16, (5, 5), padding="VALID")(hidden))
        hidden = nn.max_pool(hidden, (2, 2), strides=(2, 2))
        hidden = hidden.reshape(hidden.shape[0], -1)
        hidden = nn.relu(nn.Dense(120)(hidden))
        hidden = nn.relu(nn.Dense(84)(hidden))
        return nn.Dense(10)(hidden)


def schedules_at(rate: float, updates: int) -> dict[str, lrax.Schedule]:
    """The five schedules that are compared, each with `rate` as its highest."""
    half, quarter, tenth = updates // 2, updates // 4, updates // 10
    return {
        "constant": lrax.Constant(rate),
        "multi-step": lrax.MultiStep(rate, factor=0.2, boundaries=[half, half + quarter]),
        "cosine": lrax.Cosine(rate, 0.0, updates),
        "warm-up cosine": lrax.warmup_cosine(rate, warmup_steps=tenth, total_steps=updates),
        "one-cycle": lrax.one_cycle(rate / 5, rate, updates - tenth, tenth, end=rate / 100),
    }


def batches(images: np.ndarray, labels: np.ndarray, batch_size: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Shuffled batches, epoch after epoch, without end."""
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(images))
        for start in range(0, len(images) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            yield images[chosen], labels[chosen]


def draw(
    found: lrax.FinderResult, schedules: dict[str, lrax.Schedule], updates: int, folder: pathlib.Path
) -> list[pathlib.Path]:
    """Writes the two pictures."""
    matplotlib.use("Agg")  # no window
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "range_test.png", folder / "schedules.png"]
    for path, axes in zip(paths, (found.plot(), lrax.plot(schedules, updates)), strict=True):
        axes.figure.savefig(path, dpi=150)
    return paths


def main() -> int:
    """Runs it all; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dataset", choices=image_data.NAMES, default="digits", help="default: %(default)s, which need no network"
    )
    parser.add_argument("--source", type=pathlib.Path, help="folder with Fashion-MNIST's four .gz files")
    parser.add_argument("--cache", type=pathlib.Path, help="folder for prepared data; default: the user's cache folder")
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("out"), help="folder for the pictures; default: %(default)s"
    )
    parser.add_argument(
        "--updates", type=int, default=124, help="of each training run; default: %(default)s (digits: two epochs)"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args()
    if options.updates < SETTLED:
        parser.error(f"--updates must be at least {SETTLED}, got {options.updates}")
    try:
        data = image_data.load(options.dataset, options.source, options.cache)
    except image_data.DataUnavailable as error:
        print(error, file=sys.stderr)
        return 1

    model = LeNet()

    def loss_fn(params: dict, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
        images, labels = batch
        return optax.softmax_cross_entropy_with_integer_labels(model.apply(params, images), labels).mean()

    @jax.jit
    def accuracy(params: dict, images: jax.Array, labels: jax.Array) -> jax.Array:
        return jnp.mean(jnp.argmax(model.apply(params, images), axis=-1) == labels)

    params = model.init(jax.random.key(options.seed), data.train_images[:1])
    learner = lrax.Learner.create(loss_fn, params, functools.partial(optax.sgd, momentum=0.9))

    found = lrax.find_lr(
        learner,
        (data.train_images, data.train_labels),
        batch_size=options.batch_size,
        total_steps=options.updates,
        key=jax.random.key(options.seed),
        progress=True,
    )
    print(found)
    if found.peak is None:
        return 1

    update = jax.jit(learner.step)  # the rate is an argument: one compilation for all schedules
    rows = []
    factors = (0.1, 1.0, 10.0)
    with tqdm(total=len(factors) * 5 * options.updates, desc="training") as bar:
        for factor in factors:
            for name, schedule in schedules_at(factor * found.peak, options.updates).items():
                rates = jax.jit(jax.vmap(schedule))(jnp.arange(options.updates))
                state, losses = learner.state, []
                stream = batches(data.train_images, data.train_labels, options.batch_size, options.seed)
                for rate, batch in zip(rates, stream, strict=False):
                    state, loss = update(state, batch, rate)
                    losses.append(loss)
                    bar.update()
                final = float(np.mean(jax.device_get(losses[-SETTLED:])))
                rows.append((factor, name, final, float(accuracy(state.params, data.test_images, data.test_labels))))

    print(f"\n{'schedule':<16}" + "".join(f"{factor * found.peak:>14.3g} " for factor in factors))
    print(f"{'':<16}" + f"{'loss  accuracy':>15}" * len(factors))
    for name in dict.fromkeys(row[1] for row in rows):
        cells = [f"{loss:>6.3f} {100 * right:>6.1f} %" for _, row_name, loss, right in rows if row_name == name]
        print(f"{name:<16}" + "".join(f"{cell:>15}" for cell in cells))
    for path in draw(found, schedules_at(found.peak, options.updates), options.updates, options.out):
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
