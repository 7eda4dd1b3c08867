"""The range test as one pure function of arrays, for programs of one's own."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, check_call, check_whole
from lrax.finder._rules import make_rules
from lrax.finder._stop import TimesFirst
from lrax.schedules._phases import Geometric
from lrax.training._batches import ArrayBatches, SampledBatches, as_batches
from lrax.training._core import CODES, PROGRESS, RUNNING, Reason, strong
from lrax.training._driver import train_program
from lrax.training._evaluating import Evaluation, make_evaluator
from lrax.training._learner import Learner
from lrax.training._steps import Steps, check_accumulate

Rule = Callable[[Any], Any]

TWICE = TimesFirst(factor=2.0)
"""The default rule to stop by: that of MXNet's tutorial."""

EVERY = 10
"""Updates from one evaluation to the next, if they are not given."""


class Measured(NamedTuple):
    """What a range test measured, as arrays: a pytree.

    Attributes:
      rates, losses, smoothed: of each update, float32 of shape (updates,); infinite where no update was made.
      made: how many updates were made, int32.
      reason: why the test ended, int32: the place of a `lrax.finder.Reason` among its kind.
      evaluated: after how many updates it was evaluated, int32 of shape (evaluations,); none without `evaluate`.
      evaluations: the metrics there, float32 of shape (evaluations,); NaN where the test had stopped.
    """

    rates: jax.Array
    losses: jax.Array
    smoothed: jax.Array
    made: jax.Array
    reason: jax.Array
    evaluated: jax.Array
    evaluations: jax.Array


@check_call
def range_test(
    learner: Learner,
    data: Any,
    *,
    key: jax.Array,
    batch_size: int | None = None,
    ramp: Any = None,
    updates: int | None = None,
    smoothing: Rule | None = None,
    stop: Rule | None = TWICE,
    transform: Callable[[Any], Any] | None = None,
    accumulate: int = 1,
    evaluate: Callable[[Any], Any] | None = None,
    every: int | None = None,
) -> Measured:
    """The range test as one pure function: it may be jitted, vmapped over states or keys, and put inside other programs.

    Args:
      learner: what is trained; its state is not changed.
      data: a pytree of arrays with a common leading axis, with `batch_size`; or a sampler `key -> batch`.
      key: random key that draws the batches.
      batch_size: examples in a batch, for arrays. They are drawn without replacement, epoch after epoch; the last
        partial batch of an epoch is dropped, and a batch is never larger than the data.
      ramp: schedule of the rates, one an update; by default from 1e-6, a tenth more every update, to 10: 170 updates.
      updates: length of the test, an int; by default the ramp's length plus one, so that its end is reached. The
        default ramp is fitted to it.
      smoothing: count -> weight of the new loss in the smoothed one; by default a running mean with 0.3 on the past.
      stop: run -> bool; by default where the smoothed loss passes twice the first, after at least 20 updates. None
        for a test that runs to the ramp's end. A loss that is not finite always stops it.
      transform: a function of every batch, inside the compiled program.
      accumulate: batches to one optimizer update, for learners that accumulate gradients; the loss is their mean.
      evaluate: a pure function `(state) -> metric`, one real number in `jnp`, of data that are not trained on.
      every: updates from one evaluation to the next, by default 10; the last update is followed by one in any case.

    Returns: a `lrax.finder.Measured`, whose curves are infinite where no update was made.

    Raises: TypeError or ValueError for data, a ramp or an update that cannot be used, before anything runs.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    >>> curve = jax.jit(lambda key: range_test(learner, jnp.ones((8, 3)), batch_size=4, key=key))(jax.random.key(0))
    >>> print(curve.losses.shape, curve.made)
    (170,) 170
    """
    if updates is not None:
        check_whole("range_test", "updates", updates)
    fitted = Geometric(1e-6, 10.0, 169 if updates is None else max(updates - 1, 1)) if ramp is None else ramp
    rules, updates = make_rules("range_test", fitted, updates, smoothing, stop, known_to_rise=ramp is None)
    batches = as_batches("range_test", data, batch_size, transform)
    if not isinstance(batches, ArrayBatches | SampledBatches):
        remedy = "use lrax.find_lr for an iterable, which is run from the host"
        raise argument_error(TypeError, "range_test", "data", "arrays or a sampler key -> batch", data, remedy)
    steps = Steps("range_test", [learner], batches, None, key)
    check_accumulate("range_test", steps, accumulate)
    traced, (state,) = steps.first, steps.states
    evaluation = None
    if evaluate is not None:
        evaluation = Evaluation(evaluate, EVERY if every is None else every)
    elif every is not None:
        raise argument_error(ValueError, "range_test", "every", "left out where nothing is evaluated", every)
    evaluator = make_evaluator("range_test", evaluation, state)
    stops = np.array([updates] if evaluator is None else list(evaluator.stops(0, updates)), np.int32)
    capacity = int(stops[0])
    call = traced.program.jitted(train_program, capacity, int(accumulate), False, inside=True)
    arrays = jax.tree.leaves(batches)
    rest = rules._replace(state=None, order=batches.order(key), history=None, evaluations=None)

    def part(progress: tuple[Any, dict[str, Any]], stop: Any) -> tuple[tuple[Any, dict[str, Any]], tuple[jax.Array, jax.Array]]:
        state, scalars = progress
        state, scalars, rows = call(traced.consts, state, rest._replace(**scalars), arrays, stop)
        metric = jnp.nan if evaluator is None else jnp.asarray(evaluator.metric(state), jnp.float32)
        return (state, scalars), (rows, jnp.where(scalars["reason"] == RUNNING, metric, jnp.nan))

    scalars: dict[str, Any] = {name: getattr(rules, name) for name in PROGRESS}
    if evaluator is None:
        (_, scalars), (rows, _) = part((state, scalars), jnp.int32(updates))
        evaluated, metrics = jnp.zeros(0, jnp.int32), jnp.zeros(0, jnp.float32)
    else:
        begun = jax.tree.map(strong, (state, scalars))
        (_, scalars), (rows, metrics) = jax.lax.scan(part, begun, jnp.asarray(stops))
        rows, evaluated = rows.reshape(-1, 3)[:updates], jnp.asarray(stops)
    reason = jnp.where(scalars["reason"] == RUNNING, jnp.int32(CODES[Reason.COMPLETED]), scalars["reason"])
    return Measured(rows[:, 0], rows[:, 1], rows[:, 2], scalars["steps"], reason, evaluated, metrics)
