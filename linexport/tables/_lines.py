"""Text that does not lie there as UTF-8 with nothing around the table: made so as it is read.

Each step reads whole lines and yields whole lines. What is compressed is read as a stream, too:
memory does not grow with what it holds.
"""

import codecs
import io
import re
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from linexport._asked import asked
from linexport.errors import DataError
from linexport.tables._dialect import WHITESPACE, Dialect
from linexport.tables._records import (
    LARGEST_RECORD,
    SIGNATURE_BYTES,
    UTF8_BOM,
    UTF16_BOMS,
    compression,
)

_READ = 1 << 16
_CHUNK = 1 << 20  # a bomb makes no more of one read
_MOST_MEMORY = 1 << 27  # that a file may have its decompressor take: xz -9 and zstd -19 need 64 MiB


class _Chunks(io.RawIOBase):
    """A stream of bytes that are made as they are read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        num_bytes = min(len(buffer), len(self._rest))
        buffer[:num_bytes] = self._rest[:num_bytes]
        self._rest = self._rest[num_bytes:]
        return num_bytes


def plain_lines(reader: io.BufferedReader, dialect: Dialect, source: str) -> io.BufferedReader:
    """Return a stream of the lines that hold a table, in UTF-8; see `lines`."""
    if kind := compression(reader.peek(SIGNATURE_BYTES)):
        reader = _streamed(_decompressed(cast("BinaryIO", reader), kind, source))
    is_utf16 = dialect.is_utf8 and reader.peek(SIGNATURE_BYTES).startswith(UTF16_BOMS)
    if is_utf16 or not dialect.is_utf8:
        encoding = "utf-16" if is_utf16 else dialect.encoding
        reader = _streamed(_recoded(cast("BinaryIO", reader), encoding, source))
    for _ in range(dialect.skip_rows):
        reader.readline(LARGEST_RECORD)
    if dialect.comment is not None:
        reader = _streamed(_without_comments(reader, dialect.comment.encode()))
    if dialect.delimiter == WHITESPACE:
        reader = _streamed(map(_tabbed, _whole_lines(reader)))
    return reader


def _streamed(chunks: Iterator[bytes]) -> io.BufferedReader:
    """Return what reads these bytes."""
    return io.BufferedReader(_Chunks(chunks), _CHUNK)


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
            f"{asked(encoding=...)}.",
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


def _decompressed(stream: BinaryIO, kind: str, source: str) -> Iterator[bytes]:
    """Yield what a compressed stream holds; members that follow one another, too.

    Raises:
        DataError: If it is damaged, ends too early, or wants too much memory.
    """
    try:
        yield from _gzip(stream) if kind == "gzip" else _members(stream, kind)
    except DataError:
        raise
    except Exception as error:  # OSError, EOFError, zlib.error, LZMAError, ZstdError
        reason = str(error).rstrip(".") or "it ends too early"
        raise DataError(
            f"What {kind} compressed cannot be read to its end: {reason}.", source=source
        ) from error


def _gzip(stream: BinaryIO) -> Iterator[bytes]:
    import gzip

    with gzip.GzipFile(fileobj=stream) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _members(stream: BinaryIO, kind: str) -> Iterator[bytes]:
    data = stream.read(_READ)
    while data:
        decompressor = _decompressor(kind)
        while not decompressor.eof:
            if decompressor.needs_input and not data:
                data = stream.read(_READ)
                if not data:
                    raise EOFError
            yield decompressor.decompress(data, _CHUNK)
            data = b""
        data = (decompressor.unused_data or stream.read(_READ)).lstrip(b"\0")  # xz may pad


def _decompressor(kind: str) -> Any:
    if kind == "xz":
        import lzma  # what is not compressed does without

        return lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_MEMORY)
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    zstd = _zstd()
    most = {zstd.DecompressionParameter.window_log_max: _MOST_MEMORY.bit_length() - 1}
    return zstd.ZstdDecompressor(options=most)


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
