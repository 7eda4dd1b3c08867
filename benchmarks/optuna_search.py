"""Optuna's TPE compared with random points and with a grid: the same program, the same number of runs.

    python benchmarks/optuna_search.py

Each method chooses a peak and the fraction of the steps before the decay by 32 runs of one seed. Its choice is trained again
with 16 new seeds. The table has the mean end loss of the choice over that of the best choice of any method on the task: the
median and the range over five searches.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optuna

import lrax

STEPS, RUNS, BATCH, SEARCHES, SEEDS = 100, 32, 8, 5, 16
LOW, HIGH = np.array([-3.0, 0.1]), np.array([1.0, 0.9])  # log10 of the peak, and the fraction


def task(name: str) -> Callable[..., jax.Array]:
    """A training function: schedule, key -> losses."""
    inputs = jax.random.normal(jax.random.key(0), (512, 8))
    noise = jax.random.normal(jax.random.key(1), (512,))
    targets = {
        "linear, SGD": inputs.sum(1) + noise,
        "tanh, momentum": jnp.tanh(3 * inputs.sum(1)),
        "MLP, Adam": inputs[:, 0] * inputs[:, 1],
    }[name]
    shapes = {"MLP, Adam": [(8, 16), (16,)]}.get(name, [(8,)])
    optimizer: Any = {"linear, SGD": optax.sgd, "MLP, Adam": optax.adam}.get(name, functools.partial(optax.sgd, momentum=0.9))

    def loss_fn(params: Any, batch: Any) -> jax.Array:
        x, y = batch
        for weights in params[:-1]:
            x = jnp.tanh(x @ weights)
        out = x @ params[-1]
        return jnp.mean(((jnp.tanh(out) if name == "tanh, momentum" else out) - y) ** 2)

    def train(schedule: Any, key: jax.Array) -> jax.Array:
        params = [0.3 * jax.random.normal(jax.random.fold_in(key, i), shape) for i, shape in enumerate(shapes)]
        tx = optimizer(schedule)

        def step(state: Any, count: jax.Array) -> Any:
            params, opt_state = state
            chosen = jax.random.randint(jax.random.fold_in(key, count + 99), (16,), 0, 512)
            loss, grads = jax.value_and_grad(loss_fn)(params, (inputs[chosen], targets[chosen]))
            changes, opt_state = tx.update(grads, opt_state, params)
            return (optax.apply_updates(params, changes), opt_state), loss

        return jax.lax.scan(step, (params, tx.init(params)), jnp.arange(STEPS))[1]

    return train


def scores_of(train: Callable[..., jax.Array], points: np.ndarray, keys: jax.Array) -> np.ndarray:
    """The end loss of each point with each key; infinite where it diverged."""
    peaks, lengths = 10 ** points[:, 0], np.rint(STEPS * points[:, 1]).astype(np.int32)
    schedules = lrax.flat_cosine(peaks.astype(np.float32), flat_steps=lengths, total_steps=STEPS)
    result = lrax.run_sweep(train, *lrax.grid(schedules, keys), execution=lrax.Execution(max_parallel=BATCH))
    return np.where(np.isnan(result.scores), np.inf, result.scores).reshape(len(points), len(keys))


def by_tpe(score: Callable[[np.ndarray], np.ndarray], seed: int) -> np.ndarray:
    """Four batches of eight trials; those that diverged have failed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True))
    for _ in range(RUNS // BATCH):
        trials = [study.ask() for _ in range(BATCH)]
        points = np.array(
            [[trial.suggest_float(name, *ends) for name, *ends in zip("pf", LOW, HIGH, strict=True)] for trial in trials]
        )
        for trial, found in zip(trials, score(points), strict=True):
            study.tell(trial, float(found)) if np.isfinite(found) else study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return np.array([study.best_params["p"], study.best_params["f"]])


def by_points(score: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
    """The best of given points."""
    return points[np.argmin(score(points))]


def main() -> None:
    """Prints the table."""
    peaks, fractions = np.meshgrid(np.linspace(LOW[0], HIGH[0], 8), np.linspace(LOW[1], HIGH[1], 4))
    grid = np.stack([peaks.ravel(), fractions.ravel()], 1)
    print("| task | TPE | random | grid of 8 peaks and 4 fractions |\n| --- | --- | --- | --- |")
    for name in ("linear, SGD", "tanh, momentum", "MLP, Adam"):
        train, chosen = task(name), []
        for seed in range(SEARCHES):
            random = np.random.default_rng(seed).uniform(LOW, HIGH, (RUNS, 2))

            def score(points: np.ndarray, train: Any = train, seed: int = seed) -> np.ndarray:
                return scores_of(train, points, jax.random.split(jax.random.key(seed), 1))[:, 0]

            chosen += [by_tpe(score, seed), by_points(score, random), by_points(score, grid)]
        fresh = scores_of(train, np.array(chosen), jax.random.split(jax.random.key(99), SEEDS)).mean(1).reshape(SEARCHES, 3)
        ratios = fresh / fresh.min()
        cells = [f"{np.median(column):.2f} ({column.min():.2f} to {column.max():.2f})" for column in ratios.T]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
