"""The range test: train while the rate climbs, and read a rate off the curve."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from lrax._batches import ArrayBatches, SampledBatches, as_batches, endless
from lrax._check import choice, complain, is_known
from lrax._engine import Carry, Rules, prefers_host, run_compiled, run_from_host
from lrax._learner import Learner, check_update
from lrax._phases import Geometric
from lrax._progress import progress_bar
from lrax._schedule import CallableRule, ScheduleRule
from lrax.finder._result import Found, result
from lrax.finder._stop import RunningMean, TimesFirst

Rule = Callable[[Any], Any]


def range_test(
    learner: Learner,
    data: Any,
    *,
    key: jax.Array,
    batch_size: int | None = None,
    ramp: Any = None,
    updates: int | None = None,
    smoothing: Rule | None = None,
    stop: Rule | None = None,
) -> Carry:
    """The range test as one pure function: it may be jitted, vmapped over states or keys, and put inside other programs.

    Args:
      learner: what is trained; its state is not changed.
      data: a pytree of arrays with a common leading axis, with `batch_size`; or a sampler `key -> batch`.
      key: random key that draws the batches.
      batch_size: examples in a batch, for arrays. They are drawn without replacement, epoch after epoch; the last
        partial batch of an epoch is dropped, and a batch is never larger than the data.
      ramp: schedule of the rates, one an update; by default from 1e-6, a tenth more every update, to 10: 170 updates.
      updates: length of the test, an int; by default the ramp's length plus one, so that its end is reached.
      smoothing: count -> weight of the new loss in the smoothed one; by default a running mean with 0.3 on the past.
      stop: carry -> bool; by default where the smoothed loss passes twice the first, after at least 20 updates. A loss that
        is not finite always stops the test.

    Returns: the last `Carry` of the engine: `rates`, `losses` and `smooths`, float32 of shape (updates,), NaN where no update
      was made; `updates`; and `reason`, the place of a `lrax.Reason` among its kind.

    Raises: TypeError or ValueError for data, a ramp or an update that cannot be used, before anything runs.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    >>> curve = jax.jit(lambda key: range_test(learner, jnp.ones((8, 3)), batch_size=4, key=key))(jax.random.key(0))
    >>> print(curve.losses.shape, curve.updates)
    (170,) 170
    """
    rules, updates = _rules("range_test", ramp, updates, smoothing, stop)
    batches = as_batches("range_test", data, batch_size)
    if not isinstance(batches, ArrayBatches | SampledBatches):
        remedy = "use lrax.find_lr for an iterable, which is run from the host"
        raise complain(TypeError, "range_test", "data", "arrays or a sampler key -> batch", data, remedy)
    check_update("range_test", learner, _batch_shape(batches, key))
    return run_compiled(learner.update, learner.state, batches, rules, updates, key)


def find_lr(
    learner: Learner,
    data: Any,
    *,
    key: jax.Array | None = None,
    batch_size: int | None = None,
    ramp: Any = None,
    updates: int | None = None,
    smoothing: Rule | None = None,
    stop: Rule | None = None,
    driver: Literal["compiled", "host"] | None = None,
    progress: bool = False,
) -> Found:
    """Trains while the rate climbs and suggests a rate: the learning-rate range test.

    Nothing is touched: the learner's state is bit for bit what it was, and nothing is written.

    Args:
      learner: a state and its update; `lrax.Learner.create`, or `lrax.flax` for Flax models.
      data: a pytree of arrays with a common leading axis, with `batch_size`; or a sampler `key -> batch`; or a Python iterable
        of batches, which is begun again when it ends before the ramp does (batches smaller than its first are left out).
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays. They are drawn without replacement, epoch after epoch; the last
        partial batch of an epoch is dropped, and a batch is never larger than the data.
      ramp: schedule of the rates, one an update; by default from 1e-6, a tenth more every update, to 10: 170 updates.
      updates: length of the test, an int; by default the ramp's length plus one, so that its end is reached.
      smoothing: count -> weight of the new loss in the smoothed one; by default a running mean with 0.3 on the past.
      stop: carry -> bool; by default where the smoothed loss passes twice the first, after at least 20 updates. A loss that
        is not finite always stops the test.
      driver: `"compiled"` runs all updates in one program, `"host"` calls the compiled update from Python, which is faster for
        convolutions on the CPU. By default what suits the data and the platform; the curve is the same.
      progress: shows a progress bar (needs tqdm); run from the host.

    Returns: the curve, why the test ended, and a suggestion, or None where the curve does not support one.

    Raises: TypeError or ValueError for data, a ramp or an update that cannot be used, before anything runs.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    >>> found = find_lr(learner, jnp.ones((8, 3)), batch_size=4, key=jax.random.key(0))
    >>> print(found.reason, found.updates)
    completed 170
    """
    rules, updates = _rules("find_lr", ramp, updates, smoothing, stop)
    batches = as_batches("find_lr", data, batch_size)
    if driver is not None:
        choice("find_lr", "driver", driver, ("compiled", "host"))
    if isinstance(batches, ArrayBatches | SampledBatches):
        if key is None:
            raise complain(ValueError, "find_lr", "key", "given with arrays and samplers", None, "give jax.random.key(0)")
        batch = _batch_shape(batches, key)
        check_update("find_lr", learner, batch)
        if driver is None and not progress:
            rate = jnp.zeros((), jnp.float32)
            driver = "host" if prefers_host(learner.update, learner.state, batch, rate) else "compiled"
        if driver == "compiled" and not progress:
            return result(_run_compiled(learner.update, learner.state, batches, rules, updates, key))
        return _from_host(learner, batches, rules, updates, key, progress)
    if driver == "compiled":
        remedy = "leave it out: the data is an iterable, which only the host can read"
        raise complain(ValueError, "find_lr", "driver", "'host' for an iterable", driver, remedy)
    return _from_host(learner, batches, rules, updates, key, progress)


_run_compiled = functools.partial(jax.jit, static_argnames=("update", "updates"))(run_compiled)


def _rules(owner: str, ramp: Any, updates: int | None, smoothing: Rule | None, stop: Rule | None) -> tuple[Rules, int]:
    """The rules as pytrees and the number of updates."""
    ramp = Geometric(1e-6, 10.0, 169) if ramp is None else ScheduleRule().convert(owner, "ramp", ramp)
    if updates is None:
        if ramp.length is None or not is_known(ramp.length) or np.ndim(ramp.length):
            raise complain(ValueError, owner, "updates", "given where the ramp's length is not one known number", None)
        updates = int(ramp.length) + 1
    if not isinstance(updates, int | np.integer) or isinstance(updates, bool):
        raise complain(TypeError, owner, "updates", "an integer of at least 1", updates)
    if updates < 1:
        raise complain(ValueError, owner, "updates", "an integer of at least 1", updates)
    wrap = CallableRule()
    return Rules(
        ramp=ramp,
        smoothing=wrap.convert(owner, "smoothing", RunningMean() if smoothing is None else smoothing),
        stop=wrap.convert(owner, "stop", TimesFirst() if stop is None else stop),
    ), int(updates)


def _batch_shape(batches: ArrayBatches | SampledBatches, key: jax.Array) -> Any:
    """The shapes and dtypes of a batch, without drawing one."""

    def first(batches: Any, key: jax.Array) -> Any:
        return batches.fetch(jax.tree.map(lambda leaf: leaf[0], batches.draws(key, 1)))

    return jax.eval_shape(first, batches, key)


def _from_host(learner: Learner, batches: Any, rules: Rules, updates: int, key: jax.Array | None, progress: bool) -> Found:
    """The range test, update by update. An interrupt carries the curve so far as its attribute `found`."""
    if not isinstance(batches, ArrayBatches | SampledBatches):
        batches = endless(batches)
        for first in batches:
            check_update("find_lr", learner, first)
            batches = itertools.chain([first], batches)
            break
    latest: list[Carry] = []
    with progress_bar(updates, "range test", progress) as show:

        def report(carry: Carry) -> None:
            latest[:] = [carry]
            show()

        try:
            carry = run_from_host(learner.update, learner.state, batches, rules, updates, key, report)
        except KeyboardInterrupt as interrupt:
            if latest:
                interrupt.found = result(latest[0])  # type: ignore[attr-defined]  # for whoever catches it
                interrupt.add_note("lrax: the curve so far is this exception's attribute `found`")
            raise
    return result(carry)
