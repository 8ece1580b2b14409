"""Changes of good bytes, the same on every run, at every reader; `make fuzz` looks for more."""

import json
import random
from itertools import count
from pathlib import Path

import pytest
from hostile import fuzz, readers, trying

from linexport.errors import ArtifactError

INPUTS = 300
FEWER = {"excel": 20}
"""Of a reader that starts a process for each."""


@pytest.mark.parametrize("name", readers.READERS)
def test_a_reader_reads_or_says_why_not(name):
    inputs = FEWER.get(name, INPUTS)
    found = fuzz.tried(name, "--inputs", inputs)
    assert not found.fault, f"{found.fault}\n{found.input!r}"
    assert found.tally.inputs == inputs
    assert found.tally.accepted
    assert found.tally.refused


class Reading:
    """A directory and a reader in it that is not ours, and what came of one input."""

    def __init__(self, directory, monkeypatch) -> None:
        self.directory, self.monkeypatch = directory, monkeypatch

    def one(self, read, data=b"abc"):
        maker = {"planted": lambda _: readers.Reader(read, [])}
        self.monkeypatch.setattr(trying, "READERS", maker)
        trial = trying.Trial("planted", self.directory)
        trial.one(data)
        return trial.tally


@pytest.fixture
def reading(tmp_path, monkeypatch):
    return Reading(tmp_path, monkeypatch)


def test_what_is_read_is_counted(reading):
    tally = reading.one(len)
    assert (tally.inputs, tally.accepted, tally.refused) == (1, 1, 0)


def test_an_error_that_is_not_ours_is_a_fault(reading):
    with pytest.raises(KeyError):
        reading.one(lambda data: {}[data])
    assert "KeyError" in (reading.directory / "fault").read_text()
    assert (reading.directory / "input").read_bytes() == b"abc"


def test_a_message_that_nobody_would_read_is_a_fault(reading):
    def refuse(data):
        raise ArtifactError("no words " * 60)

    with pytest.raises(trying.Fault, match="540 characters"):
        reading.one(refuse)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system does not tell")
def test_memory_that_is_not_worth_the_file_is_a_fault(reading, monkeypatch):
    monkeypatch.setattr(trying, "MOST_MEMORY", 16 << 20)
    with pytest.raises(trying.Fault, match="MiB for 3 bytes"):
        reading.one(lambda data: len(data * (32 << 20)))


def test_changes_are_the_same_for_a_seed():
    first, again, other = (
        [trying.changed([b"some bytes"], rng) for _ in range(50)]
        for rng in (random.Random(1), random.Random(1), random.Random(2))
    )
    assert first == again != other


def test_one_process_follows_the_other_until_the_time_is_over_or_there_is_a_fault(
    monkeypatch, tmp_path
):
    """Their inputs count together, for the directory."""

    def tried(reader, *how):
        said = ends.pop(0)
        return fuzz.Found(trying.Tally(reader, inputs=5, accepted=1), said, b"")

    def led(seconds, *said):
        ends.extend(said)
        clock = count()
        monkeypatch.setattr(fuzz, "processor_time", lambda: next(clock))
        found = fuzz.led("parquet", seconds, tmp_path)
        return found.tally.inputs, found.tally.accepted, found.fault

    ends = []
    monkeypatch.setattr(fuzz, "tried", tried)
    assert led(3, "", "", "") == (15, 3, "")
    assert led(2, "", "") == (25, 5, "")
    assert led(9, "", "ended by SIGSEGV") == (35, 7, "ended by SIGSEGV")
    (kept,) = (tmp_path / "tally").iterdir()
    assert json.loads(kept.read_bytes()).items() >= {"inputs": 35, "seconds": 7.0}.items()
