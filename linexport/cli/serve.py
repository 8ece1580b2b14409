"""linexport serve."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from linexport import pipeline
from linexport.cli._options import Section, SettingsCommand, made
from linexport.serving import Limits, ServeConfig

__all__ = ["command"]


def _sections() -> Iterable[Section]:
    return (Section("Serving", ServeConfig), Section("Limits of each worker", Limits))


@click.command(
    "serve",
    cls=SettingsCommand,
    sections=_sections,
    example="linexport serve models/flats --port 8000",
)
@click.argument(
    "bundles", metavar="BUNDLE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
def command(*, bundles: tuple[Path, ...], **values: Any) -> None:
    """Serve each BUNDLE over HTTP, as the model with its directory's name, until SIGTERM.

    The addresses are those of the Open Inference Protocol, version 2; /openapi.json lists them.
    SIGHUP has every bundle verified and loaded anew.
    """
    # Already while packages are loaded; an exception might be swallowed by what it interrupts.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # bundles are read after this anyway
    pipeline.serve(bundles, config=made(ServeConfig, values), limits=made(Limits, values))
