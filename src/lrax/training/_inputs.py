"""What may be trained: what may not is named by its place, with what to do about it."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import Shown, argument_error, is_key

MODELS = {
    ("flax.nnx", "Module"): "give the model itself to lrax.flax.from_nnx(model, loss_fn, optimizer)",
    ("flax.nnx", "Optimizer"): "give the model and this to lrax.flax.from_nnx(model, loss_fn, optimizer, state=...)",
    ("flax.linen", "Module"): "give model.init(key, inputs)['params'], and call model.apply in the loss",
    ("flax.training.train_state", "TrainState"): "give it to lrax.flax.from_train_state(state, loss_fn, optimizer)",
    ("keras", "Model"): "give it to lrax.keras.from_keras(model, loss, optimizer)",
}
"""Models of other libraries by module and class, looked for only where the library is loaded, and who takes them."""

PARTS = "train the arrays and close over the rest: params, static = eqx.partition(model, eqx.is_inexact_array), for one"


def check_params(caller: str, params: Any) -> None:
    """Raises TypeError if `params` is, or holds, what cannot be trained: a model, or a leaf that is no floating-point array."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params, is_leaf=lambda node: _model_remedy(node) is not None):
        place = "params" + jax.tree_util.keystr(path)
        remedy = _model_remedy(leaf)
        if remedy is not None:
            shown = Shown(f"a {type(leaf).__module__.partition('.')[0]} {type(leaf).__name__}")
            raise argument_error(TypeError, caller, place, "a pytree of arrays", shown, remedy)
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float | complex):
            raise argument_error(TypeError, caller, place, "an array", leaf, PARTS)
        numbers = isinstance(leaf, jax.Array) or np.asarray(leaf).dtype.kind in "biufcV"  # V: bfloat16 in NumPy
        if not numbers or is_key(leaf):
            raise argument_error(TypeError, caller, place, "an array of numbers", leaf, PARTS)
        dtype = jax.dtypes.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.inexact):
            remedy = "only floating-point numbers are trained; give it in `aux`, or close over it in the loss"
            raise argument_error(TypeError, caller, place, "a floating-point array", Shown(str(dtype)), remedy)


def _model_remedy(node: Any) -> str | None:
    for (module, name), remedy in MODELS.items():
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(node, kind):
            return remedy
    return None
