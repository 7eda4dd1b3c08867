"""What mkdocs is told while the site is built: pages that are made, links, formulas, and what comes from outside docs/."""

import logging
import pathlib
import sys
from typing import Any

from mkdocs.structure.files import File

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from lrax_site import book, docstrings, formulas, gallery, reference, repository
from lrax_site.pages import OUTSIDE, moved

ROOT = pathlib.Path(__file__).parents[2]
VENDOR = ROOT / ".cache" / "site" / "vendor"
"""KaTeX and Mermaid, put there by `docs/build.sh`."""
ICONS = {"Repository": "fontawesome/brands/git-alt", "Issues": "material/bug-outline", "PyPI": "fontawesome/brands/python"}
"""At the foot of every page."""
log = logging.getLogger("mkdocs.hooks.lrax")  # a warning here is one of the build's, which fails it


def on_config(config: Any) -> Any:
    """Puts the reference into the navigation, and the repository's address, if one is known, where edit links take it from."""
    for entry in config.nav:
        if "Reference" in entry:
            entry["Reference"] = reference.nav()
    address = repository.address()
    if address is not None:
        config.repo_url, config.edit_uri = address, "edit/main/docs/"
        config.repo_name = address.rpartition("/")[2]
        config.extra["social"] = [
            {"name": name, "link": link, "icon": ICONS[name]} for name, link in repository.places(address).items()
        ]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages of the reference and of the book, those that stand elsewhere in the repository, and KaTeX's fonts."""
    for path, text in reference.pages().items():
        files.append(File.generated(config, path, content=text))
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for script in sorted(book.BOOK.glob("*.py")):
        made = book.made(script, repository.address())
        files.append(File.generated(config, f"book/{script.stem}.md", content=made.markdown))
        for name, content in made.files.items():
            files.append(File.generated(config, f"book/{name}", content=content))
    if not VENDOR.is_dir():
        raise RuntimeError(f"{VENDOR} is missing: run `bash docs/build.sh`, which fetches KaTeX and Mermaid")
    for path in sorted(VENDOR.rglob("*")):
        if path.is_file():
            files.append(File.generated(config, f"vendor/{path.relative_to(VENDOR)}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links to files as the site has them, and names in backticks as links to the reference."""
    if page.file.src_uri == "gallery.md":
        return gallery.thumbnails(reference.places())
    made, address = page.file.src_uri.startswith("reference/"), repository.address()
    if page.file.src_uri == "index.md" and address is not None:
        links = " · ".join(f"[{name}]({link})" for name, link in repository.places(address).items())
        markdown = markdown.replace("\n```sh\n", f"\n{links}\n\n```sh\n", 1)
    markdown = moved(markdown, page.file.src_uri, address)
    return markdown if made else docstrings.linked_page(markdown)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Draws formulas; brings Mermaid to the pages that have a diagram, and to those only."""
    html = formulas.drawn(html, VENDOR / "katex" / "katex.mjs", lambda words: log.warning(f"{page.file.src_uri}: {words}"))
    if 'class="mermaid"' in html:
        depth = "../" * page.url.count("/")
        html += f'<script src="{depth}vendor/mermaid.min.js"></script>'
    return html


def on_page_context(context: Any, page: Any, config: Any, nav: Any) -> Any:
    """The edit link of a page that stands outside docs/ leads to its file; one that is made from code has none."""
    outside = {made: source for source, made in OUTSIDE.items()}
    if page.file.src_uri in outside and config.repo_url:
        page.edit_url = f"{config.repo_url}/edit/main/{outside[page.file.src_uri]}"
    return context
