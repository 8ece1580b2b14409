"""Encoding in another thread what this one makes."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

if TYPE_CHECKING:
    from linexport.tables._part import WrittenRows

Encode = Callable[[Iterator["WrittenRows"], BinaryIO], None]

_FRAMES_IN_FLIGHT = 4  # enough for reading and writing to overlap
_SECONDS_BETWEEN_LOOKS = 0.1  # at an encoder that takes no more frames: it may have failed
_SECONDS_TO_GIVE_UP = 3  # which it never does while nobody reads the pipe that it writes to


class Encoder:
    """Encodes frames, and has ended with them as the context ends.

    Interrupts reach the thread that puts the frames, so none is lost here; after one it is given
    up, but what is at work is waited for: a thread that is within polars as the interpreter ends
    would abort the process.
    """

    def __init__(self, encode: Encode, stream: BinaryIO) -> None:
        self.num_rows = 0
        """That are encoded."""
        self.failure: BaseException | None = None
        self._waiting: queue.Queue[WrittenRows | None] = queue.Queue(_FRAMES_IN_FLIGHT)
        self._ended = threading.Event()  # join() takes a thread for ended once it was interrupted
        self._given_up_at = 0.0
        threading.Thread(
            target=self._run, args=(encode, stream), name="linexport-encoder", daemon=True
        ).start()

    def put(self, frame: "WrittenRows | None") -> None:
        """Wait until there is room for it, unless encoding has failed."""
        while not self._ended.is_set():
            with suppress(queue.Full):
                self._waiting.put(frame, timeout=_SECONDS_BETWEEN_LOOKS)
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, Exception):  # what came before a failure is encoded
            self.put(None)
            while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):  # an endless one may miss Ctrl-C
                pass
        else:
            self.give_up()

    def give_up(self) -> None:
        """Drop frames that wait, and have the encoder end; nothing is done where it has.

        Called again, it waits for what is left of the time.
        """
        with suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        self._waiting.put(None)
        self._given_up_at = self._given_up_at or time.monotonic()
        left = self._given_up_at + _SECONDS_TO_GIVE_UP - time.monotonic()
        self._ended.wait(max(0, left))

    def _run(self, encode: Encode, stream: BinaryIO) -> None:
        try:
            encode(self._arriving(), stream)
        except BaseException as error:  # raised again in the thread that puts the frames
            self.failure = error
        finally:
            self._ended.set()

    def _arriving(self) -> Iterator["WrittenRows"]:
        while (frame := self._waiting.get()) is not None:
            yield frame
            self.num_rows += frame.height
