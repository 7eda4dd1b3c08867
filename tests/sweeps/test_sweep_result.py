import os
import pathlib
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import lrax
from lrax.sweeps._folder import DIFFERS
from lrax.training import _fit

mpl.use("Agg")
COUNTS = jnp.arange(20)
PEAKS = np.array([0.001, 0.05, 0.1, 3e38], np.float32)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def train(schedule, key):
    """Gradient descent on a noisy quadratic: all losses."""
    start = 3 + 0.1 * jax.random.normal(key)

    def update(weight, count):
        return weight - schedule(count) * 2 * weight, weight**2

    return jax.lax.scan(update, start, COUNTS)[1]


def run(**options):
    """Four rates, three seeds each; the largest diverges."""
    seeds = jax.random.split(jax.random.key(0), 3)
    return lrax.run_sweep(train, *lrax.cross(lrax.Constant(PEAKS), seeds), **options)


def test_settings_group_their_seeds():
    """Lanes with equal schedules are the seeds of one setting; the best is the one with the lowest median."""
    result = run()
    assert [setting.lanes for setting in result.settings] == [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)]
    assert result.best.lanes == (6, 7, 8)
    assert float(result.best.peak) == np.float32(0.1)
    expected = np.median([np.asarray(result.metrics)[lane, -5:].mean() for lane in (6, 7, 8)])
    np.testing.assert_allclose(result.best.score, expected, rtol=1e-5)


def test_a_diverged_lane_is_marked_and_does_not_matter():
    """Lanes with numbers that are not finite are marked, have no score, and are neither the best nor in the margin."""
    result = run()
    assert list(result.diverged) == [False] * 9 + [True] * 3
    assert np.isnan(result.scores[9:]).all()
    assert np.isfinite(result.scores[:9]).all()
    assert result.settings[3].diverged == 3
    half = lrax.sweeps.Sweep.create(lrax.Constant(np.float32([0.1, 0.1, 0.2])), np.array([np.nan, 0.0, 5.0]))
    assert half.best.lanes == (2,)
    assert "1 of 2 diverged" in str(half)


def test_the_margin_is_paired_over_seeds():
    """What is common to a seed drops out of the margin's error."""
    schedules, seeds = lrax.cross(lrax.Constant(np.float32([0.1, 0.2])), np.arange(5.0))
    scores = np.asarray(seeds) * 10 + np.repeat([0.0, 1.0], 5) + np.tile([0, 0.01, -0.01, 0.02, -0.02], 2)
    margin = lrax.sweeps.Sweep.create(schedules, scores).margin
    assert margin.seeds == 5
    np.testing.assert_allclose((margin.ahead, margin.error), (1.0, 0.0), atol=1e-9)
    noisy = lrax.sweeps.Sweep.create(schedules, np.repeat([0.0, 0.1], 5) + np.array([1, -1, 1, -1, 0, -1, 1, -1, 1, 0]))
    assert "not to be told apart" in str(noisy)


def test_all_lanes_may_diverge():
    """If nothing trains, the table says so and there is no best."""
    result = lrax.sweeps.Sweep.create(lrax.Constant(PEAKS), np.full(4, np.nan))
    assert (result.best, result.margin) == (None, None)
    assert "no best" in str(result)
    result.plot()


def test_score_chooses_the_metric():
    """A score is a function of one lane's metrics; where it is needed and missing, that is said before anything runs."""

    def both(schedule):
        losses = train(schedule, jax.random.key(0))
        return {"losses": losses, "last": losses[-1]}

    result = lrax.run_sweep(both, lrax.Constant(PEAKS), score=lambda metrics: metrics["last"])
    np.testing.assert_allclose(result.scores[:3], result.metrics["last"][:3])
    with pytest.raises(ValueError, match="`score` must be given unless"):
        lrax.run_sweep(both, lrax.Constant(PEAKS))
    with pytest.raises(TypeError, match="`score` must be a function: metrics of one lane -> real scalar"):
        lrax.run_sweep(both, lrax.Constant(PEAKS), score=lambda metrics: metrics["losses"])


def test_peak_rates():
    """The peak of a schedule is found wherever it is, for long schedules, endless ones and mixed kinds."""
    schedules = [
        lrax.warmup_cosine(0.3, 2_000_000_000, 1_000_003),
        lrax.Triangle(0.1, 0.7, 12_345, rise=0.123),
        lrax.InverseSqrt(0.5),
        lrax.Constant(0.2),
    ]
    result = lrax.sweeps.Sweep.create(schedules, np.zeros(4))
    np.testing.assert_allclose(result.peaks, [0.3, 0.7, 0.5, 0.2], rtol=1e-3)


def test_the_table_shows_the_best_of_many():
    """A table of very many settings shows the best sixty and says how many there are besides."""
    result = lrax.sweeps.Sweep.create(lrax.Constant(np.linspace(0.1, 1, 100, dtype=np.float32)), np.linspace(5, 1, 100))
    lines = str(result).splitlines()
    assert len(lines) == 1 + 60 + 2
    assert "and 40 settings that are worse" in lines[-2]


def test_plain_export():
    """The outcome goes into plain values and NumPy arrays, metrics by path."""
    exported = run().to_dict()
    assert set(exported) == {"schedules", "peaks", "scores", "diverged", "metrics"}
    assert exported["schedules"][3] == "Constant(value=0.05)"
    assert exported["metrics"][""].shape == (12, 20)
    assert all(isinstance(exported[name], np.ndarray) for name in ("peaks", "scores", "diverged"))


def test_pictures():
    """Scores are drawn over peak rates with the best marked; curves have a line for each lane."""
    result = run()
    axes = result.plot()
    assert axes.get_xscale() == "log"
    assert {"best 0.1", "diverged"} <= {text.get_text() for text in axes.get_legend().get_texts()}
    assert len(result.plot_curves().lines) == 12
    with pytest.raises(ValueError, match="`losses` must be one curve for each of 12 lanes"):
        result.plot_curves(losses=np.ones(12))
    few = lrax.sweeps.Sweep.create(lrax.Constant(PEAKS), np.ones((4, 6)))
    assert len(few.plot_curves().get_legend().get_texts()) == 4
    with pytest.raises(ValueError, match="`losses` must be given"):
        lrax.sweeps.Sweep.create(lrax.Constant(PEAKS), np.ones(4)).plot_curves()


def test_the_plan_is_said():
    """The result says how many lanes were run at a time, and why."""
    assert "5 lanes at a time (as given)" in run(lanes=5).plan
    assert "at a time" in str(run())


def test_the_plan_follows_the_program():
    """On the CPU convolutions and large states run one lane at a time, small ones in equal shares for the cores."""

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

    assert _fit.plan(looped(64, convolution=True), 32, False).lanes == 1
    assert _fit.plan(looped(10_000_000), 32, False).lanes == 1
    assert _fit.plan(looped(10), 32, False).lanes == -(-32 // _fit.cores())
    assert _fit.loop_state_bytes(looped(10_000)) >= 40_000


def test_memory_bounds_the_lanes(monkeypatch):
    """A program that does not fit is made smaller until it does, and the result says so."""
    wide = jax.jit(lambda s: jnp.mean(jnp.sort(s(jnp.arange(50_000)))))
    monkeypatch.setattr(_fit, "cores", lambda: 1)
    plain = lrax.run_sweep(wide, lrax.Constant(np.linspace(0.1, 1, 16, dtype=np.float32)))
    monkeypatch.setattr(_fit, "free_bytes", lambda: 2_000_000)
    bounded = lrax.run_sweep(wide, lrax.Constant(np.linspace(0.1, 1, 16, dtype=np.float32)))
    assert plain.plan.startswith("16 lanes")
    assert "to fit the memory" in bounded.plan
    np.testing.assert_allclose(plain.metrics, bounded.metrics, rtol=1e-6)


def test_free_memory_is_known_here():
    """On the machines that the tests run on, the free memory can be asked for."""
    free = _fit.free_bytes()
    assert free is None or free > 2**20


def test_end_loss():
    """The end loss is the mean of the last quarter, of at least one update, and refuses another part of nothing."""
    assert float(lrax.sweeps.end_loss(jnp.array([4.0]))) == 4.0
    assert float(lrax.sweeps.end_loss(jnp.arange(10.0), tail=1.0)) == 4.5
    with pytest.raises(ValueError, match="`tail` must be above 0"):
        lrax.sweeps.end_loss(jnp.ones(3), tail=0)


def counting(calls):
    """The training function, and a note of every lane that it runs for."""

    def noted(schedule, key):
        losses = train(schedule, key)
        jax.debug.callback(lambda loss: calls.append(float(loss)), losses[0])
        return losses

    return noted


def test_finished_lanes_are_loaded(tmp_path):
    """The same call again runs nothing and gives the same table; with a file lost it runs those lanes alone."""
    seeds = jax.random.split(jax.random.key(0), 4)
    calls = []
    noted = counting(calls)
    first = lrax.run_sweep(noted, lrax.Constant(PEAKS), seeds, lanes=1, folder=tmp_path / "deep" / "sweep")
    jax.effects_barrier()
    assert len(calls) == 4
    again = lrax.run_sweep(noted, lrax.Constant(PEAKS), seeds, lanes=1, folder=tmp_path / "deep" / "sweep")
    np.testing.assert_array_equal(first.metrics, again.metrics)
    assert str(first) == str(again)
    files = sorted((tmp_path / "deep" / "sweep").iterdir())
    assert [file.name for file in files] == [f"lanes-{lane:05d}-{lane:05d}.npz" for lane in range(4)]
    files[2].unlink()
    (tmp_path / "deep" / "sweep" / "lanes-00002-00002.npz.77.tmp").write_bytes(b"half")
    third = lrax.run_sweep(noted, lrax.Constant(PEAKS), seeds, lanes=1, folder=tmp_path / "deep" / "sweep")
    jax.effects_barrier()
    assert len(calls) == 5
    assert str(first) == str(third)
    assert not list((tmp_path / "deep" / "sweep").glob("*.tmp"))


def test_saved_dtypes(tmp_path):
    """bfloat16 and keys survive the files."""

    def typed(schedule):
        return schedule(0).astype(jnp.bfloat16), jax.random.key(3)

    options = {"score": lambda metrics: metrics[0], "folder": tmp_path}
    first, again = (lrax.run_sweep(typed, lrax.Constant(PEAKS[:3]), **options) for _ in range(2))
    assert again.metrics[0].dtype == jnp.bfloat16
    np.testing.assert_array_equal(first.metrics[0], again.metrics[0])
    np.testing.assert_array_equal(jax.random.key_data(again.metrics[1][1]), jax.random.key_data(jax.random.key(3)))


@pytest.mark.parametrize("changed", ["schedules", "others", "training function", "array in it"])
def test_files_of_another_sweep_are_refused(changed, tmp_path):
    """A folder with files of another sweep is refused before anything runs, and the message says what differs."""
    seeds = jax.random.split(jax.random.key(0), 4)
    scale = np.ones(1, np.float32)
    lrax.run_sweep(lambda s, k: train(s, k) * scale, lrax.Constant(PEAKS), seeds, folder=tmp_path)
    rates, other = PEAKS, lambda s, k: train(s, k) * scale
    if changed == "schedules":
        rates = PEAKS / 2
    elif changed == "others":
        seeds = jax.random.split(jax.random.key(1), 4)
    elif changed == "training function":
        other = lambda s, k: train(s, k) * scale + 1  # noqa: E731
    else:
        scale = np.zeros(1, np.float32)
        changed = "training function"
    with pytest.raises(ValueError, match=rf"of another one \({DIFFERS[changed]}\); give another folder"):
        lrax.run_sweep(other, lrax.Constant(rates), seeds, folder=tmp_path)


def test_what_cannot_be_read_is_said(tmp_path):
    """A file in the folder that is no file of a sweep is named."""
    (tmp_path / "lanes-00000-00000.npz").write_bytes(b"not a zip file")
    with pytest.raises(ValueError, match=r"lanes-00000-00000\.npz, which is no file of a sweep"):
        run(folder=tmp_path)


def test_progress(capsys):
    """A bar counts the lanes when asked for."""
    run(progress=True, lanes=5)
    assert "12/12" in capsys.readouterr().err


KILLED = textwrap.dedent(
    """
    import os, sys
    import jax, jax.numpy as jnp, numpy as np
    import lrax

    folder, victim = sys.argv[1], int(sys.argv[2])

    def strike(lane):
        with open(folder + ".log", "a") as log:
            log.write(f"{int(lane)}\\n")
        if int(lane) == victim:
            os.kill(os.getpid(), 9)

    def train(schedule, lane):
        jax.debug.callback(strike, lane)
        return jax.lax.scan(lambda w, count: (w - schedule(count) * 2 * w, w**2), 1.0, jnp.arange(20))[1]

    rates = lrax.Constant(np.geomspace(1e-3, 0.4, 6).astype(np.float32))
    print(lrax.run_sweep(train, rates, np.arange(6), folder=folder, lanes=1))
    """
)


def killed(folder, victim):
    """A sweep of six lanes in a process of its own, which is killed inside lane `victim`."""
    arguments = [sys.executable, "-c", KILLED, str(folder), str(victim)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, env={**os.environ, "JAX_PLATFORMS": "cpu"})


@pytest.mark.slow
def test_kill_and_resume(tmp_path):
    """Killed with -9 twice and begun again, a sweep gives the table of an undisturbed one and repeats no finished lane."""
    whole = killed(tmp_path / "whole", -1)
    assert whole.returncode == 0, whole.stderr
    for victim in (2, 4):
        assert killed(tmp_path / "hurt", victim).returncode == -9
    done = killed(tmp_path / "hurt", -1)
    assert done.returncode == 0, done.stderr
    assert done.stdout == whole.stdout
    lanes = [int(line) for line in pathlib.Path(f"{tmp_path / 'hurt'}.log").read_text().split()]
    assert lanes == [0, 1, 2, 2, 3, 4, 4, 5]


def test_recipes_are_told_apart():
    """Schedules whose calls are long or alike are named by what they are made of and their place; a line a kind is drawn."""
    rates = [lrax.warmup_cosine(0.1, 12, warmup) for warmup in (2, 3)] + [lrax.wsd(0.1, 12, 2, 3), lambda count: 0.1]
    result = lrax.sweeps.Sweep.create(rates, np.arange(4.0))
    lines = str(result).splitlines()
    assert len({line[3:40] for line in lines[1:5]}) == 4
    assert "best: Shift(Warmup(Cosine)) [0]" in str(result)
    labels = {text.get_text() for text in result.plot().get_legend().get_texts()}
    assert {"Shift(Warmup(Cosine))", "Shift(Warmup(Cooldown(Constant)))"} <= labels
    assert repr(result) == "<Sweep: 4 lanes, 4 settings, 0 diverged>"


@pytest.mark.parametrize("score", ["loss", lambda metrics: np.median(metrics), lambda metrics: "x", lambda metrics: 1j])
def test_scores_that_are_none_are_named(score):
    """A score that is no function of traced metrics to a real scalar is an error that names it."""
    with pytest.raises(TypeError, match="`score` must be a function: metrics of one lane -> real scalar, in jnp"):
        lrax.sweeps.Sweep.create(lrax.Constant(PEAKS), np.ones((4, 3), np.float32), score=score)


def test_large_float64_scores_are_finite():
    """What float32 cannot hold has not diverged."""
    assert not lrax.sweeps.Sweep.create(lrax.Constant(PEAKS), np.array([1e300, 1.0, 2.0, 3.0])).diverged.any()


@pytest.mark.parametrize("folder", [3, "", __file__])
def test_folders_that_are_none_are_named(folder):
    """A path that is no folder is an error that names the argument."""
    with pytest.raises((TypeError, ValueError), match="`folder` must be"):
        lrax.run_sweep(lambda schedule: schedule(0), lrax.Constant(PEAKS), folder=folder)


def test_run_sweep_inside_jit_says_what_to_use():
    """A table cannot be made of traced numbers."""
    with pytest.raises(TypeError, match=r"not traced.*lrax\.sweep"):
        jax.jit(lambda rates: lrax.run_sweep(lambda schedule: schedule(0), lrax.Constant(rates)).scores)(PEAKS)
