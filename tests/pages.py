"""The pages of the docs, as programs."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]


def python_blocks(page):
    """The Python blocks of a page, joined into one program."""
    return "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL))
