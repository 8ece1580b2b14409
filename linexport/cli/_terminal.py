"""What a command says: on a terminal or as lines, while it works and at its end, and as its status.

Text may hold what a foreign file says, so it is made fit for a terminal.
"""

import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from linexport.errors import AssumedRangeWarning, NotWrittenWarning

if TYPE_CHECKING:
    from linexport.columns import Column
    from linexport.fit import EpochEnd
    from linexport.tables import ReadProgress

SECONDS_BETWEEN_LOOKS = 0.1
"""More often than the eye follows would only cost time."""
_EPOCHS_SHOWN = 10
"""At least, where not all are."""
_LEAST_PLAIN, _MOST_PLAIN = 1e-5, 1e6
"""Losses that are printed as the textbook does, with six decimals."""
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))


def is_terminal() -> bool:
    """Whether standard output can be drawn on."""
    return sys.stdout.isatty() and not _is_dumb()


def has_colors() -> bool:
    """Whether colour is wanted of a terminal: see no-color.org."""
    return not os.environ.get("NO_COLOR") and not _is_dumb()


def _is_dumb() -> bool:
    return os.environ.get("TERM") == "dumb"


def one_line(text: str) -> str:
    """Return text without line breaks, and control characters written as in Python's source."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text.replace("\n", " "))


def echo(text: str) -> None:
    """Print a line on standard output; where its reader is gone, as of `| head`, go on without."""
    try:
        click.echo(text)
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """Send what is printed from now on nowhere, also what Python would print as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def echo_error(message: str) -> None:
    """Print why a command stops, on standard error."""
    click.echo(f"error: {one_line(message)}", err=True)


@contextmanager
def warnings_as_lines(*, quiet: bool) -> Iterator[None]:
    """Print what Python warns of meanwhile, a line each on standard error at the end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if not quiet:
            click.echo(f"warning: {one_line(str(warning.message))}", err=True)


@contextmanager
def warnings_said_later() -> Iterator[None]:
    """Keep Python quiet of what the result of an export says among its warnings."""
    with warnings.catch_warnings():
        for kind in (AssumedRangeWarning, NotWrittenWarning):
            warnings.simplefilter("ignore", kind)
        yield


class _Line:
    """One line on stderr that is kept up to date, where stderr is a terminal."""

    def __init__(self) -> None:
        self.live = sys.stderr is not None and sys.stderr.isatty() and not _is_dumb()

    def show(self, text: str) -> None:
        if self.live:
            click.echo(f"\r{text:<79}", nl=False, err=True)

    def clear(self) -> None:
        if self.live:
            click.echo("\r" + " " * 79 + "\r", nl=False, err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


class EpochDisplay(_Line):
    """Prints each epoch's loss; on a terminal it says on stderr what is to come."""

    def __init__(self, *, as_text: bool, verbose: bool, targets: "Iterable[Column]") -> None:
        super().__init__()
        self.as_text = as_text
        self.verbose = verbose
        self.targets = targets

    def __call__(self, epoch: "EpochEnd") -> None:
        self.clear()
        if self.as_text and (self.verbose or _is_shown(epoch)):
            form = "f" if _LEAST_PLAIN <= epoch.loss < _MOST_PLAIN else ".6g"
            echo(f"epoch {epoch.epoch}, loss {epoch.loss:{form}}{self._unit()}")
        self.show(
            f"epoch {epoch.epoch} of {epoch.epochs}, loss {epoch.loss:.6g}, "
            f"{epoch.rows_per_second:,.0f} rows/s, {epoch.seconds_left:.0f} s left"
        )

    def _unit(self) -> str:
        """Of the loss, where the targets have one."""
        from linexport.fit import loss_unit

        return f" {loss_unit(self.targets)}" if any(each.unit for each in self.targets) else ""


def _is_shown(epoch: "EpochEnd") -> bool:
    """Whether an epoch is one of the few that a short report shows of many."""
    every = max(epoch.epochs // _EPOCHS_SHOWN, 1)
    return epoch.epoch in (1, epoch.epochs) or epoch.epoch % every == 0


class ReadDisplay(_Line):
    """Shows rows, rows/s, bytes and time left while a table is read, at most ten times a second.

    Before any row has come, it says what is waited for where another program is to write it.
    """

    def __init__(self, tables: Iterable[str] = ()) -> None:
        super().__init__()
        for name in tables:
            if awaited := _awaited(name):
                self.show(f"waiting for {awaited}")
        self.began = self.shown = time.monotonic()
        self.rows = 0

    def __call__(self, progress: "ReadProgress") -> None:
        now = time.monotonic()
        if progress.rows < self.rows:  # the next pass; its rate starts from here
            self.began = self.shown = now
        self.rows = progress.rows
        if now - self.shown > SECONDS_BETWEEN_LOOKS:
            self.shown = now
            self.show(_reading(progress, now - self.began))


def _awaited(table: str) -> str:
    """Return who is to write a table that may not come of itself; nothing for a file."""
    if table == "-":
        typed = sys.stdin is not None and sys.stdin.isatty()
        return "rows to be typed here; Ctrl-D ends them" if typed else "rows on standard input"
    with suppress(OSError):  # a name that is too long, which is told of when it is opened
        if Path(table).is_fifo():
            return f"a program to write rows to {one_line(table)}"
    return ""


def _reading(progress: "ReadProgress", seconds: float) -> str:
    line = f"{progress.rows:,} rows, {progress.rows / seconds:,.0f} rows/s"
    if not progress.bytes_read:  # in memory, or nothing but a header so far
        return line
    if progress.num_bytes is None:
        return f"{line}, {_size(progress.bytes_read)}"
    left = max(progress.num_bytes - progress.bytes_read, 0) * seconds / progress.bytes_read
    sizes = f"{_size(progress.bytes_read)} of {_size(progress.num_bytes)}"
    return f"{line}, {sizes}, {left:.0f} s left"


def _size(num_bytes: float) -> str:
    unit, name = next((unit, name) for unit, name in _UNITS if num_bytes >= unit or unit == 1)
    return f"{num_bytes / unit:.3g} {name}"
