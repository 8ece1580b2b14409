"""Why a command stops: a kind, a sentence and an exit status, for people and as JSON.

Exit status: 0 done, 1 the verdict is negative, 2 misuse, 3 could not be done, 70 a fault of
linexport itself, 128 and the number of the signal that ended it: 130, 143, 129.
"""

import re
import signal
import traceback
from pathlib import Path
from typing import NamedTuple

import click

from linexport.cli._terminal import discard_output, echo, echo_error
from linexport.errors import ConfigError, DataError, LinexportError, ParityError

DISAGREES, MISUSE, FAILED, FAULT = 1, 2, 3, 70


_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|bad allocation|[Cc]an(no|')t allocate memory|failed to map segment"
)
"""What is said by libraries that raise no MemoryError: PyTorch, onnxruntime, the loader of each."""


class Failure(NamedTuple):
    """What ended a command."""

    kind: str
    """The name of the error's class, or Interrupted, or Fault."""
    status: int
    message: str


def status_of(error: LinexportError) -> int:
    """Return the exit status that says what kind of error it is."""
    if isinstance(error, ConfigError):
        return MISUSE
    return DISAGREES if isinstance(error, ParityError) else FAILED


def failure_of(error: BaseException, interrupted_by: int) -> Failure:
    """Tell what an error means.

    Args:
        error: What ended the command.
        interrupted_by: The number of the signal that came before, or 0: a package that is being
            loaded may make another error of an interrupt.
    """
    kind = type(error).__name__
    if isinstance(error, LinexportError):
        return Failure(kind, status_of(error), str(error))
    if isinstance(error, click.ClickException):
        return Failure("UsageError", error.exit_code, error.format_message())
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return Failure(kind, FAILED, "There is not enough memory for this (ulimit -v).")
    if isinstance(error, OSError):
        return Failure(
            "OSError", FAILED, f"{error.filename or 'standard output'}: {error.strerror}."
        )
    if refusal := _refusal(str(error)):
        return Failure("OSError", FAILED, refusal)
    if interrupted_by or isinstance(error, click.Abort | KeyboardInterrupt):
        return Failure("Interrupted", 128 + (interrupted_by or signal.SIGINT), "interrupted")
    return Failure("Fault", FAULT, _fault(error))


def _refusal(said: str) -> str | None:
    """Return why the system refused what polars or Python make no OSError of, if it did."""
    if "can't start new thread" in said or "code: 11," in said:  # EAGAIN
        return (
            "The system starts no more threads: there is not enough memory, or a limit is reached "
            "(ulimit -v, -u)."
        )
    if "code: 24," in said:  # EMFILE
        return "Too many files are open: raise the limit (ulimit -n)."
    return None


def echo_failure(error: BaseException, failure: Failure, *, as_json: bool) -> None:
    """Print why a command stops on standard error; as a document on standard output too."""
    if isinstance(error, click.ClickException):
        error.show()
    elif failure.kind == "Interrupted":
        click.echo(failure.message, err=True)
    else:
        echo_error(failure.message)
    if isinstance(error, OSError):  # it may be of standard output
        discard_output()
    elif as_json:
        echo(_document(error, failure))


def _document(error: BaseException, failure: Failure) -> str:
    """What `--json` prints of an error, with the place of what is wrong in a table."""
    import json

    said: dict[str, object] = {
        "kind": failure.kind, "exit_status": failure.status, "message": failure.message,
    }  # fmt: skip
    if isinstance(error, DataError):
        said |= {"source": error.source, "column": error.column, "row": error.row}
    return json.dumps({"error": said}, indent=2)


def _fault(error: BaseException) -> str:
    """Say what happened that should not have, where, and whom to tell."""
    places = [place for place in traceback.extract_tb(error.__traceback__) if place.line]
    where = f" in {Path(places[-1].filename).name}, line {places[-1].lineno}" if places else ""
    said = " ".join(str(error).split())[:200]
    return (
        f"This is a fault of linexport, not yours: {type(error).__name__}{where}: {said}. Please "
        "report it with the command that you gave."
    )
