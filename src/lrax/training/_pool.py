"""Work side by side: groups of lanes on the cores of a CPU."""

import concurrent.futures
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_side_by_side(run: Callable[[Item], Result], items: Iterable[Item], programs: int) -> Iterator[Result]:
    """What `run` gives for each of `items`, as it ends: in their order if one runs at a time, else in any.

    Items are taken as they are needed, in the caller's thread, so that they are never all there at once. Threads do not see the
    caller's configuration of JAX: what `run` calls must have been compiled before. If a run raises, or whoever asks stops
    asking, those that are under way end and no other begins; the first error is the one that is raised.

    Args:
      run: called once for each item, in a thread of its own where `programs` is above 1.
      items: any iterable, which may be endless.
      programs: how many run at the same time, at least 1.

    >>> sorted(run_side_by_side(lambda number: number**2, range(5), programs=2))
    [0, 1, 4, 9, 16]
    """
    if programs == 1:
        yield from map(run, items)
        return
    waiting = iter(items)
    pool = concurrent.futures.ThreadPoolExecutor(programs, thread_name_prefix="lrax")
    try:
        ahead = itertools.islice(waiting, programs + 1)  # one more, so that no thread waits for its item to be made
        under_way = {pool.submit(run, item) for item in ahead}
        while under_way:
            ended, under_way = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in ended:
                result = future.result()
                under_way |= {pool.submit(run, item) for item in itertools.islice(waiting, 1)}
                yield result
    finally:
        pool.shutdown(cancel_futures=True)
