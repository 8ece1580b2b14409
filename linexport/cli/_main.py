"""The group of commands, the process that runs one, and what becomes of errors.

Exit status: 0 done, 1 the verdict is negative, 2 misuse, 3 could not be done, 70 a fault of
linexport itself, 128 and the number of the signal that ended it: 130, 143, 129.
"""

import atexit
import gc
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import click

from linexport.cli._terminal import FAILED, FAULT, discard_output, echo_error, has_colors, status_of
from linexport.errors import LinexportError

COMMANDS = {
    "describe": "Say what the columns of a table are.",
    "export": "Export a model from anywhere, and prove it.",
    "inspect": "Say what a bundle or an artifact is.",
    "predict": "Predict from a CSV or Parquet file.",
    "report": "Write a page about a bundle: equation, fit, proof, what-if.",
    "serve": "Answer predictions over HTTP.",
    "synthesize": "Write synthetic data as CSV or Parquet.",
    "train-and-export": "Fit, export, prove: the main job.",
    "verify": "Check artifacts against their reference model.",
}
"""With each help line, so that `--help` loads no command."""


class _LazyGroup(click.Group):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"linexport.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output is gone: nobody to tell
            discard_output()
            ctx.exit(FAILED)  # click would exit with 1, which is a negative verdict

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="linexport", message="%(prog)s %(version)s")
@click.pass_context
def linexport(ctx: click.Context) -> None:
    """Fit a linear regression, export it, and prove that every runtime predicts the same."""
    if not has_colors():  # click does not look by itself
        ctx.color = False


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    atexit.register(gc.freeze)  # or the interpreter looks at every object several times as it ends
    interrupts = _Interrupts()
    try:
        status = linexport.main(arguments, prog_name="linexport", standalone_mode=False)
    except click.exceptions.Exit as exit_request:
        status = exit_request.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except LinexportError as error:
        echo_error(str(error))
        status = status_of(error)
    except MemoryError:
        echo_error("There is not enough memory for this.")
        status = FAILED
    except OSError as error:
        echo_error(f"{error.filename or 'standard output'}: {error.strerror}.")
        discard_output()
        status = FAILED
    except BaseException as error:  # a panic of polars is no Exception
        if interrupts.came or isinstance(error, click.Abort | KeyboardInterrupt):
            click.echo("interrupted", err=True)
            status = 128 + (interrupts.came or signal.SIGINT)
        else:
            echo_error(_fault(error))
            status = FAULT
    sys.exit(status or 0)


def _fault(error: BaseException) -> str:
    """Say what happened that should not have, where, and whom to tell."""
    places = [place for place in traceback.extract_tb(error.__traceback__) if place.line]
    where = f" in {Path(places[-1].filename).name}, line {places[-1].lineno}" if places else ""
    said = " ".join(str(error).split())[:200]
    return (
        f"This is a fault of linexport, not yours: {type(error).__name__}{where}: {said}. Please "
        "report it with the command that you gave."
    )


@contextmanager
def collector_patient() -> Iterator[None]:
    """Let a command import and work with a hundredth of the garbage collections.

    Importing polars, onnx and onnxruntime takes a quarter less time so, and torch, which makes half
    a million objects, several tenths of a second. What is there at the end is left out of later
    collections: the next one would walk it all, and the process is about to end.
    """
    before = gc.get_threshold()
    gc.set_threshold(100 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*before)


class _Interrupts:
    """Ends the command as Ctrl-C does, which removes what is half written, whichever signal comes.

    It remembers that one came: a package that is being loaded may make another error of it.
    """

    def __init__(self) -> None:
        self.came = 0
        """The first one's number."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.came = self.came or number
        signal.default_int_handler(number, frame)
