"""A range test and a sweep over every device there is: one CPU, eight GPUs, or a pod of many hosts.

    python examples/sweep_many_devices.py                                     # what this machine has
    XLA_FLAGS=--xla_force_host_platform_device_count=8 python examples/sweep_many_devices.py --data-places 2
    python examples/sweep_many_devices.py --coordinator 127.0.0.1:1234 --processes 2 --process 0   # and --process 1

On a cluster that JAX knows (Cloud TPU, Slurm, Open MPI, Kubernetes), start the script once on every host with `--cluster`.
Devices are laid out as runs x data: the runs of a sweep are divided over the first axis, every batch over the second.
"""

import argparse
import functools
import itertools
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import image_data
import lrax


def init(key: jax.Array, sizes: tuple[int, ...] = (784, 64, 10)) -> list[dict[str, jax.Array]]:
    """Parameters of a multi-layer perceptron."""
    shapes = itertools.pairwise(sizes)
    return [
        {"weight": jax.random.normal(jax.random.fold_in(key, i), shape) / shape[0] ** 0.5, "bias": jnp.zeros(shape[1])}
        for i, shape in enumerate(shapes)
    ]


def logits(params: list[dict[str, jax.Array]], images: jax.Array) -> jax.Array:
    """Logits of shape (n, 10)."""
    hidden = images.reshape(images.shape[0], -1)
    for layer in params[:-1]:
        hidden = jax.nn.relu(hidden @ layer["weight"] + layer["bias"])
    return hidden @ params[-1]["weight"] + params[-1]["bias"]


def divided_loss(batches: NamedSharding, params: list[dict[str, jax.Array]], batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    """The loss of a batch that is divided over the mesh's data axis: the compiler adds what must be exchanged."""
    images, labels = jax.lax.with_sharding_constraint(batch, batches)
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, images), labels).mean()


def train(
    data: tuple[jax.Array, jax.Array], schedule: lrax.Schedule, key: jax.Array, batches: NamedSharding, steps: int
) -> jax.Array:
    """Trains new parameters on batches of 64; returns all losses."""
    learner = lrax.Learner.create(
        functools.partial(divided_loss, batches), init(key), functools.partial(optax.sgd, momentum=0.9)
    )

    def step(state: lrax.Learner, count: jax.Array) -> tuple[lrax.Learner, jax.Array]:
        chosen = jax.random.randint(jax.random.fold_in(key, count), (64,), 0, data[1].shape[0])
        batch = jax.tree.map(lambda array: jnp.take(array, chosen, axis=0), data)
        return learner.step(state, batch, schedule(count))

    return jax.lax.scan(step, learner.state, jnp.arange(steps))[1]


def main() -> None:
    """Runs both and prints what was found, once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinator", help="address:port of process 0, for processes that you start yourself")
    parser.add_argument("--processes", type=int, help="how many processes there are")
    parser.add_argument("--process", type=int, help="which of them this one is")
    parser.add_argument("--cluster", action="store_true", help="let JAX find the other processes")
    parser.add_argument("--data-places", type=int, default=1, help="devices that share a batch; default: %(default)s")
    parser.add_argument("--rates", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=2, help="of each rate; default: %(default)s")
    parser.add_argument("--steps", type=int, default=100, help="of each run; default: %(default)s")
    parser.add_argument("--folder", help="save finished runs here, so that the same sweep can go on later")
    parser.add_argument("--out", help="write the results to this .npz file")
    options = parser.parse_args()
    if options.coordinator:
        if os.environ.get("JAX_PLATFORMS") == "cpu":
            jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(options.coordinator, options.processes, options.process)
    elif options.cluster:
        jax.distributed.initialize()

    mesh = Mesh(np.array(jax.devices()).reshape(-1, options.data_places), ("runs", "data"))
    everywhere, batches = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
    digits = image_data.load("digits")
    data = jax.device_put((digits.train_images, digits.train_labels), everywhere)

    learner = lrax.Learner.create(
        functools.partial(divided_loss, batches), init(jax.random.key(0)), functools.partial(optax.sgd, momentum=0.9)
    )
    learner = jax.device_put(learner, everywhere)
    key = jax.jit(lambda: jax.random.key(1), out_shardings=everywhere)()
    curve = lrax.range_test(learner, data, batch_size=64, key=key, ramp=lrax.Geometric(1e-6, 1.0, 119))

    schedules = jax.vmap(lambda peak: lrax.warmup_cosine(peak, warmup_steps=options.steps // 10, total_steps=options.steps))(
        jnp.geomspace(1e-3, 1.0, options.rates)
    )
    runs = lrax.grid(schedules, jax.random.split(jax.random.key(2), options.seeds))
    bound = jax.tree_util.Partial(functools.partial(train, batches=batches, steps=options.steps), data)
    result = lrax.run_sweep(bound, *runs, execution=lrax.Execution(mesh=mesh), folder=options.folder)

    if jax.process_index() == 0:  # every process has the whole result
        print(f"{jax.process_count()} processes, {jax.device_count()} devices: {dict(mesh.shape)}")
        print(curve)
        print(result)
        if options.out:
            np.savez(options.out, losses=curve.losses, scores=result.scores, metrics=result.metrics)


if __name__ == "__main__":
    main()
