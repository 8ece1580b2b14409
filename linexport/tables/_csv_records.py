"""CSV bytes, cut into blocks of whole records.

A record ends at a newline with an even number of quotes before it (RFC 4180), so a file of any
length is read a block at a time and every row keeps its number.
"""

import csv
import io
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

from linexport.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CSV_DELIMITERS = ",;\t|"
"""That are found in a header without being named."""
_BLOCK_BYTES = 8 << 20  # polars parses 16 MiB a tenth faster, 4 a third slower (two cores)
_LARGEST_RECORD = 16 << 20  # a longer one has a quote that is never closed, and would fill memory
_UTF8_BOM = b"\xef\xbb\xbf"
_FOREIGN_FILES = {
    b"PAR1": "a Parquet file; save it under a name that ends in .parquet",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"\x1f\x8b": "compressed with gzip; decompress it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; decompress it first",
    b"PK\x03\x04": "a zip archive or a spreadsheet; save it as CSV",
    b"ARROW1": "an Arrow IPC file; save it as Parquet",
}


def records(stream: BinaryIO, source: str) -> tuple[bytes, Iterator[bytes]]:
    """Read the header, without a byte order mark, and return it with the blocks that follow.

    Blank lines at the end of the file are no records. A quote that is never closed makes the last
    block end within a record.

    Raises:
        DataError: If the file is empty or is not CSV.
    """
    blocks = _blocks(stream)
    first = next(blocks, b"")
    if not first:
        raise DataError("The file is empty.", source=source)
    for signature, description in _FOREIGN_FILES.items():
        if first.startswith(signature):
            raise DataError(f"This is {description}.", source=source)
    first = first.removeprefix(_UTF8_BOM)
    end = _end_of_first_record(first)
    return first[:end], chain([first[end:]] if first[end:] else [], blocks)


def parse_header(header: bytes, source: str, delimiter: str | None) -> tuple[list[str], str]:
    """Return the column names, and the delimiter, found if not given.

    Raises:
        DataError: If the header is not text in UTF-8 or its delimiter is not plain.
    """
    try:
        text = header.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(header[error.start]), source=source) from error
    if "\0" in text:
        raise DataError("This is not a text file.", source=source)
    if not text:
        raise DataError("The first line is empty; it must name the columns.", source=source)
    if "\r" in text and "\n" not in text:
        raise DataError("Lines end in CR alone; save the file with LF or CRLF.", source=source)
    delimiter = delimiter or _find_delimiter(text, source)
    try:
        (names,) = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except (csv.Error, ValueError) as error:
        raise DataError(f"The header is malformed: {error}.", source=source) from error
    return names, delimiter


def check_encoding(block: bytes, source: str, first_row: int) -> None:
    """Raise DataError at the first byte that is not UTF-8."""
    if block.isascii():
        return
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        row = first_row + int(record_ends(block).searchsorted(error.start))
        raise DataError(_not_utf8(block[error.start]), source=source, row=row) from error


def check_quotes(block: bytes, source: str, first_row: int) -> None:
    """Raise DataError if a quote is never closed."""
    if block.count(b'"') % 2:
        raise DataError(
            "A quote is never closed; close it, or double it inside a quoted field.",
            source=source,
            row=first_row + len(record_ends(block)),
        )


def check_field_counts(
    block: bytes, source: str, first_row: int, *, delimiter: str, num_columns: int
) -> None:
    """Raise DataError at the first record that has not one field for each column."""
    import numpy as np  # see linexport.tables

    (separators,) = _outside_quotes(block, delimiter).nonzero()
    ends = record_ends(block)
    num_fields = np.diff(separators.searchsorted(ends), prepend=0) + 1
    wrong = np.flatnonzero(num_fields != num_columns)
    if not len(wrong):
        return
    row = int(wrong[0])
    record = block[int(ends[row - 1]) + 1 if row else 0 : int(ends[row])]
    if not record.strip():
        message = "The line is empty; delete it."
    else:
        if b'"' in record:
            remedy = "check its quotes"
        elif num_fields[row] < num_columns:
            remedy = "complete it"
        else:
            remedy = f"quote fields that contain {delimiter!r}"
        message = (
            f"The header names {num_columns} columns, but this row has {num_fields[row]}; {remedy}."
        )
    raise DataError(message, source=source, row=first_row + row)


def count_records(block: bytes) -> int:
    """Return how many records a block of whole ones holds."""
    return b"".join(block.split(b'"')[::2]).count(b"\n")  # every other part is within quotes


def record_ends(block: bytes) -> "NDArray[np.intp]":
    """Return where the newlines are that end a record."""
    (ends,) = _outside_quotes(block, "\n").nonzero()
    return ends


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_BLOCK_BYTES):
        data = rest + chunk + stream.readline(_LARGEST_RECORD)  # mostly, then, nothing is left
        end = _end_of_records(data)
        if end:
            yield data[:end]
        rest = data[end:]
        if len(rest) > _LARGEST_RECORD:
            break  # check_quotes refuses it
    if last := rest.rstrip(b"\r\n"):
        yield last + b"\n"


def _end_of_records(data: bytes) -> int:
    """Return where the last whole record ends; blank lines after it are left for later."""
    newline = data.rfind(b"\n")
    if b'"' in data:
        num_quotes = data.count(b'"', 0, max(newline, 0))
        while newline >= 0 and num_quotes % 2:
            earlier = data.rfind(b"\n", 0, newline)
            num_quotes -= data.count(b'"', max(earlier, 0), newline)
            newline = earlier
    while newline > 0 and data[newline - 1] in b"\r\n":
        newline -= 1
    return data.index(b"\n", newline) + 1 if newline > 0 else 0


def _end_of_first_record(data: bytes) -> int:
    end = data.find(b"\n") + 1
    while end and data.count(b'"', 0, end) % 2:
        end = data.find(b"\n", end) + 1
    return end or len(data)


def _outside_quotes(block: bytes, character: str) -> "NDArray[np.bool_]":
    import numpy as np  # see linexport.tables

    characters = np.frombuffer(block, dtype=np.uint8)
    found: NDArray[np.bool_] = characters == ord(character)
    if b'"' in block:
        found &= ~np.logical_xor.accumulate(characters == ord('"'))
    return found


def _find_delimiter(header: str, source: str) -> str:
    outside = "".join(header.split('"')[::2])
    found = [delimiter for delimiter in CSV_DELIMITERS if delimiter in outside]
    if len(found) == 1:
        return found[0]
    if not found and not any(character.isspace() for character in header):
        return ","  # one column
    seen = f"has each of {', '.join(map(repr, found))}" if found else "has no , ; | or tab"
    raise DataError(
        f"The header {seen}; say what separates the columns with --delimiter.", source=source
    )


def _not_utf8(byte: int) -> str:
    return f"Byte 0x{byte:02X} is not UTF-8; save the file as UTF-8."
