"""Signals that end a command, and how they wait where something would be left half done."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Ends the command as Ctrl-C does, which removes what is half written, whichever signal comes.

    It remembers that one came: a package that is being loaded may make another error of it.
    """

    def __init__(self) -> None:
        self.came = 0
        """The first one's number."""
        if not _is_main_thread():
            return
        for number in _ENDING:
            if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.came = self.came or number
        if _Hold.on:
            _Hold.waiting = number
        else:
            signal.default_int_handler(number, frame)


def retake() -> None:
    """Have a command's handlers take signals again, where a package put others before them.

    That of polars raises an interrupt a second time, and restarts what waits, which then never ends
    on it.
    """
    for number in _ENDING if _is_main_thread() else ():
        handler = signal.getsignal(number)
        if isinstance(getattr(handler, "__self__", None), Interrupts):
            signal.signal(number, handler)


class _Hold:
    """Of the process, which has one main thread to interrupt."""

    on = False
    waiting = 0
    """The number of the signal that came meanwhile."""


@contextmanager
def held() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Have a command's interrupts wait to the end, but for what is within what this yields.

        with held() as interruptible:
            make()
            try:
                with interruptible():
                    work()
            finally:
                remove()

    So what is made is removed, whenever a signal comes.
    """
    with _holding(True):
        yield lambda: _holding(False)


@contextmanager
def _holding(on: bool) -> Iterator[None]:
    if not _is_main_thread():  # which alone is interrupted
        yield
        return
    before = _Hold.on
    try:
        _hold(on)
        yield
    finally:
        _hold(before)


def _hold(on: bool) -> None:
    _Hold.on = on
    if _Hold.waiting and not on:
        number, _Hold.waiting = _Hold.waiting, 0
        signal.default_int_handler(number, None)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
