"""An optional progress bar."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from lrax.fields._errors import missing_extra


@contextlib.contextmanager
def progress_bar(total: int, label: str, unit: str, shown: bool) -> Iterator[Callable[..., None]]:
    """A function to call with the number of pieces of work that are done, `total` in all; it moves a bar if `shown`.

    Pieces that were not done but found are `loaded`. Until the first piece is done the bar says that it compiles, and the clock
    by which it says what is left begins then. Where less is done than was planned, because a test stopped, the bar ends at what
    was done. Without a standard error there is no bar.

    Raises: ImportError if a bar is requested and tqdm is not installed.
    """
    if not shown:
        yield lambda done, loaded=False: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise missing_extra("progress=True", "tqdm", "progress") from error
    if sys.stderr is None or sys.stderr.closed:
        yield lambda done, loaded=False: None
        return
    with tqdm(total=total, desc=f"{label}, compiling", unit=f" {unit}") as bar:
        compiling = True

        def show(done: int, *, loaded: bool = False) -> None:
            nonlocal compiling
            if compiling and done and not loaded:
                compiling = False
                before = bar.n
                bar.reset()
                bar.n, bar.initial = before, before + done  # these took the time of a compilation, or none
                bar.set_description(label, refresh=False)
            bar.update(done)

        yield show
        bar.total = bar.n
        bar.refresh()
