"""Optimizers that are made from a rate: the factory, and one whose rate is an argument of every update."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._known import NEEDS_NUMBERS
from lrax.fields._words import Shown, argument_error, check_call
from lrax.optimizers._difference import difference
from lrax.schedules._base import Schedule

OptimizerFactory: TypeAlias = Callable[[Any], optax.GradientTransformation]
"""`rate -> optimizer`: `optax.adamw`, `functools.partial(optax.sgd, momentum=0.9)`, a lambda with a chain inside."""


def check_factory(caller: str, factory: Any) -> None:
    """Raises TypeError if `factory` is no function that makes an optimizer of a rate."""
    if isinstance(factory, Schedule):
        remedy = "give the optimizer's function, such as optax.sgd, not a schedule"
    elif not callable(factory) or isinstance(factory, optax.GradientTransformation):
        remedy = "give optax.sgd or functools.partial(optax.sgd, momentum=0.9), not optax.sgd(0.1)"
    else:
        return
    raise argument_error(TypeError, caller, "optimizer", "a function rate -> optimizer", factory, remedy)


def make_optimizer(caller: str, factory: OptimizerFactory, rate: Any) -> optax.GradientTransformation:
    """The optimizer that `factory` makes of a rate or of a schedule."""
    optimizer = factory(rate)
    if not callable(getattr(optimizer, "init", None)) or not callable(getattr(optimizer, "update", None)):
        needs = "a function rate -> optax.GradientTransformation"
        raise argument_error(
            TypeError, caller, "optimizer", needs, factory, f"it returned {type(optimizer).__name__}; give optax.sgd, say"
        )
    return optimizer


def update_with(
    optimizer: Any, grads: Any, opt_state: Any, params: Any, extra: Mapping[str, Any]
) -> tuple[optax.Updates, optax.OptState]:
    """The optimizer's update, with what it takes of the extra arguments.

    Only a call tells what it takes: chains hand everything on, and members (`optax.contrib.sam`) may refuse what is not theirs.
    """
    extra = dict(extra)
    while True:
        try:
            return optimizer.update(grads, opt_state, params, **extra)
        except TypeError as error:
            refused = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            if refused is None or refused[1] not in extra:
                raise
            del extra[refused[1]]


@check_call
def at_lr(
    optimizer: OptimizerFactory, learning_rate: Any, *, hyperparameter: str = "learning_rate"
) -> optax.GradientTransformationExtraArgs:
    """The optimizer at one learning rate, for a state that may have been made in any way.

    `optax.adam(0.1)`, `optax.adam(schedule)` and `optax.inject_hyperparams(optax.adam)(learning_rate=0.1)` have states of
    different structure, and each fails on a state of the others. The update of `at_lr` takes the structure that it is given,
    and returns the same one. So a train step can be called at any learning rate, in the middle of a run.

    Args:
      optimizer: the factory that the state's optimizer was made with, `learning_rate -> optax.GradientTransformation`, such
        as `optax.adamw` or `functools.partial(optax.sgd, momentum=0.9)`.
      learning_rate: a number, or a scalar array of any floating dtype; it may be traced.
      hyperparameter: the name that is overridden in a state of `optax.inject_hyperparams`.

    Returns: a transformation. `update(grads, opt_state, params)` makes the step at `learning_rate`, keeps the structure of
      `opt_state`, and advances its counts by one. `init(params)` makes the state of `optimizer(learning_rate)`.

    Raises: TypeError if `optimizer` is not a factory or `learning_rate` is not a scalar. From `update`: ValueError if
      `opt_state` is not a state of `optimizer`.

    >>> params, grads = jnp.ones(3), jnp.ones(3)
    >>> for made_with in (0.001, lrax.warmup_cosine(0.001, total_steps=100, warmup_steps=9)):
    ...     opt_state = optax.sgd(made_with).init(params)
    ...     updates, opt_state = at_lr(optax.sgd, 0.5).update(grads, opt_state, params)
    ...     print(updates)
    [-0.5 -0.5 -0.5]
    [-0.5 -0.5 -0.5]
    """
    check_factory("at_lr", optimizer)
    if callable(learning_rate):
        remedy = "an optimizer that follows a schedule is made with it: optimizer(schedule)"
        raise argument_error(TypeError, "at_lr", "learning_rate", "a number, or a scalar array", learning_rate, remedy)
    if np.shape(learning_rate) != ():
        shown = Shown(f"shape {np.shape(learning_rate)}")
        raise argument_error(TypeError, "at_lr", "learning_rate", "a scalar", shown, "use jax.vmap for several learning rates")
    return optimizer_at("at_lr", optimizer, learning_rate, hyperparameter)


def optimizer_at(
    caller: str, factory: OptimizerFactory, rate: Any, hyperparameter: str = "learning_rate"
) -> optax.GradientTransformationExtraArgs:
    """`at_lr`, under the name of the function that is to blame."""

    def init(params: Any) -> Any:
        return make_optimizer(caller, factory, rate).init(params)

    def update(grads: Any, opt_state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        shapes = grads if params is None else params  # gradients have the structure and shapes of the parameters
        rated = RatedOptimizer.matching(caller, factory, shapes, opt_state, hyperparameter)
        return rated.update(grads, opt_state, params, rate, extra)

    return optax.GradientTransformationExtraArgs(init, update)


@dataclasses.dataclass(frozen=True)
class RatedOptimizer:
    """An optimizer whose rate is an argument of every update.

    `optax.sgd(0.1)`, `optax.sgd(schedule)` and an injected `sgd` have states of different structure; the factory is called in
    the way that gives the structure at hand.

    Attributes:
      factory: `rate -> optimizer`.
      by: how the rate goes into the factory: as a "number", or as a "schedule".
      injected: whether it goes into the state's hyper-parameters, too: those of `optax.inject_hyperparams` with a number.
      hyperparameter: which of the state's hyper-parameters.
      caller: who complains.
    """

    factory: OptimizerFactory
    by: str = "number"
    injected: bool = False
    hyperparameter: str = "learning_rate"
    caller: str = dataclasses.field(default="Learner.create", compare=False)

    @staticmethod
    def matching(caller: str, factory: OptimizerFactory, params: Any, opt_state: Any, hyperparameter: str) -> "RatedOptimizer":
        """The way to call `factory` that fits `opt_state`."""
        check_factory(caller, factory)
        first = RatedOptimizer(factory, "number", False, hyperparameter, caller)
        candidates = (first, dataclasses.replace(first, by="schedule"))
        differences: list[tuple[int, str]] = []
        failed: Exception | None = None
        for candidate in candidates:
            try:
                fresh: Any = jax.eval_shape(candidate.init, params)
            except (TypeError, ValueError) as error:  # some factories take only numbers, some only schedules
                failed = failed or error
                if candidate is candidates[-1] and not differences:
                    raise _not_made(caller, factory, failed) from failed.__cause__  # of a number, which most factories take
                continue
            structure: Any = jax.tree.structure(fresh)
            if opt_state is None or structure == jax.tree.structure(opt_state):
                if opt_state is not None:
                    _check_shapes(caller, opt_state, fresh)
                injected = any(is_hyperparameter(path, hyperparameter) for path, _ in jax.tree.leaves_with_path(fresh))
                return dataclasses.replace(candidate, injected=injected)
            differences.append(difference(opt_state, fresh))
        _, found = max(differences)  # of the way of calling that fits for longest
        remedy = "give the factory of the optimizer that the run uses"
        raise ValueError(f"{caller}: `opt_state` must be a state of `optimizer`, got {found}; {remedy}")

    def init(self, params: Any) -> Any:
        """A fresh optimizer state."""
        return self._make(jnp.zeros((), jnp.float32)).init(params)

    def update(
        self, grads: Any, opt_state: Any, params: Any, rate: jax.Array, extra: Mapping[str, Any] | None = None
    ) -> tuple[Any, Any]:
        """What is added to the parameters, and the optimizer state after it; `extra` is for optimizers that need the loss."""
        if self.injected:
            opt_state = jax.tree.map_with_path(
                lambda path, leaf: jnp.asarray(rate, leaf.dtype) if is_hyperparameter(path, self.hyperparameter) else leaf,
                opt_state,
            )
        return update_with(self._make(rate), grads, opt_state, params, extra or {})

    def apply(
        self, grads: Any, opt_state: Any, params: Any, rate: jax.Array, extra: Mapping[str, Any] | None = None
    ) -> tuple[Any, Any]:
        """The parameters and the optimizer state after one update at `rate`."""
        updates, opt_state = self.update(grads, opt_state, params, rate, extra)
        return optax.apply_updates(params, updates), opt_state

    def _make(self, rate: jax.Array) -> optax.GradientTransformation:
        return make_optimizer(self.caller, self.factory, (lambda count: rate) if self.by == "schedule" else rate)


def _not_made(caller: str, factory: OptimizerFactory, error: Exception) -> Exception:
    """What a factory raised, or why, where it asked for the number of a traced learning rate."""
    if not isinstance(error, NEEDS_NUMBERS):
        return error
    reason = str(error).strip().partition("\n")[0]
    remedy = f"it raised: {reason}; compute with jnp, without float(), int() or `if` on the learning rate"
    return argument_error(TypeError, caller, "optimizer", "a function of a traced learning rate", factory, remedy)


def _check_shapes(caller: str, opt_state: Any, fresh: Any) -> None:
    """Raises if a state has the right parts in the wrong shapes, as states have that are replicated over devices."""
    leaves = zip(jax.tree.leaves_with_path(opt_state), jax.tree.leaves(fresh), strict=True)
    for (path, leaf), expected in leaves:
        if np.shape(leaf) != expected.shape:
            place = jax.tree_util.keystr(path)
            remedy = "take one of several copies first: flax.jax_utils.unreplicate, or leaf[0] of every leaf"
            raise ValueError(
                f"{caller}: `opt_state{place}` must have the shape {expected.shape}, got {np.shape(leaf)}; {remedy}"
            )


def is_hyperparameter(path: tuple[Any, ...], name: str) -> bool:
    """Whether a path in an optimizer state leads to hyper-parameter `name` of `optax.inject_hyperparams`."""
    keys = [getattr(key, "name", getattr(key, "key", None)) for key in path]
    return len(keys) >= 2 and keys[-1] == name and keys[-2] == "hyperparams"
