"""The range test: train while the learning rate climbs. Smith 2015."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Literal, cast

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import any_traced, argument_error, check_call, choice, is_concrete
from lrax.fields._rules import whole_number
from lrax.fields._value import is_batch
from lrax.finder._curve import Curve, curve_of
from lrax.finder._stop import RunningMean, TimesMedian
from lrax.schedules._base import CallableRule, RateFunction, Schedule, ScheduleRule
from lrax.schedules._phases import Geometric
from lrax.theory._bound import lrs_at
from lrax.training._batches import ArrayBatches, SampledBatches, as_batches
from lrax.training._core import CODES, RUNNING, Reason, Run, StopRule, never, start, strong, train
from lrax.training._driver import Execution, Interrupted, Source, Trainer, make_trainer
from lrax.training._evaluating import Evaluation, make_evaluator
from lrax.training._learner import Learner
from lrax.training._progress import progress_bar
from lrax.training._steps import Steps, check_accumulate

TWICE = TimesMedian(2.0)
"""The default stop rule."""

EVERY = 10
"""Steps from one evaluation of a ramp to the next, if they are not given."""


@check_call
def range_test(
    learner: Learner,
    data: object,
    *,
    key: jax.Array | None = None,
    batch_size: int | None = None,
    ramp: RateFunction | None = None,
    steps: int | None = None,
    smoothing: RateFunction | None = None,
    stop: StopRule | None = TWICE,
    evaluation: Evaluation | None = None,
    transform: Callable[[object], object] | None = None,
    accumulate: int = 1,
    loop: Literal["scan", "python"] | None = None,
    donate: bool = False,
    progress: bool = False,
) -> Curve:
    """The classic learning-rate range test: trains while the learning rate climbs, and returns the curve.

    It is pure: it may be jitted, vmapped over states, keys or ramps, and be a part of other programs. Nothing is mutated: the
    learner's state is bit for bit what it was. `lrax.find_lr` uses such a curve to find the peak for your schedule.

    Args:
      learner: a state and its step function; `lrax.Learner.create`, or `lrax.flax` for Flax models.
      data: a pytree of arrays with a common leading axis, with `batch_size`; or a sampler `key -> batch`; or, outside jit, a
        Python iterable of batches, which is iterated again when it ends before the ramp does.
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays. They are drawn without replacement, epoch after epoch; the last
        partial batch of an epoch is dropped, and a batch is never larger than the data.
      ramp: schedule of the learning rates; by default from 1e-6 to 10 in 170 steps, each a tenth higher.
      steps: length of the test, an int; by default the ramp's length plus one, so that its end is reached. The default ramp is
        fitted to it.

    Other Args:
      smoothing: count -> weight of the new loss in the smoothed one that the stop rule sees; by default a running mean with 0.3
        on the past.
      stop: run -> bool; by default where the smoothed loss is more than twice the median of the first 20 losses (higher if
        these scatter more). None for a test that runs to the ramp's end. A loss that is not finite always stops it.
      evaluation: a `lrax.Evaluation` of the state on data that are not trained on, every 10 steps if it does not say.
      transform: a function of every batch: called on the host with the batches of an iterable, inside the program otherwise.
      accumulate: batches to one optimizer step, for learners that accumulate gradients (`optax.MultiSteps`).
      loop: `"scan"` runs all steps in one program, `"python"` calls the compiled step from Python, which is faster for
        convolutions on the CPU. The default depends on the data and the platform; the curve is the same.
      donate: gives the memory of the learner's state away, for models that fit only once.
      progress: shows a progress bar (needs tqdm).

    Returns: a `lrax.finder.Curve`, a pytree. Inside jit and vmap its arrays have shape (steps,) and are infinite where the test
      stopped before; outside they are NumPy arrays of the steps that were made.

    Raises: TypeError or ValueError for data, a ramp or a step function that cannot be used, before anything runs. An interrupt
      has the curve so far as its attribute `found`.

    Source: Smith 2015, Cyclical learning rates for training neural networks, section 3.3.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    >>> curve = range_test(learner, jnp.ones((8, 3)), batch_size=4, key=jax.random.key(0))
    >>> print(f"{curve.steps_run} steps, {curve.reason}; steepest at {curve.suggest(lrax.finder.steepest):.2f}")
    170 steps, completed; steepest at 0.06
    """
    climb, steps = _ramp("range_test", ramp, steps)
    smoothing, stop = _run_rules("range_test", smoothing, stop)
    evaluation = with_every(evaluation, EVERY)
    source = Source(data, key, batch_size, transform, accumulate)
    arrays = () if isinstance(data, Iterator) else data
    if any_traced((learner.state, arrays, key, climb, smoothing, stop)):
        return _traced(learner, source, climb, steps, smoothing, stop, evaluation)
    execution = execution_of("range_test", loop, progress, donate)
    with progress_bar(steps * accumulate, "range test", "batch", progress) as show:
        trainer = make_trainer(
            "range_test", [learner], source, capacity=steps, execution=execution, evaluation=evaluation, report=show
        )
        run = trainer.start(climb, smoothing=smoothing, stop=stop, order=trainer.order(key))
        try:
            return curve_from(trainer, run_ramp(trainer, run, steps), Reason.COMPLETED)
        except Interrupted as interrupt:
            interrupt.found = curve_from(trainer, interrupt.runs[0], Reason.INTERRUPTED)
            raise


def execution_of(caller: str, loop: Literal["scan", "python"] | None, progress: bool, donate: bool = False) -> Execution:
    """How runs are executed. Raises ValueError for another loop, and for one that cannot move a progress bar."""
    if loop is not None:
        choice(caller, "loop", loop, ("scan", "python"))
    if progress and loop == "scan":
        remedy = "leave it out: a bar is moved from Python"
        raise argument_error(ValueError, caller, "loop", "'python' where `progress` is shown", loop, remedy)
    return Execution(loop="python" if progress else loop, donate=donate)


def run_ramp(trainer: Trainer, run: Run, steps: int) -> Run:
    """The run of a ramp to its end. `TimesMedian` is given its numbers as soon as the first losses are there.

    The halt that this takes adds no evaluation: up to the last one before it they are made as always.
    """
    halt, stop = halt_of(run.stop, steps), cast(TimesMedian, run.stop)
    if halt:
        every = trainer.evaluator.every if trainer.evaluator else None
        if every:
            (run,) = trainer.train([run], halt - halt % every)
        (run,) = dataclasses.replace(trainer, evaluator=None).train([run], halt)
        run = run if run.why else run._replace(stop=stop.from_losses(run.losses))
    (run,) = trainer.train([run], steps)
    return run


def halt_of(stop: StopRule, steps: int) -> int:
    """After how many steps a `TimesMedian` is given its numbers; 0 for another rule, or a test that ends before."""
    halt = int(stop.min_steps) if isinstance(stop, TimesMedian) and is_concrete(stop.min_steps) else 0
    return halt if halt < steps else 0


def curve_from(trainer: Trainer, run: Run, otherwise: Reason) -> Curve:
    """The curve of a run, with the notes of its trainer."""
    goal = trainer.evaluator.goal if trainer.evaluator else "min"
    return curve_of(run, otherwise, goal, trainer.notes.left_out, trainer.notes.fault)


def with_every(evaluation: Evaluation | None, every: int) -> Evaluation | None:
    """An evaluation with `every` filled in where it is not given."""
    if evaluation is None or evaluation.every is not None:
        return evaluation
    return Evaluation(evaluation.metric, every, evaluation.goal)


def _traced(
    learner: Learner,
    source: Source,
    ramp: Schedule,
    steps: int,
    smoothing: RateFunction,
    stop: StopRule,
    evaluation: Evaluation | None,
) -> Curve:
    """The range test inside a program: segments between evaluations, if there are any, in one scan."""
    batches = as_batches("range_test", source.data, source.batch_size, source.transform)
    if not isinstance(batches, ArrayBatches | SampledBatches):
        remedy = "call it outside jit and vmap for an iterable"
        raise argument_error(TypeError, "range_test", "data", "arrays or a sampler key -> batch", source.data, remedy)
    traced = Steps("range_test", [learner], batches, None, source.key)  # checks the step function
    accumulate = check_accumulate("range_test", traced, source.accumulate)
    (state,), order = traced.states, batches.order(source.key)  # type: ignore[arg-type]  # `Steps` has checked the key
    evaluator = make_evaluator("range_test", evaluation, state)
    run = start(state, ramp, smoothing=smoothing, stop=stop, order=order)
    run = jax.tree.map(strong, run._replace(history=None, evaluations=None))
    due, halt = [steps] if evaluator is None else list(evaluator.stops(0, steps)), halt_of(stop, steps)
    stops = np.unique([*due, *([halt] if halt else [])]).astype(np.int32)
    capacity = int(np.diff(stops, prepend=0).max())

    def segment(progress: tuple[Run, jax.Array], until: jax.Array) -> tuple[tuple[Run, jax.Array], jax.Array]:
        run, rows = progress
        after = train(learner.step, run, batches.fetch, until, capacity=capacity, accumulate=accumulate)
        rows = jax.lax.dynamic_update_slice_in_dim(rows, after.history, run.steps, 0)
        if halt:
            numbers = cast(TimesMedian, run.stop).from_losses(rows[:halt, 1])
            after = after._replace(stop=jax.tree.map(lambda new, old: jnp.where(until == halt, new, old), numbers, run.stop))
        metric = jnp.inf if evaluator is None else jnp.asarray(evaluator.metric(after.state), jnp.float32)
        evaluated = jnp.where(after.reason == RUNNING, jnp.stack([after.learning_rate, metric]), jnp.inf)
        return (after._replace(history=None), rows), evaluated

    # infinite, not NaN, where no step was made: `jax_debug_nans` may be on
    begun = run, jnp.full((steps + capacity, 3), jnp.inf, jnp.float32)
    (run, rows), evaluated = jax.lax.scan(segment, begun, jnp.asarray(stops))
    rows = jnp.where(jnp.arange(steps)[:, None] < run.steps, rows[:steps], jnp.inf)
    reason = jnp.where(run.reason == RUNNING, CODES[Reason.COMPLETED], run.reason).astype(jnp.int32)
    evaluated = evaluated[np.isin(stops, due)] if evaluator else evaluated[:0]
    goal = "min" if evaluation is None else evaluation.goal
    return Curve(rows[:, 0], rows[:, 1], rows[:, 2], evaluated, reason, goal)  # type: ignore[arg-type]  # traced NumPy arrays


def _ramp(caller: str, ramp: RateFunction | None, steps: int | None) -> tuple[Schedule, int]:
    """The ramp as a schedule and the number of its steps; raises if it is not one rising schedule of learning rates above 0."""
    if steps is not None:
        steps = whole_number(caller, "steps", steps)
    if ramp is None:
        return Geometric(1e-6, 10.0, 169 if steps is None else max(steps - 1, 1)), 170 if steps is None else steps
    climb = ScheduleRule().convert(caller, "ramp", ramp)
    if is_batch(climb):
        raise argument_error(ValueError, caller, "ramp", "one schedule, not a batch", ramp, "vmap lrax.range_test over ramps")
    if steps is None:
        if climb.length is None or not is_concrete(climb.length) or np.ndim(climb.length):
            raise argument_error(ValueError, caller, "steps", "given where the ramp's length is not one concrete number", None)
        steps = int(climb.length) + 1
    if all(is_concrete(leaf) and np.ndim(leaf) == 0 for leaf in jax.tree.leaves(climb)):
        with jax.ensure_compile_time_eval():
            rates = np.asarray(lrs_at(climb, np.arange(steps, dtype=np.int32)))
        if not (rates > 0).all() or (np.diff(rates) < 0).any():
            remedy = "give lrax.Geometric(1e-6, 10.0, steps), the lower learning rate first"
            raise argument_error(ValueError, caller, "ramp", "a schedule of rising learning rates above 0", ramp, remedy)
    return climb, steps


def _run_rules(caller: str, smoothing: RateFunction | None, stop: StopRule | None) -> tuple[RateFunction, StopRule]:
    """The smoother and the stop rule as pytrees."""
    for name, rule, needs in (
        ("smoothing", smoothing, "a function count -> weight of the new loss, such as lrax.finder.RunningMean(0.3)"),
        ("stop", stop, "a function run -> whether to stop, such as lrax.finder.TimesFirst(2.0)"),
    ):
        if rule is not None and not callable(rule):
            raise argument_error(TypeError, caller, name, needs, rule)
    wrap = CallableRule()
    smoothing = wrap.convert(caller, "smoothing", RunningMean() if smoothing is None else smoothing)
    return smoothing, wrap.convert(caller, "stop", never if stop is None else stop)
