"""Other libraries' schedulers, number for number: their names and their arguments, made of lrax's kinds.

One module a peer: `djl`, `keras`, `mxnet`, `optax`, `timm`, `torch` and `transformers`. None of them imports its peer. Each
function returns a schedule whose value at `count` is the rate that the peer uses for its update number `count + 1`, quirks
included; it can be vmapped, saved and passed into `jit` like any other. Rates may be traced; lengths, and whatever decides how
a schedule is put together, are to be known when it is made. What watches a loss (`ReduceLROnPlateau` and its like) is no
function of the count: it is a transformation for the end of an `optax.chain`. For new code the kinds and recipes of `lrax` are
simpler. For further libraries, `docs/migrating.md` has a table.
"""

from lrax.compat import djl, keras, mxnet, optax, timm, torch, transformers

__all__ = ["djl", "keras", "mxnet", "optax", "timm", "torch", "transformers"]
