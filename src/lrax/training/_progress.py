"""A progress bar, if it is asked for."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(total: int, label: str, shown: bool) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of pieces of work that are done, `total` in all; it moves a bar if `shown`.

    Until the first piece is done the bar says that it compiles. Where less is done than was planned, because a test stopped,
    the bar ends at what was done. Without a standard error there is no bar.

    Raises: ImportError if a bar is asked for and tqdm is not installed.
    """
    if not shown:
        yield lambda done: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install 'lrax[progress]'") from error
    if sys.stderr is None:
        yield lambda done: None
        return
    with tqdm(total=total, desc=f"{label}, compiling") as bar:

        def show(done: int) -> None:
            if done and not bar.n:
                bar.set_description(label, refresh=False)
            bar.update(done)

        yield show
        bar.total = bar.n
        bar.refresh()
