"""Reading ahead: the same items, some made while others are used."""

import threading

import pytest

from linexport.tables._ahead import Ahead


def ahead(items, limit=4):
    return Ahead(iter(items), lambda _: 1, limit)


def readers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "linexport-reader"]


def test_items_come_in_their_order_and_all_of_them():
    assert list(ahead(range(1000))) == list(range(1000))
    assert list(ahead([])) == []
    assert list(ahead([None, 0, None])) == [None, 0, None]
    assert readers() == []


def test_items_are_made_at_once_up_to_the_limit_and_no_more():
    made, enough = [], threading.Event()

    def items():
        for number in range(100):
            made.append(number)
            if number == 5:
                enough.set()
            yield number

    coming = Ahead(items(), lambda _: 10, 60)
    assert enough.wait(timeout=60), "reading waits for the first item to be taken"
    assert len(made) == 6
    assert [next(coming) for _ in range(3)] == [0, 1, 2]
    coming.close()
    assert len(made) <= 9


def test_an_item_beyond_the_limit_comes_too():
    assert list(Ahead(iter([1, 2, 3]), lambda _: 100, 1)) == [1, 2, 3]


def test_an_error_is_raised_where_the_item_would_have_come():
    def items():
        yield 1
        yield 2
        raise ValueError("row 3")

    coming = ahead(items())
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(ValueError, match="row 3"):
        next(coming)
    assert list(coming) == []


def test_a_reader_that_is_closed_ends_its_thread_and_yields_no_more():
    coming = ahead(range(100))
    next(coming)
    coming.close()
    assert readers() == []
    assert list(coming) == []


def test_a_reader_that_nobody_takes_from_ends_its_thread():
    coming = ahead(range(100))
    (reader,) = readers()
    del coming
    reader.join(timeout=60)
    assert not reader.is_alive()
