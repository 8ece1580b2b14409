"""Encoding beside the thread that makes the frames."""

import io
import time

import polars as pl
import pytest

from linexport.tables._beside import Encoder

FRAME = pl.DataFrame({"x": [1.0, 2.0]})


@pytest.fixture
def encoder():
    """At work for a while on each frame."""

    def encode(frames, stream):
        for frame in frames:
            time.sleep(0.1)
            frame.write_csv(stream, include_header=False)

    return Encoder(encode, io.BytesIO())


def stopped_after_five(encoder, error):
    with encoder:
        for _ in range(5):
            encoder.put(FRAME)
        raise error


def test_what_came_before_a_failure_is_encoded(encoder):
    with pytest.raises(ValueError, match="the sixth"):
        stopped_after_five(encoder, ValueError("the sixth"))
    assert encoder.num_rows == 10


def test_an_interrupt_drops_what_waits_and_waits_for_what_is_at_work(encoder):
    """A thread that is within polars as the interpreter ends would abort the process."""
    with pytest.raises(KeyboardInterrupt):
        stopped_after_five(encoder, KeyboardInterrupt())
    assert 0 < encoder.num_rows < 10
