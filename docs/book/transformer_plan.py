# %% [markdown]
# # Planning a transformer run
#
# This page trains a transformer on characters. It plans the schedule in tokens, finds its peak, and changes the schedule during the run. One stable run gives two
# finished models, a short and a long one. Each is compared with a run whose cosine was made for its length. The plan is ahead both times: a test loss of 2.13 compared
# with 2.27 after 400 steps, and of 1.58 compared with 1.67 after 1,200 steps.

# %%
import functools
import math
import os
import pydoc_data.topics

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import lrax

full = bool(os.environ.get("LRAX_FULL"))  # wider, longer, three models side by side
seeds, width, batch_size, short, block = (3, 64, 16, 400, 40) if full else (1, 32, 8, 40, 8)
context, heads = 32, 4  # characters that the model sees; `short` is a run's length, `block` the steps of a call

text = "\n".join(pydoc_data.topics.topics.values()).encode("ascii", "replace")  # what Python's help() knows
text = np.frombuffer(text, np.uint8).astype(np.int32)
pieces = text[: len(text) // (context + 1) * (context + 1)].reshape(-1, context + 1)
pieces = jnp.asarray(np.random.default_rng(0).permutation(pieces))
train_pieces, test_pieces = pieces[:-512], pieces[-512:]
print(f"{len(text):,} characters; {len(train_pieces):,} pieces to train on, {len(test_pieces)} to test with")

# %% [markdown]
# ## The model
#
# The model has two causal blocks with four heads, of width 64 in the long run, in plain `jnp`. Every character of a piece predicts the next one.


# %%
def normalised(x):
    return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)


shapes = {
    "embed": (128, width),
    "place": (context, width),
    "qkv": (2, width, 3 * width),
    "mix": (2, width, width),
    "up": (2, width, 4 * width),
    "down": (2, 4 * width, width),
    "out": (width, 128),
}


@jax.jit
def start(key):
    sizes = [math.prod(shape) for shape in shapes.values()]
    parts = jnp.split(jax.random.normal(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
    scales = {name: 0.1 if name in ("embed", "place") else shape[-2] ** -0.5 for name, shape in shapes.items()}
    return {name: scales[name] * part.reshape(shapes[name]) for name, part in zip(shapes, parts, strict=True)}


def causal_block(x, layer):
    qkv = (normalised(x) @ layer["qkv"]).reshape(*x.shape[:2], 3, heads, width // heads)
    mixed = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], is_causal=True)
    x = x + mixed.reshape(x.shape) @ layer["mix"]
    return x + jax.nn.gelu(normalised(x) @ layer["up"]) @ layer["down"]


def loss_fn(params, pieces):
    x = params["embed"][pieces[:, :-1]] + params["place"]
    for layer in range(2):
        x = causal_block(x, {name: params[name][layer] for name in ("qkv", "mix", "up", "down")})
    logits = normalised(x) @ params["out"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, pieces[:, 1:]).mean()


# %% [markdown]
# ## A schedule in tokens
#
# A transformer run is planned in tokens, and its optimizer counts steps. A clock converts between the two, so the schedule stays the same when the batch size changes
# and has fewer steps.
#
# The shape is warmup-stable-decay: the learning rate rises over a twentieth of the tokens, stays constant, and decays linearly over the last fifth. The peak is not
# known yet, so the shape has the peak 1.

# %%
clock = lrax.Clock(batch_size * context)  # tokens per step
tokens = int(clock.seen(2 * short))
shape = lrax.wsd(1.0, warmup_steps=0.05, cooldown_steps=0.2, total_steps=tokens)  # counts are tokens
print(f"{tokens:,} tokens are {lrax.steps_for(tokens=tokens, clock=clock)} steps")
twice = lrax.Clock(2 * batch_size * context)
print(f"at twice the batch size, {lrax.steps_for(tokens=tokens, clock=twice)}")

# %% [markdown]
# ## The learning rate
#
# `find_lr` takes the plan in steps, and finds its peak. The optimizer is AdamW. The finder needs it as a function of the learning rate, so its other arguments are
# bound first. `found.schedule` is the plan at the peak. Before the first step no token has been seen, so the first learning rate is nearly zero.

# %%
optimizer = functools.partial(optax.adamw, weight_decay=0.01)
learner = lrax.Learner.create(loss_fn, start(jax.random.key(1)), optimizer)


def find(schedule):
    return lrax.find_lr(
        learner, train_pieces, schedule, batch_size=batch_size, key=jax.random.key(2), budget=500 if full else 100
    )


found = find(clock.to_steps(shape))  # counts are steps
plan = found.schedule
print(found)
print(found.explanation)
found.plot()

# %% [markdown]
# The dots and the line are the ramp. The markers are the final losses of four short runs of the whole plan, squeezed into 52 to 209 steps. Longer runs end lower, so
# compare runs of similar length. The dashed line is the peak of the plan, 0.00318, and the shaded part its likely interval.
#
# %% [markdown]
# ## The stable part
#
# A learner has a step function that takes the learning rate. Training is a `scan` of it over learning rates and batches, and a `vmap` over models with different initial
# parameters. In your own loop, pass the schedule to the optimizer, `optax.adamw(plan)`. In both cases the optimizer's state counts the steps, and
# `lrax.last_lr` reads the learning rate from it. It is logged after every block of steps.
#
# Training stops after four fifths of the short run. For most of this time the learning rate is at its peak.

# %%
make = jax.jit(jax.vmap(lambda key: lrax.Learner.create(loss_fn, start(key), optimizer).state))
states = make(jax.random.split(jax.random.key(5), seeds))
order = jnp.asarray(np.random.default_rng(1).integers(0, len(train_pieces), (3 * short, batch_size)))  # of every run


@jax.jit
def updates(states, rates, chosen):
    def update(state, now):
        rate, these = now
        return learner.step(state, train_pieces[these], rate)

    return jax.vmap(lambda state: jax.lax.scan(update, state, (rates, chosen)))(states)


def train(states, schedule, until):
    """Trains up to a count; returns the states and, for each block, the count, the mean loss and the last learning rate."""
    rates = jax.jit(schedule)(jnp.arange(until))
    last_lr = jax.jit(lambda opt_state: lrax.last_lr(opt_state, schedule)[0])
    log = []
    for count in range(int(lrax.count_of(states.opt_state)[0]), until, block):
        now = slice(count, count + block)
        states, losses = updates(states, rates[now], order[now])
        log.append((count + block, losses.mean(), last_lr(states.opt_state)))
    return states, np.array(log)


logs = {}
early, logs["plan"] = train(states, plan, 4 * short // 5)
print(f"step {lrax.count_of(early.opt_state)[0]}: loss {logs['plan'][-1, 1]:.3f}, learning rate {logs['plan'][-1, 2]:.3g}")

# %% [markdown]
# ## A branch
#
# Suppose that you need a model now. `early` is a checkpoint: arrays are immutable, so it is enough to keep them (or [save them with Orbax](../living.md)).
# `lrax.branch` follows the schedule up to the count of the checkpoint and then decays linearly to zero. It reuses all training up to this point.

# %%
at = int(lrax.count_of(early.opt_state)[0])
branch = lrax.branch(plan, total_steps=short, at=at)
finished, logs["branch"] = train(early, branch, short)

# %% [markdown]
# ## A longer run
#
# The run itself continues from the same checkpoint at its present learning rate. Before the planned cool-down begins, the budget increases by half. `lrax.extend` with
# `mode="hold"` lengthens the stable part and keeps the planned cool-down. The past learning rates are the same, bit for bit, so the run could have been planned like
# this from the start.

# %%
late, logs["plan, on"] = train(early, plan, 8 * short // 5)
at = int(lrax.count_of(late.opt_state)[0])
longer = lrax.extend(plan, total_steps=3 * short, at=at, mode="hold")
past = jnp.arange(at + 1)
print("past learning rates are the same:", jnp.array_equal(jax.jit(longer)(past), jax.jit(plan)(past)))
extended, logs["extended"] = train(late, longer, 3 * short)

# %% [markdown]
# ## Compared with a cosine for each length
#
# A common choice is a cosine that ends with the run. It must know the length from the start, so there are two, and each has its own search. All runs use the same
# batch at the same step.
#
# In the first picture, lines are the schedules, and dots are the learning rates read from the optimizer states. Where a branch begins, the lines separate; their past is
# shared.

# %%
searches = {steps: find(lrax.warmup_cosine(1.0, warmup_steps=0.05, total_steps=steps)) for steps in (short, 3 * short)}
cosines = {steps: search.schedule for steps, search in searches.items()}
for steps, search in searches.items():
    print(f"{search}; rescaled from the plan: {found.rescale(cosines[steps]).peak:.3g}")
short_cosine, logs["cosine, short"] = train(states, cosines[short], short)
midway, logs["cosine, long"] = train(states, cosines[3 * short], short)
long_cosine, rest = train(midway, cosines[3 * short], 3 * short)
logs["cosine, long"] = np.concatenate([logs["cosine, long"], rest])

plans = {"extended": longer, "plan": plan, "branch": branch}
plans |= {"cosine, short": cosines[short], "cosine, long": cosines[3 * short]}
axes = lrax.plot(plans, steps=3 * short)
colours = {line.get_label(): line.get_color() for line in axes.lines}
for log in logs.values():
    axes.plot(log[:, 0] - 1, log[:, 2], "k.", markersize=4)

# %%
lines = {"plan": [logs["plan"], logs["plan, on"]], "branch": [logs["plan"][-1:], logs["branch"]]}
lines |= {"extended": [logs["plan, on"][-1:], logs["extended"]]}
lines |= {name: [logs[name]] for name in ("cosine, short", "cosine, long")}
figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for name, parts in lines.items():
    counts, losses, _ = np.concatenate(parts).T
    axes.plot(counts, losses, color=colours[name], label=name)
axes.set_xlabel("steps")
axes.set_ylabel(f"training loss, mean of {block} steps")
axes.set_ylim(top=logs["plan"][0, 1])
axes.grid(alpha=0.3)
axes.legend()

# %% [markdown]
# The runs are compared on pieces of text that none of them has seen: the mean over models, then each model.

# %%
held_out = jax.jit(jax.vmap(lambda params: loss_fn(params, test_pieces)))
ends = {
    f"{short} steps, branch": finished,
    f"{short} steps, cosine made for {short}": short_cosine,
    f"{short} steps, cosine made for {3 * short}": midway,
    f"{3 * short} steps, extended": extended,
    f"{3 * short} steps, cosine made for {3 * short}": long_cosine,
    f"{4 * short // 5} steps, at the stable learning rate": early,
    f"{8 * short // 5} steps, at the stable learning rate": late,
}
for name, end in ends.items():
    losses = held_out(end.params)
    print(f"{name:38} {losses.mean():.3f}  ", *(f"{loss:.3f}" for loss in losses))

# %% [markdown]
# The table shows:
#
# - **The plan is ahead.** Both of its ends are ahead of the cosines made for their lengths, in each of the three models: 2.13 compared with 2.27 after 400 steps, and
#   1.58 compared with 1.67 after 1,200 steps.
# - **The shape matters here, more than the peak.** The long cosine, stopped after 400 steps, has a loss of 2.14. So it is ahead of the short cosine, although its peak is
#   lower: 0.00335 compared with 0.00484. The short cosine spends its second half below half of its peak, and a run of 400 steps has no time for that.
# - **Cool-downs help much.** 2.28 at the stable learning rate became 2.13 in 80 steps. 1.93 became 1.58 in 560 steps, of which the first 400 were at the stable
#   learning rate.
# - **Rescaling is less sure than a search.** `found.rescale` transfers the peak of the plan to another shape or length by theory, without training. It gives 0.00723 for
#   the short cosine and 0.0052 for the long one. Both are 1.5 times the peak of the search, and within its interval.
#
# The plan costs less and needs no known length. Both of its ends together took 1.6 + 0.2 + 1.4 = 3.2 times the steps of the short run, because they share their past.
# The two cosines took 1 + 3 = 4 times, and each had to know its length at the start. A search costs 500 steps in addition. That is more than the short run of this
# page, and little for a run of usual length.
#
# ## Next
#
# - [Counting steps, epochs and tokens](../counting.md): clocks, batch-size ramp-up, fractions of a total.
# - [Logging, checkpointing and changing a schedule](../living.md).
# - [The finder](../finder.md): how accurate a suggestion is.
