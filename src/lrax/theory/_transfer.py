"""Rules that carry a learning rate or a weight decay to another length, batch size or width."""

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, check_arity, choice
from lrax.fields._rules import Number, PyTree, path_of


def over_tokens(learning_rate: Number, tokens: Number, base_tokens: Number, exponent: Number = 0.32) -> Any:
    r"""The learning rate for more tokens, with the same model and batch size.

    $$\eta = learning\_rate \cdot (tokens / base\_tokens)^{-exponent}$$

    Fitted for transformers of 50 million to 2.7 billion parameters on 25 to 800 billion tokens with AdamW and cosines. Where
    the batch size grows with the tokens, the best learning rate *grows*, with the power 0.31 (step law, arXiv 2503.04715). On
    small tasks exponents from 0 to 1.5 were measured: fit your own from two lengths.

    Args:
      learning_rate: the best one for `base_tokens`; like all arguments a number or an array, which may be traced.
      tokens, base_tokens: of the new and of the old run; only their ratio counts, so examples or steps do as well.
      exponent: 0.5 is what `lr_ratio` gives for one schedule at two lengths.

    Source: Bjorck, Benhaim, Chaudhary, Wei & Song 2025, Scaling optimal LR across token horizons (arXiv 2409.19913).

    >>> print(f"{over_tokens(1e-3, tokens=100e9, base_tokens=10e9):.2e}")
    4.79e-04
    """
    return learning_rate * (tokens / base_tokens) ** -exponent


def over_batch(
    learning_rate: Number,
    batch_size: Number,
    base_batch_size: Number,
    noise_scale: Number,
    optimizer: Literal["sgd", "adam"] = "sgd",
) -> Any:
    r"""The learning rate for another batch size, from the noise scale $B_n$ of the gradients.

    $$\text{sgd: } \eta \propto \frac{1}{1 + B_n / B} \qquad \text{adam: } \eta \propto \frac{2}{\sqrt{B_n / B} + \sqrt{B /
    B_n}}$$

    Far below the noise scale these are `linear_scaling` and `sqrt_scaling`. At the noise scale the first levels off and the
    second turns down. The noise scale grows tenfold and more as the loss falls: measure it where most of the run is.

    Args:
      learning_rate: the best one for `base_batch_size`; a number or an array, which may be traced.
      batch_size, base_batch_size: examples per step in the new and in the old run.
      noise_scale: in examples, such as `noise_scale(...).scale`; infinity gives the linear rule for SGD.
      optimizer: `"sgd"`, with or without momentum; `"adam"` for all whose updates are close to the sign of the gradient (Adam,
        AdamW, RMSprop, Lion, Adafactor).

    Raises: TypeError or ValueError for another optimizer.

    Source: McCandlish, Kaplan, Amodei et al. 2018, An empirical model of large-batch training (arXiv 1812.06162), equation
      2.10; Li et al. 2024, Surge phenomenon in optimal learning rate and batch size scaling (arXiv 2405.14578).

    >>> lrs = [over_batch(0.1, 256, base_batch_size=64, noise_scale=64, optimizer=one) for one in ("sgd", "adam")]
    >>> print(np.round(lrs, 3))
    [0.16 0.08]
    """
    if choice("over_batch", "optimizer", optimizer, ("sgd", "adam")) == "sgd":
        return learning_rate * ((1 / noise_scale + 1 / base_batch_size) / (1 / noise_scale + 1 / batch_size))
    ratio, base_ratio = batch_size / noise_scale, base_batch_size / noise_scale
    return learning_rate * ((base_ratio**-0.5 + base_ratio**0.5) / (ratio**-0.5 + ratio**0.5))


def timescale(peak: Number, weight_decay: Number, total_steps: Number) -> Any:
    r"""The averaging time of AdamW's weights, as a fraction of the run: $\tau = 1 / (\eta \lambda T)$.

    The best weight decay of similar runs has the same timescale, whatever the learning rate, the batch size and the dataset. It
    was 0.05 to 0.3 at 20 to 200 tokens per parameter, and fell with the tokens per parameter to the power -0.53. Measured for
    language models of 0.1 to 3.3 billion parameters with AdamW, μP and a linear decay to 0.

    Args:
      peak: the highest learning rate; like all arguments a number or an array, which may be traced.
      weight_decay: of `optax.adamw`.
      total_steps: the length of the run.

    Source: Wang & Aitchison 2024, How to set AdamW's weight decay as you scale model and dataset size (arXiv 2405.13698);
      Bergsma et al. 2025, Power lines (arXiv 2505.13738).

    >>> print(timescale(peak=1e-3, weight_decay=0.1, total_steps=50_000))
    0.2
    """
    return 1 / (peak * weight_decay * total_steps)


def decay_for(timescale: Number, peak: Number, total_steps: Number) -> Any:
    r"""The weight decay for `optax.adamw` at a timescale, the inverse of `timescale`: $\lambda = 1 / (\tau \eta T)$.

    Args:
      timescale, peak, total_steps: see `timescale`.

    Source: Bergsma et al. 2025, Power lines (arXiv 2505.13738).

    >>> print(decay_for(0.2, peak=1e-3, total_steps=50_000))
    0.1
    """
    return 1 / (timescale * peak * total_steps)


def decoupled(weight_decay: Number, peak: Number) -> Any:
    r"""The weight decay for `optax.adamw` that does not depend on the peak learning rate: $\lambda = weight\_decay / peak$.

    `optax.adamw` multiplies the decay by the learning rate. With this, a step at the learning rate $\eta_t$ shrinks the weights
    by $weight\_decay \cdot \eta_t / peak$. A sweep over peaks then changes the learning rate alone, and best learning rates
    transfer better between widths. It decides what stays fixed during tuning; it does not train better by itself.

    Args:
      weight_decay: the fraction of the weights that a step at the peak removes, such as 1e-4; a number or an array.
      peak: the highest learning rate of the schedule; a number or an array, which may be traced.

    Source: Loshchilov & Hutter 2019, Decoupled weight decay regularization; Kosson et al. 2025, Weight decay may matter more
      than muP for learning rate transfer in practice (arXiv 2510.19093).

    >>> tx = optax.adamw(lrax.Linear(0.01, 0.0, 100), weight_decay=decoupled(1e-4, peak=0.01))
    """
    return weight_decay / peak


def over_width(params: PyTree, base_params: PyTree, optimizer: Literal["adam", "sgd"] = "adam") -> dict[str, float]:
    r"""Groups for `lrax.by_path` that transfer the best learning rate of a narrow model to a wide one.

    The multiple of an array depends on which of its axes grew; $r$ is the growth of the first of them.

    | axes that grew | such as | Adam | SGD |
    | --- | --- | --- | --- |
    | none | | 1 | 1 |
    | only the last one | the first layer, embeddings, biases, norms | 1 | r |
    | one, not the last | the last layer | 1/r | 1/r |
    | two or more | hidden layers, attention | 1/r | 1 |

    This is half of μP. The other half is the initialisation: 1/r of the usual standard deviation (or 0) for the last layer, and
    attention divided by the size of a head, not its root. Then learning rates transferred from widths of 256 to 4,096 and more;
    depth, batch size and length do not transfer. Much of the gain is there without μP if weight decay is tuned by `decoupled`
    (arXiv 2510.19093).

    Args:
      params: the parameters of the wide model, or their shapes (`jax.eval_shape`); kernels as JAX has them, (inputs, outputs).
      base_params: those of the narrow model that the learning rate was found for: the same tree.
      optimizer: `"adam"` for all whose updates do not depend on the size of the gradient, or `"sgd"`.

    Returns: the multiple of each pattern; parameters whose multiple is 1 belong to no pattern.

    Raises: ValueError if the trees differ, or an array shrinks on one axis and grows on another.

    Source: Yang, Hu et al. 2022, Tensor programs V (arXiv 2203.03466), table 3.

    >>> def shapes(width):
    ...     return {"in": jnp.zeros((8, width)), "hidden": jnp.zeros((width, width)), "out": jnp.zeros((width, 10))}
    >>> over_width(shapes(1024), shapes(256))
    {'^(hidden|out)$': 0.25}
    """
    choice("over_width", "optimizer", optimizer, ("adam", "sgd"))
    wide, narrow = (jax.tree_util.tree_leaves_with_path(tree) for tree in (params, base_params))
    if [path for path, _ in wide] != [path for path, _ in narrow]:
        needs = "parameters of the same structure as `params`"
        raise argument_error(ValueError, "over_width", "base_params", needs, jax.tree.structure(base_params))
    found: dict[float, list[str]] = {}
    for (path, leaf), (_, base) in zip(wide, narrow, strict=True):
        name = path_of(path)
        multiple = _multiple(name, np.shape(leaf), np.shape(base), optimizer)
        if multiple != 1:
            found.setdefault(multiple, []).append(re.escape(name))
    return {f"^({'|'.join(names)})$": multiple for multiple, names in found.items()}


def _multiple(name: str, shape: tuple[int, ...], base: tuple[int, ...], optimizer: str) -> float:
    if len(shape) != len(base):
        raise argument_error(ValueError, "over_width", f"base_params at {name!r}", f"of rank {len(shape)}", base)
    growth = [now / before if before else 1.0 for now, before in zip(shape, base, strict=True)]
    grew = [axis for axis, factor in enumerate(growth) if factor != 1]
    if any(growth[axis] > 1 for axis in grew) and any(growth[axis] < 1 for axis in grew):
        raise argument_error(ValueError, "over_width", f"base_params at {name!r}", f"smaller than {shape} on every axis", base)
    if not grew:
        return 1.0
    if grew == [len(shape) - 1]:
        return growth[-1] if optimizer == "sgd" else 1.0
    return 1.0 if optimizer == "sgd" and len(grew) > 1 else 1 / growth[grew[0]]


class NoiseScale(NamedTuple):
    """The result of `noise_scale`, float32 scalars.

    Attributes:
      scale: the batch size, in examples, at which the gradient is as large as its noise; infinite if all is noise.
      gradient: the squared norm of the gradient without noise; may be below 0 if all is noise.
      noise: the summed variance of the gradient of one example.
    """

    scale: jax.Array
    gradient: jax.Array
    noise: jax.Array


def noise_scale(gradient: Callable[[PyTree], PyTree], batches: PyTree) -> NoiseScale:
    r"""Measures the noise of gradients, from each batch alone and from all of them together.

    $$B_n = \frac{\operatorname{tr} \Sigma}{\|G\|^2}, \quad \|G\|^2 \approx \frac{N |\bar g|^2 - B \overline{|g|^2}}{N - B},
    \quad \operatorname{tr} \Sigma \approx \frac{\overline{|g|^2} - |\bar g|^2}{1/B - 1/N}$$ for $n$ batches of $B$ examples, $N
    = nB$. Both parts are unbiased, but their ratio is not: use at least 16 batches, and more if `scale` exceeds the number of
    examples. It is the *simple* noise scale, which assumes equal curvature in all directions.

    Args:
      gradient: batch -> gradients, any pytree, of a loss that is a mean over examples.
      batches: pytree of arrays of shape (n, B, ...), n at least 2.

    Returns: a `NoiseScale`. Pure, works under `jit`.

    Raises: TypeError or ValueError if an argument has another type or is out of range.

    Source: McCandlish, Kaplan, Amodei et al. 2018, An empirical model of large-batch training (arXiv 1812.06162), appendix A.1.

    >>> examples = 1.0 + 3 * jax.random.normal(jax.random.key(0), (1024, 16))  # the noise scale is 9
    >>> loss_fn = lambda weight, batch: jnp.mean((weight - batch) ** 2) / 2
    >>> print(f"{noise_scale(lambda batch: jax.grad(loss_fn)(jnp.zeros(()), batch), examples).scale:.0f}")
    9
    """
    if not callable(gradient):
        raise argument_error(TypeError, "noise_scale", "gradient", "a function batch -> gradients", gradient)
    check_arity("noise_scale", "gradient", gradient, "gradient(batch)", 1)
    shapes = {np.shape(leaf)[:2] for leaf in jax.tree.leaves(batches)}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2 or next(iter(shapes))[0] < 2 or 0 in next(iter(shapes)):
        needs = "arrays of shape (n, examples, ...), the same two for all, with n at least 2"
        raise argument_error(ValueError, "noise_scale", "batches", needs, shapes)
    number, size = shapes.pop()

    def add(so_far: PyTree, batch: PyTree) -> tuple[PyTree, jax.Array]:
        grads = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), gradient(batch))
        return jax.tree.map(jnp.add, so_far, grads), _square(grads)

    def measure(batches: PyTree) -> NoiseScale:
        shape = jax.eval_shape(gradient, jax.tree.map(lambda leaf: leaf[0], batches))
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), shape)
        total, squares = jax.lax.scan(add, nothing, batches)
        alone, together = jnp.mean(squares), _square(total) / number**2
        signal = (number * together - alone) / (number - 1)
        noise = (alone - together) * (size * number / (number - 1))
        scale = jnp.where(signal > 0, noise / jnp.where(signal > 0, signal, 1), jnp.inf)
        return NoiseScale(scale, signal, noise)

    return jax.jit(measure)(jax.tree.map(jnp.asarray, batches))


def _square(tree: PyTree) -> jax.Array:
    """The squared norm of a pytree."""
    squares = [jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)]
    return jnp.sum(jnp.stack(squares))
