"""A progress bar, if it is asked for."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(total: int, label: str, shown: bool) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of pieces of work that are done, `total` in all; it moves a bar if `shown`.

    Raises: ImportError if a bar is asked for and tqdm is not installed.
    """
    if not shown:
        yield lambda done: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install 'lrax[progress]'") from error
    with tqdm(total=total, desc=label) as bar:
        yield bar.update
