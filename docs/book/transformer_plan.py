# %% [markdown]
# # A transformer's plan
#
# A plan for a transformer that is trained on characters: the rate is found, the schedule is planned in tokens, and the run is changed while it goes on. One stable run gives two finished models,
# one short and one long. Each is compared with a run whose cosine was made for its length.

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
context, heads = 32, 4  # characters that the model sees; `short` is a run's length, `block` the updates of a call

text = "\n".join(pydoc_data.topics.topics.values()).encode("ascii", "replace")  # what Python's help() knows
text = np.frombuffer(text, np.uint8).astype(np.int32)
pieces = text[: len(text) // (context + 1) * (context + 1)].reshape(-1, context + 1)
pieces = jnp.asarray(np.random.default_rng(0).permutation(pieces))
train_pieces, test_pieces = pieces[:-512], pieces[-512:]
print(f"{len(text):,} characters; {len(train_pieces):,} pieces to train on, {len(test_pieces)} to test with")

# %% [markdown]
# ## The model
#
# Two causal blocks with four heads, of width 64 in the long run, in plain `jnp`. Every character of a piece predicts the next one.


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
# ## The rate
#
# The optimizer is AdamW. `find_lr` wants it as a function of the rate, so its other numbers are bound before.

# %%
optimizer = functools.partial(optax.adamw, weight_decay=0.01)
learner = lrax.Learner.create(loss_fn, start(jax.random.key(1)), optimizer)
found = lrax.find_lr(learner, train_pieces, batch_size=batch_size, key=jax.random.key(2))
print(found)
found.plot(rules=[lrax.finder.edge])

# %% [markdown]
# The dots and the line are the ramp, the diamonds are the ends of four short runs by their peaks, and the dashed line is the suggestion, for a run of some 500 updates. The other line is half the rate at
# the lowest loss of the ramp, which suits plain gradients. Adam divides by the size of its gradients and so hardly diverges, and that rule ends up higher.
#
# `lrax.critical_lr` looks from the other side. It is the lowest rate at which one update raises the loss of its own batch. For plain gradients it is an edge. For Adam it is only
# a warning: one update that overshoots is followed by others, which bring it back. Its moments need some updates before they mean anything, and `warm=20` makes twenty small ones.

# %%
critical = lrax.critical_lr(learner, train_pieces, batch_size=batch_size, key=jax.random.key(3), warm=20)
print(critical)

# %% [markdown]
# ## A plan in tokens
#
# A transformer's plan is a number of tokens, and its optimizer counts updates. A clock says how much an update sees, and reads a schedule that is planned in tokens. So the plan stays as it is when
# the batch size changes, and has fewer updates.
#
# The shape is warm-up, stable, decay: the rate climbs for a twentieth of the tokens, stays, and falls in a straight line over the last fifth. `found.schedule` keeps the shape and sets the height, for this
# shape and this length. The first update has seen no token, so its rate is nearly zero.

# %%
clock = lrax.Clock(batch_size * context)  # tokens an update
tokens = int(clock.seen(2 * short))
shape = lrax.wsd(1.0, tokens, warmup_steps=0.05, cooldown_steps=0.2)  # counts are tokens
plan = found.schedule(clock.to_steps(shape))  # counts are updates, and the height is right
print(f"{tokens:,} tokens are {lrax.steps_for(tokens=tokens, clock=clock)} updates")
twice = lrax.Clock(2 * batch_size * context)
print(f"at twice the batch size, {lrax.steps_for(tokens=tokens, clock=twice)}")
print(plan)

# %% [markdown]
# ## The stable part
#
# A learner has an update that takes the rate, and that is all that training needs: a `scan` over rates and batches, and `vmap` over models that begin from different parameters. In a loop of your own the
# schedule goes into the optimizer, `optax.adamw(plan)`. Either way the optimizer's state counts its updates, and `lrax.last_lr` reads the rate from there. It is logged after every block of updates.
#
# Training stops where four fifths of the short run are done. The rate has been at its height for most of the time.

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
    """Trains on to a count; returns the states, and a row a block: the count, the mean loss, the last rate."""
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
print(f"update {lrax.count_of(early.opt_state)[0]}: loss {logs['plan'][-1, 1]:.3f}, rate {logs['plan'][-1, 2]:.3g}")

# %% [markdown]
# ## A branch
#
# Somebody wants a model now. `early` is a checkpoint: arrays do not change, so to keep them is enough (and [Orbax](../living.md) writes them to a disk). `lrax.branch` is the plan up to the count of the
# checkpoint, and from there a straight line to zero. Nothing that was trained is trained again.

# %%
at = int(lrax.count_of(early.opt_state)[0])
branch = lrax.branch(plan, total_steps=short, at=at)
finished, logs["branch"] = train(early, branch, short)

# %% [markdown]
# ## A longer run
#
# The run itself goes on from the same checkpoint, at the rate that it had. Before the planned cool-down begins there is more budget: half as many tokens again. `lrax.extend` with `mode="hold"` makes the
# stable part longer and leaves the cool-down as it was planned. Rates of the past are the same, bit for bit, so the run is one that could have been planned so from the start.

# %%
late, logs["plan, on"] = train(early, plan, 8 * short // 5)
at = int(lrax.count_of(late.opt_state)[0])
longer = lrax.extend(plan, total_steps=3 * short, at=at, mode="hold")
past = jnp.arange(at + 1)
print("past rates are the same:", jnp.array_equal(jax.jit(longer)(past), jax.jit(plan)(past)))
extended, logs["extended"] = train(late, longer, 3 * short)

# %% [markdown]
# ## Beside a cosine for each length
#
# The usual way is a cosine that ends with the run. It must know the length from the start, so here are two, each at the height that `found.schedule` gives for it. The batches of an update are the same in all runs.
#
# In the first picture lines are the plans, and dots are the rates that were read from the optimizer's states. Where a branch leaves, the lines part and the past is shared.

# %%
cosines = {steps: found.schedule(lrax.warmup_cosine(1.0, steps, 0.05)) for steps in (short, 3 * short)}
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
axes.set_xlabel("updates done")
axes.set_ylabel(f"training loss, mean of {block} updates")
axes.set_ylim(top=logs["plan"][0, 1])
axes.grid(alpha=0.3)
axes.legend()

# %% [markdown]
# The ends are compared on pieces of text that no run has seen: the mean over models, then each model.

# %%
held_out = jax.jit(jax.vmap(lambda params: loss_fn(params, test_pieces)))
ends = {
    f"{short} updates, branch": finished,
    f"{short} updates, cosine made for {short}": short_cosine,
    f"{short} updates, cosine made for {3 * short}": midway,
    f"{3 * short} updates, extended": extended,
    f"{3 * short} updates, cosine made for {3 * short}": long_cosine,
    f"{4 * short // 5} updates, at the stable rate": early,
    f"{8 * short // 5} updates, at the stable rate": late,
}
for name, end in ends.items():
    losses = held_out(end.params)
    print(f"{name:38} {losses.mean():.3f}  ", *(f"{loss:.3f}" for loss in losses))

# %% [markdown]
# What the table says:
#
# - The plan's two ends are ahead of the cosines that were made for their lengths, in each of the three models: 2.21 against 2.26 after 400 updates, 1.61 against 1.65 after 1,200.
# - That is partly a matter of height. The long cosine, left after 400 updates while its rate is still high (2.12), is ahead of the short one, which has come down to zero: for a run as short as this
#   one the suggested rate is too low, and a plan that stays at its height for longer suffers less from that. A sweep over the peak is how to know.
# - The cool-downs brought much: 2.34 at the stable rate became 2.21 in 80 updates, 1.97 became 1.61 in 560, of which 320 at the stable rate.
#
# The plan's gain is in what it costs and in what need not be known. Both of its ends together took 1.6 + 0.2 + 1.4 = 3.2 times the updates of the short run, because they share their past. The two
# cosines took 1 + 3 = 4 times, and each had to know its length before it began.
#
# ## Where next
#
# - [Counting](../counting.md): clocks, batches that grow, shares of a total.
# - [Living with a schedule](../living.md): logs, checkpoints, changes of plan.
# - [The finder](../finder.md): how sure a suggestion is, and the critical rate.
