"""Text as dates, where it says them plainly. n rows."""

import polars as pl

__all__ = ["as_dates"]

_DATES = ("%Y-%m-%d", "%Y/%m/%d")
_TIMES = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
_YEAR = "^[0-9]{4}[-/]"
"""What polars asks of %Y is less: it takes 1/5/24 for a day in the year 1."""


def as_dates(text: pl.Series) -> pl.Series:
    """Return year-month-day or year/month/day, with a time or without, as Datetime, shape (n,).

    Anything else is null: no other order is guessed, and there is no 30th of February.
    """
    text = text.set(~text.str.contains(_YEAR), None)
    found = pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
    for form in (*_DATES, *_TIMES):
        kind = pl.Date if form in _DATES else pl.Datetime("us")
        if found.null_count() > text.null_count():
            parsed = text.str.strptime(kind, form, strict=False).cast(pl.Datetime("us"))
            found = found.zip_with(found.is_not_null(), parsed)
    return found
