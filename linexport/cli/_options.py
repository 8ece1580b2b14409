"""Options and output that several commands share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from linexport.parity import ParityReport, Verdict

Command = TypeVar("Command", bound=Callable[..., Any])

COLORS: "dict[Verdict, str]" = {"proven": "green", "consistent": "yellow", "disagrees": "red"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print the result alone.")
delimiter_option = click.option(
    "--delimiter", help="Of a CSV file; found from its header line if not given."
)


def probe_options(command: Command) -> Command:
    """Add what shapes a parity check."""
    rows = click.option(
        "--probe-rows",
        type=click.IntRange(min=1),
        default=1024,
        show_default=True,
        help="Rows of the largest batch that parity is checked with.",
    )
    seed = click.option(
        "--probe-seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of the random rows.",
    )
    return rows(seed(command))


def echo_verdict(report: "ParityReport", line: str) -> None:
    """Print the last line, its verdict in colour where the terminal has any."""
    verdict, rest = line.split(":", 1)
    click.echo(click.style(verdict, fg=COLORS[report.verdict], bold=True) + ":" + rest)


def names_option(flag: str, help_text: str) -> Callable[[Command], Command]:
    """Add an option that takes column names, one each time or several with commas."""
    return click.option(
        flag, multiple=True, metavar="NAME[,NAME...]", help=f"{help_text} Repeatable."
    )


def numbers_option(flag: str, default: str, help_text: str) -> Callable[[Command], Command]:
    """Add an option that takes numbers with commas between them, once per target."""

    def parse(
        ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
    ) -> tuple[tuple[float, ...], ...]:
        return tuple(_numbers(text) for text in texts)

    return click.option(
        flag,
        multiple=True,
        default=(default,),
        show_default=True,
        metavar="NUMBER[,NUMBER...]",
        callback=parse,
        help=help_text,
    )


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers like 2,-3.4.") from error
