"""Citations."""

import functools
import importlib.resources
import inspect
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

from lrax._version import __version__
from lrax.fields._errors import argument_error, check_call
from lrax.finder._result import FinderResult
from lrax.schedules._base import Schedule, parts
from lrax.schedules._recipe import Recipe
from lrax.sweeps._results import RaceResult, SweepResult

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


@check_call
def citation(*used: Any) -> str:
    """BibTeX of what was used: lrax, and the papers that its docstrings name as sources.

    A schedule is cited with all that it is made of; a sweep or a race with its schedules; a list or a dict with what is in it.
    Anything else public of lrax may be given too: a kind, a function such as `lrax.reduce_on_plateau`, a rule of the finder. A
    comment above each entry says what it is the source of. Programs and tutorials have no entry: the docstrings name them.

    Args:
      used: schedules, results, functions and classes of lrax, in any number. Without any, the entry of lrax alone.

    Returns: a text to be printed, or written into a `.bib` file. Each entry stands once.

    Raises: TypeError for what has nothing to cite: a number, a text, an array.

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
            for source in named(part.__doc__):
                entry = entry_of(source)
                if entry is not None:
                    users = cited.setdefault(entry.text, [])
                    users += [] if (name := part.__name__) in users else [name]
    text = "\n\n".join(f"% {', '.join(users)}\n{text}" for text, users in cited.items())
    return text.replace("{VERSION}", f"{{{__version__}}}")


def _within(thing: Any) -> Iterator[Any]:
    """The classes and functions whose docstrings name the sources of a thing."""
    match thing:
        case Schedule():
            yield type(thing)
            for part in [*parts(thing), *_made(thing)]:
                yield from _within(part)
        case SweepResult() | RaceResult():
            yield type(thing)
            yield from _within(thing.schedules)
        case FinderResult():
            yield FinderResult
        case list() | tuple():
            for part in thing:
                yield from _within(part)
        case dict():
            yield from _within(list(thing.values()))
        case _ if callable(thing):
            yield thing if isinstance(thing, type) or isinstance(getattr(thing, "__name__", None), str) else type(thing)
        case _:
            remedy = "give a schedule, a result, or a class or function of lrax"
            raise argument_error(TypeError, "citation", "used", "something that has a source", thing, remedy)


def _made(schedule: Schedule) -> list[Schedule]:
    """What a recipe puts together; for one that waits for its total length, some length will do."""
    if not isinstance(schedule, Recipe):
        return []
    return [schedule.sample()]
