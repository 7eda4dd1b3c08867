import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.training import _memory, _programs
from small_sweep import PEAKS, run


def test_the_plan_is_said():
    """The result says how many runs were run at a time, and why."""
    assert "5 runs at a time (as given)" in run(execution=lrax.Execution(max_parallel=5)).plan
    assert "at a time" in str(run())


def test_the_plan_follows_the_program():
    """On the CPU convolutions and large states run one run at a time, small ones in equal shares for the cores."""

    def looped(size, convolution=False):
        def train(rate):
            def update(state, _):
                if convolution:
                    kernel = jnp.ones((3, 3, 1, 1))
                    state = jax.lax.conv_general_dilated(
                        state.reshape(1, 8, 8, 1), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                    ).reshape(-1)
                return state * rate, state[0]

            return jax.lax.scan(update, jnp.ones(size), None, length=3)[1]

        return jax.make_jaxpr(train)(1.0).jaxpr

    assert _memory.plan(looped(64, convolution=True), 32, False).runs == 1
    assert _memory.plan(looped(10_000_000), 32, False).runs == 1
    assert _memory.plan(looped(10), 32, False).runs == -(-32 // _memory.cores())
    assert _programs.loop_state_bytes(looped(10_000)) >= 40_000


def test_memory_bounds_the_lanes(monkeypatch):
    """A program that does not fit is made smaller until it does, and the result says so."""
    wide = jax.jit(lambda s: jnp.mean(jnp.sort(s(jnp.arange(50_000)))))
    monkeypatch.setattr(_memory, "cores", lambda: 1)
    plain = lrax.run_sweep(wide, lrax.Constant(np.linspace(0.1, 1, 16, dtype=np.float32)))
    monkeypatch.setattr(_memory, "free_bytes", lambda: 2_000_000)
    bounded = lrax.run_sweep(wide, lrax.Constant(np.linspace(0.1, 1, 16, dtype=np.float32)))
    assert plain.plan.startswith("16 runs at a time (")
    assert "mesh" not in plain.plan
    assert "to fit the memory" in bounded.plan
    np.testing.assert_allclose(plain.metrics, bounded.metrics, rtol=1e-6)


@pytest.mark.parametrize(("free", "at_once"), [(59, 5), (60, 6), (9, 1)])
def test_the_number_of_runs_that_fit_is_rounded_down(monkeypatch, free, at_once):
    """A tenth run that fits in part does not fit; one run is always made."""
    monkeypatch.setattr(_memory, "free_bytes", lambda: free)
    assert _memory.fit(_memory.Plan(10, 1, "all of them"), 100).runs == at_once
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert _memory.plan_runs(10, 1, in_turn=False, one_program=False) == _memory.Plan(1, 1, "all of them")
    planned = _memory.plan_runs(10, 6 * at_once, in_turn=False, one_program=False)
    assert planned.programs == 1
    assert planned.runs == max(1, free // (10 * _memory.STATES))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind threads to cores")
def test_only_cores_that_this_process_may_use_count():
    """A process that is bound to one core has one."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert _memory.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_free_memory_is_known_here():
    """On the machines that the tests run on, the free memory can be asked for."""
    free = _memory.free_bytes()
    assert free is None or free > 2**20


def test_progress(capsys):
    """A bar counts the runs when asked for."""
    run(progress=True, execution=lrax.Execution(max_parallel=5))
    assert "12/12" in capsys.readouterr().err


def test_run_sweep_inside_jit_says_what_to_use():
    """A table cannot be made of traced numbers."""
    with pytest.raises(TypeError, match=r"not traced.*lrax\.sweep"):
        jax.jit(lambda rates: lrax.run_sweep(lambda schedule: schedule(0), lrax.Constant(rates)).scores)(PEAKS)
