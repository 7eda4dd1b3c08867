"""The built site in a real browser: Debian's Chromium. Screenshots are left in out/site."""

import os
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from pages import ROOT
from site_browser import CHROMIUM, DRIVER, FACTS, look, opened, served

pytestmark = pytest.mark.slow

SHOTS = ROOT / "out" / "site"


class Site(NamedTuple):
    """The site, opened: where it is served, the browser, and what each page looks like from inside."""

    address: str
    driver: Any
    facts: dict[str, dict[str, Any]]
    console: dict[str, list[str]]


def _missing() -> str:
    if not (CHROMIUM.exists() and DRIVER.exists()):
        return "no browser: apt-get install chromium chromium-driver"
    if shutil.which("npm") is None:
        return "no npm, which brings the site's formulas: apt-get install npm"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "no selenium: pip install -e '.[test]'"
    return ""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The site, built from nothing and strictly, with every page opened once."""
    if _missing():
        pytest.skip(_missing())
    # pages train, for which what compiles quickly is too slow
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "XLA_FLAGS")}
    if (
        subprocess.run([sys.executable, "-c", "import material, mkdocstrings"], capture_output=True, check=False).returncode
        == 0
    ):
        environment["PYTHON"] = sys.executable
    built = subprocess.run(["bash", "docs/build.sh"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if built.returncode == 75:
        pytest.skip(built.stderr)
    assert built.returncode == 0, built.stdout + built.stderr
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir(parents=True)
    folder = ROOT / "site"
    pages = sorted(str(path.parent.relative_to(folder)) for path in folder.rglob("index.html"))
    with served(folder) as address, opened() as driver:
        facts, console = {}, {}
        look(driver, address, 390, "light")  # as on a telephone
        for page in pages:
            path = "" if page == "." else f"{page}/"
            driver.get(address + path)
            facts[path] = driver.execute_script(FACTS)
            console[path] = [entry["message"] for entry in driver.get_log("browser")]
        yield Site(address, driver, facts, console)


def test_nothing_is_said_in_the_console(site: Site) -> None:
    """No page has an error or a warning: nothing is missing, and nothing is asked of another host."""
    assert len(site.facts) > 30
    assert not {page: said for page, said in site.console.items() if said}
    assert not {page: facts["outside"] for page, facts in site.facts.items() if facts["outside"]}


def test_pictures_load_and_formulas_are_drawn(site: Site) -> None:
    """Every picture can be decoded, every formula and diagram is drawn, and none is left as text."""
    assert not {page: facts["broken"] for page, facts in site.facts.items() if facts["broken"]}
    assert not {page: facts for page, facts in site.facts.items() if facts["undrawn"] or facts["undrawnDiagrams"]}
    assert not {page: facts["raw"] for page, facts in site.facts.items() if facts["raw"]}
    assert site.facts["reference/phases/"]["formulas"] >= 10
    assert site.facts["design/"]["diagrams"] == 1
    assert all(facts["words"] > 200 for facts in site.facts.values())
    assert not {page: facts["wide"] for page, facts in site.facts.items() if facts["wide"] > 0}


def test_links_lead_somewhere(site: Site) -> None:
    """Each link within the site leads to a page or a file of it, and to a place that is there."""
    lost = []
    for page, facts in site.facts.items():
        for link in facts["links"]:
            target, _, anchor = link.partition("#")
            if not target.startswith(site.address):
                continue
            path = urllib.parse.unquote(target.removeprefix(site.address))
            if path in site.facts:
                anchor = urllib.parse.unquote(anchor)
                lost += [(page, link)] if anchor and anchor not in site.facts[path]["ids"] else []
            elif not (ROOT / "site" / path).is_file():
                lost.append((page, link))
    assert not lost


def test_search_finds_a_recipe(site: Site) -> None:
    """A reader who types `warmup_cosine` is led to its place in the reference."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    look(site.driver, site.address, 1280, "light")
    site.driver.get(site.address)
    site.driver.find_element(By.CSS_SELECTOR, "input.md-search__input").send_keys("warmup_cosine")
    results = WebDriverWait(site.driver, 20).until(
        lambda driver: [
            link.get_attribute("href") for link in driver.find_elements(By.CSS_SELECTOR, "a.md-search-result__link")
        ]
    )
    assert any("reference/recipes/?h=warmup_cosine#lrax.warmup_cosine" in link for link in results[:5]), results
    site.driver.save_screenshot(str(SHOTS / "search.png"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_wide_and_narrow_light_and_dark(site: Site, scheme: str) -> None:
    """The reader's own scheme is taken; pictures of both are left to be looked at."""
    for page in ("", "gallery/", "reference/recipes/", "book/five_minutes/", "design/"):
        for width in (1280, 390):
            look(site.driver, site.address, width, scheme)
            site.driver.get(site.address + page)
            site.driver.execute_script(FACTS)
            shade = site.driver.execute_script(
                "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
            )
            assert (sum(shade[:3]) > 600) == (scheme == "light"), (page, shade)
            name = page.strip("/").replace("/", "_") or "index"
            site.driver.save_screenshot(str(SHOTS / f"{name}-{scheme}-{width}.png"))
