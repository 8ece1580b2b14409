"""Reading ahead."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class _Queue(msgspec.Struct, Generic[T], eq=False, kw_only=True):
    """What the reader and the one who takes share. The reader must not hold the other."""

    size_of: Callable[[T], float]
    limit: float
    items: deque[T] = msgspec.field(default_factory=deque)
    size: float = 0
    ended: bool = False
    closed: bool = False
    failure: BaseException | None = None
    changed: threading.Condition = msgspec.field(default_factory=threading.Condition)


class Ahead(Generic[T]):
    """Yields items in their order; while they are used, another thread makes those that follow.

    polars and NumPy let other threads run while they work, so that cores do not wait in turn. What
    goes wrong is raised where the item would have come. Interrupts reach the thread that takes the
    items, if it is the main one.
    """

    def __init__(self, items: Iterator[T], size_of: Callable[[T], float], limit: float) -> None:
        """Begin at once, and pause while the items that were not taken reach this size in all."""
        self._queue = _Queue(size_of=size_of, limit=limit)
        self._thread = threading.Thread(
            target=_read, args=(items, self._queue), name="linexport-reader", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        queue = self._queue
        with queue.changed:
            queue.changed.wait_for(lambda: queue.items or queue.ended)
            if queue.items:
                item = queue.items.popleft()
                queue.size -= queue.size_of(item)
                queue.changed.notify_all()
                return item
        failure, queue.failure = queue.failure, None
        raise failure or StopIteration

    def close(self) -> None:
        """Stop reading; what is being read just then is waited for, and dropped."""
        self._stop()
        self._thread.join()
        self._queue.items.clear()

    def __del__(self) -> None:
        self._stop()  # whoever was to take the items is gone

    def _stop(self) -> None:
        with self._queue.changed:
            self._queue.closed = True
            self._queue.changed.notify_all()


def _read(items: Iterator[T], queue: _Queue[T]) -> None:
    try:
        for item in items:
            with queue.changed:
                queue.items.append(item)
                queue.size += queue.size_of(item)
                queue.changed.notify_all()
                queue.changed.wait_for(lambda: queue.size < queue.limit or queue.closed)
                if queue.closed:
                    break
            del item  # its memory is needed while the next one is made
    except BaseException as error:  # raised again in the thread that takes the items
        queue.failure = error
    finally:
        with queue.changed:
            queue.ended = True
            queue.changed.notify_all()
