"""How a task is trained: one update, and whole runs side by side from one start on the same batches."""

import functools
from typing import Any

import jax
import optax

from finder.task import Task


def update(task: Task, params: Any, state: Any, batch: Any, rate: jax.Array) -> tuple[Any, Any, jax.Array]:
    """One update: parameters, optimizer state, and the loss before it."""
    loss, gradient = jax.value_and_grad(task.loss_fn)(params, batch)
    change, state = task.optimizer(rate).update(gradient, state, params)
    return optax.apply_updates(params, change), state, loss


def train(task: Task, params: Any, stream: jax.Array, rates: jax.Array, with_state: bool = False) -> tuple[Any, jax.Array]:
    """The parameters after a run at these rates, with the optimizer's state if asked for, and the loss before every update."""

    def body(carry: Any, inputs: Any) -> Any:
        key, rate = inputs
        *carry, loss = update(task, *carry, task.sample(key), rate)
        return tuple(carry), loss

    begin = (params, task.optimizer(1.0).init(params))
    (end, state), losses = jax.lax.scan(body, begin, (jax.random.split(stream, rates.shape[0]), rates))
    return (end, state) if with_state else end, losses


@functools.partial(jax.jit, static_argnames="task")
def final_losses(task: Task, key: jax.Array, rates: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Loss on the judged examples after each row of rates (rows, updates), and before training."""
    start, stream = jax.random.split(key)
    params = task.initialize(start)
    ends = jax.vmap(lambda row: task.loss_fn(train(task, params, stream, row)[0], task.judged))(rates)
    return ends, task.loss_fn(params, task.judged)


@functools.partial(jax.jit, static_argnames="task")
def curves(task: Task, keys: jax.Array, rates: jax.Array) -> jax.Array:
    """Loss before every update, (keys, rows, updates), for rates (rows, updates)."""

    def one(key: jax.Array) -> jax.Array:
        start, stream = jax.random.split(key)
        params = task.initialize(start)
        return jax.vmap(lambda row: train(task, params, stream, row)[1])(rates)

    return jax.vmap(one)(keys)
