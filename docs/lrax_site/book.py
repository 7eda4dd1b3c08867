"""Pages that are programs: `docs/book/NAME.py`, a script in cells, is a page `book/NAME.md` and a notebook `book/NAME.ipynb`.

A cell begins with `# %%`, one of text with `# %% [markdown]`, whose lines are comments. Code is run from the first cell to
the last, in the repository's root, and its output (what it prints, the value of its last line, pictures) stands below it. Two
tags may follow, as in `# %% tags=["hide"]`: `hide` shows the output and not the code, `no-run` the code alone. What a page gave
is kept in .cache/site until it, `src/lrax` or a file beside it changes. To try one:
`python docs/lrax_site/book.py docs/book/NAME.py`.

A page that trains long is short by default and long where the environment has LRAX_FULL=1.
`python docs/lrax_site/book.py --full docs/book/NAME.py` makes the long run once and keeps what it gave in `docs/book/full`:
that is what the page shows, with its date and machine, and a build runs the short one to see that it works. Where the code has
changed since, the build fails.
"""

import ast
import base64
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
BOOK = ROOT / "docs" / "book"
FULL = BOOK / "full"
CACHE = ROOT / ".cache" / "site" / "book"


_LAST = "---\nsearch:\n  boost: 0.2\n---\n\n"
"""Pages of the book use many names: who searches for one wants its place in the reference first."""


class Cell(NamedTuple):
    """A cell: its source, whether it is text, and its tags."""

    source: str
    is_text: bool
    tags: tuple[str, ...] = ()


class Made(NamedTuple):
    """What becomes of a script: the page, and the files beside it by their names."""

    markdown: str
    files: dict[str, bytes]


def cells(text: str) -> list[Cell]:
    """The cells of a script."""
    parts = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)
    if parts[0].strip():
        raise ValueError("a page of the book begins with a cell: a line `# %%` or `# %% [markdown]`")
    found = []
    for header, source in zip(parts[1::2], parts[2::2], strict=True):
        tags = re.search(r"tags=(\[[^\]]*\])", header)
        is_text = "[markdown]" in header
        if is_text:
            source = re.sub(r"^# ?", "", source, flags=re.MULTILINE)
        found.append(Cell(source.strip(), is_text, tuple(ast.literal_eval(tags[1])) if tags else ()))
    return [cell for cell in found if cell.source]


def made(path: pathlib.Path, repository: str | None = None) -> Made:
    """The page, the pictures and the notebook of a script, run if nothing is kept of it."""
    script = cells(path.read_text())
    shown, full = _outputs(path, script), full_run(path, script)
    outputs, files = iter(full["outputs"] if full else shown), {f"{path.stem}.ipynb": notebook(script).encode()}
    parts = []
    for cell in script:
        parts += [cell.source] if cell.is_text else [] if "hide" in cell.tags else [f"```python\n{cell.source}\n```"]
        for output in [] if cell.is_text or "no-run" in cell.tags else next(outputs):
            if "picture" in output:
                name = f"{path.stem}-{len(files)}.png"
                files[name] = base64.b64decode(output["picture"])
                parts.append(f"![{output['words']}]({name})")
            elif "html" in output:
                parts.append(f'<div class="output">{output["html"]}</div>')
            else:
                parts.append(f"```text\n{output['text'].rstrip()}\n```")
    parts.insert(1, _buttons(path.stem, repository))
    if full:
        parts.insert(
            2,
            f"*The outputs are from the long run of {full['date']} on {full['machine']} ({full['minutes']} minutes,"
            " `LRAX_FULL=1`). The short run takes seconds and gives other numbers.*",
        )
    return Made(_LAST + "\n\n".join(parts) + "\n", files)


def _buttons(name: str, repository: str | None) -> str:
    notebook = f"[Notebook]({name}.ipynb){{ .md-button }}"
    if repository is None or not repository.startswith("https://github.com/"):
        return notebook
    address = repository.replace("https://github.com/", "https://colab.research.google.com/github/")
    return f"{notebook} [Open in Colab]({address}/blob/notebooks/{name}.ipynb){{ .md-button }}"


def notebook(script: list[Cell]) -> str:
    """The script as a notebook without outputs, which installs lrax first."""
    install = Cell("%pip install -q 'lrax[examples]'", False)
    written = [
        {"cell_type": "markdown", "id": str(index), "metadata": {}, "source": cell.source}
        if cell.is_text
        else {
            "cell_type": "code",
            "id": str(index),
            "metadata": {},
            "source": cell.source,
            "outputs": [],
            "execution_count": None,
        }
        for index, cell in enumerate([install, *script])
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": written}, indent=1) + "\n"


def _runs(script: list[Cell]) -> list[str]:
    return [cell.source for cell in script if not cell.is_text and "no-run" not in cell.tags]


def _outputs(path: pathlib.Path, script: list[Cell]) -> list[list[dict[str, str]]]:
    """What each code cell gave, in a process of its own."""
    runs = _runs(script)
    kept = CACHE / f"{path.stem}-{_fingerprint(runs, path)}.json"
    if not kept.exists():
        given = _executed(path, runs, full=False)
        for old in CACHE.glob(f"{path.stem}-*.json"):
            old.unlink()
        CACHE.mkdir(parents=True, exist_ok=True)
        kept.write_text(given)
    return json.loads(kept.read_text())


def _executed(path: pathlib.Path, runs: list[str], full: bool) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "LRAX_FULL"}
    environment |= {"MPLBACKEND": "Agg", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "examples")])}
    environment |= {"LRAX_FULL": "1"} if full else {}
    asked = json.dumps({"file": str(path), "cells": runs})
    command = [sys.executable, __file__, "--cells"]
    run = subprocess.run(command, input=asked, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if run.returncode:
        raise RuntimeError(f"{path} fails:\n{run.stderr[-4000:]}")
    return run.stdout


def keep_full(path: pathlib.Path) -> None:
    """Makes the long run of a page, and keeps what it gave."""
    runs = _runs(cells(path.read_text()))
    begun = time.monotonic()
    outputs = json.loads(_executed(path, runs, full=True))
    for old in FULL.glob(f"{path.stem}-*.png"):
        old.unlink()
    FULL.mkdir(exist_ok=True)
    pictures = [output for given in outputs for output in given if "picture" in output]
    for index, output in enumerate(pictures):
        name = f"{path.stem}-{index + 1}.png"
        (FULL / name).write_bytes(base64.b64decode(output["picture"]))
        output["picture"] = name
    kept = {
        "code": _code(runs),
        "date": f"{datetime.date.today():%-d %B %Y}",
        "machine": os.environ.get("LRAX_MACHINE", f"{os.cpu_count()} CPU cores"),
        "minutes": max(round((time.monotonic() - begun) / 60), 1),
        "outputs": outputs,
    }
    (FULL / f"{path.stem}.json").write_text(json.dumps(kept, indent=1) + "\n")


def full_run(path: pathlib.Path, script: list[Cell]) -> dict[str, Any] | None:
    """What the long run of a page gave, with its pictures; None if it has none."""
    kept = FULL / f"{path.stem}.json"
    if not kept.exists():
        return None
    full = json.loads(kept.read_text())
    if full["code"] != _code(_runs(script)):
        raise RuntimeError(
            f"{path} has changed since its long run: python docs/lrax_site/book.py --full {path.relative_to(ROOT)}"
        )
    for output in [output for given in full["outputs"] for output in given if "picture" in output]:
        output["picture"] = base64.b64encode((FULL / output["picture"]).read_bytes()).decode()
    return full


def _code(runs: list[str]) -> str:
    return hashlib.sha256(json.dumps(runs).encode()).hexdigest()[:16]


def _fingerprint(runs: list[str], path: pathlib.Path) -> str:
    beside = [file for file in path.parent.glob("*") if file.is_file() and file.suffix != ".py"]
    read = [*sorted((ROOT / "src" / "lrax").rglob("*.py")), *sorted(beside)]
    digest = hashlib.sha256(json.dumps(runs).encode())
    for file in read:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def run(file: str, sources: list[str]) -> list[list[dict[str, str]]]:
    """Runs cells in one namespace and returns what each gives."""
    names: dict[str, Any] = {"__name__": "__main__", "__file__": file}
    return [_run(source, f"{file}, cell {index + 1}", names) for index, source in enumerate(sources)]


def _run(source: str, where: str, names: dict[str, Any]) -> list[dict[str, str]]:
    import contextlib
    import io
    import linecache

    linecache.cache[where] = (len(source), None, source.splitlines(keepends=True), where)  # for tracebacks and inspect
    body = ast.parse(source).body
    last = ast.Expression(body.pop().value) if body and isinstance(body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), where, "exec"), names)
        if last is not None:
            value = eval(compile(last, where, "eval"), names)
    given = [{"text": printed.getvalue()}] if printed.getvalue().strip() else []
    pictures = _pictures()
    if (
        value is not None
        and not (pictures and type(value).__module__.startswith("matplotlib"))
        and not source.rstrip().endswith(";")
    ):
        html = value._repr_html_() if getattr(value, "_repr_html_", None) else None
        given.append({"text": repr(value)} if html is None else {"html": html})
    return given + pictures


def _pictures() -> list[dict[str, str]]:
    """The open figures, which are closed."""
    plt = sys.modules.get("matplotlib.pyplot")
    found = []
    for number in plt.get_fignums() if plt else []:
        import io

        figure, buffer = plt.figure(number), io.BytesIO()
        figure.savefig(buffer, dpi=110)
        axes = figure.axes[0] if figure.axes else None
        words = " ".join((axes.get_title() or f"{axes.get_ylabel()} over {axes.get_xlabel()}").split()) if axes else "a picture"
        found.append({"picture": base64.b64encode(buffer.getvalue()).decode(), "words": re.sub(r"[\[\]]", "", words)})
        plt.close(figure)
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["--cells"]:
        asked = json.load(sys.stdin)
        results = run(asked["file"], asked["cells"])
        json.dump(results, sys.stdout)
    elif sys.argv[1] == "--full":
        keep_full(pathlib.Path(sys.argv[2]).resolve())
    elif sys.argv[1] == "--notebooks":
        folder = pathlib.Path(sys.argv[2])
        folder.mkdir(exist_ok=True)
        for script in sorted(BOOK.glob("*.py")):
            (folder / f"{script.stem}.ipynb").write_text(notebook(cells(script.read_text())))
    else:
        print(made(pathlib.Path(sys.argv[1]).resolve()).markdown)
