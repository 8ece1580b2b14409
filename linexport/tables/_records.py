"""CSV: UTF-8, quoted as in RFC 4180, with a header; cut into blocks of whole records.

A record ends at a newline with an even number of quotes before it, so a file of any length is read
a block at a time and every row keeps its number.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO, NamedTuple, cast

from linexport._asked import asked
from linexport.columns import require_unique
from linexport.errors import DataError
from linexport.tables._dialect import WHITESPACE, Dialect

UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
SIGNATURE_BYTES = 10
"""As many of a file's first bytes tell what compressed it."""
LARGEST_RECORD = 16 << 20  # a longer one has a quote that is never closed, and would fill memory
CSV_DELIMITERS = ",;\t|"
"""That are found in a header without being named."""
_BLOCK_BYTES = 8 << 20  # polars parses 16 MiB a tenth faster, 4 a third slower (two cores)
_TOP_BYTES = 1 << 16  # from which the likely cause of a fault is told
_SIGNATURES = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz"}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # after BZh and a digit, which text may begin with
_FOREIGN_FILES = {
    b"PAR1": "a Parquet file; save it under a name that ends in .parquet",
    b"PK\x03\x04": "a zip archive or a spreadsheet; save it as CSV, or name a spreadsheet .xlsx",
    b"ARROW1": "an Arrow IPC file; save it under a name that ends in .arrow",
}
_SEPARATOR_LINE = rb'(?i)"?sep=([\x20-\x7e\t])"?\r?\n'
"""By which Excel tells itself what separates the fields."""


class Records(NamedTuple):
    """A CSV file, of which the header was read."""

    names: tuple[str, ...]
    delimiter: str
    blocks: Iterator[bytes]
    """Of whole records."""
    top: bytes
    """The first bytes of its text, with the header."""
    as_it_lies: bool
    """Whether the blocks are bytes of the file itself."""


def records(stream: BinaryIO, source: str, dialect: Dialect) -> Records:
    """Read the header, and return it with the blocks that follow.

    Blank lines at the end of the file are no records. A quote that is never closed makes the last
    block end within a record.

    Raises:
        DataError: If the file is empty or is not CSV, its header is not text, or its delimiter is
            not plain.
    """
    text = lines(stream, dialect, source)
    blocks = record_blocks(text)
    first = next(blocks, b"").removeprefix(UTF8_BOM)
    delimiter = "\t" if dialect.delimiter == WHITESPACE else dialect.delimiter
    if b"sep=" in first[:8].lower() and (separator := re.match(_SEPARATOR_LINE, first)):
        delimiter = delimiter or separator[1].decode()
        first = first[separator.end() :] or next(blocks, b"")
    if not first:
        raise DataError("The file is empty.", source=source)
    for signature, description in _FOREIGN_FILES.items():
        if first.startswith(signature):
            raise DataError(f"This is {description}.", source=source)
    if re.match(rb'\s*(?:\[\s*[\[{]|\{\s*")', first[:64]):
        raise DataError(
            "This is JSON; write an object in each line, and name the file .jsonl.", source=source
        )
    end = _end_of_first_record(first)
    names, delimiter = _parse_header(first, end, source, dialect, delimiter)
    if dialect.header:
        _require_fit(first, end, names, delimiter, source)
        names, rest = require_unique(names, source), first[end:]
    else:
        names, rest = tuple(f"column_{number + 1}" for number in range(len(names))), first
    blocks = chain([rest] if rest else [], blocks)
    if dialect.skip_rows_after_header:
        blocks = _without_first(blocks, dialect.skip_rows_after_header)
    return Records(names, delimiter, blocks, first[:_TOP_BYTES], text is stream)


def compression(head: bytes) -> str | None:
    """Tell by the first bytes what compressed a file, if anything did."""
    if head.startswith(b"BZh") and head[4:SIGNATURE_BYTES] in _BZIP2_BLOCKS:
        return "bzip2"
    return next((name for begin, name in _SIGNATURES.items() if head.startswith(begin)), None)


def is_text(head: bytes, dialect: Dialect) -> bool:
    """Tell by its first bytes whether a file is UTF-8 as it lies there."""
    return not (compression(head) or head.startswith(UTF16_BOMS)) and dialect.is_utf8


def lines(stream: BinaryIO, dialect: Dialect, source: str) -> BinaryIO:
    """Return a stream of the lines that hold a table, in UTF-8: itself where it is that already.

    A byte that is no text in its encoding stays as it is, so that it is met, and told of, in its
    row.

    Raises:
        DataError: While it is read, if it is damaged.
    """
    reader = _peekable(stream)
    if is_text(reader.peek(SIGNATURE_BYTES), dialect) and dialect.has_plain_lines:
        return cast("BinaryIO", reader)
    from linexport.tables._lines import plain_lines  # most files do without

    return cast("BinaryIO", plain_lines(reader, dialect, source))


def _peekable(stream: BinaryIO) -> io.BufferedReader:
    if isinstance(stream, io.BufferedReader):
        return stream
    return io.BufferedReader(cast("io.RawIOBase", stream))


def _parse_header(
    first: bytes, end: int, source: str, dialect: Dialect, delimiter: str | None
) -> tuple[Sequence[str], str]:
    """Return the fields of the first record, and the delimiter, found if not given."""
    header = first[:end]
    try:
        text = header.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(not_text(header[error.start], dialect), source=source) from error
    if "\0" in text:
        raise DataError("This is not a text file.", source=source)
    if not text:
        blank = first[: len(first) - len(first.lstrip(b"\r\n"))].count(b"\n")
        raise DataError(
            "The first line is empty; it must name the columns. Leave out what is above them with "
            f"{asked(skip_rows=blank)}.",
            source=source,
        )
    if "\r" in text and "\n" not in text:
        raise DataError("Lines end in CR alone; save the file with LF or CRLF.", source=source)
    delimiter = delimiter or _find_delimiter(text, source, first)
    try:
        (names,) = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except (csv.Error, ValueError) as error:
        raise DataError(f"The header is malformed: {error}.", source=source) from error
    return names, delimiter


def _require_fit(first: bytes, end: int, names: Sequence[str], delimiter: str, source: str) -> None:
    """Raise DataError if the first line is no header, as the lines below tell."""
    top = first[:_TOP_BYTES]
    if len(names) > 2 and not any(names[1:]):  # as spreadsheets write a title
        from linexport.tables._misfits import lines_above, titled

        if above := lines_above(top, delimiter):
            raise titled("line", above, source)
    below = first[end : _end_of_first_record(first, end)].decode("utf-8", "replace")
    try:
        fields = next(csv.reader(io.StringIO(below, newline=""), delimiter=delimiter), [])
    except csv.Error:  # it will be met where it can be told of
        return
    if not below or len(fields) == len(names):
        return
    from linexport.tables._misfits import likely_cause  # only where there is one

    if cause := likely_cause(top, len(names), delimiter):
        raise DataError(f"{cause[0].upper()}{cause[1:]}.", source=source)


def record_blocks(stream: BinaryIO, *, quoted: bool = True) -> Iterator[bytes]:
    """Cut a stream into blocks of whole records, whose quotes may hold newlines or may not."""
    rest = b""
    while chunk := stream.read(_BLOCK_BYTES):
        data = rest + chunk + stream.readline(LARGEST_RECORD)  # mostly, then, nothing is left
        end = _end_of_records(data, quoted=quoted)
        if end:
            yield data[:end]
        rest = data[end:]
        if len(rest) > LARGEST_RECORD:
            break  # check_quotes refuses it
    if last := rest.rstrip(b"\r\n"):
        yield last + b"\n"


def _end_of_records(data: bytes, *, quoted: bool) -> int:
    """Return where the last whole record ends; blank lines after it are left for later."""
    newline = data.rfind(b"\n")
    if quoted and b'"' in data:
        num_quotes = data.count(b'"', 0, max(newline, 0))
        while newline >= 0 and num_quotes % 2:
            earlier = data.rfind(b"\n", 0, newline)
            num_quotes -= data.count(b'"', max(earlier, 0), newline)
            newline = earlier
    while newline > 0 and data[newline - 1] in b"\r\n":
        newline -= 1
    return data.index(b"\n", newline) + 1 if newline > 0 else 0


def _end_of_first_record(data: bytes, start: int = 0) -> int:
    end = data.find(b"\n", start) + 1
    while end and data.count(b'"', start, end) % 2:
        end = data.find(b"\n", end) + 1
    return end or len(data)


def _without_first(blocks: Iterator[bytes], num_records: int) -> Iterator[bytes]:
    for block in blocks:
        start = 0
        while num_records and start < len(block):
            start = _end_of_first_record(block, start)
            num_records -= 1
        if start < len(block):
            yield block[start:]


def _find_delimiter(header: str, source: str, top: bytes) -> str:
    outside = "".join(header.split('"')[::2])
    found = [delimiter for delimiter in CSV_DELIMITERS if delimiter in outside]
    if len(found) == 1:
        return found[0]
    if not found and not any(character.isspace() for character in header):
        return ","  # one column
    from linexport.tables._misfits import likely_cause  # only where there is one

    seen = f"has each of {', '.join(map(repr, found))}" if found else "has no , ; | or tab"
    what = f"say what separates the columns with {asked(delimiter=...)}"
    cause = likely_cause(top[:_TOP_BYTES]) or what
    raise DataError(f"The header {seen}; {cause}.", source=source)


def not_text(byte: int, dialect: Dialect) -> str:
    """Say that a byte is none of the encoding."""
    remedy = f"save the file as UTF-8, or say what it is, as with {asked(encoding='cp1252')}"
    if not dialect.is_utf8:
        remedy = f"say what it is with {asked(encoding=...)}"
    return f"Byte 0x{byte:02X} is not {dialect.encoding.upper()}; {remedy}."
