"""`lrax.citation`: the BibTeX of what was used."""

from collections.abc import Iterator
from typing import Any

from lrax._version import __version__
from lrax.citing._sources import entries, entry_of, named
from lrax.fields._words import argument_error, check_call
from lrax.finder._result import FinderResult
from lrax.schedules._base import Schedule, parts
from lrax.schedules._recipe import Recipe
from lrax.sweeps._race_result import RaceResult
from lrax.sweeps._result import SweepResult


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
