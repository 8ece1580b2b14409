"""Tables out: CSV or Parquet, a batch at a time, all or nothing."""

import itertools
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from linexport.errors import ConfigError, DataError
from linexport.tables._parquet_footer import row_group_rows
from linexport.tables._replacing import SEPARATORS, destination, replace, unwritable

__all__ = ["check_output", "write_table"]

_FRAMES_IN_FLIGHT = 4  # enough for reading and writing to overlap
_SECONDS_BETWEEN_LOOKS = 0.1  # at an encoder that takes no more frames: it may have failed

_Encoder = Callable[[Iterator[pl.DataFrame], BinaryIO], None]


def check_output(output: str | Path) -> None:
    """Refuse an output that could not be written, before anything costly is done.

    Raises:
        ConfigError: If its name is neither `-` nor ends in .csv, .tsv or .parquet.
        DataError: If its directory does not exist, or something that is no file is in its place.
    """
    if str(output) != "-":
        _destination(output)


def write_table(frames: Iterable[pl.DataFrame], output: str | Path) -> int:
    """Write frames of one schema below one another, in constant memory.

    The rows are written to a hidden file beside the output, which replaces it at the end: whoever
    reads the output, also after a failure or a kill, finds the old file or all of the new one.
    Floating-point numbers are written to CSV with the fewest digits that read back as the same
    bits. Encoding runs in a thread of its own, beside whatever makes the frames.

    Args:
        frames: At least one, if only of no rows.
        output: A file ending in .csv, .tsv or .parquet, or `-` for CSV on standard output.

    Returns:
        The rows written: of Parquet, those that the file's footer tells before it takes its name.

    Raises:
        ConfigError: As `check_output`.
        DataError: As `check_output`; if the disk is full, or a column has no form in CSV.
    """
    if str(output) == "-":
        if sys.stdout is None:
            raise DataError("It is closed.", source="standard output")
        sys.stdout.flush()  # polars writes past the buffer
        num_rows = _encode_beside(frames, _encode_csv(","), sys.stdout.buffer, "standard output")
        sys.stdout.buffer.flush()
        return num_rows
    path, encode, source = _destination(output), _encoder(output), str(output)
    num_rows = 0

    def write(stream: BinaryIO) -> None:
        nonlocal num_rows
        num_rows = _encode_beside(frames, encode, stream, source)

    def check(aside: Path) -> None:
        if encode is _encode_parquet and sum(row_group_rows(aside, source)) != num_rows:
            raise DataError(f"It does not hold the {num_rows} rows written.", source=source)

    replace(path, source, write, check)
    return num_rows


def _encode_beside(
    frames: Iterable[pl.DataFrame], encode: _Encoder, stream: BinaryIO, source: str
) -> int:
    """Encode in another thread what this one makes, and return the number of rows.

    Interrupts reach this thread alone, so none is lost in the encoder.
    """
    waiting: queue.Queue[pl.DataFrame | None] = queue.Queue(_FRAMES_IN_FLIGHT)
    failures: list[BaseException] = []
    num_rows = num_encoded = 0

    def arriving() -> Iterator[pl.DataFrame]:
        nonlocal num_encoded
        while (frame := waiting.get()) is not None:
            yield frame
            num_encoded += frame.height

    def work() -> None:
        try:
            encode(arriving(), stream)
        except BaseException as error:  # raised again in the thread that waits
            failures.append(error)

    def put(frame: pl.DataFrame | None) -> None:
        while encoder.is_alive():
            with suppress(queue.Full):
                waiting.put(frame, timeout=_SECONDS_BETWEEN_LOOKS)
                return

    encoder = threading.Thread(target=work, name="linexport-encoder", daemon=True)
    encoder.start()
    try:
        for frame in frames:
            put(frame)
            num_rows += frame.height
            if failures:
                break
    finally:
        put(None)
        encoder.join()
    if failures:
        raise _unwritable(failures[0], source) from failures[0]
    if num_encoded != num_rows:
        raise DataError(f"Of {num_rows} rows, {num_encoded} were written.", source=source)
    return num_rows


def _encode_csv(separator: str) -> _Encoder:
    def encode(frames: Iterator[pl.DataFrame], stream: BinaryIO) -> None:
        for number, frame in enumerate(frames):
            frame.write_csv(stream, include_header=number == 0, separator=separator)

    return encode


def _encode_parquet(frames: Iterator[pl.DataFrame], stream: BinaryIO) -> None:
    first = next(frames)
    register_io_source(
        lambda *_: itertools.chain([first], frames), schema=first.schema
    ).sink_parquet(stream)


def _encoder(output: str | Path) -> _Encoder:
    suffix = Path(output).suffix.lower()
    if suffix == ".parquet":
        return _encode_parquet
    if suffix in SEPARATORS:
        return _encode_csv(SEPARATORS[suffix])
    raise ConfigError(f"Name the output .csv, .tsv or .parquet, or - for CSV, not '{output}'.")


def _destination(output: str | Path) -> Path:
    _encoder(output)
    return destination(output)


def _unwritable(error: BaseException, source: str) -> BaseException:
    """Return what to raise for an error met while writing."""
    if isinstance(error, OSError | pl.exceptions.PolarsError):
        return unwritable(error, source)
    return error
