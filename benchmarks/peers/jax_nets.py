"""The nets in Flax."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from peers.tasks import CONTEXT, SYMBOLS


class MLP(nn.Module):
    """784-64-10."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits."""
        return nn.Dense(10)(nn.relu(nn.Dense(64)(images.reshape(images.shape[0], -1))))


class LeNet(nn.Module):
    """Two convolutions with max pooling, three dense layers."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits."""
        hidden = nn.max_pool(nn.relu(nn.Conv(6, (5, 5))(images)), (2, 2), strides=(2, 2))
        hidden = nn.max_pool(nn.relu(nn.Conv(16, (5, 5), padding="VALID")(hidden)), (2, 2), strides=(2, 2))
        hidden = hidden.reshape(hidden.shape[0], -1)
        return nn.Dense(10)(nn.relu(nn.Dense(84)(nn.relu(nn.Dense(120)(hidden)))))


class Transformer(nn.Module):
    """Two causal blocks of width 64 with four heads, over characters."""

    width: int = 64
    blocks: int = 2

    @nn.compact
    def __call__(self, characters: jax.Array) -> jax.Array:
        """Logits of the next character at every place."""
        hidden = nn.Embed(SYMBOLS, self.width)(characters) + nn.Embed(CONTEXT, self.width)(jnp.arange(CONTEXT))
        mask = nn.make_causal_mask(characters)
        for _ in range(self.blocks):
            normed = nn.LayerNorm()(hidden)
            hidden = hidden + nn.MultiHeadDotProductAttention(4)(normed, mask=mask)
            hidden = hidden + nn.Dense(self.width)(nn.relu(nn.Dense(4 * self.width)(nn.LayerNorm()(hidden))))
        return nn.Dense(SYMBOLS)(nn.LayerNorm()(hidden))


NETS = {"mlp": MLP, "lenet": LeNet, "transformer": Transformer}
