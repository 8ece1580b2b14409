"""A log whose reader is slow, or gone."""

import json
import threading

import pytest

from linexport.serving import _backlog
from linexport.serving._backlog import Backlog


@pytest.fixture
def reader():
    """Takes lines only while it is told to read."""
    return Reader()


class Reader:
    def __init__(self):
        self.reads, self.taken, self.begun = threading.Event(), [], threading.Event()

    def write(self, lines):
        self.begun.set()
        self.reads.wait()
        self.taken += lines.splitlines()


def test_lines_are_written_in_their_order(reader):
    backlog = Backlog(reader.write)
    reader.reads.set()
    for number in range(100):
        backlog.add(b"%d\n" % number)
    backlog.close()
    assert reader.taken == [b"%d" % number for number in range(100)]


def test_lines_that_nobody_takes_are_dropped_and_counted(reader, monkeypatch):
    monkeypatch.setattr(_backlog, "MOST_BYTES", 10)
    backlog = Backlog(reader.write)
    backlog.add(b"1\n")
    assert reader.begun.wait(60)
    backlog.add(b"2345678\n")
    backlog.add(b"a\nb\n")  # finds 10 bytes before it
    backlog.add(b"c\n")
    reader.reads.set()
    while len(reader.taken) < 2:
        pass
    backlog.add(b"d\n")
    backlog.close()
    first, second, told, last = reader.taken
    assert (first, second, last) == (b"1", b"2345678", b"d")
    assert json.loads(told) | {"time": 0} == {"time": 0, "event": "dropped", "lines": 3}


def test_a_reader_that_takes_nothing_is_not_waited_for_at_the_end(reader, monkeypatch):
    monkeypatch.setattr(_backlog, "PATIENCE_SECONDS", 0.01)
    backlog = Backlog(reader.write)
    backlog.add(b"1\n")
    backlog.close()
    assert reader.taken == []
    reader.reads.set()  # lets the thread end


def test_a_reader_that_has_gone_is_no_error():
    def broken(lines):
        raise BrokenPipeError

    backlog = Backlog(broken)
    backlog.add(b"1\n")
    backlog.close()
