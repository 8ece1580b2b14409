"""How many rows are dealt with at once: enough to be quick, and few enough to be held."""

from collections.abc import Iterator

from linexport._polars import pl
from linexport.tables._numbers import nameless

__all__ = ["rows_per_batch", "spans"]

_VALUES_PER_BATCH = 1 << 20  # 8 MiB of float64
_FEWEST_ROWS, _MOST_ROWS = 1 << 10, 1 << 16
_TEXT_PER_BATCH = 64 << 20  # bytes
_TEXT = (pl.String, pl.Categorical, pl.Enum)


def rows_per_batch(num_columns: int) -> int:
    """Return how many rows of so many columns a batch has at most."""
    return min(max(_VALUES_PER_BATCH // num_columns, _FEWEST_ROWS), _MOST_ROWS)


def spans(frame: pl.DataFrame, num_rows: int) -> Iterator[tuple[int, int]]:
    """Yield at least one span, of at most so many rows and not too much text if of more than one.

    A dictionary holds a text once, and gives it to any number of rows; whoever looks at these
    writes it out for each.
    """
    text = [nameless(column) for column in frame.iter_columns() if column.dtype in _TEXT]
    for start in range(0, max(frame.height, 1), num_rows):
        yield from _halved(text, start, min(start + num_rows, frame.height))


def _halved(text: list[pl.Series], start: int, stop: int) -> Iterator[tuple[int, int]]:
    num_bytes = sum(_num_bytes(column.slice(start, stop - start)) for column in text)
    if stop - start < 2 or num_bytes <= _TEXT_PER_BATCH:
        yield start, stop
        return
    middle = (start + stop) // 2
    yield from _halved(text, start, middle)
    yield from _halved(text, middle, stop)


def _num_bytes(text: pl.Series) -> int:
    lengths = text.str.len_bytes() if text.dtype == pl.String else text.cat.len_bytes()
    return int(lengths.cast(pl.Int64).sum())  # a sum of 32 bits begins anew at 4 GiB
