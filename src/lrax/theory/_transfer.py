"""Transferring a learning rate."""

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, check_arity, choice


def over_tokens(rate: Any, tokens: Any, base_tokens: Any, exponent: Any = 0.32) -> Any:
    r"""The rate for a run over more tokens, with the model and the batch size the same.

    $$\eta = rate \cdot (tokens / base\_tokens)^{-exponent}$$

    Fitted for transformers of 50 million to 2.7 billion parameters on 25 to 800 billion tokens with AdamW and cosines. Others
    found that the best rate *grows* with the tokens where the batch size grows along (step law, arXiv 2503.04715, exponent
    +0.31), and on small tasks exponents from 0 to 1.5 were measured: fit your own from two lengths.

    Args:
      rate: the best one for `base_tokens`; a number or an array, which may be traced.
      tokens: that the new run sees; examples or updates do as well, for only the ratio counts.
      base_tokens: that the run with `rate` saw.
      exponent: by which rates fall; 0.5 is what `lr_ratio` says of one schedule over two lengths.

    Returns: the rate, of the type that arithmetic makes of the arguments.

    Source: Bjorck, Benhaim, Chaudhary, Wei & Song 2025, Scaling optimal LR across token horizons (arXiv 2409.19913).

    >>> print(f"{over_tokens(1e-3, tokens=100e9, base_tokens=10e9):.2e}")
    4.79e-04
    """
    return rate * (tokens / base_tokens) ** -exponent


def over_batch(
    rate: Any, batch_size: Any, base_batch_size: Any, noise_scale: Any, optimizer: Literal["sgd", "adam"] = "sgd"
) -> Any:
    r"""The rate for another batch size, from the noise scale $B_n$ of the gradients.

    $$\text{sgd: } \eta \propto \frac{1}{1 + B_n / B} \qquad \text{adam: } \eta \propto \frac{2}{\sqrt{B_n / B} + \sqrt{B /
    B_n}}$$

    Far below the noise scale these are the linear and the square-root rule; at the noise scale the first levels off and the
    second turns down, which `linear_scaling` and `sqrt_scaling` cannot know. The noise scale grows as the loss falls, by ten
    and more in a run, so a rate that is right for the start of a run may be low for its end; measure it where most of the run
    is.

    Args:
      rate: the best one for `base_batch_size`; a number or an array, which may be traced.
      batch_size: examples an update in the new run.
      base_batch_size: examples an update in the run with `rate`.
      noise_scale: in examples, such as `noise_scale(...).scale`; infinite gives the linear rule for SGD.
      optimizer: `"sgd"`, with or without momentum, or `"adam"` for all whose updates are near the sign of the gradient: Adam,
        AdamW, RMSprop, Lion, Adafactor.

    Returns: the rate, of the type that arithmetic makes of the arguments.

    Raises: TypeError or ValueError for another optimizer.

    Source: McCandlish, Kaplan, Amodei et al. 2018, An empirical model of large-batch training (arXiv 1812.06162), equation
      2.10; Li et al. 2024, Surge phenomenon in optimal learning rate and batch size scaling (arXiv 2405.14578).

    >>> rates = [over_batch(0.1, 256, base_batch_size=64, noise_scale=64, optimizer=one) for one in ("sgd", "adam")]
    >>> print(np.round(rates, 3))
    [0.16 0.08]
    """
    if choice("over_batch", "optimizer", optimizer, ("sgd", "adam")) == "sgd":
        return rate * ((1 / noise_scale + 1 / base_batch_size) / (1 / noise_scale + 1 / batch_size))
    shift, base_shift = batch_size / noise_scale, base_batch_size / noise_scale
    return rate * ((base_shift**-0.5 + base_shift**0.5) / (shift**-0.5 + shift**0.5))


def timescale(peak: Any, weight_decay: Any, total_steps: Any) -> Any:
    r"""AdamW's memory as a part of the run: over how much of it the weights are a running mean of the updates.

    $$\tau = \frac{1}{\eta \lambda T}$$ which is $B / (\eta \lambda D)$ over $D$ tokens in batches of $B$.

    Runs of one kind have their best weight decay at one timescale, whatever the rate, the batch size and the dataset; best
    values are around 0.05 to 0.3 where there are 20 to 200 tokens a parameter, and fall as the tokens a parameter to the power
    of -0.53. Measured for language models of 0.1 to 3.3 billion parameters with AdamW, rates by μP and a straight fall to 0.

    Args:
      peak: the highest rate, a number or an array, which may be traced.
      weight_decay: of `optax.adamw`, which multiplies it by the rate.
      total_steps: the length of the run in updates.

    Returns: the timescale; `decay_for` is its inverse, and `over_tokens(timescale, per_parameter, base_per_parameter, 0.53)` is
      what it is for more tokens a parameter.

    Source: Wang & Aitchison 2024, How to set AdamW's weight decay as you scale model and dataset size (arXiv 2405.13698);
      Bergsma et al. 2025, Power lines (arXiv 2505.13738).

    >>> print(timescale(peak=1e-3, weight_decay=0.1, total_steps=50_000))
    0.2
    """
    return 1 / (peak * weight_decay * total_steps)


def decay_for(timescale: Any, peak: Any, total_steps: Any) -> Any:
    r"""The weight decay that gives AdamW this timescale: $\lambda = 1 / (\tau \eta T)$.

    Args:
      timescale: as a part of the run; see `lrax.theory.timescale`, which says what is known of it.
      peak: the highest rate, a number or an array, which may be traced.
      total_steps: the length of the run in updates.

    Returns: the weight decay for `optax.adamw`.

    Source: Bergsma et al. 2025, Power lines (arXiv 2505.13738).

    >>> print(decay_for(0.2, peak=1e-3, total_steps=50_000))
    0.1
    """
    return 1 / (timescale * peak * total_steps)


def decoupled(weight_decay: Any, peak: Any) -> Any:
    r"""A weight decay that does not depend on the rate, as the number that `optax.adamw` is to be given.

    $$\lambda = weight\_decay / peak$$

    `optax.adamw` multiplies the decay by the rate: an update at rate $\eta_t$ shrinks the weights by $\eta_t \lambda$. With
    this it shrinks them by $weight\_decay \cdot \eta_t / peak$: a sweep over peaks then moves the rate alone, and best rates
    keep their place when models grow wider. It is a matter of what is held while the rate is tuned, no better training by
    itself.

    Args:
      weight_decay: the part of the weights that an update at the peak takes away, such as 1e-4; a number or an array.
      peak: the highest rate of the schedule; one rate or many, which may be traced.

    Returns: the weight decay for `optax.adamw`.

    Source: Loshchilov & Hutter 2019, Decoupled weight decay regularization; Kosson et al. 2025, Weight decay may matter more
      than muP for learning rate transfer in practice (arXiv 2510.19093).

    >>> tx = optax.adamw(lrax.Linear(0.01, 0.0, 100), weight_decay=decoupled(1e-4, peak=0.01))
    """
    return weight_decay / peak


def over_width(params: Any, base_params: Any, optimizer: Literal["adam", "sgd"] = "adam") -> dict[str, float]:
    r"""Groups for `lrax.by_path` under which the best rate of a narrow model is that of a wide one.

    Each array is judged by which of its axes grew, and by how much: $r$ is the growth of the first that did.

    | axes that grew | such as | Adam | SGD |
    | --- | --- | --- | --- |
    | none | | 1 | 1 |
    | the last one alone | the first layer, embeddings, biases, norms | 1 | r |
    | one, not the last | the last layer | 1/r | 1/r |
    | two or more | hidden layers, attention | 1/r | 1 |

    It is half of μP: the other half is the start. The last layer must begin with 1/r of the usual standard deviation (or with
    zeros), attention must divide by the size of a head, not its root; then rates were carried from widths of 256 to 4,096 and
    more. Depth, batch size and length are not carried, and with weight decay tuned by `decoupled` much of the gain has been
    found without μP (arXiv 2510.19093).

    Args:
      params: the parameters of the wide model, or their shapes (`jax.eval_shape`); kernels as JAX has them, (inputs, outputs).
      base_params: those of the narrow model that the rate was found for: the same tree.
      optimizer: `"adam"` for all whose updates do not depend on the size of the gradient, or `"sgd"`.

    Returns: by pattern, the multiple of the parameters that it names; those whose multiple is 1 are left to the rest.

    Raises: ValueError if the two are not of one structure, or an array shrinks on one axis and grows on another.

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
        name = jax.tree_util.keystr(path, simple=True, separator="/")
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
    """What `noise_scale` has measured, float32 scalars.

    Attributes:
      scale: the batch size, in examples, at which the noise of the gradient is as large as the gradient; infinite where no
        gradient could be told from noise.
      gradient: the squared norm of the gradient itself, without noise; may come out below 0 where noise is all there is.
      noise: the sum of the variances of all of its numbers, for one example.
    """

    scale: jax.Array
    gradient: jax.Array
    noise: jax.Array


def noise_scale(gradient: Callable[[Any], Any], batches: Any) -> NoiseScale:
    r"""Measures how noisy the gradients of single batches are, from batches of two sizes: each alone, and all together.

    $$B_n = \frac{\operatorname{tr} \Sigma}{\|G\|^2}, \quad \|G\|^2 \approx \frac{N |\bar g|^2 - B \overline{|g|^2}}{N - B},
    \quad \operatorname{tr} \Sigma \approx \frac{\overline{|g|^2} - |\bar g|^2}{1/B - 1/N}$$ for $n$ batches of $B$ examples, $N
    = nB$.

    Both parts are unbiased; their ratio is not, and is rough with few batches: take at least 16, and more where `scale` comes
    out larger than all examples together. It is the *simple* noise scale, which takes all directions for equally curved.

    Args:
      gradient: batch -> gradients, any pytree, of a loss that is a mean over examples.
      batches: pytree of arrays of shape (n, B, ...), n at least 2.

    Returns: a `NoiseScale`. Pure, works under `jit`.

    Raises: TypeError or ValueError if an argument is none of these.

    Source: McCandlish, Kaplan, Amodei et al. 2018, An empirical model of large-batch training (arXiv 1812.06162), appendix A.1.

    >>> examples = 1.0 + 3 * jax.random.normal(jax.random.key(0), (1024, 16))  # its noise scale is 9
    >>> loss_fn = lambda weight, batch: jnp.mean((weight - batch) ** 2) / 2
    >>> print(f"{noise_scale(lambda batch: jax.grad(loss_fn)(jnp.zeros(()), batch), examples).scale:.0f}")
    9

    The gradients of a learner are the changes of one that trains by plain SGD at rate 1:

    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(()), optax.sgd)
    >>> def gradient(batch):
    ...     return jax.tree.map(jnp.subtract, learner.state.params, learner.step(learner.state, batch, 1.0)[0].params)
    >>> print(f"{noise_scale(gradient, examples).scale:.0f}")
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

    def add(so_far: Any, batch: Any) -> tuple[Any, jax.Array]:
        grads = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), gradient(batch))
        return jax.tree.map(jnp.add, so_far, grads), _square(grads)

    def measure(batches: Any) -> NoiseScale:
        shape = jax.eval_shape(gradient, jax.tree.map(lambda leaf: leaf[0], batches))
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), shape)
        total, squares = jax.lax.scan(add, nothing, batches)
        alone, together = jnp.mean(squares), _square(total) / number**2
        signal = (number * together - alone) / (number - 1)
        noise = (alone - together) * (size * number / (number - 1))
        scale = jnp.where(signal > 0, noise / jnp.where(signal > 0, signal, 1), jnp.inf)
        return NoiseScale(scale, signal, noise)

    return jax.jit(measure)(jax.tree.map(jnp.asarray, batches))


def _square(tree: Any) -> jax.Array:
    """The squared norm of a pytree."""
    squares = [jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)]
    return jnp.sum(jnp.stack(squares))
