"""Why lines of a file do not fit: the likely cause, with the option to paste."""

import csv
import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from linexport._asked import asked
from linexport.columns import is_number
from linexport.errors import DataError
from linexport.tables._records import SIGNATURE_BYTES, UTF16_BOMS, compression

_MOST_LINES = 64
_FEWEST_LINES = 2  # that are alike, below those that do not fit
_COMMENTS = ("#", "%", "//", "--", "!", "*")
_DELIMITERS = (",", ";", "\t", "|")
_LONGEST_COUNT = 16
"""Digits; no table has so many rows."""
_WITH_COMMA = re.compile(rb"(?:(?<=,)|^)[-+]?\d+,\d+(?=,|\s*$)")
"""Two fields that may be one number; a quoted one is well as it is."""


def likely_cause(top: bytes, num_columns: int = 1, delimiter: str = ",") -> str:
    """Say why the first line of a file does not name the columns, if the lines below tell.

    Args:
        top: The first bytes of the file, from its first line.
        num_columns: That the first line seems to name.
        delimiter: By which it does.

    Returns:
        What to do, with the option to paste; nothing where they tell of none.
    """
    lines = _lines(top)
    for prefix in _COMMENTS:
        if lines[0].startswith(prefix) and not all(line.startswith(prefix) for line in lines):
            said = f"lines that begin with {prefix!r} may be comments"
            return f"{said}: leave them out with {asked(comment=prefix)}"
    if _has_row_names(lines, num_columns, delimiter) or _has_ends(lines, num_columns, delimiter):
        return ""
    above = [_above_the_rest(lines, other) for other in _DELIMITERS]
    spaces: dict[str, str] = {}
    skipped = min((most for most in above if most is not None), default=None)  # 1,5 has a comma too
    if skipped is None and len(lines[0].split()) > 1:  # else a column of words would do
        skipped, spaces = _above_the_rest(lines, None), {"delimiter": "whitespace"}
        if skipped and _has_row_names(lines, len(_fields(lines[0], None)), None):
            skipped = 0
    if skipped:
        what = f"the first {_counted(skipped)} not fit the rest"
        return f"{what}: read it with {asked(skip_rows=skipped, **spaces)}"
    if spaces and skipped is not None:
        return f"spaces separate the columns: read it with {asked(**spaces)}"
    return ""


def lines_above(top: bytes, delimiter: str) -> int:
    """Return how many lines stand above the first one with several fields, if these are texts."""
    for place, line in enumerate(_lines(top)):
        named = [field for field in _fields(line, delimiter) if field.strip()]
        if len(named) > 1:
            return 0 if any(map(is_number, named)) else place
    return 0


def titled(what: str, above: int, source: str) -> DataError:
    """Say that the first line, or row, is a title, and how many stand above the header."""
    return DataError(
        f"The first {what} names no columns, as a title does not: read it with "
        f"{asked(skip_rows=above)}.",
        source=source,
    )


def _lines(top: bytes) -> list[str]:
    """Return the first lines, without the one that is cut off."""
    whole = top if top.endswith(b"\n") else top[: top.rfind(b"\n") + 1]
    text = whole.decode("utf-8", "replace").replace("\r\n", "\n")
    return text.split("\n")[:-1][:_MOST_LINES] or [""]


def _counted(lines: int) -> str:
    return "line does" if lines == 1 else f"{lines} lines do"


def _above_the_rest(lines: Sequence[str], delimiter: str | None) -> int | None:
    """Return how many lines stand above those that have one number of fields, of two at least.

    None where there are none such, or they begin with numbers and so with no header.
    """
    fields = [_fields(line, delimiter) for line in lines]
    widths = [len(parts) for parts in fields]
    above = len(widths)
    while above and widths[above - 1] == widths[-1]:
        above -= 1
    is_title = not above or widths[0] != widths[-1]
    if widths[-1] < 2 or len(lines) - above < _FEWEST_LINES or not is_title:
        return None
    return None if all(map(is_number, fields[above])) else above


def _fields(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return re.findall(r'"[^"]*"|\S+', line)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]


def wrong_width(
    record: bytes, width: int, num_columns: int, delimiter: str, top: bytes, source: str
) -> str:
    """Say why a row has not one field for each column, and what to do."""
    if not record.strip():
        return "The line is empty; delete it."
    message = f"The header names {num_columns} columns, but this row has {width}; "
    if width == num_columns + 1 and record.rstrip().endswith(delimiter.encode()):
        return (
            f"{message}the line ends in {delimiter!r}; take that off, as with "
            f"{_sed(f's/{delimiter}$//', source)}."
        )
    if _has_row_names(_lines(top), num_columns, delimiter):
        mark = "\\t" if delimiter == "\t" else delimiter
        quoted = record.startswith(b'"')  # else it may be no name
        return (
            f"{message}each row begins with its name, as R writes them; name that in the header, "
            f"as with {_sed(f'1s/^/rownames{mark}/', source)}"
            f"{'' if quoted else _if_decimal(record, delimiter)}."
        )
    if cause := likely_cause(top, num_columns, delimiter):
        return f"{message}{cause}."
    if not _is_quoted_well(record, delimiter.encode()):
        return f"{message}check its quotes."
    if width < num_columns:
        return f"{message}complete or delete it."
    return f"{message}quote fields that contain {delimiter!r}{_if_decimal(record, delimiter)}."


def _sed(edit: str, source: str) -> str:
    """Return what edits a table: of a file of plain text with its name, else to be put before."""
    command, path = f"sed {shlex.quote(edit)}", Path(source)
    if not path.is_file():  # but a pipe
        return f"{command} before it is read"
    with path.open("rb") as file:
        head = file.read(SIGNATURE_BYTES)
    if compression(head) or head.startswith(UTF16_BOMS):
        return f"{command} before it is read"
    return f"{command} {shlex.quote(source)}"


def _if_decimal(record: bytes, delimiter: str) -> str:
    """Say what to do if a comma in a number was taken for the end of a field."""
    number = _WITH_COMMA.search(record) if delimiter == "," else None
    if number is None:
        return ""
    return (
        f"; if {number[0].decode()} is a number with a decimal comma, quote such numbers, or "
        f"separate fields with ';', and read it with {asked(decimal=',')}"
    )


def _is_quoted_well(record: bytes, delimiter: bytes) -> bool:
    """Tell whether quotes stand around whole fields, and open none that begins with a delimiter."""
    mark = re.escape(delimiter)
    field = rb'(?:"(?!%b)[^"]*(?:""[^"]*)*"|[^"%b\r\n]*)' % (mark, mark)
    return re.fullmatch(rb"%b(?:%b%b)*" % (field, mark, field), record.rstrip()) is not None


def _has_row_names(lines: Sequence[str], num_columns: int, delimiter: str | None) -> bool:
    """Tell whether all rows have one field more than the header, the first of them a name.

    A name is quoted or no number, or counts the rows: 1,5 with a decimal comma is two fields too.
    """
    rows = [_fields(line, delimiter) for line in lines[1:]]
    if {len(row) for row in rows} != {num_columns + 1} or not any(map(is_number, rows[0][1:])):
        return False
    if all(line.startswith('"') for line in lines[1:]):
        return True
    first = [row[0] for row in rows]
    return not any(map(is_number, first)) or _count(first)


def _count(texts: Sequence[str]) -> bool:
    """Tell whether numbers go up by one, from each to the next; a single one does not tell."""
    if len(texts) < _FEWEST_LINES or not all(
        text.isdecimal() and len(text) < _LONGEST_COUNT for text in texts
    ):
        return False
    return all(int(new) - int(old) == 1 for old, new in pairwise(texts))


def _has_ends(lines: Sequence[str], num_columns: int, delimiter: str) -> bool:
    """Tell whether the first row ends in a delimiter that the header has not."""
    row = _fields(lines[1], delimiter) if len(lines) > 1 else []
    return len(row) == num_columns + 1 and not row[-1].strip()


def units_remedy(name: str) -> str:
    """Say what to do about text in the first row, above numbers."""
    return (
        "below it are numbers: if the first row says units, leave it out with "
        f"{asked(skip_rows_after_header=1)}, or a column of text with {asked(exclude=[name])}"
    )
