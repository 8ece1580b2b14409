"""Training as it goes, on a terminal or as lines."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from linexport.training import EpochEnd


class EpochDisplay:
    """Prints each epoch's loss, or the last one's only.

    On a terminal a line on stderr is kept up to date meanwhile: epoch, loss, rows/s, time left.
    """

    def __init__(self, *, as_text: bool, every: bool) -> None:
        self.as_text, self.every = as_text, every
        self.live = sys.stderr.isatty()
        self.last: EpochEnd | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._clear()
        if self.last is not None and not self.every and error is None:
            self._print(self.last)

    def __call__(self, epoch: "EpochEnd") -> None:
        self.last = epoch
        if self.every:
            self._clear()
            self._print(epoch)
        if self.live:
            line = (
                f"epoch {epoch.epoch}, loss {epoch.loss:.6g}, {epoch.rows_per_second:,.0f} rows/s"
            )
            if epoch.seconds_left is not None:
                line += f", at most {epoch.seconds_left:.0f} s left"
            click.echo(f"\r{line:<79}", nl=False, err=True)

    def _print(self, epoch: "EpochEnd") -> None:
        if self.as_text:
            click.echo(f"epoch {epoch.epoch}, loss {epoch.loss:f}")

    def _clear(self) -> None:
        if self.live and self.last is not None:
            click.echo("\r" + " " * 79 + "\r", nl=False, err=True)
