import os
import pathlib
import subprocess
import sys
import textwrap
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import multihost_utils

import lrax
from small_sweep import PEAKS, train


def counting(calls):
    """The training function, and a note of every run that it runs for."""

    def noted(schedule, key):
        losses = train(schedule, key)
        jax.debug.callback(lambda loss: calls.append(float(loss)), losses[0])
        return losses

    return noted


def test_finished_lanes_are_loaded(tmp_path):
    """The same call again runs nothing and gives the same table; with a file lost it runs those runs alone."""
    seeds = jax.random.split(jax.random.key(0), 4)
    calls = []
    noted = counting(calls)
    first = lrax.run_sweep(
        noted, lrax.Constant(PEAKS), seeds, execution=lrax.Execution(max_parallel=1), folder=tmp_path / "deep" / "sweep"
    )
    jax.effects_barrier()
    assert len(calls) == 4
    again = lrax.run_sweep(
        noted, lrax.Constant(PEAKS), seeds, execution=lrax.Execution(max_parallel=1), folder=tmp_path / "deep" / "sweep"
    )
    np.testing.assert_array_equal(first.metrics, again.metrics)
    assert str(first) == str(again)
    files = sorted((tmp_path / "deep" / "sweep").iterdir())
    assert [file.name for file in files] == [f"runs-{run:05d}-{run:05d}.lrax" for run in range(4)]
    files[2].unlink()
    third = lrax.run_sweep(
        noted, lrax.Constant(PEAKS), seeds, execution=lrax.Execution(max_parallel=1), folder=tmp_path / "deep" / "sweep"
    )
    jax.effects_barrier()
    assert len(calls) == 5
    assert str(first) == str(third)


def test_every_process_is_told_of_a_damaged_file(tmp_path, monkeypatch):
    """Where several processes train, the first reads the folder; what is wrong with a file is an error in all of them."""
    options = {"execution": lrax.Execution(max_parallel=2), "folder": tmp_path}
    lrax.run_sweep(lambda schedule: schedule(0), lrax.Constant(np.ones(4)), **options)
    file = min(tmp_path.glob("runs-*.lrax"))
    file.write_bytes(file.read_bytes()[:-1])
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", lambda values: values)
    with pytest.raises(ValueError, match=file.name):
        lrax.run_sweep(lambda schedule: schedule(0), lrax.Constant(np.ones(4)), **options)


def test_saved_dtypes(tmp_path):
    """bfloat16 and keys survive the files."""

    def typed(schedule):
        return schedule(0).astype(jnp.bfloat16), jax.random.key(3)

    options = {"score": lambda metrics: metrics[0], "folder": tmp_path}
    first, again = (lrax.run_sweep(typed, lrax.Constant(PEAKS[:3]), **options) for _ in range(2))
    assert again.metrics[0].dtype == jnp.bfloat16
    np.testing.assert_array_equal(first.metrics[0], again.metrics[0])
    np.testing.assert_array_equal(jax.random.key_data(again.metrics[1][1]), jax.random.key_data(jax.random.key(3)))


@pytest.mark.parametrize("folder", [3, "", __file__])
def test_what_is_not_a_folder_is_named(folder):
    """A path that is not a folder is an error that names the argument."""
    with pytest.raises((TypeError, ValueError), match="`folder` must be"):
        lrax.run_sweep(lambda schedule: schedule(0), lrax.Constant(PEAKS), folder=folder)


KILLED = textwrap.dedent(
    """
    import os, sys
    import jax, jax.numpy as jnp, numpy as np
    import lrax

    folder, victim = sys.argv[1], int(sys.argv[2])

    def strike(run):
        with open(folder + ".log", "a") as log:
            log.write(f"{int(run)}\\n")
        if int(run) == victim:
            os.kill(os.getpid(), 9)

    def train(schedule, run):
        jax.debug.callback(strike, run)
        return jax.lax.scan(lambda w, count: (w - schedule(count) * 2 * w, w**2), 1.0, jnp.arange(20))[1]

    rates = lrax.Constant(np.geomspace(1e-3, 0.4, 6).astype(np.float32))
    print(lrax.run_sweep(train, rates, np.arange(6), folder=folder, execution=lrax.Execution(max_parallel=1)))
    """
)


def killed(folder, victim):
    """A sweep of six runs in a process of its own, which is killed inside run `victim`."""
    arguments = [sys.executable, "-c", KILLED, str(folder), str(victim)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, env={**os.environ, "JAX_PLATFORMS": "cpu"})


@pytest.mark.slow
def test_kill_and_resume(tmp_path):
    """Killed with -9 twice and begun again, a sweep gives the table of an undisturbed one and repeats no finished run."""
    whole = killed(tmp_path / "whole", -1)
    assert whole.returncode == 0, whole.stderr
    for victim in (2, 4):
        assert killed(tmp_path / "hurt", victim).returncode == -9
    done = killed(tmp_path / "hurt", -1)
    assert done.returncode == 0, done.stderr
    assert done.stdout == whole.stdout
    runs = [int(line) for line in pathlib.Path(f"{tmp_path / 'hurt'}.log").read_text().split()]
    assert runs == [0, 1, 2, 2, 3, 4, 4, 5]


SHARED = textwrap.dedent(
    """
    import sys
    import jax, jax.numpy as jnp, numpy as np
    import lrax

    def train(schedule):
        return jax.lax.scan(lambda w, count: (w - schedule(count) * 2 * w, w**2), 1.0, jnp.arange(20))[1]

    rates = lrax.Constant(np.geomspace(1e-3, 0.4, 30).astype(np.float32))
    for sweep in range(12):
        print(lrax.run_sweep(train, rates, folder=f"{sys.argv[1]}/{sweep}", execution=lrax.Execution(max_parallel=1)))
    """
)


@pytest.mark.slow
def test_two_processes_may_share_a_folder(tmp_path):
    """Started at once on one folder, twice the same script gives the same tables, and leaves nothing half-written."""
    command = {
        "args": [sys.executable, "-c", SHARED, str(tmp_path)],
        "env": {**os.environ, "JAX_PLATFORMS": "cpu"},
        "text": True,
    }
    both = [subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    (one, one_errors), (other, other_errors) = (process.communicate(timeout=300) for process in both)
    assert [process.returncode for process in both] == [0, 0], one_errors + other_errors
    assert one == other
    assert not list(tmp_path.rglob("*.tmp"))


def test_only_leftovers_of_our_own_are_removed(tmp_path):
    """Half-written files that are old are removed; those that may be under way, and other files and folders, stay."""
    foreign = ["my_notes.tmp", "runs.tmp", "model.npz.77.tmp"]
    young, old, folder = (f"runs-00000-00003.lrax.{i}123abcd.tmp" for i in range(3))
    for file in (*foreign, young, old):
        (tmp_path / file).write_text("precious")
    (tmp_path / folder).mkdir()
    day_ago = time.time() - 86_400
    for file in (old, folder, foreign[0]):
        os.utime(tmp_path / file, (day_ago, day_ago))
    lrax.run_sweep(lambda schedule: schedule(0), lrax.Constant(PEAKS), folder=tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert {*foreign, young, folder} < left
    assert old not in left


def full(descriptor):
    """What the system says where a disk has no room."""
    raise OSError(28, "No space left on device")


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    """The sweep goes on, says which file and what to do, and its result is whole; once there is room, all is written."""
    fsync, calls = os.fsync, []

    def full_at_first(descriptor):
        calls.append(descriptor)
        (full if len(calls) < 4 else fsync)(descriptor)

    monkeypatch.setattr(os, "fsync", full_at_first)
    with pytest.warns(
        RuntimeWarning, match=r"could not be written, .*runs-0000\d-0000\d\.lrax: No space left.*make room"
    ) as said:
        result = lrax.run_sweep(
            lambda schedule: schedule(0), lrax.Constant(PEAKS), folder=tmp_path, execution=lrax.Execution(max_parallel=1)
        )
    assert len(said) == 1
    np.testing.assert_array_equal(result.metrics, PEAKS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"runs-{run:05d}-{run:05d}.lrax" for run in range(4)]


def test_lanes_that_are_in_no_file_are_said(tmp_path, monkeypatch):
    """If the disk stays full, the last warning says how many runs are in the result alone, and how to keep them."""
    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning) as said:
        result = lrax.run_sweep(
            lambda schedule: schedule(0), lrax.Constant(PEAKS), folder=tmp_path, execution=lrax.Execution(max_parallel=4)
        )
    assert "lacks runs-00000-00003.lrax" in str(said[-1].message)
    assert "only the result has what is in it: save that" in str(said[-1].message)
    np.testing.assert_array_equal(result.metrics, PEAKS)
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match=r"SweepResult\.save: `path` could not be written: No space left on device; make room"):
        result.save(tmp_path / "sweep.lrax")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    """That nothing can be saved is reported before a day of training, and not after it."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root, who runs many tests, may write everywhere
    with pytest.raises(ValueError, match="`folder` must be a folder that can be written to"):
        lrax.run_sweep(lambda schedule: schedule(0), lrax.Constant(PEAKS), folder=tmp_path)
