"""Formulas are drawn when the site is built: pages bring no program for them, and one that cannot be drawn fails the build."""

import atexit
import functools
import html
import json
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable

HERE = pathlib.Path(__file__).parent
FOUND = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def drawn(page: str, katex: pathlib.Path, argument_error: Callable[[str], None]) -> str:
    """The HTML of a page with its formulas as HTML and MathML; `argument_error` hears of those that are none."""
    found = list(FOUND.finditer(page))
    if not found:
        return page
    asked = [(words_upright(html.unescape(match[3]).strip()), match[2] == "[") for match in found]
    answers = iter(_ask(katex, asked))

    def put(match: re.Match[str]) -> str:
        answer = next(answers)
        if "error" in answer:
            argument_error(f"a formula that cannot be drawn: {match[3]}: {answer['error']}")
        return f'<{match[1]} class="formula" data-search-exclude>{answer.get("html", match[3])}</{match[1]}>'

    return FOUND.sub(put, page)


def words_upright(formula: str) -> str:
    r"""Names of several letters set as words (`\mathit`), not as a product of their letters."""
    kept = r"\\(?:text|mathrm|mathit|mathsf|operatorname|begin|end)\*?\{[^}]*\}|\\[A-Za-z]+"
    word = r"[A-Za-z]{2,}(?:\\_[A-Za-z]+)*"
    return re.sub(rf"({kept})|({word})", lambda found: found[1] or rf"\mathit{{{found[2]}}}", formula)


def _ask(katex: pathlib.Path, formulas: list[tuple[str, bool]]) -> list[dict[str, str]]:
    process = _process(katex)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(formulas) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


@functools.cache
def _process(katex: pathlib.Path) -> "subprocess.Popen[str]":
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("the site's formulas are drawn by KaTeX, which needs node: install Node.js 18 or newer")
    command = [node, str(HERE / "katex.mjs"), str(katex)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process
