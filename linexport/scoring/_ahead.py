"""Reading while what was read before is dealt with."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Ahead(Generic[Item]):
    """Iterates in a thread of its own, and hands on what comes, in its order.

    An exception in the thread is raised where the item would have come. Interrupts reach the thread
    that takes the items, which is the main one.
    """

    def __init__(self, items: Iterator[Item], size_of: Callable[[Item], int], limit: int) -> None:
        """Begin at once, and wait while items of this size in all have not been taken."""
        self._items = items
        self._size_of = size_of
        self._limit = limit
        self._arrived: deque[Item] = deque()
        self._size = 0
        self._ended = self._abandoned = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="linexport-reader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._arrived or self._ended)
                    if not self._arrived:
                        break
                    item = self._arrived.popleft()
                    self._size -= self._size_of(item)
                    self._changed.notify_all()
                yield item
                del item  # the next one may be waited for; its memory is needed
            if self._failure is not None:
                raise self._failure
        finally:
            self.close()

    def close(self) -> None:
        """Stop reading; what is being read just then is waited for."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        self._thread.join()

    def _read(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._arrived.append(item)
                    self._size += self._size_of(item)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._size < self._limit or self._abandoned)
                    if self._abandoned:
                        break
        except BaseException as error:  # raised again in the thread that takes the items
            self._failure = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
