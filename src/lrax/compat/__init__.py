"""Other libraries' schedulers, number for number: their names and their arguments, made of lrax's kinds.

One module a peer: `lrax.compat.mxnet`, `lrax.compat.djl`, `lrax.compat.torch` and `lrax.compat.optax`. None of them imports its
peer. Each function returns a schedule whose value at `count` is the rate that the peer uses for its update number `count + 1`,
quirks included; it can be vmapped, saved and passed into `jit` like any other. Rates may be traced; lengths, and whatever
decides how a schedule is put together, are to be known when it is made. For new code the kinds and recipes of `lrax` are
simpler. For Keras, timm and transformers, `docs/migrating.md` has a table.
"""

from lrax.compat import djl, mxnet, optax, torch

__all__ = ["djl", "mxnet", "optax", "torch"]
