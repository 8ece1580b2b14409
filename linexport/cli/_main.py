"""The group of commands, what it says where none is named, and the process that runs one."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from linexport._asked import asking_for_options
from linexport._interrupts import Interrupts
from linexport.cli._failing import FAILED, echo_failure, failure_of
from linexport.cli._options import write_opening, write_statuses
from linexport.cli._room import require_room
from linexport.cli._terminal import discard_output, echo, has_colors

COMMANDS = {
    "describe": "Say what the columns of a table are.",
    "evaluate": "Compare predictions with the truth.",
    "export": "Export a model from anywhere, and prove it.",
    "fit": "Fit what states hold, export, prove.",
    "inspect": "Say what a bundle or an artifact is.",
    "predict": "Predict every row of a table.",
    "report": "Write a page about a bundle: equation, fit, proof, what-if.",
    "serve": "Answer predictions over HTTP.",
    "state": "Add up a part of the rows, to be fitted with others.",
    "synthesize": "Write synthetic data as CSV or Parquet.",
    "train-and-export": "Fit, export, prove: the main job.",
    "verify": "Check artifacts against their reference model.",
}
"""With each help line, so that `--help` loads no command."""


FIRST_STEPS = """\
linexport turns a linear regression into ONNX and TorchScript files, and proves that they predict
the same everywhere. Begin with made-up rows, or with a table (CSV, Parquet, Excel) of your own:

  linexport train-and-export                          a first model, of made-up rows
  linexport describe TABLE                            what the columns of a table are
  linexport train-and-export --data TABLE --target COLUMN -o models/mine
  linexport predict models/mine NEW_TABLE             predictions, as CSV
  linexport serve models/mine                         the same over HTTP

linexport --help lists every command, and linexport COMMAND --help says all about one.
"""


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not (name in COMMANDS or name.startswith("-") or ctx.resilient_parsing):
            raise click.UsageError(f"No such command '{name}'.{_meant(name)}", ctx)
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _ending_quietly():  # --help is printed here
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _ending_quietly():
            return super().invoke(ctx)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_opening(formatter, "linexport train-and-export --data flats.csv --target price")
        super().format_help(ctx, formatter)
        write_statuses(formatter, "the verdict is negative")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@contextmanager
def _ending_quietly() -> Iterator[None]:
    """Stop where the reader of our output is gone: there is nobody to tell."""
    try:
        yield
    except BrokenPipeError:
        discard_output()
        raise click.exceptions.Exit(FAILED) from None  # click's 1 would be a negative verdict


def _meant(name: str) -> str:
    """Ask whether a command was meant that is spelt or begins likewise."""
    from difflib import get_close_matches  # only for whoever has mistyped a name

    begun = [known for known in COMMANDS if known.startswith(name)]
    near = begun or get_close_matches(name, COMMANDS)
    return f" Did you mean {' or '.join(near)}?" if near else ""


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="linexport", message="%(prog)s %(version)s")
@click.pass_context
def linexport(ctx: click.Context) -> None:
    """Fit a linear regression, export it, and prove that every runtime predicts the same."""
    if not has_colors():  # click does not look by itself
        ctx.color = False
    if ctx.invoked_subcommand is None:
        echo(FIRST_STEPS.rstrip())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    atexit.register(gc.freeze)  # or the interpreter looks at every object several times as it ends
    # Threads of BLAS without work sleep after 2**16 ticks, where they would spin for 30 ms.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")
    interrupts = Interrupts()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        require_room(given, tuple(COMMANDS))
        with asking_for_options():
            status = linexport.main(given, prog_name="linexport", standalone_mode=False)
    except SystemExit:  # click has completed what a shell asked for
        raise
    except BaseException as error:  # a panic of polars is no Exception
        status = _told(error, interrupts.came, as_json="--json" in given)
    sys.exit(status or 0)


def _told(error: BaseException, interrupted_by: int, *, as_json: bool) -> int:
    """Say why a command stops, and return its status."""
    try:
        failure = failure_of(error, interrupted_by)
        echo_failure(error, failure, as_json=as_json)
    except MemoryError:  # there is not even enough for that
        os.write(2, b"error: There is not enough memory for this.\n")
        return FAILED
    return failure.status


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
