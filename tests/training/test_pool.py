import itertools
import threading

import pytest

from lrax.training._memory import run_side_by_side


def test_one_at_a_time_is_in_order_and_here():
    """One program at a time runs in the caller's thread, in the order of the items."""
    threads = list(run_side_by_side(lambda item: (item, threading.current_thread()), range(4), 1))
    assert threads == [(item, threading.current_thread()) for item in range(4)]


def test_several_run_at_the_same_time():
    """As many as were asked for run at once; results come as they end."""
    barrier = threading.Barrier(3)

    def run(item):
        barrier.wait(timeout=10)
        return item

    assert sorted(run_side_by_side(run, range(9), 3)) == list(range(9))


def test_items_are_made_as_they_are_needed():
    """Of many items, few are there at a time: those that run, one that waits, and what is not yet fetched."""
    alive, most = set(), []

    def items():
        for item in range(40):
            alive.add(item)
            most.append(len(alive))
            yield item

    for item in run_side_by_side(lambda item: item, items(), 2):
        alive.discard(item)
    assert max(most) <= 2 * 3


@pytest.mark.parametrize("programs", [1, 3])
def test_an_error_ends_it(programs):
    """The first error is raised, and what has not begun does not begin."""
    begun = []

    def run(item):
        begun.append(item)
        if item == 3:
            raise RuntimeError("three")
        return item

    with pytest.raises(RuntimeError, match="three"):
        list(run_side_by_side(run, itertools.count(), programs))
    assert len(begun) < 4 + 3 * programs


@pytest.mark.parametrize("programs", [1, 3])
def test_who_stops_asking_ends_it(programs):
    """Closing the iterator, as an interrupt does, waits for what runs and begins nothing more."""
    begun = []
    results = run_side_by_side(lambda item: begun.append(item) or item, itertools.count(), programs)
    next(results)
    results.close()
    number = len(begun)
    assert number <= 1 + 2 * programs
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lrax")]
    assert len(begun) == number


def test_nothing_to_do():
    """No items, no results, no thread that stays."""
    assert list(run_side_by_side(str, (), 2)) == []
