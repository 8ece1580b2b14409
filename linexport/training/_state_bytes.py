r"""A state as bytes; docs/states.md is this page in words.

    16 bytes    b"linexport state\n"
     8 bytes    the length of the header, little-endian
    header      JSON: `_Header`
    ranges      of each part that has rows, in the order of their names: 3 (D + K) float64
    sums        log_weights and the lower triangle of the products, whole numbers of `width` bytes
    32 bytes    SHA-256 of all before

Equal states are equal bytes: units are the largest, parts and levels in order.
"""

import hashlib

import msgspec
import numpy as np

from linexport._arrays import Float64Array
from linexport._files import parsing
from linexport.errors import ArtifactError
from linexport.least_squares import ExactSums, are_possible
from linexport.training._state_names import Names
from linexport.training._summary import Counted, Part, Summary

_MAGIC = b"linexport state\n"
_VERSION = 1
_DIGEST_BYTES = 32
_MOST_WIDTH = 1024
"""Bytes of a number: products of what sums take have a quarter of it."""
_MOST_EXPONENT = 2**12


class _Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to read the numbers."""

    names: Names
    counts: tuple[int, ...]
    exponent: int
    width: int
    rows: int


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    parts: dict[str, Part]
    sums: _Sums | None
    """None of a state without rows."""


def encode(summary: Summary) -> bytes:
    """Return the bytes of a state; the same for the same rows in whatever order."""
    content = _content(summary)
    return content + hashlib.sha256(content).digest()


def digest(data: bytes) -> str:
    """Return what identifies the content of a state's bytes."""
    return data[-_DIGEST_BYTES:].hex()


def decode(data: bytes) -> Summary:
    """Read the bytes of a state; nothing in them is run.

    Raises:
        ArtifactError: If they are none, damaged, or from a newer linexport.
    """
    if not data.startswith(_MAGIC):
        raise ArtifactError("this is no state, as `linexport state` writes them.")
    content, found = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != found:
        raise ArtifactError("it is damaged, or was not written to its end: make it again.")
    with parsing():
        return _summary(content)


def _content(summary: Summary) -> bytes:
    counted, body, sums = summary.counted, b"", None
    if counted is not None:
        exact = counted.sums.reduced()
        sums = _Sums(
            names=counted.names,
            counts=tuple(counted.counts.tolist()),
            exponent=exact.exponent,
            width=exact.width,
            rows=exact.num_rows,
        )
        ranges = [counted.ranges[name].tobytes() for name in sorted(counted.ranges)]
        body = b"".join([*ranges, exact.packed(exact.width)])
    parts = {name: summary.parts[name] for name in sorted(summary.parts)}
    header = msgspec.json.encode(_Header(version=_VERSION, parts=parts, sums=sums))
    return _MAGIC + len(header).to_bytes(8, "little") + header + body


def _summary(content: bytes) -> Summary:
    start = len(_MAGIC) + 8
    stop = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    version = msgspec.json.decode(content[start:stop], type=_Version).version
    if version > _VERSION:
        raise ArtifactError(f"it is of version {version}, from a newer linexport: update this one.")
    header = msgspec.json.decode(content[start:stop], type=_Header)
    if header.sums is None:
        _require(not content[stop:] and not any(p.rows for p in header.parts.values()), "sums")
        return Summary(parts=header.parts)
    return Summary(parts=header.parts, counted=_counted(header.parts, header.sums, content[stop:]))


class _Version(msgspec.Struct):
    version: int


def _counted(parts: dict[str, Part], head: _Sums, body: bytes) -> Counted:
    size = head.names.num_columns
    filled = sorted(name for name, part in parts.items() if part.rows)
    of_ranges, of_sums = _lengths(parts, head)
    _require(0 < head.width <= _MOST_WIDTH and abs(head.exponent) <= _MOST_EXPONENT, "numbers")
    _require(len(body) == of_ranges + of_sums, "length")
    _require(len(head.counts) == size and min(head.counts) >= 0, "counts")
    rows = [part.rows for part in parts.values()]
    _require(head.rows == sum(rows) > 0 <= min(rows), "rows")
    ranges = np.frombuffer(body[:of_ranges], dtype="<f8").reshape(len(filled), 3, size)
    marks = {mark - 1: mark for mark in head.names.marks.values()}
    _require(_are_ranges(ranges, [*marks]), "ranges")
    sums = ExactSums.unpacked(
        body[of_ranges:], order=size + 1, exponent=head.exponent, num_rows=head.rows
    )
    largest = np.where(np.isfinite(ranges[:, :2]), np.abs(ranges[:, :2]), 0.0).max(axis=(0, 1))
    _require(are_possible(sums, largest, marks), "sums")
    return Counted(
        names=head.names,
        sums=sums,
        counts=np.array(head.counts, dtype=np.int64),
        ranges={name: ends.copy() for name, ends in zip(filled, ranges, strict=True)},
    )


def _lengths(parts: dict[str, Part], head: _Sums) -> tuple[int, int]:
    """Return how many bytes the ranges take, and the sums."""
    size, filled = head.names.num_columns, sum(part.rows > 0 for part in parts.values())
    return 24 * size * filled, ((size + 1) * (size + 2) // 2 + 1) * head.width


def _are_ranges(ranges: Float64Array, marked: list[int]) -> bool:
    """Whether these, (parts, 3, D + K), are of numbers; where they may be missing, or of none."""
    usual = np.isfinite(ranges).all(axis=1) & (ranges[:, 0] <= ranges[:, 1])
    of_none = (ranges[:, 0] == np.inf) & (ranges[:, 1] == -np.inf) & np.isfinite(ranges[:, 2])
    usual[:, marked] |= of_none[:, marked]
    return bool(usual.all())


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ArtifactError(f"it is damaged: its {what} cannot be. Make it again.")
