"""The scripts of docs/clusters.md, with the local mode of each system."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from pages import ROOT

pytestmark = pytest.mark.slow  # each script is a process that imports JAX

LINES = re.compile(r"```\w+ title=\"(\S+)\"\n(.*?)```", re.DOTALL)


def program(path: pathlib.Path, text: str) -> None:
    """A shell script that can be executed."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Any:
    """The scripts of the page in a folder, and a function that runs a command there and returns what it printed."""
    for name, text in LINES.findall((ROOT / "docs" / "clusters.md").read_text()):
        (tmp_path / name).write_text(text)
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "python", f'exec {sys.executable} "$@"')
    program(tmp_path / "bin" / "srun", 'exec "$@"')
    path = os.pathsep.join([str(tmp_path), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": path}

    def called(*command: str, popen: bool = False, **extra: str) -> Any:
        options: dict[str, Any] = {"cwd": tmp_path, "env": {**env, **extra}, "text": True, "stdout": subprocess.PIPE}
        if popen:
            return subprocess.Popen(command, **options, start_new_session=True)
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return called


def files(folder: pathlib.Path) -> list[str]:
    """The names of the finished groups."""
    return sorted(path.name for path in folder.glob("runs-*.lrax"))


def test_a_job_array_and_an_indexed_job(run: Any, tmp_path: pathlib.Path) -> None:
    """Each job of an array, and each pod of an indexed job, trains its part; the last call loads them all."""
    count = {"SLURM_ARRAY_TASK_COUNT": "4"}
    script = (tmp_path / "sweep.sbatch").read_text().replace("/shared/sweep", str(tmp_path / "array"))
    for index in (2, 0):
        run("bash", "-c", script, SLURM_ARRAY_TASK_ID=str(index), **count)
    pod = re.search(r'command: \[sh, -c, "(.*?)"\]', (tmp_path / "sweep.yaml").read_text())
    assert pod is not None
    run("sh", "-c", pod[1].replace("s3://bucket/sweep", str(tmp_path / "array")), JOB_COMPLETION_INDEX="1")
    assert files(tmp_path / "array") == [f"runs-{start:05d}-{start + 3:05d}.lrax" for start in (0, 4, 8)]
    table = run("python", "sweep.py", str(tmp_path / "array"))
    assert table == run("python", "sweep.py", str(tmp_path / "whole"))
    assert "16 runs" in table


def test_submitit(run: Any, tmp_path: pathlib.Path) -> None:
    """Jobs of submitit on this machine train the groups, and the runs of a loop in plain Python."""
    pytest.importorskip("submitit")
    assert "16 runs" in run("python", "on_slurm.py", str(tmp_path / "traced"), "local")
    assert len(files(tmp_path / "traced" / "sweep")) == 4
    printed = run("python", "loop_on_slurm.py", str(tmp_path / "loop"), "local")
    assert "Best: peak 0.1" in printed
    assert "2 runs, each on a worker of a AutoExecutor" in printed


def test_ray(run: Any, tmp_path: pathlib.Path) -> None:
    """Ray's workers on this machine train the groups."""
    pytest.importorskip("ray")
    assert "16 runs" in run("python", "on_ray.py", str(tmp_path / "ray"), RAY_worker_niceness="0")  # it is 15 by default
    assert len(files(tmp_path / "ray")) == 4


def test_a_spot_machine(run: Any, tmp_path: pathlib.Path) -> None:
    """A machine that is killed in the middle goes on from the folder, and the start-up script repeats a failed command."""
    assert shutil.which("sh")
    slow = (tmp_path / "task.py").read_text().replace("    return jax.lax.scan(", "    wait(key)\n    return jax.lax.scan(")
    wait = "def wait(key):\n    jax.debug.callback(lambda key: time.sleep(0.5), jax.random.key_data(key))\n\n\n"
    (tmp_path / "task.py").write_text(
        slow.replace("def train", f"{wait}def train").replace("import jax\n", "import time\n\nimport jax\n")
    )
    machine = run("sh", "spot.sh", str(tmp_path / "spot"), popen=True)
    for _ in range(3000):  # importing JAX takes long on a busy machine
        if files(tmp_path / "spot"):
            break
        time.sleep(0.1)
    os.killpg(machine.pid, signal.SIGKILL)
    machine.communicate()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "spot").glob("runs-*.lrax")}
    assert 1 <= len(before) < 4
    program(tmp_path / "bin" / "python", f'if [ ! -e tried ]; then touch tried; exit 1; fi\nexec {sys.executable} "$@"')
    assert "16 runs" in run("sh", "spot.sh", str(tmp_path / "spot"))
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "spot").glob("runs-*.lrax")}
    assert len(after) == 4
    assert before.items() <= after.items()
