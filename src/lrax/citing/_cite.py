"""Citations."""

import functools
import importlib.resources
import inspect
import itertools
import re
import unicodedata
from collections.abc import Iterator
from types import FunctionType
from typing import NamedTuple

from lrax._version import __version__
from lrax.fields._errors import argument_error, check_call
from lrax.finder._result import FinderResult
from lrax.schedules._base import Schedule, parts
from lrax.schedules._recipes import Recipe
from lrax.sweeps._results import RaceResult, SweepResult

_SOURCE = re.compile(r"^Source: (.*?)(?:\n\s*\n|\Z)", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"(?P<author>[^\W\d_][\w'-]+)\b[^;]*?\b(?P<year>(?:19|20)\d\d)\b(?!\.\d)(?P<rest>[^;]*)")
_ARXIV = re.compile(r"arXiv[: ]*(\d{4}\.\d{4,5})")


class Entry(NamedTuple):
    """An entry of the references; `author` and `title` are folded."""

    author: str
    year: str
    title: str
    arxiv: str | None
    is_program: bool
    text: str


class Named(NamedTuple):
    """A source in a docstring: first author, year, the words that follow, and an arXiv id if one is given."""

    author: str
    year: str
    words: str
    arxiv: str | None


def folded(text: str) -> str:
    """Lower-case letters and digits of a text, without accents and TeX's marks for them."""
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
    """The sources of a docstring with author and year; programs and tutorials without an author are not among them."""
    parts = [
        part for source in _SOURCE.findall(inspect.cleandoc(docstring or "")) for part in " ".join(source.split()).split(";")
    ]
    return [
        Named(folded(match["author"]), match["year"], folded(match["rest"].strip(" ,")), arxiv[1] if arxiv else None)
        for part, arxiv in zip(parts, map(_ARXIV.search, parts), strict=True)
        if (match := _NAMED.match(part.strip()))
    ]


def entry_of(source: Named) -> Entry | None:
    """The entry of a source: by its arXiv id, else by author and year, and if several match by how the title begins."""
    if source.arxiv is not None:
        return next((entry for entry in entries() if entry.arxiv == source.arxiv), None)
    found = [one for one in entries() if one.author == source.author and (one.is_program or one.year == source.year)]
    if len(found) > 1:
        found = [entry for entry in found if entry.title.split()[:2] == source.words.split()[:2]]
    return found[0] if len(found) == 1 else None


@check_call
def citation(*used: object) -> str:
    """BibTeX of what you used: lrax, and the papers that its docstrings name as sources.

    A schedule is cited with its parts, a sweep or a race with its schedules, a list or a dict with its items. A comment above
    each entry names what it is the source of. Programs and tutorials have no entry: the docstrings name them.

    Args:
      used: schedules, results, functions and classes of lrax, in any number. Without any, the entry of lrax alone.

    Returns: a text to print, or to write into a `.bib` file, with each entry once.

    Raises: TypeError for a number, a text or an array.

    >>> print(citation(Cosine(start=0.1, end=0.0, steps=100)).partition("% Cosine")[2])
    <BLANKLINE>
    @inproceedings{loshchilov2017,
      author = {Loshchilov, Ilya and Hutter, Frank},
      title = {{SGDR}: Stochastic Gradient Descent with Warm Restarts},
      booktitle = {International Conference on Learning Representations},
      year = {2017},
      eprint = {1608.03983},
      archivePrefix = {arXiv},
    }
    """
    cited = {entry.text: ["this package"] for entry in entries()[:1]}  # lrax itself
    for thing in used:
        for part in _within(thing):
            for entry in filter(None, map(entry_of, named(part.__doc__))):
                users = cited.setdefault(entry.text, [])
                users += [] if part.__name__ in users else [part.__name__]
    text = "\n\n".join(f"% {', '.join(users)}\n{text}" for text, users in cited.items())
    return text.replace("{VERSION}", f"{{{__version__}}}")


def _within(thing: object) -> Iterator[type | FunctionType]:
    """The classes and functions whose docstrings name the sources of a thing."""
    match thing:
        case Schedule():
            yield type(thing)
            made = [thing.sample()] if isinstance(thing, Recipe) else []  # with some total length, if it has none
            yield from itertools.chain.from_iterable(map(_within, [*parts(thing), *made]))
        case SweepResult() | RaceResult():
            yield type(thing)
            yield from _within(thing.schedules)
        case FinderResult():
            yield FinderResult
        case list() | tuple():
            yield from itertools.chain.from_iterable(map(_within, thing))
        case dict():
            yield from _within(list(thing.values()))
        case type() | FunctionType():
            yield thing
        case _ if callable(thing):
            yield type(thing)
        case _:
            remedy = "give a schedule, a result, or a class or function of lrax"
            raise argument_error(TypeError, "citation", "used", "something that has a source", thing, remedy)
