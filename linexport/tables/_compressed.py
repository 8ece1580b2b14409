"""Compressed files, read as streams: memory does not grow with what they hold."""

import io
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from linexport.errors import DataError

_SIGNATURES = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz"}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # after BZh and a digit, which text may begin with
SIGNATURE_BYTES = 10
"""As many of a file's first bytes tell what compressed it."""
SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
_READ = 1 << 16
_CHUNK = 1 << 20  # a bomb makes no more of one read
_MOST_MEMORY = 1 << 27  # that a file may have its decompressor take: xz -9 and zstd -19 need 64 MiB


class Chunks(io.RawIOBase):
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


def streamed(chunks: Iterator[bytes]) -> io.BufferedReader:
    """Return what reads these bytes."""
    return io.BufferedReader(Chunks(chunks), _CHUNK)


def compression(head: bytes) -> str | None:
    """Tell by the first bytes what compressed a file, if anything did."""
    if head.startswith(b"BZh") and head[4:SIGNATURE_BYTES] in _BZIP2_BLOCKS:
        return "bzip2"
    return next((name for begin, name in _SIGNATURES.items() if head.startswith(begin)), None)


def decompressed(stream: BinaryIO, kind: str, source: str) -> Iterator[bytes]:
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
