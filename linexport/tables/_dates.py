"""Text as dates, where it says them plainly. n rows."""

from itertools import product

from linexport._polars import pl

__all__ = ["as_dates"]

_ZONE = "%#z"
"""Z, or how far the clock is ahead of UTC: +02, +0200, +02:00."""
_TIMES = [
    f"%Y-%m-%d{before}%H:%M{seconds}{zone}"
    for zone, seconds, before in product(("", _ZONE), (":%S%.f", ""), (" ", "T"))
]
_YEAR = "^[0-9]{4}[-/]"
"""What polars asks of %Y is less: it takes 1/5/24 for a day in the year 1."""


def as_dates(text: pl.Series) -> pl.Series:
    """Return year-month-day or year/month/day, with a time or without, as Datetime, shape (n,).

    A time that says how far its clock is ahead of UTC becomes that of UTC. Anything else is null:
    no other order is guessed, and there is no 30th of February.
    """
    text = text.set(~text.str.contains(_YEAR), None)
    text = text.str.replace(r"^([0-9]{4})/([0-9]{1,2})/", "$1-$2-").str.replace(" UTC$", "Z")
    found = pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
    for form in ("%Y-%m-%d", *_TIMES):
        if found.null_count() > text.null_count():
            parsed = text.str.strptime(_type(form), form, strict=False).cast(pl.Datetime("us"))
            found = found.zip_with(found.is_not_null(), parsed)
    return found


def _type(form: str) -> pl.Date | pl.Datetime:
    if form not in _TIMES:
        return pl.Date()
    return pl.Datetime("us", "UTC" if _ZONE in form else None)
