"""`lrax.citation` knows every paper that a public docstring names."""

import importlib
import re
import sys

import pytest

import lrax
from lrax.citing._cite import entries, entry_of, named
from pages import ROOT

sys.path.insert(0, str(ROOT / "docs"))
from lrax_site import names


def _public() -> dict[str, object]:
    objects = {}
    for path in names.names():
        module, _, name = path.rpartition(".")
        objects[path] = getattr(importlib.import_module(module), name)
    return objects


def test_every_source_of_a_public_name_has_its_entry() -> None:
    """An author and a year, or an arXiv id, behind `Source:` is in references.bib; the remedy is an entry there."""
    sources = [(path, source) for path, value in _public().items() for source in named(value.__doc__)]
    assert len(sources) >= 30
    assert not [(path, source) for path, source in sources if entry_of(source) is None]


def test_an_arxiv_id_finds_its_own_entry() -> None:
    """A source with an arXiv id is cited by the entry with this id, and by no other entry of the same author and year."""
    sources = [source for value in _public().values() for source in named(value.__doc__) if source.arxiv]
    found = [(source.arxiv, entry.arxiv) for source in sources if (entry := entry_of(source))]
    assert len(found) == len(sources) >= 15
    assert all(wanted == given for wanted, given in found)


def test_what_names_an_arxiv_id_is_read_as_a_source() -> None:
    """No public docstring has an arXiv id in its sources that is not understood."""
    for path, value in _public().items():
        written = re.findall(
            r"\d{4}\.\d{5}", " ".join(re.findall(r"^ *Source:.*?(?:\n\s*\n|\Z)", value.__doc__ or "", re.S | re.M))
        )
        assert set(written) <= {source.arxiv for source in named(value.__doc__)}, path


def test_entries_are_whole() -> None:
    """Keys and arXiv ids are there once, braces are closed, and every entry has author, title and year."""
    keys = [re.match(r"@\w+\{(\w+),", entry.text) for entry in entries()]
    assert all(keys)
    assert len({key[1] for key in keys if key}) == len(keys) > 30
    ids = [entry.arxiv for entry in entries() if entry.arxiv]
    assert len(set(ids)) == len(ids)
    assert all(entry.text.count("{") == entry.text.count("}") for entry in entries())
    assert all(entry.author and entry.title and entry.year.isdigit() for entry in entries())


def test_a_schedule_is_cited_with_its_parts() -> None:
    """A recipe brings what it is made of, a paper stands once with all its users, and lrax comes first."""
    text = lrax.citation(
        lrax.warmup_cosine(0.1, warmup_steps=10, total_steps=100),
        {"cycle": lrax.Cycle(lrax.Triangle(0.0, 0.1, 10))},
        lrax.finder.valley,
    )
    assert text.startswith("% this package\n@software{lrax,")
    assert f"version = {{{lrax.__version__}}}" in text
    assert "% Warmup\n@misc{goyal2017," in text
    assert "% Cosine, Cycle\n@inproceedings{loshchilov2017," in text
    assert text.count("@misc{smith2015,") == text.count("@misc{howard2018,") + text.count("@inproceedings{howard2018,") == 1
    waiting = lrax.warmup_cosine(0.1, warmup_steps=0.1)  # for its total length
    assert lrax.citation(waiting) == lrax.citation(lrax.warmup_cosine(0.1, warmup_steps=10, total_steps=100))
    assert lrax.citation() == text.partition("\n\n")[0]


def test_results_and_rules_are_cited() -> None:
    """What is no schedule is cited by its class; what has no source is an error that says what to give."""
    assert "smith2015" in lrax.citation(lrax.FinderResult)
    assert "kingma2015" in lrax.citation(lrax.finder.DebiasedMean(0.5))
    assert "@misc" not in lrax.citation(lambda count: 0.1)
    with pytest.raises(TypeError, match=r"citation: `used` must be something that has a source, got 0\.1"):
        lrax.citation(0.1)
