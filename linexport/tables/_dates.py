"""Text as dates, where it says them plainly. n rows."""

from itertools import product

from linexport._polars import pl
from linexport.tables._dialect import DateOrder, Dialect

__all__ = ["ORDERS", "DateOrders", "as_dates", "open_orders"]

_ZONE = "%#z"
"""Z, or how far the clock is ahead of UTC: +02, +0200, +02:00."""
_TIMES = [
    f"%Y-%m-%d{before}%H:%M{seconds}{zone}"
    for zone, seconds, before in product(("", _ZONE), (":%S%.f", ""), (" ", "T"))
]
_YEAR = "^[0-9]{4}[-/.]"
"""What polars asks of %Y is less: it takes 1/5/24 for a day in the year 1."""
_YEAR_LAST = [
    f"^([0-9]{{1,2}})[{sign}]([0-9]{{1,2}})[{sign}]([0-9]{{4}})([ T]|$)" for sign in "-/."
]
ORDERS: dict[DateOrder, str] = {"dmy": "${3}-${2}-${1}${4}", "mdy": "${3}-${1}-${2}${4}"}
"""How each becomes year-month-day."""


def as_dates(text: pl.Series, order: DateOrder | None = None) -> pl.Series:
    """Return dates, with a time or without, as Datetime, shape (n,).

    A date is year-month-day, with - or / or . between, or, where the order of the others is said,
    has the year last; the year has four digits. A time that says how far its clock is ahead of UTC
    becomes that of UTC. Anything else is null: no order is guessed, and there is neither a 30th of
    February nor a year 0.
    """
    if order:
        for form in _YEAR_LAST:
            text = text.str.replace(form, ORDERS[order])
    text = text.set(~text.str.contains(_YEAR) | text.str.starts_with("0000"), None)
    text = text.str.replace(r"^([0-9]{4})[/.]([0-9]{1,2})[/.]", "$1-$2-").str.replace(" UTC$", "Z")
    found = pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
    for form in ("%Y-%m-%d", *_TIMES):
        if found.null_count() > text.null_count():
            parsed = text.str.strptime(_type(form), form, strict=False).cast(pl.Datetime("us"))
            found = found.zip_with(found.is_not_null(), parsed)
    return found


def open_orders(dialect: Dialect | None) -> tuple[DateOrder, ...]:
    """Return the orders that may be asked for; none where one is, or text heeds no dialect."""
    return () if dialect is None or dialect.date_order else tuple(ORDERS)


class DateOrders:
    """The orders in which the most of all text seen so far is dates."""

    def __init__(self, dialect: Dialect | None) -> None:
        """Begin with those that are open."""
        orders = open_orders(dialect)
        self._read = dict.fromkeys(orders, 0)
        self._unread = dict.fromkeys(orders, 0)
        self._examples: dict[DateOrder, list[str]] = {order: [] for order in orders}
        """Some of what each does not read."""

    def add(self, found: pl.DataFrame, most: int) -> None:
        """Heed some text that looks like dates, each with the rows that have it."""
        text, rows = found["values"], found["rows"]
        for order, examples in self._examples.items():
            is_date = as_dates(text, order).is_not_null()
            self._read[order] += int(rows.filter(is_date).sum())
            self._unread[order] += int(rows.filter(~is_date).sum())
            examples += text.filter(~is_date).head(most - len(examples)).to_list()

    def found(self) -> list[DateOrder]:
        """Return those that read most, if there is one that reads any."""
        most = max(self._read.values(), default=0)
        return [order for order, read in self._read.items() if read == most > 0]

    def unread(self) -> tuple[int, list[str]]:
        """Return in how many rows the first of these reads no date, and some of what they hold."""
        for first in self.found():
            return self._unread[first], self._examples[first]
        return 0, []


def _type(form: str) -> pl.Date | pl.Datetime:
    if form not in _TIMES:
        return pl.Date()
    return pl.Datetime("us", "UTC" if _ZONE in form else None)
