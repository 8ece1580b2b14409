"""Small, plain CSV, read and written without polars, byte for byte as it is with polars.

To load polars takes as long as all else that predicting a few rows takes. So a file that is small
and holds nothing but plain decimal numbers below its header is dealt with here. What is not so,
or is at fault, is left to `open_table`, which alone says what is wrong with a table.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from linexport.errors import DataError
from linexport.tables import _csv_records
from linexport.tables._formats import CSV_DELIMITERS, CSV_SUFFIXES
from linexport.tables._names import require_unique

if TYPE_CHECKING:
    import numpy as np

    from linexport._arrays import Float64Array, FloatArray

__all__ = ["LARGEST", "PlainTable", "is_plain_name", "read_plain", "write_plain"]

LARGEST = 1 << 16
"""Bytes of a file. So many take 30 ms to read and write here, 100 ms if each number has one digit;
to load polars takes 170."""

_NAME = re.compile(r"[\w.-]+( [\w.-]+)*")
_NUMBER = r"-?[0-9]++(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+"
_POSITIONAL = {4: (1e-6, 1e13), 8: (1e-5, 1e16)}
"""From where and below where polars writes a number without an exponent, by the bytes of one."""


class PlainTable(NamedTuple):
    """A file that is plain."""

    path: Path
    names: tuple[str, ...]
    """The columns, each named once."""
    num_bytes: int
    """Of the file."""
    blocks: tuple["PlainBlock", ...]
    """Of the rows that polars would be given at once, at least one."""


class PlainBlock(NamedTuple):
    """Rows that follow one another."""

    fields: list[list[str]]
    """Numbers as they stand in the file, a list for each row."""
    num_bytes: int

    def numbers(self, places: Sequence[int]) -> "Float64Array":
        """Return (N, C) numbers of the columns at some places; one column lies after the other."""
        import numpy as np  # see linexport.tables

        columns = [[float(row[place]) for row in self.fields] for place in places]
        return np.array(columns, np.float64).reshape(len(places), -1).T


def read_plain(source: Any, delimiter: str | None = None) -> PlainTable | None:
    """Read a table if it is one file that is plain; the arguments are those of `open_table`.

    It is plain if it has at most LARGEST bytes, and as many numbers in each line as the header has
    names: digits, with a minus, a fraction or an exponent or without, and no spaces or quotes.
    """
    sources = source if isinstance(source, list | tuple) else [source]
    if len(sources) != 1 or not isinstance(sources[0], str | Path):
        return None
    delimiter = "\t" if delimiter == "\\t" else delimiter
    try:
        return _read(Path(sources[0]), delimiter)
    except (DataError, OSError, ValueError):  # for `open_table` to tell
        return None


def is_plain_name(name: str) -> bool:
    """Tell whether a column's name is written as it is, in any dialect of CSV."""
    return _NAME.fullmatch(name) is not None


def write_plain(
    names: Sequence[str],
    blocks: "Sequence[tuple[Sequence[Sequence[str]], FloatArray]]",
    delimiter: str,
) -> bytes:
    """Return CSV.

    Args:
        names: Of all columns; plain.
        blocks: For n rows each, the fields that are kept, and (n, K) finite numbers after them,
            which get the fewest digits that read back as the same bits.
        delimiter: Between the fields.
    """
    lines = [delimiter.join(names)]
    for kept, values in blocks:
        numbers = zip(*(map(_shortest, column) for column in values.T), strict=True)
        lines += (delimiter.join([*row, *texts]) for row, texts in zip(kept, numbers, strict=True))
    return ("\n".join(lines) + "\n").encode()


def _read(path: Path, delimiter: str | None) -> PlainTable | None:
    if path.suffix.lower() not in CSV_SUFFIXES or not path.is_file():
        return None
    with path.open("rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST or delimiter not in (None, *CSV_DELIMITERS):
        return None
    header, blocks = _csv_records.records(io.BytesIO(data), str(path))
    found, delimiter = _csv_records.parse_header(header, str(path), delimiter)
    names = require_unique(found, str(path))
    row = _NUMBER + f"(?:{re.escape(delimiter)}{_NUMBER}){{{len(names) - 1}}}\n"
    plain = re.compile(f"(?:{row})*+")
    parsed = []
    for block in blocks:
        text = block.decode("ascii").replace("\r\n", "\n")
        if not plain.fullmatch(text):
            return None
        fields = [line.split(delimiter) for line in text.split("\n")[:-1]]
        parsed.append(PlainBlock(fields, len(block)))
    return PlainTable(path, names, len(data), tuple(parsed) or (PlainBlock([], 0),))


def _shortest(value: "np.floating[Any]") -> str:
    """Write a number as polars does."""
    import numpy as np  # see linexport.tables

    smallest, limit = _POSITIONAL[value.itemsize]
    size, as_type = abs(value), value.dtype.type
    if size == 0 or as_type(smallest) <= size < as_type(limit):
        return np.format_float_positional(value, unique=True, trim="0")
    return np.format_float_scientific(value, unique=True, trim="-", exp_digits=1)
