"""What users write, which type checkers take: run by tests/types/test_types.py, and never imported."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax

import lrax


class Warmed(lrax.Schedule):
    """An own kind as the docs write it, with a default as type checkers want it."""

    peak: lrax.fields.Rate
    timescale: lrax.fields.Rate = lrax.fields.default(100.0)
    power: float = 1.0

    def rate(self, count: jax.Array) -> jax.Array:
        """The formula."""
        return self.peak * -(jnp.expm1(-(count + 1) / self.timescale) ** self.power)


class SquareRoot(lrax.Phase):
    """An own phase as the docs write it."""

    peak: lrax.fields.Rate
    steps: lrax.fields.Steps

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        """The formula."""
        return self.peak * jnp.sqrt(left)


class Halved(lrax.Schedule):
    """An own combinator."""

    schedule: lrax.ScheduleLike

    def rate(self, count: jax.Array) -> jax.Array:
        """The formula."""
        return self.schedule.rate(count) / 2


schedule = lrax.warmup_cosine(peak=0.1, warmup_steps=100, total_steps=1000)
optax.adamw(schedule)
optax.sgd(lrax.Cosine(0.1, 0.0, 1000), momentum=0.9)
optax.inject_hyperparams(optax.adam)(learning_rate=schedule)
as_optax: optax.Schedule = lrax.MultiStep(0.1, 0.5, [30, 60])

numbers: list[lrax.Schedule] = [
    lrax.Constant(1),
    lrax.Constant(np.float32(0.1)),
    lrax.Constant(jnp.geomspace(1e-3, 1, 8)),
    lrax.Constant(np.geomspace(1e-3, 1, 8)),
    lrax.Cosine(0.1, 0.0, np.int32(5)),
    lrax.MultiStep(0.1, 0.5, np.array([3, 4])),
    lrax.PiecewiseConstant([0.1, 0.2], (3,)),
    lrax.Cycle(lrax.Cosine(0.1, 0.0, 10), length_factor=1.5),
    lrax.Warmup(lambda count: 0.1 / (1 + count), 10, mode="cosine"),
    lrax.Warmup(optax.constant_schedule(0.1), 10, mode="constant"),
    lrax.Sequence(lrax.Hold(0.1, 5), SquareRoot(0.1, 10), Halved(Warmed(0.1))),
    lrax.wsd(0.1, warmup_steps=100, cooldown_steps=200, total_steps=1000, mode="one_minus_sqrt"),
    lrax.wsd(0.1, warmup_steps=0.01, cooldown_steps=np.float32(0.2), total_steps=1000),
    lrax.wsd(0.1, warmup_steps=0.01, cooldown_steps=200).with_total_steps(1000),
    lrax.wsd_s(0.1, ends=[0.25, 0.5], warmup_steps=10, cooldown_steps=0.1).with_total_steps(jnp.int32(1000)),
    lrax.Clock([256, 512], [1000], unit=256).to_steps(lrax.Constant(0.1), scaling="sqrt"),
    lrax.schedules.Clocked(lambda count: 0.1 / (1 + count), lrax.Clock(256), 0.75),
    lrax.schedules.joined([lrax.Constant(0.1), optax.constant_schedule(0.2)], [10]),
    lrax.from_config({"kind": "warmup_linear", "peak": 0.1, "warmup_steps": 0.1}),
    lrax.one_cycle(0.1, 0.5, 500, cooldown_steps=100, end=None if jax.device_count() > 99 else 0.0),
    lrax.cyclical(0.1, 0.5, 500, amplitude=lrax.Exponential(1.0, 0.9)),
    jax.vmap(lambda peak: lrax.warmup_cosine(peak, warmup_steps=50, total_steps=500))(jnp.geomspace(1e-3, 1, 8)),
]
rate: jax.Array = schedule(3) + schedule(np.int64(3)) + schedule(jnp.arange(3))
peak: np.float32 | jax.Array = schedule.peak
seen: int = int(lrax.Clock(256).seen(5))
text: str = lrax.table(schedule)
again: lrax.Schedule = lrax.from_json(lrax.to_json(schedule))


def loss(params: jax.Array, batch: jax.Array) -> jax.Array:
    """A loss."""
    return jnp.mean((params - batch) ** 2)


learner = lrax.Learner.create(loss, jnp.zeros(3), functools.partial(optax.sgd, momentum=0.9))
found = lrax.find_lr(learner, jnp.ones((8, 3)), batch_size=4, key=jax.random.key(0))


def update(state: tuple[jax.Array, optax.OptState], batch: jax.Array, learning_rate: jax.Array) -> tuple[object, jax.Array]:
    """A hand-written update."""
    params, opt_state = state
    value, grads = jax.value_and_grad(loss)(params, batch)
    changes, opt_state = lrax.at_lr(optax.adam, learning_rate).update(grads, opt_state, params)
    return (params + jnp.asarray(changes), opt_state), value


written = lrax.Learner((jnp.zeros(3), optax.adam(0.1).init(jnp.zeros(3))), update, optimizer=optax.adam)
at_a_number: optax.GradientTransformationExtraArgs = lrax.at_lr(functools.partial(optax.sgd, momentum=0.9), 0.1)
raced = lrax.race(learner, [jnp.ones((4, 3))], [schedule], rungs=4)
if raced.schedule is not None:
    going_on = raced.opt_state_for(optax.sgd(raced.schedule, momentum=0.9))
    accumulated = raced.opt_state_for(optax.MultiSteps(optax.sgd(raced.schedule, momentum=0.9), 4))
losses: npt.NDArray[np.float32] = raced.losses
diverged: npt.NDArray[np.bool_] = lrax.sweeps.SweepResult.create(schedule, np.ones(1)).diverged
length: np.int32 | jax.Array | None = schedule.length
steps: np.int32 | jax.Array = lrax.Cosine(0.1, 0.0, 100).length
curve = lrax.range_test(learner, jnp.ones((8, 3)), batch_size=4, key=jax.random.key(0), stop=lambda run: run.smoothed > 9)
curve = lrax.range_test(learner, [jnp.ones((4, 3))], smoothing=lambda count: 0.3, stop=lrax.finder.TimesBest(5))
stepped = lrax.compat.torch.StepLR(0.1, step_size=30, gamma=0.5)
plateau = lrax.compat.torch.ReduceLROnPlateau(0.1, factor=0.5, cooldown=np.int32(3))
