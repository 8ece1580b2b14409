"""What the columns of a table are: one pass over all of them, in memory that does not grow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec

from linexport._documented import documented
from linexport._polars import pl
from linexport._shown import Shown
from linexport.errors import DataError
from linexport.tables._categories import canonical
from linexport.tables._dates import ORDERS, DateOrders, as_dates
from linexport.tables._dialect import DateOrder, Dialect
from linexport.tables._encoded import kept_frame
from linexport.tables._kinds import WITH_UNIT, Kind, kind_of, kinds_of_text
from linexport.tables._numbers import VALUE_FAULTS, as_numbers, nameless, present, present_numbers
from linexport.tables._part import Batch, unreadable
from linexport.tables._readings import Readings
from linexport.tables._tables import Table

__all__ = ["EXAMPLES", "MOST_LEVELS", "ColumnLook", "Kind", "TableLook", "look"]

MOST_LEVELS = 50
"""Different values that are counted; a column with more is no category."""
EXAMPLES = 3
_WITHOUT_TEXT = (pl.Binary, pl.Duration, pl.Object)


@documented
class ColumnLook(msgspec.Struct, frozen=True, kw_only=True):
    """One column as a pass over the table found it."""

    name: str
    kind: Kind
    """What most of its values are; empty where it has none."""
    rows: int
    missing: int
    """Rows without a value; of numbers, NaN too."""
    minimum: float | None = None
    """Of numbers."""
    maximum: float | None = None
    levels: dict[str, int] | None = None
    """Rows by value, the most frequent first; None where there are more than MOST_LEVELS."""
    others: int = 0
    """Rows with a value that is not of the kind."""
    first: str = ""
    """That of the first row, if it is one of these others: a unit, perhaps."""
    examples: tuple[str, ...] = ()
    """Some of these others if there are, else of the values; fewer than EXAMPLES are all."""
    readings: tuple[str, ...] = ()
    """What makes numbers of all its values but the others, as `--decimal ','`; several where that
    is open."""
    date_orders: tuple[DateOrder, ...] = ()
    """Those that read the most of its dates in another form; several where that is open."""
    first_day: str = ""
    """Of dates, that of the first value, as year-month-day, in the first of these orders."""

    @property
    def is_usable(self) -> bool:
        """Whether each value is a number, true, false or missing, and not all are missing."""
        return self.kind in ("number", "boolean") and not self.others

    @property
    def may_be_category(self) -> bool:
        """Whether it is text or truth values of few levels; of a part of the rows no more shows."""
        return (
            self.kind in ("text", "boolean")
            and self.levels is not None
            and all(level.isprintable() for level in self.levels)
        )

    @property
    def is_category(self) -> bool:
        """Whether it is text or truth values of few levels, of which some occur more than once."""
        levels = self.levels or ()
        return self.may_be_category and 1 < len(levels) < self.rows - self.missing

    @property
    def is_constant(self) -> bool:
        """Whether all rows that have a value have the same."""
        return self.levels is not None and len(self.levels) == 1


@documented
class TableLook(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """A table as a pass over it found it."""

    source: str
    rows: int
    columns: tuple[ColumnLook, ...]
    readings: tuple[str, ...] = ()
    """As a column's, but for all columns together that have any."""
    conflict: tuple[str, ...] = ()
    """Two numbers that are written so differently that nothing reads both, each with its row, its
    column and, where there are several, its file."""

    @property
    def date_orders(self) -> tuple[DateOrder, ...]:
        """As a column's, but for all columns together that have any."""
        each = [column.date_orders for column in self.columns if column.date_orders]
        return tuple(order for order in ORDERS if each and all(order in x for x in each))


def look(
    table: Table,
    names: Sequence[str] | None = None,
    *,
    most_levels: Mapping[str, int] = MappingProxyType({}),
) -> TableLook:
    """Look at every value of every column, once.

    Args:
        table: Any.
        names: Of the columns to look at, at least one; all if not given.
        most_levels: Of columns of which more than MOST_LEVELS are to be counted.

    Raises:
        DataError: If the table cannot be read, or has no columns.
    """
    names = table.names if names is None else names
    if not names:
        raise DataError("It has no columns.", source=table.source)
    seen = [_Seen(name, table, most_levels.get(name, MOST_LEVELS)) for name in names]
    for batch in table.batches_and_ends((), kept=names):
        if batch is None:
            continue
        frame = kept_frame(batch)
        for column in seen:
            try:
                column.add(nameless(frame.get_column(column.name)), batch)
            except VALUE_FAULTS as error:
                raise unreadable(error, table.source, column.name) from error
    columns = tuple(column.look() for column in seen)
    of_numbers = [
        each.readings
        for each, column in zip(seen, columns, strict=True)
        if column.kind.startswith("number") or column.readings
    ]
    readings = [each for each in of_numbers if each.found()]
    return TableLook(
        source=table.source,
        rows=columns[0].rows,
        columns=columns,
        readings=Readings.together(readings, table.dialect).options()
        if any(column.readings for column in columns)
        else (),
        conflict=Readings.together(of_numbers, table.dialect).conflict(),
    )


class _Seen:
    """What was seen of one column so far."""

    def __init__(self, name: str, table: Table, most_levels: int) -> None:
        self.name = name
        self._source = table.source
        self._most_levels = most_levels
        self._dialect = table.dialect or Dialect()
        self.readings = Readings(table.dialect)
        self.of_units = Readings(table.dialect)
        """Of text that is a number and a unit, as 12 kg."""
        self.orders = DateOrders(table.dialect)
        """Those of dates in another form."""
        self.unit: str | None = None
        """Of all text so far; empty where it has none, or another."""
        self.rows = self.missing = 0
        self.counts: dict[Kind, int] = {}
        self.examples: dict[Kind, list[str]] = {}
        self.first: str | None = None
        self.ends: list[Any] = []
        """The smallest and the largest number."""
        self.levels: dict[str, int] | None = {}

    def add(self, values: pl.Series, batch: Batch) -> None:
        if not self.rows and len(values) and values.dtype == pl.String:
            self.first = self._present(values.head(1))[0]
        self.rows += len(values)
        found = self._counted(values).drop_nulls("values")
        self.missing += len(values) - int(found["rows"].sum())

        @cache  # most ways to write numbers are ruled out by the same value
        def where(value: str) -> str:
            row = batch.first_row + int((self._present(values) == value).arg_true()[0])
            file = f" in {batch.source}" if batch.source != self._source else ""
            return f"row {row} of '{self.name}'{file}"

        for kind, part in self._kinds(found, where):
            self._count(kind, part)
        self._add_levels(found)

    def _counted(self, values: pl.Series) -> pl.DataFrame:
        """Return values, null where there is none, and the rows of each; of text, each value once.

        To look at a text costs more than to find it again, and a dictionary may give a long one to
        many rows.
        """
        if values.dtype in (pl.String, pl.Categorical, pl.Enum):
            each = values.to_frame().group_by("values", maintain_order=True).len("rows")
            return each.with_columns(self._present(each["values"]))
        if values.dtype.is_numeric():
            values = present_numbers(values, self._dialect)
            values = values.fill_nan(None) if values.dtype.is_float() else values
        return values.to_frame().with_columns(rows=pl.lit(1, pl.UInt32))

    def _present(self, text: pl.Series) -> pl.Series:
        return present(canonical(text.cast(pl.String)), self._dialect)

    def _kinds(
        self, found: pl.DataFrame, where: Callable[[str], str]
    ) -> Iterator[tuple[Kind, pl.DataFrame]]:
        """Yield values that are present by what they are; of text, numbers as float64."""
        values = found["values"]
        if values.dtype != pl.String:
            yield kind_of(values.dtype), found
            return
        numbers = as_numbers(values, self._dialect)
        is_plain = self._dialect.has_plain_numbers
        plain = found.filter(numbers.is_not_null())
        yield "number", plain if is_plain else plain.with_columns(numbers.drop_nulls())
        others = [*kinds_of_text(found.filter(numbers.is_null()), self._dialect.date_order)]
        marked = [part["values"] for kind, part in others if kind.startswith("number with ")]
        text = plain["values"]
        if any(len(part) for part in marked) or text.str.contains("[.,]").any():
            self.readings.add(pl.concat([text, *marked]), where)
        self._add_units(others[-1][1]["values"], where)
        self.orders.add(dict(others)["date in another form"], EXAMPLES)
        yield from others

    def _add_units(self, text: pl.Series, where: Callable[[str], str]) -> None:
        if self.unit == "" or not len(text):
            return
        units = text.str.extract(WITH_UNIT, 1).unique().to_list()
        is_one = len(units) == 1 and units[0] and self.unit in (None, units[0])
        self.unit = units[0] if is_one else ""
        if self.unit:
            self.of_units.add(text, where, unit=self.unit)

    def _count(self, kind: Kind, part: pl.DataFrame) -> None:
        if not part.height:
            return
        values = part["values"]
        self.counts[kind] = self.counts.get(kind, 0) + int(part["rows"].sum())
        examples = self.examples.setdefault(kind, [])
        for value in map(str, values.head(2 * EXAMPLES).to_list()):
            if value not in examples and len(examples) < EXAMPLES:
                examples.append(value)
        if kind == "number":
            numbers = values.cast(pl.Float64).drop_nans().append(pl.Series(self.ends))
            self.ends = [numbers.min(), numbers.max()] if len(numbers) else []

    def _add_levels(self, found: pl.DataFrame) -> None:
        dtype = found["values"].dtype
        if self.levels is None or dtype.is_nested() or dtype in _WITHOUT_TEXT:
            self.levels = None
            return
        text = found["values"].cast(pl.String)
        if dtype.is_float():  # 7.0 is the level 7, as a column of whole numbers has it
            text = text.str.strip_suffix(".0")
        counts = found.with_columns(text).group_by("values").agg(pl.col("rows").sum())
        for value, count in counts.head(self._most_levels + 1).iter_rows():
            self.levels[value] = self.levels.get(value, 0) + count
        if len(self.levels) > self._most_levels:
            self.levels = None

    def look(self) -> ColumnLook:
        if [*self.counts] == ["text"] and self.unit and len(self.examples["text"]) == EXAMPLES:
            self.readings = self.of_units
        kind, alike = self._kind()
        orders = self.orders.found() if "date in another form" in alike else []
        unread, examples = self.orders.unread() if orders else (0, [])
        others = [other for other in self.counts if other not in alike]
        examples = [*examples, *(text for other in others for text in self.examples[other])]
        minimum, maximum = self.ends if self.ends and kind == "number" else (None, None)
        levels = self.levels
        if levels is not None:
            levels = dict(sorted(levels.items(), key=lambda level: (-level[1], level[0])))
        return ColumnLook(
            name=self.name,
            kind=kind,
            rows=self.rows,
            missing=self.missing,
            minimum=minimum,
            maximum=maximum,
            levels=levels,
            others=unread + sum(self.counts[other] for other in others),
            first=next(
                (text for other in others if (text := self.examples[other][0]) == self.first), ""
            ),
            examples=tuple((examples or self.examples.get(kind, []))[:EXAMPLES]),
            readings=self.readings.options()
            if kind.startswith("number with ") or self.readings is self.of_units
            else (),
            date_orders=tuple(orders),
            first_day=self._first_day(alike, next(iter(orders), self._dialect.date_order)),
        )

    def _kind(self) -> tuple[Kind, Sequence[Kind]]:
        """Return what most values are, and all kinds that are that in one way of reading them."""
        most: Kind = max(self.counts, key=lambda kind: self.counts[kind], default="empty")
        marked = [other for other in self.counts if other.startswith("number with ")]
        if marked and most.startswith("number"):  # "5" beside "3,14"
            return max(marked, key=lambda kind: self.counts[kind]), ["number", *marked]
        if most.startswith("date") and self.orders.found():
            return "date in another form", ["date", "date in another form"]
        return most, [most]

    def _first_day(self, kinds: Sequence[Kind], order: DateOrder | None) -> str:
        dates = [
            text
            for kind in kinds
            if kind.startswith("date")
            for text in self.examples.get(kind, ())
        ]
        days = as_dates(pl.Series(dates, dtype=pl.String), order).drop_nulls()
        return str(days.dt.to_string("%Y-%m-%d")[0]) if len(days) else ""
