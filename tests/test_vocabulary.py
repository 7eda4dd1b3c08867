"""One term for each concept: code, messages and documentation use the words of the field."""

import functools
import pathlib
import re
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]

KIND = r"(?<!\.)\bkinds?\b(?![\"']?\s*[:=])"  # neither an attribute nor a key

BANNED: dict[str, tuple[str, str]] = {
    r"\blanes?\b": ("run, or `max_parallel`", "one lane of the batch"),
    r"\bowners?\b(?!: object)": ("caller", "the owner of the argument"),
    r"\bcomplain": ("argument_error, or raises", "the function complains"),
    r"\bspelt\b": ("check_call, or written", "a misspelt, or spelt, argument"),
    r"\babreast\b": ("batched, or in parallel", "eight runs abreast"),
    r"\bpeers?\b": ("other library", "compared with its peers"),
    KIND: ("schedule class, or custom schedule", "every kind of schedule"),
    r"\bheights?\b(?!, width| - \d)": ("peak learning rate", "the height of a schedule"),
    r"(?<!make )(?<!is )\brooms?\b(?! for)": ("package", "a room of the house"),
    r"\bshall\b": ("should, or to", "which shall be trained"),
    r"\bbeside\b": ("next to, or compared with", "a file beside it"),
    r"\bhalves of (the )?tasks\b": ("splits", "both halves of the tasks"),
    r"\b(a|the|their) shares? of\b|\bas a share\b|\bas shares\b": ("fraction", "a share of the total"),
    r"\bby (its|their) place\b": ("positional", "an argument by its place"),
    r"\btold apart\b": ("not significantly different", "runs that cannot be told apart"),
    r"\bof (one's|its|their|your) own\b(?! [a-z])": ("your own, or its own, before the noun", "a step function of your own."),
    r"\bso many\b": ("that many", "a program of so many bytes"),
    r"(?<!there )\b(is|are|was|were) no (schedule|number|whole|float|function|array|path|name|mapping|list|text)\b": (
        "is not a",
        "a loss that is no number",
    ),
    r"\b(is|are) (said|told|asked)\b": ("is reported, in the active voice", "what is said of a field"),
    r"\bwaits? for (its|the|their|a) (total|length)": ("needs `total_steps`", "a recipe that waits for its total"),
    r"\ba plan that waits\b": ("a recipe without `total_steps`", "a plan that waits"),
    r"\b(in|of|an?|each|every|all) updates?\b(?! (rule|function|method|step))": ("step", "after every update"),
    r"\b(theirs|ours)\b": ("the original, the other library's", "a class of ours"),
    r"\bfor ever\b": ("without an end", "it decays for ever"),
    r"\bstands\b(?! for)": ("is", "what stands in a field"),
    r"\bone's\b": ("your, or the user's", "one's model"),
    r"(?<!\bword )(?<!\bone )(?<!\bnot )\bin words\b": ("a description", "the result in words"),
    r"\bmomenta\b": ("momentum, or optimizer moments", "the momenta of Adam"),
    r"\bjudgements?\b": ("evaluation", "the judgement of a run"),
    r"\bmov(e|ing) over (from|to)\b|\bmoving over\b": ("migrate, migrating", "moving over from PyTorch"),
    r"\bbatches that grow\b": ("batch-size ramp-up", "a plan with batches that grow"),
    r"\bplans? in (tokens|updates|epochs|examples)\b": ("schedule in tokens", "a plan in tokens"),
    r"\bwhat is (trained|read|drawn|compared|given|frozen|saved|measured)\b": ("a noun: trained parameters", "what is trained"),
    r"\bby way of\b": ("with, through", "by way of a clock"),
    r"\b\d+(,\d{3})* updates\b|\bnumber of updates?\b|\bupdates (to|per|an?) ": ("steps", "a run of 1,000 updates"),
    r"\b(best|constant|suggested|found|fixed|highest|lowest|large|small|first|last|next) rates?\b": (
        "learning rate",
        "the best rate",
    ),
    r"\ba rate (a|an|of|that|which|per)\b|(?<!learning )\brates? by hand\b": ("learning rate", "a rate that diverges"),
}
"""What not to write, as a pattern: what to write instead, and a sample that the pattern finds."""

ALLOWED: dict[tuple[str, str], str] = {
    (KIND, "src/lrax/schedules/_serialise.py"): "the JSON of a schedule has the key `kind`",
    (KIND, "src/lrax/training/_storage.py"): "the first line of a file says what kind of file it is",
}
"""Files in which a pattern has another meaning, and why."""

SEARCHED = (
    "src/**/*.py",
    "docs/**/*.md",
    "docs/book/*.py",
    "examples/**/*.py",
    "README.md",
    "CONTRIBUTING.md",
    "benchmarks/*.md",
)
TEXTS = {path.relative_to(ROOT).as_posix(): path for pattern in SEARCHED for path in sorted(ROOT.glob(pattern))}


@functools.cache
def suspects() -> list[tuple[str, int, str]]:
    """The lines in which any of the patterns is found, each with its file and number."""
    any_of_them = re.compile("|".join(f"(?:{pattern})" for pattern in BANNED), re.IGNORECASE)
    lines = ((name, *one) for name, path in TEXTS.items() for one in enumerate(path.read_text().splitlines(), 1))
    return [(name, number, line) for name, number, line in lines if any_of_them.search(line)]


def hits(pattern: str) -> Iterator[tuple[str, str]]:
    """The files, and the lines in them, in which a pattern is found."""
    for name, number, line in suspects():
        if re.search(pattern, line, re.IGNORECASE):
            yield name, f"{name}:{number}: {line.strip()}"


@pytest.mark.parametrize("pattern", BANNED)
def test_no_text_has_a_banned_word(pattern: str) -> None:
    """No text has a banned word; the message says where, and what to write instead."""
    found = [line for name, line in hits(pattern) if (pattern, name) not in ALLOWED]
    assert not found, f"write {BANNED[pattern][0]}:\n" + "\n".join(found)


@pytest.mark.parametrize("pattern", BANNED)
def test_a_pattern_finds_its_sample(pattern: str) -> None:
    """Every pattern finds what it bans."""
    assert re.search(pattern, BANNED[pattern][1], re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        'array.dtype.kind not in "iuf"',
        '{"kind": "Cosine"}',
        "image (height, width)",
        "there is room, or room for a legend",
        "the license of its own framework",
        "there is no path from one to the other",
        "the update function of an optimizer, an update rule",
        "08 stands for bytes",
        "for word in words",
        "a schedule that has no end",
    ],
)
def test_plain_english_and_code_are_allowed(text: str) -> None:
    """No pattern finds these."""
    assert not [pattern for pattern in BANNED if re.search(pattern, text, re.IGNORECASE)]


def sentences(text: str) -> Iterator[str]:
    """The sentences of a page, or of the text of a script; a piece of code is a word, tables and formulas are left out."""
    if text.startswith("# %%"):
        text = "\n".join(line[2:] if line.startswith("# ") else "" for line in text.splitlines())
    lines = re.sub(r"```.*?```|\$\$.*?\$\$", "", text, flags=re.DOTALL)
    lines = re.sub(r"^(\||#).*$", "", lines, flags=re.MULTILINE)
    lines = re.sub(r"`[^`]*`|\]\([^)]*\)", "code", lines)
    for paragraph in re.split(r"\n\s*\n|\n\s*(?:- |\d+\. )", lines):
        yield from re.split(r"(?<=[.!?:;])\s+", " ".join(paragraph.split()))


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith(("docs/", "README")) and "lrax_site" not in name])
def test_sentences_are_short(name: str) -> None:
    """No sentence of a page has more than 36 words; most have fewer than 25."""
    long = [sentence for sentence in sentences(TEXTS[name].read_text()) if len(sentence.split()) > 36]
    assert not long


@pytest.mark.parametrize(("pattern", "name"), ALLOWED)
def test_an_exception_is_needed(pattern: str, name: str) -> None:
    """A file is an exception only as long as it has the word."""
    assert name in {found for found, _ in hits(pattern)}
