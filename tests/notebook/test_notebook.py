"""What a notebook shows, executed by a kernel and looked at in a browser: needs the extra `browser`, and Chromium."""

import importlib.util
import os
import pathlib
import re
import shutil
from xml.etree import ElementTree

import pytest

SOURCE = pathlib.Path(__file__).parents[2] / "src"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
LACKING = [name for name in ("ipykernel", "nbconvert", "selenium") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(LACKING), reason=f"needs {', '.join(LACKING)}: pip install 'lrax[browser]'"),
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs Chromium and its driver: apt install chromium chromium-driver"),
]

CELLS = {
    "start": """
        import sys
        sys.modules["ipywidgets"] = None  # a bar of text, which a file keeps
        import jax, jax.numpy as jnp, optax, lrax
        data = jax.random.normal(jax.random.key(0), (64, 4))
        learner = lrax.Learner.create(lambda params, batch: jnp.mean((batch @ params - 1) ** 2), jnp.zeros(4), optax.sgd)
        options = {"batch_size": 8, "key": jax.random.key(1)}
        rates = lrax.Constant(jnp.geomspace(1e-3, 10.0, 12))
        """,
    "Learner": "learner",
    "table": "lrax.table(lrax.MultiStep(0.1, 0.1, [1876, 3283, 4221]))",
    "FinderResult": "lrax.find_lr(learner, data, progress=True, **options)",
    "SweepResult": "lrax.run_sweep(lambda schedule: 1.0 + (schedule(0) - 0.3) ** 2, rates)",
    "RaceResult": "lrax.race(learner, data, rates, rungs=(4, 4), **options)",
}

SEEN = """
    const box = node => node.getBoundingClientRect();
    const light = rgb => {
        const [r, g, b] = rgb.match(/[\\d.]+/g).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.05 + 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const page = light(getComputedStyle(document.body).backgroundColor);
    const all = query => [...document.querySelectorAll(query)];
    return {
        pictures: all(".jp-OutputArea img").map(node => node.complete && node.naturalWidth > 400 && box(node).width > 400),
        outside: all(".jp-OutputArea img, .jp-OutputArea table")
            .filter(node => box(node).right > innerWidth || box(node).left < 0).length,
        fonts: all(".jp-OutputArea pre[style]").map(node => getComputedStyle(node).fontFamily),
        dark: page < 0.1,
    };
"""
"""What is on the page, measured."""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after a kernel has run it."""
    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager
    from nbconvert.preprocessors import ExecutePreprocessor

    folder = tmp_path_factory.mktemp("notebook")
    assert "python3" in KernelSpecManager().find_kernel_specs()
    cells = [
        nbformat.v4.new_code_cell("\n".join(line.strip() for line in text.strip().splitlines())) for text in CELLS.values()
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{SOURCE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("JAX_PLATFORMS", "cpu")
        ExecutePreprocessor(timeout=600, kernel_name="python3").preprocess(notebook, {"metadata": {"path": str(folder)}})
    return notebook


@pytest.fixture(scope="module")
def shown(executed):
    """What each cell gave: its outputs by the cells' names."""
    return {name: cell["outputs"] for name, cell in zip(CELLS, executed["cells"], strict=True)}


@pytest.mark.parametrize("name", ["table", "FinderResult", "SweepResult", "RaceResult"])
def test_displays_are_well_formed(shown, name):
    """What is displayed is HTML whose tags are closed, in the order in which they were opened."""
    (html,) = [output["data"]["text/html"] for output in shown[name] if "text/html" in output.get("data", {})]
    ElementTree.fromstring(re.sub(r"<(br|img)([^>]*)>", r"<\1\2/>", html))


def test_a_bar_says_that_it_compiles_and_ends(shown):
    """The bar of a cell says at first that it compiles, and ends at 100 %."""
    said = "".join(output.get("text", "") for output in shown["FinderResult"] if output["output_type"] == "stream")
    assert "find_lr, compiling:   0%" in said
    assert "find_lr: 100%" in said


def test_a_learner_is_a_line(shown):
    """A learner says what it trains in a line."""
    (output,) = shown["Learner"]
    assert output["data"]["text/plain"] == "<Learner: <lambda> by sgd, parameters: 4 numbers in 1 array>"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_browser_shows_it(executed, tmp_path, theme):
    """In a browser every picture loads and nothing leaves the page, on light and on dark."""
    from nbconvert import HTMLExporter
    from selenium import webdriver

    page, _ = HTMLExporter(theme=theme, mathjax_url="", require_js_url="").from_notebook_node(executed)
    (tmp_path / "page.html").write_text(page)
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1100,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        browser.get((tmp_path / "page.html").as_uri())
        seen = browser.execute_script(SEEN)
        said = [entry["message"] for entry in browser.get_log("browser") if entry["source"] != "network"]
    finally:
        browser.quit()
    assert said == []
    assert seen["dark"] == (theme == "dark")
    assert seen["pictures"] == [True] * 3
    assert seen["outside"] == 0
    assert all("monospace" in font for font in seen["fonts"])
    assert len(seen["fonts"]) == 1
