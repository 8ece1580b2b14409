"""Tables out: CSV or Parquet, a batch at a time, all or nothing; and other files likewise."""

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from linexport.columns import listed
from linexport.errors import ConfigError, DataError
from linexport.tables._aside import aside_of
from linexport.tables._beside import Encode, Encoder

if TYPE_CHECKING:
    from linexport.tables._part import WrittenRows


_SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""Between the fields of CSV, by the output's suffix."""
_KIND_BYTES = 15
"""By which a state and a page are known."""
_SECONDS_BETWEEN_SYNCS = 0.05  # in which a disk takes some megabytes


def check_output(output: str | Path) -> None:
    """Refuse an output that could not be written, before anything costly is done.

    Raises:
        ConfigError: If its name is neither `-` nor ends in .csv, .tsv or .parquet.
        DataError: If its directory does not exist, or something that is no file is in its place.
    """
    if str(output) != "-":
        _destination(output)


def write_table(frames: Iterable["WrittenRows"], output: str | Path) -> int:
    """Write rows of the same columns below one another, in constant memory.

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
        num_rows = _encode_beside(
            frames, _encode_csv(",", "standard output"), sys.stdout.buffer, "standard output"
        )
        sys.stdout.buffer.flush()
        return num_rows
    path, encode, source = _destination(output), _encoder(output), str(output)
    num_rows = 0

    def write(stream: BinaryIO) -> None:
        nonlocal num_rows
        num_rows = _encode_beside(frames, encode, stream, source)

    def check(aside: Path) -> None:
        if encode is not _encode_parquet:
            return
        from linexport.tables._parquet_footer import read_footer

        if sum(group.num_rows for group in read_footer(aside, source)) != num_rows:
            raise DataError(f"It does not hold the {num_rows} rows written.", source=source)

    _replace(path, source, write, check)
    return num_rows


def write_file(content: bytes, output: str | Path, *, replace_any: bool = False) -> None:
    """Write a file all or nothing, in the place of none, or of one that begins likewise, or of any.

    Raises:
        DataError: As `check_output`; if it cannot be written, or another kind of file is there.
    """
    path = _file_at(output)
    if not (replace_any or content.startswith(_beginning(path, str(output)))):
        raise DataError(
            "There is another kind of file, which is not replaced; name another output.",
            source=str(output),
        )
    _replace(path, str(output), lambda stream: stream.write(content))


def _beginning(path: Path, source: str) -> bytes:
    """Return the first bytes of a file; none where there is none."""
    try:
        with path.open("rb") as stream:
            return stream.read(_KIND_BYTES)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _unwritable(error, source) from error


def _encode_beside(
    frames: Iterable["WrittenRows"], encode: Encode, stream: BinaryIO, source: str
) -> int:
    """Encode in another thread what this one makes, and return the number of rows."""
    num_rows = 0
    encoder = Encoder(encode, stream)
    try:
        with encoder:
            for frame in frames:
                encoder.put(frame)
                num_rows += frame.height
                if encoder.failure:
                    break
    finally:
        encoder.give_up()  # an interrupt during a call of polars may be raised twice; see aside_of
    if encoder.failure:
        raise _unwritable(encoder.failure, source) from encoder.failure
    if encoder.num_rows != num_rows:
        raise DataError(f"Of {num_rows} rows, {encoder.num_rows} were written.", source=source)
    return num_rows


def _encode_csv(separator: str, source: str) -> Encode:
    def encode(frames: Iterator["WrittenRows"], stream: BinaryIO) -> None:
        for number, frame in enumerate(frames):
            _require_cells(frame, source)
            frame.write_csv(stream, include_header=number == 0, separator=separator)

    return encode


def _require_cells(frame: "WrittenRows", source: str) -> None:
    """Raise DataError if a column holds what is no cell of CSV."""
    schema = getattr(frame, "schema", {})  # plain rows hold text
    nested = [name for name, dtype in schema.items() if dtype.is_nested()]
    if nested:
        raise DataError(
            f"CSV has no cells for the lists or objects of {listed(nested)}: write Parquet, or do "
            "not keep them.",
            source=source,
        )


def _encode_parquet(frames: Iterator["WrittenRows"], stream: BinaryIO) -> None:
    from polars.io.plugins import register_io_source

    from linexport._polars import pl

    in_polars = map(pl.DataFrame, frames)
    first = next(in_polars)
    register_io_source(
        lambda *_: itertools.chain([first], in_polars), schema=first.schema
    ).sink_parquet(stream)


def _encoder(output: str | Path) -> Encode:
    suffix = Path(output).suffix.lower()
    if suffix == ".parquet":
        return _encode_parquet
    if suffix in _SEPARATORS:
        return _encode_csv(_SEPARATORS[suffix], str(output))
    raise ConfigError(f"Name the output .csv, .tsv or .parquet, or - for CSV, not '{output}'.")


def _destination(output: str | Path) -> Path:
    _encoder(output)
    return _file_at(output)


def _file_at(output: str | Path) -> Path:
    """Return the file to replace; a link stays, and what it points to is replaced.

    Raises:
        DataError: If its directory does not exist, or something that is no file is in its place.
    """
    try:
        path = Path(output).resolve()
        if not path.parent.is_dir():
            raise DataError(f"There is no directory {Path(output).parent}.", source=str(output))
        if path.exists() and not path.is_file():
            raise DataError("It is not a file, and is not replaced.", source=str(output))
    except (OSError, RuntimeError) as error:  # RuntimeError: links that point at each other
        raise DataError(f"It cannot be written: {error}.", source=str(output)) from error
    return path


def _replace(
    path: Path,
    source: str,
    write: Callable[[BinaryIO], object],
    check: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write aside, look at what lies on the disk, then rename.

    Raises:
        DataError: If it cannot be written.
    """
    try:
        with aside_of(path) as (aside, stream):
            with _reaching_the_disk(stream):
                write(stream)
            stream.flush()
            os.fsync(stream.fileno())
            check(aside)
            aside.replace(path)
    except OSError as error:
        raise _unwritable(error, source) from error


@contextmanager
def _reaching_the_disk(stream: BinaryIO) -> Iterator[None]:
    """Have the system write what it is given while more is made, not all of it at the end."""
    done = threading.Event()
    failures: list[OSError] = []

    def sync() -> None:
        try:
            while not done.wait(_SECONDS_BETWEEN_SYNCS):
                os.fsync(stream.fileno())
        except OSError as error:  # the system tells it once
            failures.append(error)

    syncing = threading.Thread(target=sync, name="linexport-sync", daemon=True)
    syncing.start()
    try:
        yield
    finally:
        done.set()
        syncing.join()
    if failures:
        raise failures[0]


def _unwritable(error: BaseException, source: str) -> BaseException:
    """Return what to raise for an error met while writing."""
    is_polars = type(error).__module__.partition(".")[0] in ("polars", "pyo3_runtime")  # or a panic
    if not (is_polars or isinstance(error, OSError)):
        return error
    # polars raises an OSError that tells its number in the message alone.
    if isinstance(error, BrokenPipeError) or "os error 32" in str(error):
        return BrokenPipeError()  # the reader of our output has seen enough: nobody's mistake
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return DataError(f"It cannot be written: {reason}.", source=source)
