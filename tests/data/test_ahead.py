"""Reading ahead: the same items, one made while another is used."""

import threading

import pytest

from linexport.data._ahead import ahead


def test_items_come_in_their_order_and_all_of_them():
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter([]))) == []
    assert list(ahead(iter([None, 0, None]))) == [None, 0, None]


def test_the_next_item_is_made_while_one_is_used():
    made = threading.Event()

    def items():
        yield 1
        made.set()
        yield 2

    coming = ahead(items())
    assert next(coming) == 1
    assert made.wait(timeout=60), "nobody asked for the second item"
    assert list(coming) == [2]


def test_no_more_than_one_item_is_made_in_advance():
    made = []

    def items():
        for number in range(5):
            made.append(number)
            yield number

    coming = ahead(items())
    for number in coming:
        assert len(made) <= number + 2


def test_an_error_is_raised_where_the_item_would_have_come():
    def items():
        yield 1
        raise ValueError("row 2")

    coming = ahead(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="row 2"):
        next(coming)


def test_a_reader_that_is_left_early_ends_its_thread():
    coming = ahead(iter(range(100)))
    next(coming)
    coming.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("linexport-reader")]
