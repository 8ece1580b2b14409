"""Commands that torchrun may start on several ranks."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from linexport.cli._failing import status_of
from linexport.errors import LinexportError

if TYPE_CHECKING:
    from linexport.rows import Ranks


@contextmanager
def joined_ranks() -> "Iterator[Ranks]":
    """Join the ranks that torchrun started; rank 0 alone says what goes wrong on any of them."""
    from linexport.rows import open_ranks

    with open_ranks() as ranks:
        try:
            yield ranks
        except LinexportError as error:
            if ranks.rank == 0:
                raise
            raise click.exceptions.Exit(status_of(error)) from error
        except KeyboardInterrupt as interrupt:
            if ranks.rank == 0:
                raise
            raise click.exceptions.Exit(128 + signal.SIGINT) from interrupt
