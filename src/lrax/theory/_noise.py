"""The noise scale of gradients: the batch size from which on larger batches help little."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._words import argument_error, check_arity


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
    ...     return jax.tree.map(jnp.subtract, learner.state.params, learner.update(learner.state, batch, 1.0)[0].params)
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
