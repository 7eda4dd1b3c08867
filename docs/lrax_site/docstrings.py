"""What a docstring of lrax is as a page.

Docstrings are Markdown with formulas already. What a page needs beyond that is done here, in one place: examples become code
blocks, the sections of one line (`Raises:`, `Returns:`, `Source:`) get their heading, names in backticks become links, and
what the gallery draws of a kind stands under its first words.
"""

import functools
import importlib
import inspect
import re
from collections.abc import Set
from typing import Any

from lrax_site import gallery, names


def as_markdown(text: str, path: str) -> str:
    """A docstring as the Markdown of its page; `path` says whose it is."""
    text = inspect.cleandoc(text)
    arguments = set(re.findall(r"^  (\w+): ", text, flags=re.MULTILINE))
    blocks = [_block(block, path, arguments) for block in re.split(r"\n{2,}", text)]
    kind = _kind_at(path)
    if kind is not None:
        blocks.insert(1, linked(gallery.drawn(kind), path))
    return "\n\n".join(_joined(blocks))


def _joined(blocks: list[str]) -> list[str]:
    """Examples that follow one another are one program: one block of code."""
    joined: list[str] = []
    for block in blocks:
        if joined and block.startswith("```pycon") and joined[-1].startswith("```pycon"):
            joined[-1] = joined[-1].removesuffix("\n```") + "\n" + block.removeprefix("```pycon")
        else:
            joined.append(block)
    return joined


def _block(block: str, path: str, arguments: set[str]) -> str:
    if block.lstrip().startswith(">>>"):
        return f"```pycon\n{inspect.cleandoc(block)}\n```"
    if "$$" in block:  # a formula stands by itself, also where a sentence goes on after it
        pieces = [piece.strip() for piece in re.split(r"(\$\$.*?\$\$)", block, flags=re.DOTALL)]
        return "\n\n".join(piece if piece.startswith("$$") else linked(piece, path, arguments) for piece in pieces if piece)
    section = re.match(r"(Raises|Returns|Source): (?=\S)", block)
    if section:
        block = f"**{section[1]}:** " + " ".join(block[section.end() :].split())
    return linked(block, path, arguments)


def linked(text: str, path: str = "", arguments: Set[str] = frozenset()) -> str:
    """Names of lrax in backticks as links into the reference, but for those of `path` itself and of its arguments."""

    def link(found: re.Match[str]) -> str:
        written = found[1]
        caller, _, member = written.partition(".")
        to = names.links().get(written)
        if to is None and member and caller in names.links():  # `FinderResult.plot`
            to = _member(names.links()[caller], member)
        if to is None or written in arguments or _is(path, to):
            return found[0]
        return f"[`{written}`][{to}]"

    return re.sub(r"(?<![\[`])`([A-Za-z_][\w.]*)`(?!\])", link, text)


def _is(path: str, public: str) -> bool:
    """Whether `path`, of a definition, is what the public name stands for, or a part of it."""
    name = names.names().get(public)
    if name is None:
        return False
    own = f"{name.home}.{public.rpartition('.')[2]}"
    return path == own or path.startswith(f"{own}.")


def _member(public: str, member: str) -> str | None:
    """Where a member of a public class is told of: a method has a place of its own, a field is in the words of its class."""
    value = runtime(public)
    if value is None or member.startswith("_"):
        return None
    found = vars(value).get(member)
    if callable(found) or isinstance(found, property | functools.cached_property | classmethod | staticmethod):
        return f"{public}.{member}"
    return public if member in vars(value) or member in getattr(value, "__annotations__", {}) else None


def _kind_at(path: str) -> str | None:
    """The gallery's name for what is defined at `path`."""
    short = path.rpartition(".")[2]
    return short if short in gallery.entries() and _is(path, gallery.script().path(short)) else None


def runtime(path: str) -> Any:
    """The object at a path; None for what needs a package that is not here."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def linked_page(text: str) -> str:
    """The same for a page of the guides: its code, its headings and its own links stay as they are.

    A name that the code of the page takes from another library, such as `jnp.minimum`, is not one of lrax.
    """
    foreign = frozenset(re.findall(r"\b(?:jnp|np|jax|jax\.\w+|optax|nnx)\.(\w+)", text))
    kept = r"^ *(```|~~~).*?^ *\2|^#[^\n]*$|\[[^\]]*\]\([^)]*\)"
    pattern = rf"({kept})|(?<![\[`])`(?:[A-Za-z_][\w.]*)`(?!\])"
    return re.sub(
        pattern,
        lambda found: found[0] if found[1] else linked(found[0], arguments=foreign),
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
