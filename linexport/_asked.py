"""What a message asks for: as an option of a command, or as an argument of a function.

    f"Name the column to predict with {asked(targets=...)}."

names `--target` to whoever runs a command, and `targets=...` to whoever calls a function. All
messages ask so, and nothing else knows which of both is read: it is the process that does, and
the command line says so once as it begins.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

__all__ = ["HOLDERS", "asked", "asked_of_command", "asking_as_here", "asking_for_options"]

_FLAGS = {
    "formats": "--format",
    "header": "--no-header",
    "names": "--name",
    "source": "--data",
    "targets": "--target",
}
"""Options that are not their argument's name with dashes."""
_FUNCTIONS = {"predict": "predict_table"}
"""Functions that do not have their command's name."""
HOLDERS = {
    "dialect=Dialect": (
        "comment", "date_order", "decimal", "delimiter", "encoding", "header", "null_values",
        "sheet", "skip_rows", "skip_rows_after_header", "strip", "thousands",
    ),
    "solver=LeastSquaresConfig": ("l2", "rank_deficient"),
    "solver=SGDConfig": ("device", "learning_rate", "standardize"),
    "config=ServeConfig": ("allow_signature_change", "tls_cert", "tls_key"),
    "config=ExportConfig": ("accumulate", "dtype", "form", "formats"),
}  # fmt: skip
"""The settings classes that hold what is no argument itself, with the argument that takes them."""
_HOLDER = {name: holder for holder, names in HOLDERS.items() for name in names}
_left_out: Collection[str] | None = None
"""Arguments that are not named; None where a function is called, not a command."""


@contextmanager
def asking_for_options(*, but_for: Collection[str] = ()) -> Iterator[None]:
    """Name options from now on, in every thread: what is run is a command.

    Args:
        but_for: Arguments that go without saying, for which the command has no option.
    """
    global _left_out
    before, _left_out = _left_out, but_for
    try:
        yield
    finally:
        _left_out = before


def asking_as_here() -> Callable[[], AbstractContextManager[None]]:
    """Return what has another process, which gets it pickled, name things as this one does."""
    if _left_out is None:
        return nullcontext
    return partial(asking_for_options, but_for=frozenset(_left_out))


def asked(**values: Any) -> str:
    """Return what gives some arguments these values, to paste into a shell or into a call.

    Args:
        values: By the arguments' names; ... for a value that the reader has to choose, a list for
            names of columns and other things of which there may be several.
    """
    if _left_out is None:
        return _as_arguments(values)
    return _as_options({name: value for name, value in values.items() if name not in _left_out})


def asked_of_command(name: str, *paths: str, **values: Any) -> str:
    """Return what runs a command on files, or calls the function that does the same, as `asked`."""
    if _left_out is None:
        given = filter(None, [*map(repr, paths), _as_arguments(values)])
        return f"linexport.{_FUNCTIONS.get(name, name)}({', '.join(given)})"
    import shlex  # only for whoever is told to

    return f"linexport {name} {shlex.join(paths)} {_as_options(values)}".rstrip()


def _as_options(values: Mapping[str, Any]) -> str:
    return " ".join(
        f"{_FLAGS.get(name, '--' + name.replace('_', '-'))} {part}".rstrip()
        for name, value in values.items()
        for part in _words(value)
    )


def _words(value: Any) -> list[str]:
    """Return what follows an option, for each time that it is given."""
    import shlex

    if value is ... or isinstance(value, bool):
        return [""]
    if not isinstance(value, list):
        return [_quoted(str(value))]
    alone = [part for part in value if "," in part or "=" in part]
    together = [part for part in value if part not in alone]
    return [shlex.quote(part) for part in [*([",".join(together)] if together else []), *alone]]


def _quoted(value: str) -> str:
    """Quote for a shell, also what needs it for the eye alone, as a comma within a sentence."""
    import shlex

    if any(map(str.isalnum, value)):
        return shlex.quote(value)
    return f'"{value}"' if "'" in value else f"'{value}'"


def _as_arguments(values: Mapping[str, Any]) -> str:
    held: dict[str, list[str]] = {}
    for name, value in values.items():
        shown = "..." if value is ... else repr(value)
        held.setdefault(_HOLDER.get(name, ""), []).append(f"{name}={shown}")
    plain = held.pop("", [])
    taken = {holder.partition("=")[0] for holder in held}
    return ", ".join(
        [
            *(each for each in plain if each.partition("=")[0] not in taken),
            *(f"{holder}({', '.join(parts)})" for holder, parts in held.items()),
        ]
    )
