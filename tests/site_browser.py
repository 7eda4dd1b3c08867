"""A browser and a server for the built site."""

import contextlib
import functools
import http.server
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

CHROMIUM, DRIVER = pathlib.Path("/usr/bin/chromium"), pathlib.Path("/usr/bin/chromedriver")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def served(folder: pathlib.Path) -> Iterator[str]:
    """The address of a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def opened() -> Iterator[Any]:
    """Debian's Chromium without a window and without a network beyond this machine."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.page_load_strategy = "normal"
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--proxy-server=127.0.0.1:9",
    ):
        options.add_argument(argument)
    options.add_argument(
        "--proxy-bypass-list=127.0.0.1"
    )  # whatever is asked of another host fails, and is an error in the console
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def look(driver: Any, address: str, width: int, scheme: str) -> None:
    """A new reader of the site at `address`: with a window of this width, who wants it light or dark."""
    driver.get("about:blank")  # a page that is open would hear of it, and remember
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wanted = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": address.rstrip("/"), "storageTypes": "all"})


FACTS = """
const article = document.querySelector('article').cloneNode(true);
article.querySelectorAll('code, .katex').forEach(e => e.remove());
const images = [...document.images];
images.forEach(image => { image.loading = 'eager' });
return Promise.all(images.map(image => image.decode().catch(() => image.src))).then(broken => ({
  broken: broken.filter(Boolean),
  outside: [...document.querySelectorAll('[src], link[href]')].map(e => e.src || e.href)
    .filter(address => !address.startsWith(location.origin) && !address.startsWith('data:')),
  formulas: document.querySelectorAll('.katex-html').length,
  undrawn: [...document.querySelectorAll('.formula')].filter(e => !e.querySelector('.katex-html')).length,
  raw: (article.textContent.match(/\\$\\$|\\\\\\(|\\\\tfrac/g) || []).length,
  diagrams: document.querySelectorAll('div.mermaid').length,
  undrawnDiagrams: document.querySelectorAll('pre.mermaid').length,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  links: [...document.querySelectorAll('a[href]')].map(a => a.href),
  ids: [...document.querySelectorAll('[id]')].map(e => e.id),
  words: document.querySelector('article').innerText.length,
}));
"""
"""What a page looks like from inside."""
