"""Makes `finder_rules.json`: curves, and what the peers' own code suggests for them.

In a throw-away environment, with fastai's wheel unpacked beside (`pip download --no-deps fastai==2.8.12`):

    pip install torch torch-lr-finder==0.2.2 matplotlib numpy
    python finder_rules.py FASTAI_FOLDER > finder_rules.json

fastai's three functions are taken out of its `callback/schedule.py`, which needs the rest of fastai to be imported whole.
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
from torch_lr_finder import LRFinder

mpl.use("Agg")
import matplotlib.pyplot as plt


def fastai_rules(folder):
    """Fastai's suggestion functions by name."""
    path = pathlib.Path(folder) / "fastai" / "callback" / "schedule.py"
    wanted = ("valley", "slide", "minimum")
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted]
    names = {"np": np, "to_np": lambda tensor: tensor.numpy()}
    exec(compile(tree, str(path), "exec"), names)
    return {name: names[name] for name in wanted}


def torch_lr_finder(rates, losses):
    """The rate at torch-lr-finder's marker, with nothing skipped."""
    finder = LRFinder.__new__(LRFinder)
    finder.history = {"lr": rates.tolist(), "loss": losses.tolist()}
    with contextlib.redirect_stdout(io.StringIO()):
        _, rate = finder.plot(skip_start=0, skip_end=0, ax=plt.subplots()[1], suggest_lr=True)
    plt.close("all")
    return rate


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
        tensors = torch.tensor(rates), torch.tensor(losses)
        suggested = {name: float(rule(*tensors, len(rates))[0]) for name, rule in fastai.items()}
        suggested["steepest"] = float(torch_lr_finder(rates, losses))
        rows.append({"rates": [f"{x:.9g}" for x in rates], "losses": [f"{x:.9g}" for x in losses], "suggested": suggested})
    print(json.dumps({"fastai": "2.8.12", "torch-lr-finder": "0.2.2", "curves": rows}))


if __name__ == "__main__":
    main()
