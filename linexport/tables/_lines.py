"""Bytes of a file as lines of UTF-8, without what is no part of the table.

Each step reads whole lines and yields whole lines; of a file that needs no step, the stream itself
is handed on.
"""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, cast

from linexport.errors import DataError
from linexport.tables._compressed import SIGNATURE_BYTES, compression, decompressed, streamed
from linexport.tables._dialect import WHITESPACE, Dialect

UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
LARGEST_RECORD = 16 << 20  # a longer one has a quote that is never closed, and would fill memory
_CHUNK = 1 << 20


def is_text(head: bytes, dialect: Dialect) -> bool:
    """Tell by its first bytes whether a file is UTF-8 as it lies there."""
    return not (compression(head) or head.startswith(UTF16_BOMS)) and dialect.is_utf8


def lines(stream: BinaryIO, dialect: Dialect, source: str) -> BinaryIO:
    """Return a stream of the lines that hold a table, in UTF-8.

    A byte that is no text in its encoding stays as it is, so that it is met, and told of, in its
    row.

    Raises:
        DataError: While it is read, if it is damaged.
    """
    reader = _peekable(stream)
    if kind := compression(reader.peek(SIGNATURE_BYTES)):
        reader = streamed(decompressed(cast("BinaryIO", reader), kind, source))
    is_utf16 = dialect.is_utf8 and reader.peek(SIGNATURE_BYTES).startswith(UTF16_BOMS)
    if is_utf16 or not dialect.is_utf8:
        encoding = "utf-16" if is_utf16 else dialect.encoding
        reader = streamed(_recoded(cast("BinaryIO", reader), encoding, source))
    for _ in range(dialect.skip_rows):
        reader.readline(LARGEST_RECORD)
    if dialect.comment is not None:
        reader = streamed(_without_comments(reader, dialect.comment.encode()))
    if dialect.delimiter == WHITESPACE:
        reader = streamed(map(_tabbed, _whole_lines(reader)))
    return cast("BinaryIO", reader)


def _peekable(stream: BinaryIO) -> io.BufferedReader:
    if isinstance(stream, io.BufferedReader):
        return stream
    return io.BufferedReader(cast("io.RawIOBase", stream))


def _whole_lines(stream: io.BufferedReader) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk + stream.readline(LARGEST_RECORD)


def _recoded(stream: BinaryIO, encoding: str, source: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    is_last = False
    try:
        while not is_last:
            chunk = stream.read(_CHUNK)
            is_last = not chunk
            yield decoder.decode(chunk, is_last).encode("utf-8", "surrogateescape")
    except UnicodeError as error:
        raise DataError(
            f"It is not text in {encoding}: {getattr(error, 'reason', error)}; say what it is with "
            "--encoding.",
            source=source,
        ) from error


def _without_comments(stream: io.BufferedReader, prefix: bytes) -> Iterator[bytes]:
    """Leave out comments, and blank lines above the first line that is none."""
    is_quoted, is_top = False, True
    for chunk in _whole_lines(stream):
        if is_top:
            chunk = chunk.removeprefix(UTF8_BOM)
        elif prefix not in chunk:
            is_quoted ^= chunk.count(b'"') % 2 == 1
            yield chunk
            continue
        kept = []
        for line in io.BytesIO(chunk):
            text = line.strip()
            if not is_quoted and (text.startswith(prefix) or (is_top and not text)):
                continue
            is_top = False
            is_quoted ^= line.count(b'"') % 2 == 1
            kept.append(line)
        yield b"".join(kept)


def _tabbed(chunk: bytes) -> bytes:
    """Write one tab for the spaces between two fields, none around them."""
    if b'"' in chunk:
        tabbed = re.sub(rb'("[^"\n]*"?)|[ \t]+', lambda found: found[1] or b"\t", chunk)
    else:
        tabbed = re.sub(rb"[ \t]+", b"\t", chunk)
    return re.sub(rb"(?m)^\t|\t(?=\r?$)", b"", tabbed)
