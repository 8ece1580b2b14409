"""A log whose reader is slow, or gone."""

import json
import threading

import pytest

from linexport.serving import _log
from linexport.serving._log import Log


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
        self.taken += map(json.loads, lines.splitlines())

    @property
    def events(self):
        return [line["event"] for line in self.taken]


def test_lines_are_written_in_their_order(reader):
    log = Log(reader.write, worker=2)
    reader.reads.set()
    for number in range(100):
        log.event(str(number))
    log.close()
    assert reader.events == [str(number) for number in range(100)]
    assert {line["worker"] for line in reader.taken} == {2}


def test_lines_that_nobody_takes_are_dropped_and_counted(reader, monkeypatch):
    log = Log(reader.write)
    log.event("1")
    assert reader.begun.wait(60)
    log.event("2")
    monkeypatch.setattr(_log, "MOST_LINES", 0)
    for _ in range(3):
        log.event("lost")
    monkeypatch.undo()
    reader.reads.set()
    while "dropped" not in reader.events:
        pass
    log.event("3")
    log.close()
    assert reader.events == ["1", "2", "dropped", "3"]
    assert reader.taken[2]["lines"] == 3


def test_a_reader_that_takes_nothing_is_not_waited_for_at_the_end(reader, monkeypatch):
    monkeypatch.setattr(_log, "PATIENCE_SECONDS", 0.01)
    log = Log(reader.write)
    log.event("1")
    log.close()
    assert reader.taken == []
    reader.reads.set()  # lets the thread end


def test_a_reader_that_has_gone_is_no_error():
    def broken(lines):
        raise BrokenPipeError

    log = Log(broken)
    log.event("1")
    log.close()


def test_lines_of_several_processes_are_kept_together(monkeypatch):
    written = []

    def write(descriptor, data):
        written.append(data)
        return len(data)

    monkeypatch.setattr(_log.os, "write", write)
    lines = [b"%d" % number * 100 + b"\n" for number in range(200)]
    _log._write_to_stderr(b"".join(lines))
    assert b"".join(written) == b"".join(lines)
    assert all(len(data) <= _log.select.PIPE_BUF and data.endswith(b"\n") for data in written)
