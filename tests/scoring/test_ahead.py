import threading

import pytest

from linexport.scoring._ahead import Ahead


def test_everything_comes_and_in_order():
    assert list(Ahead(iter(range(1000)), lambda _: 1, 8)) == list(range(1000))
    assert list(Ahead(iter([]), lambda _: 1, 8)) == []


def test_reading_is_ahead_by_the_limit_and_no_more():
    read, waited = [], threading.Event()

    def numbers():
        for number in range(100):
            read.append(number)
            if number == 5:
                waited.set()
            yield number

    ahead = iter(Ahead(numbers(), lambda _: 10, 60))
    assert waited.wait(60)  # six of size 10 are there before the first is taken
    assert len(read) == 6
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    ahead.close()
    assert len(read) <= 9


def test_an_item_beyond_the_limit_is_handed_on_too():
    assert list(Ahead(iter([1, 2, 3]), lambda _: 100, 1)) == [1, 2, 3]


def test_a_failure_comes_where_its_item_would_have():
    def failing():
        yield 1
        yield 2
        raise OSError("no more")

    items = iter(Ahead(failing(), lambda _: 1, 8))
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="no more"):
        next(items)


def test_whoever_stops_taking_ends_the_thread():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = endless()
    ahead = Ahead(items, lambda _: 1, 4)
    taking = iter(ahead)
    next(taking)
    taking.close()
    assert not any(thread.name == "linexport-reader" for thread in threading.enumerate())
    items.close()
    assert closed.is_set()
