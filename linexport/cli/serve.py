"""linexport serve."""

import signal
import sys
from pathlib import Path
from typing import Any, Literal

import click

from linexport import pipeline
from linexport.serving import Limits

__all__ = ["command"]

_DEFAULTS = Limits()
_LIMITS = {
    "body_bytes": ("--max-body", "Bytes of one request; past it 413."),
    "rows": ("--max-rows", "Rows of one request; past it 413."),
    "values": ("--max-values", "Predictions in one answer, rows times targets; past it 413."),
    "requests": ("--max-requests", "Requests answered at the same time; past it 429."),
    "connections": ("--max-connections", "Connections open at the same time; past it 503."),
    "client_seconds": ("--client-timeout", "Seconds to send a request, or to take an answer."),
    "answer_seconds": ("--answer-timeout", "Seconds to compute an answer; past it 503."),
    "idle_seconds": ("--idle-timeout", "Seconds to keep a connection without a request."),
}


def _limit_options(command: Any) -> Any:
    for field, (flag, help_text) in reversed(_LIMITS.items()):
        default = getattr(_DEFAULTS, field)
        option = click.option(
            flag, field, type=type(default), default=default, show_default=True, help=help_text
        )
        command = option(command)
    return command


@click.command("serve")
@click.argument(
    "bundles", metavar="BUNDLE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; there is no authentication.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 for any that is free.",
)
@click.option("--watch", is_flag=True, help="Load a bundle anew when its files change.")
@click.option(
    "--missing",
    type=click.Choice(["error", "nan"]),
    default="error",
    show_default=True,
    help="What to do with a row that lacks a value: refuse it, or predict it as NaN.",
)
@click.option(
    "--access-log/--no-access-log",
    default=True,
    show_default=True,
    help="Whether to log each request on stderr.",
)
@_limit_options
def command(
    *,
    bundles: tuple[Path, ...],
    host: str,
    port: int,
    watch: bool,
    missing: Literal["error", "nan"],
    access_log: bool,
    **limits: Any,
) -> None:
    """Serve each BUNDLE over HTTP, as the model with its directory's name, until SIGTERM.

    The addresses are those of the Open Inference Protocol, version 2; /docs lists them. SIGHUP has
    every bundle verified and loaded anew.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # already while packages are loaded
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # bundles are read after this anyway
    pipeline.serve(
        bundles,
        host=host,
        port=port,
        watch=watch,
        missing=missing,
        limits=Limits(**limits),
        log_requests=access_log,
    )
