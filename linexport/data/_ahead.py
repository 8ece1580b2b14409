"""Reading ahead."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items in their order; while one is used, another thread makes the next.

    polars and NumPy let other threads run while they work, so that cores do not wait in turn. At
    most two items are held. What goes wrong is raised where the item would have come.
    """
    end: Any = object()
    with ThreadPoolExecutor(1, thread_name_prefix="linexport-reader") as reader:
        coming = reader.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = reader.submit(next, items, end)
            yield item
