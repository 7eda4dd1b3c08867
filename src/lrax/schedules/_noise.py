"""Noise that is a function of a seed and the count."""

from typing import Annotated, Literal, final

import jax
import jax.numpy as jnp

from lrax.fields._rules import Choice
from lrax.fields._types import Offset, Positive, default
from lrax.schedules._base import Schedule


@final
class Noise(Schedule):
    r"""A factor around 1 that is drawn anew at every count, the same for the same seed: to be multiplied with a schedule.

    $$\eta(t) = 1 + z_t, \quad |z_t| < spread$$

    A count's number depends on `seed` and the count alone, so a run that is resumed sees the same. Numbers of different counts,
    and of different seeds, are independent. The seed is a leaf: it may be traced and vmapped.

    Args:
      spread: how far from 1 the factor may be, > 0; from 1 on it may be negative.
      seed: an integer.
      deviation: standard deviation of the normal distribution, > 0. Where it is large beside `spread`, what is left of the
        distribution is nearly uniform.
      mode: distribution of $z_t$: `"normal"` (with mean 0 and this deviation, drawn again until it is within `spread`) or
        `"uniform"` (between `-spread` and `spread`; `deviation` is not used).

    Raises: ValueError if `spread` or `deviation` is not positive or `mode` is unknown; TypeError if `seed` is not an integer.

    Source: Wightman 2020, timm, the noise of its schedulers (which draw it from PyTorch's generator).

    >>> noisy = Product(Cosine(start=0.1, end=0.0, steps=100), Noise(spread=0.2, seed=3))
    >>> print(noisy(50) == noisy(jnp.arange(100))[50])
    True
    """

    spread: Positive
    seed: Offset = default(0)
    deviation: Positive = default(1.0)
    mode: Annotated[Literal["normal", "uniform"], Choice(("normal", "uniform"))] = "normal"

    def rate(self, count: jax.Array) -> jax.Array:
        return 1 + jnp.vectorize(self._draw)(count, self.spread, self.seed, self.deviation)

    def _draw(self, count: jax.Array, spread: jax.Array, seed: jax.Array, deviation: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(seed), count)
        if self.mode == "uniform":
            return spread * jax.random.uniform(key, (), jnp.float32, -1, 1)
        within = spread / deviation
        drawn = deviation * jax.random.truncated_normal(key, -within, within, (), jnp.float32)
        return jnp.clip(drawn, -spread, spread)
