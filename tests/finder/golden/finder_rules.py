"""Makes `finder_rules.json`: curves, and what the peers' own code suggests for them.

In a throw-away environment, with fastai's wheel unpacked beside (`pip download --no-deps fastai==2.8.12`):

    pip install torch torch-lr-finder==0.2.2 lightning==2.6.6 matplotlib numpy
    python finder_rules.py FASTAI_FOLDER > finder_rules.json

fastai's four functions are taken out of its `callback/schedule.py`, which needs the rest of fastai to be imported whole.

Each curve is read whole, and once more without its first `BEGIN` points and its last ones, by the peers' own way to leave them
out. Lightning's rule always leaves out one at least at the end, and has no other reading.
"""

import ast
import contextlib
import io
import json
import pathlib
import sys

import matplotlib as mpl
import numpy as np
import torch
from lightning.pytorch.tuner.lr_finder import _LRFinder
from torch_lr_finder import LRFinder

mpl.use("Agg")
import matplotlib.pyplot as plt

BEGIN, END = 10, 5
"""Points that fastai and torch-lr-finder leave out; Lightning leaves out 10 and 1."""


def fastai_rules(folder):
    """Fastai's suggestion functions by name."""
    path = pathlib.Path(folder) / "fastai" / "callback" / "schedule.py"
    wanted = ("valley", "slide", "minimum", "steep")
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted]
    names = {"np": np, "to_np": lambda tensor: tensor.numpy()}
    exec(compile(tree, str(path), "exec"), names)
    return {name: names[name] for name in wanted}


def torch_lr_finder(rates, losses, begin, end):
    """The rate at torch-lr-finder's marker."""
    finder = LRFinder.__new__(LRFinder)
    finder.history = {"lr": rates.tolist(), "loss": losses.tolist()}
    with contextlib.redirect_stdout(io.StringIO()):
        _, rate = finder.plot(skip_start=begin, skip_end=end, ax=plt.subplots()[1], suggest_lr=True)
    plt.close("all")
    return rate


def lightning(rates, losses):
    """What Lightning suggests."""
    finder = _LRFinder("exponential", 1e-6, 1.0, len(rates))
    finder.results = {"lr": rates.tolist(), "loss": losses.tolist()}
    return finder.suggestion()


def suggested(fastai, rates, losses, begin, end):
    """What each peer's rule reads off a curve without some points at its ends."""
    inside = slice(begin, len(rates) - end)
    tensors = torch.tensor(rates[inside]), torch.tensor(losses[inside])
    found = {name: float(rule(*tensors, len(rates))[0]) for name, rule in fastai.items()}
    return {**found, "steepest": float(torch_lr_finder(rates, losses, begin, end))}


def curves():
    """Curves of all kinds: falling once, twice, late, noisy, negative, exploding."""
    generator = np.random.default_rng(0)
    for points, noise in ((40, 0.0), (40, 0.02), (100, 0.0), (100, 0.05), (100, 0.3), (163, 0.01)):
        for center, offset in ((1e-3, 0.0), (0.05, -3.0)):
            rates = np.geomspace(1e-6, 1.0, points)
            loss = (
                offset
                + 2 / (1 + (rates / center) ** 1.5)
                + 0.3 / (1 + (rates / center / 30) ** 3)
                + (rates / (40 * center)) ** 3
            )
            yield rates.astype(np.float32), (loss + noise * generator.normal(size=points)).astype(np.float32)


def main():
    """Prints the golden file."""
    fastai = fastai_rules(sys.argv[1])
    rows = []
    for rates, losses in curves():
        row = {"rates": [f"{x:.9g}" for x in rates], "losses": [f"{x:.9g}" for x in losses]}
        row["suggested"] = suggested(fastai, rates, losses, 0, 0)
        row["skipped"] = {**suggested(fastai, rates, losses, BEGIN, END), "suggestion": float(lightning(rates, losses))}
        rows.append(row)
    versions = {"fastai": "2.8.12", "torch-lr-finder": "0.2.2", "lightning": "2.6.6"}
    print(json.dumps({**versions, "curves": rows}))


if __name__ == "__main__":
    main()
