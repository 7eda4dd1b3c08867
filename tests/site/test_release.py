"""What a package index, a release and a reader of the repository are told is true."""

import ast
import re
import sys
import tomllib

import matplotlib.pyplot as plt
import pytest

import lrax
from pages import ROOT

sys.path.insert(0, str(ROOT / "docs"))
from lrax_site import book, formulas, readme, repository

README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_stands_in_one_place(capsys) -> None:
    """`_version.py` has it, the metadata takes it from there, and the README cites it."""
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", lrax.__version__)
    assert "version" in PROJECT["project"]["dynamic"]
    assert lrax.citation().partition("\n")[2] in README


def test_an_index_shows_no_link_that_leads_nowhere() -> None:
    """Relative links become addresses at the version's tag; without an address words stay, and pictures are left out."""
    shown = readme.for_index(README, "https://example.org/lrax", "0.1.0")
    assert "marked](https://example.org/lrax/raw/v0.1.0/docs/images/finder/first.png)" in shown
    assert "[CONTRIBUTING.md](https://example.org/lrax/blob/v0.1.0/CONTRIBUTING.md)" in shown
    alone = readme.for_index(README, None, "0.1.0")
    for text in (shown, alone):
        assert not re.search(r"\]\((?!https?:|#)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    assert "](" not in re.sub(r"```.*?```|\]\(https?:[^)]*\)", "", alone, flags=re.DOTALL)
    assert readme.urls(None) == {}
    assert all(address.startswith("https://example.org/lrax") for address in readme.urls("https://example.org/lrax").values())


def test_relative_links_of_the_readme_lead_to_files() -> None:
    """Every file that the README names in a link is there."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", README)
    assert len(targets) > 10
    assert all((ROOT / target).exists() for target in targets)


def test_the_repository_is_told_or_not(tmp_path, monkeypatch) -> None:
    """The address is the one that is written; else that of the workflow that builds; else there is none."""
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    (tmp_path / "pyproject.toml").write_text('[tool.lrax]\nrepository = ""\n')
    assert repository.address(tmp_path) is None
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/lrax")
    assert repository.address(tmp_path) == "https://github.com/someone/lrax"
    (tmp_path / "pyproject.toml").write_text('[tool.lrax]\nrepository = "https://example.org/lrax/"\n')
    assert repository.address(tmp_path) == "https://example.org/lrax"


def test_names_in_formulas_are_words() -> None:
    """Names of several letters are set as words, functions and texts as they are."""
    assert formulas.words_upright(r"start \cdot e^{-s}, \min(end, 1)") == r"\mathit{start} \cdot e^{-s}, \min(\mathit{end}, 1)"
    assert formulas.words_upright(r"model\_size \text{ if } x") == r"\mathit{model\_size} \text{ if } x"


def test_pages_of_the_book_are_scripts_in_cells() -> None:
    """Text, code and tags are told apart, each page of the book is Python, and a notebook has all cells and no output."""
    script = book.cells('# %% [markdown]\n# # Title\n#\n# Words.\n\n# %%\nx = 1\n\n# %% tags=["hide"]\nprint(x)\n')
    assert [cell.is_text for cell in script] == [True, False, False]
    assert script[0].source == "# Title\n\nWords."
    assert script[2].tags == ("hide",)
    assert book.notebook(script).count('"outputs": []') == 3  # lrax is installed first
    plt.close("all")  # other tests' figures would be the page's
    assert book.run("page", ["print(1)\n2", "3;", "x = 4", "x"]) == [[{"text": "1\n"}, {"text": "2"}], [], [], [{"text": "4"}]]
    for page in book.BOOK.glob("*.py"):
        ast.parse(page.read_text())
        assert book.cells(page.read_text())[0].is_text


def test_a_page_shows_its_long_run_until_its_code_changes(tmp_path, monkeypatch) -> None:
    """The long run's outputs and machine are shown, its pictures are files; a page whose code has changed since is refused."""
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.setattr(book, "FULL", tmp_path / "full")
    monkeypatch.setattr(book, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("LRAX_MACHINE", "an abacus")
    page = tmp_path / "page.py"
    code = (
        "import os\nimport matplotlib.pyplot as plt\nplt.subplots()\nprint('long' if 'LRAX_FULL' in os.environ else 'short')\n"
    )
    page.write_text(f"# %% [markdown]\n# # Title\n\n# %%\n{code}")
    assert "short" in book.made(page).markdown.split("```text")[1]
    book.keep_full(page)
    made = book.made(page)
    assert "an abacus" in made.markdown
    assert "long" in made.markdown.split("```text")[1]
    assert [name for name in made.files if name.endswith(".png")] == ["page-1.png"]
    page.write_text(f"# %% [markdown]\n# # Title\n\n# %%\n{code}1\n")
    with pytest.raises(RuntimeError, match="has changed since its long run"):
        book.made(page)


def test_long_runs_belong_to_their_pages() -> None:
    """No page of the book has changed since its long run, and no run is left of a page that is gone."""
    pages = {page.stem: page for page in book.BOOK.glob("*.py")}
    for kept in book.FULL.glob("*.json"):
        assert book.full_run(pages[kept.stem], book.cells(pages[kept.stem].read_text())) is not None
    assert {kept.stem.rpartition("-")[0] for kept in book.FULL.glob("*.png")} <= {
        kept.stem for kept in book.FULL.glob("*.json")
    }
