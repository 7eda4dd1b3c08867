"""Noise that is a function of a seed and the count: JAX's own, and PyTorch's from a Mersenne twister, which timm uses."""

from typing import Annotated, Any, Literal, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._rules import Choice, Rule
from lrax.fields._types import Offset, Positive, default
from lrax.schedules._base import Schedule

SIZE, AHEAD = 624, 397
SEED = Rule("an integer, at least 0", np.int32, low=0)


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

    Source: Wightman 2020, timm, the noise of its schedulers (its numbers are PyTorch's: see `lrax.compat.timm`).

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


@final
class MersenneNoise(Schedule):
    r"""A factor around 1: PyTorch's first normal number below `spread` in absolute value, of a generator seeded with seed + t.

    $$\eta(t) = 1 + deviation \cdot z_t$$

    `lrax.schedules.Noise` is as good and faster: here 624 words are made one after the other for every count.

    Args:
      spread: numbers from there on are drawn again, > 0.
      seed: an integer, at least 0.
      deviation: what a standard normal number is multiplied by, > 0.

    Raises: ValueError if a number is out of range.

    Source: Matsumoto & Nishimura 1998, Mersenne twister; Box & Muller 1958; timm 1.0.31, PyTorch 2.13 (its CPU generator).

    >>> print(f"{MersenneNoise(spread=0.67, seed=42)(0):.4f}")
    1.3367
    """

    spread: Positive
    seed: Annotated[Any, SEED]
    deviation: Positive = default(1.0)

    def rate(self, count: jax.Array) -> jax.Array:
        spread, deviation = jax.lax.stop_gradient(jnp.asarray(self.spread)), jax.lax.stop_gradient(jnp.asarray(self.deviation))
        seeds = count.astype(jnp.uint32) + jnp.asarray(self.seed).astype(jnp.uint32)
        return 1 + self.deviation * jnp.vectorize(first_within)(seeds, spread, deviation)


@jax.jit  # so that a call outside jit finds the compiled loops again
def first_within(seed: jax.Array, spread: jax.Array, deviation: jax.Array) -> jax.Array:
    """The first normal number of a seed that is within a spread once it is multiplied by a deviation."""

    def fill(word: jax.Array, place: jax.Array) -> tuple[jax.Array, jax.Array]:
        word = jnp.uint32(1812433253) * (word ^ (word >> 30)) + place
        return word, word

    _, words = jax.lax.scan(fill, seed, jnp.arange(1, SIZE, dtype=jnp.uint32))

    def draw(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        words = twisted(carry[0])
        numbers = normal(tempered(words))
        fits = jnp.abs(numbers * deviation) < spread
        return words, numbers[jnp.argmax(fits)], fits.any()

    start = jnp.concatenate([seed[None], words])
    return jax.lax.while_loop(lambda carry: ~carry[2], draw, (start, spread * 0, spread < 0))[1]


def twisted(words: jax.Array) -> jax.Array:
    """The next 624 words of the twister, in three pieces, because each depends on one 227 before it."""

    def mixed(first: jax.Array, second: jax.Array) -> jax.Array:
        odd = jnp.where(second & 1 == 1, jnp.uint32(0x9908B0DF), jnp.uint32(0))
        return ((first & jnp.uint32(0x80000000) | second & jnp.uint32(0x7FFFFFFF)) >> 1) ^ odd

    gap = SIZE - AHEAD
    low = words[AHEAD:] ^ mixed(words[:gap], words[1 : gap + 1])
    middle = low ^ mixed(words[gap : 2 * gap], words[gap + 1 : 2 * gap + 1])
    high = middle[: SIZE - 1 - 2 * gap] ^ mixed(words[2 * gap : -1], words[2 * gap + 1 :])
    last = middle[SIZE - 1 - 2 * gap] ^ mixed(words[-1], low[0])
    return jnp.concatenate([low, middle, high, last[None]])


def tempered(words: jax.Array) -> jax.Array:
    """What the twister gives of its words."""
    words = words ^ (words >> 11)
    words = words ^ ((words << 7) & jnp.uint32(0x9D2C5680))
    words = words ^ ((words << 15) & jnp.uint32(0xEFC60000))
    return words ^ (words >> 18)


def normal(words: jax.Array) -> jax.Array:
    """Normal numbers of four words each two: an angle and a radius, of 53 bits each, whose float32 parts are kept exact."""
    angle, angle_low, radius, radius_low = words.reshape(-1, 4).T
    top, bottom = (radius & 0x1FFFFF).astype(jnp.float32), radius_low.astype(jnp.float32)
    drawn = top * 2.0**-21 + bottom * 2.0**-53
    rest = (0x1FFFFF - (radius & 0x1FFFFF)).astype(jnp.float32) * 2.0**-21 + (2.0**32 - bottom) * 2.0**-53
    length = jnp.sqrt(-2 * jnp.where(drawn < 0.5, jnp.log1p(-jnp.minimum(drawn, 0.5)), jnp.log(rest)))
    quarter = (angle & 0x1FFFFF) >> 19
    within = jnp.pi / 2 * ((angle & 0x7FFFF).astype(jnp.float32) * 2.0**-19 + angle_low.astype(jnp.float32) * 2.0**-51)
    cosine, sine = jnp.cos(within), jnp.sin(within)
    across = jnp.select([quarter == 0, quarter == 1, quarter == 2], [cosine, -sine, -cosine], sine)
    up = jnp.select([quarter == 0, quarter == 1, quarter == 2], [sine, cosine, -sine], -cosine)
    return jnp.stack([length * across, length * up], axis=1).reshape(-1)
