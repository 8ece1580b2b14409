"""Text that may hold what a foreign file says, made fit for a terminal."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click


def one_line(text: str) -> str:
    """Return text without line breaks, and control characters written as in Python's source."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text.replace("\n", " "))


def echo_lines(lines: Iterable[str]) -> None:
    """Print each line on standard output."""
    for line in lines:
        click.echo(one_line(line))


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
