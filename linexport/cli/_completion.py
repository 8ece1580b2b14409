"""What a shell's completion offers beside commands, options and files: names of columns."""

from collections.abc import Callable

import click

from linexport.errors import LinexportError

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def columns_of(table: str) -> Complete:
    """Return what completes the name of a column, or the last of several with commas.

    Args:
        table: The parameter that names the table. Where it is not given before, or cannot be read,
            nothing is offered.
    """

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        # Arguments are not told apart while the option lacks its value: a model is the first.
        given = ctx.params.get(table) or tuple(ctx.args[1:])
        if not given or given in ("-", ("-",)):  # standard input is the shell's
            return []
        from linexport import tables
        from linexport.cli._options import dialect_given

        try:
            names = tables.open_table(given, dialect=dialect_given(ctx.params)).names
        except (LinexportError, OSError):
            return []
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names if name.startswith(last)]

    return complete
