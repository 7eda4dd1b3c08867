"""The sources that a docstring names, and their entries in `references.bib`."""

import functools
import importlib.resources
import inspect
import re
import unicodedata
from typing import NamedTuple

_SOURCE = re.compile(r"^Source: (.*?)(?:\n\s*\n|\Z)", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"(?P<author>[^\W\d_][\w'-]+)\b[^;]*?\b(?P<year>(?:19|20)\d\d)\b(?!\.\d)(?P<rest>[^;]*)")
_ARXIV = re.compile(r"arXiv[: ]*(\d{4}\.\d{4,5})")


class Entry(NamedTuple):
    """An entry of the references: what finds it, and its text."""

    author: str
    year: str
    title: str
    arxiv: str | None
    is_program: bool
    text: str


class Named(NamedTuple):
    """A source as a docstring names it: first author, year, the words that follow, and an arXiv id if one is given."""

    author: str
    year: str
    words: str
    arxiv: str | None


def folded(text: str) -> str:
    """Lower-case letters and digits of a text, without accents and without TeX's marks for them."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9 ]", "", plain.lower())


@functools.cache
def entries() -> tuple[Entry, ...]:
    """All entries, in the order of the file."""
    text = importlib.resources.files("lrax.citing").joinpath("references.bib").read_text(encoding="utf-8")
    return tuple(_entry(part.strip()) for part in re.split(r"\n(?=@)", text) if part.startswith("@"))


def _entry(text: str) -> Entry:
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", text, flags=re.MULTILINE))
    author = folded(fields["author"].split(" and ")[0].partition(",")[0])
    return Entry(author, fields["year"], folded(fields["title"]), fields.get("eprint"), text.startswith("@software"), text)


def named(docstring: str | None) -> list[Named]:
    """The sources that a docstring names by author and year. What has no author (programs, tutorials) is not among them."""
    found = []
    for source in _SOURCE.findall(inspect.cleandoc(docstring or "")):
        for part in " ".join(source.split()).split(";"):
            match = _NAMED.match(part.strip())
            if match:
                arxiv = _ARXIV.search(part)
                words = folded(match["rest"].strip(" ,"))
                found.append(Named(folded(match["author"]), match["year"], words, arxiv[1] if arxiv else None))
    return found


def entry_of(source: Named) -> Entry | None:
    """The entry of a source: by its arXiv id; else by author and year, and where several have both, by how the title begins."""
    if source.arxiv is not None:
        return next((entry for entry in entries() if entry.arxiv == source.arxiv), None)
    fitting = [
        entry for entry in entries() if entry.author == source.author and (entry.is_program or entry.year == source.year)
    ]
    if len(fitting) > 1:
        fitting = [entry for entry in fitting if entry.title.split()[:2] == source.words.split()[:2]]
    return fitting[0] if len(fitting) == 1 else None
