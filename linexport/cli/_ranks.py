"""One job, any number of ranks, one voice: rank 0 alone writes and prints."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from linexport.cli._main import INTERRUPTED, status_of
from linexport.cli._text import echo_error
from linexport.errors import LinexportError

if TYPE_CHECKING:
    from linexport.rows import Ranks


@contextmanager
def joined_ranks() -> "Iterator[Ranks]":
    """Join the ranks that torchrun started, and let rank 0 say what goes wrong on any of them."""
    from linexport.rows import open_ranks

    with open_ranks() as ranks:
        try:
            yield ranks
        except LinexportError as error:
            if ranks.size == 1:
                raise
            if ranks.rank == 0:
                echo_error(str(error))
            raise click.exceptions.Exit(status_of(error)) from error
        except KeyboardInterrupt as interrupt:
            if ranks.rank == 0:
                raise
            raise click.exceptions.Exit(INTERRUPTED) from interrupt
