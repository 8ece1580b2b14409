"""Reading and training as they go, on a terminal or as lines."""

import sys
import time
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from linexport.fit import EpochEnd
    from linexport.tables import ReadProgress

SECONDS_BETWEEN_LOOKS = 0.1
"""More often than the eye follows would only cost time."""
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))


class _Line:
    """One line on stderr that is kept up to date, where stderr is a terminal."""

    def __init__(self) -> None:
        self.live = sys.stderr is not None and sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self.live:
            click.echo(f"\r{text:<79}", nl=False, err=True)

    def clear(self) -> None:
        if self.live:
            click.echo("\r" + " " * 79 + "\r", nl=False, err=True)


class EpochDisplay:
    """Prints each epoch's loss; on a terminal it says on stderr what is to come."""

    def __init__(self, *, as_text: bool, standardized: bool) -> None:
        self.as_text = as_text
        self.unit = " of the target's variance" if standardized else ""
        self.line = _Line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.clear()

    def __call__(self, epoch: "EpochEnd") -> None:
        self.line.clear()
        if self.as_text:
            click.echo(f"epoch {epoch.epoch}, loss {epoch.loss:f}{self.unit}")
        self.line.show(
            f"epoch {epoch.epoch} of {epoch.epochs}, loss {epoch.loss:.6g}, "
            f"{epoch.rows_per_second:,.0f} rows/s, {epoch.seconds_left:.0f} s left"
        )


class ReadDisplay:
    """Shows rows, rows/s, bytes and time left while a table is read, at most ten times a second."""

    def __init__(self) -> None:
        self.line = _Line()
        self.began = self.shown = time.monotonic()
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.clear()

    def __call__(self, progress: "ReadProgress") -> None:
        now = time.monotonic()
        if progress.rows < self.rows:  # the next pass; its rate starts from here
            self.began = self.shown = now
        self.rows = progress.rows
        if now - self.shown > SECONDS_BETWEEN_LOOKS:
            self.shown = now
            self.line.show(_reading(progress, now - self.began))


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
