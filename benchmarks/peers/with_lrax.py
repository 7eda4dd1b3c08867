"""The range test of lrax, and the bare jitted update."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import lrax
from peers.jax_nets import NETS
from peers.tasks import TASKS, UPDATES, Arrays

OPTIMIZERS = {"sgd": functools.partial(optax.sgd, momentum=0.9), "adam": optax.adam}


class Runs:
    """Makes runs of one task; a run returns how many updates it made."""

    def __init__(self, task: str, data: Arrays) -> None:
        net, self.task = NETS[task](), TASKS[task]
        inputs, labels = data
        inputs = inputs.transpose(0, 2, 3, 1) if inputs.ndim == 4 else inputs
        self.data = jnp.asarray(inputs), jnp.asarray(labels)

        def loss_fn(params: Any, batch: Any) -> jax.Array:
            return optax.softmax_cross_entropy_with_integer_labels(net.apply(params, batch[0]), batch[1]).mean()

        params = jax.jit(net.init)(jax.random.key(0), self.data[0][:1])
        self.learner = learner = lrax.Learner.create(loss_fn, params, OPTIMIZERS[self.task.optimizer])

        @jax.jit
        def update(state: Any, draw: jax.Array, data: Any) -> Any:
            return learner.step(state, jax.tree.map(lambda array: array[draw], data), jnp.float32(TASKS[task].low))

        self.update = update

    def bare(self) -> Callable[[], int]:
        """The jitted update, called from Python without waiting; its batch is gathered in the same program."""
        draws = list(jax.random.randint(jax.random.key(1), (UPDATES, self.task.batch), 0, len(self.data[1])))

        def run() -> int:
            state = self.learner.state
            for draw in draws:
                state, loss = self.update(state, draw, self.data)
            jax.block_until_ready((state, loss))
            return len(draws)

        return run

    def finder(self) -> Callable[[], int]:
        """`lrax.range_test` with its default loop: losses and smoothing."""
        ramp = lrax.Geometric(self.task.low, self.task.high, UPDATES - 1)

        def run() -> int:
            curve = lrax.range_test(
                self.learner,
                self.data,
                batch_size=self.task.batch,
                key=jax.random.key(2),
                ramp=ramp,
                stop=None,
            )
            return int(curve.steps_run)

        return run
