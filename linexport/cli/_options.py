"""Options: made from settings classes, listed by --help under headings, shared by commands."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from linexport._settings import Setting, stated
from linexport.errors import ConfigError, LinexportError

if TYPE_CHECKING:
    from linexport.tables import Dialect

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")

DATA = "Data"
MODEL = "The model"
PRINTED = "What is printed"
WRITTEN = "What is written"
_TYPES = {int: click.INT, float: click.FLOAT, str: click.STRING}


class Section(NamedTuple):
    """A settings class, and what --help lists its options under."""

    heading: str
    settings: type


Sections = Callable[[], Iterable[Section]]


class HeadedOption(click.Option):
    """An option that --help lists under a heading."""

    def __init__(self, *arguments: Any, heading: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.heading = heading


def option_under(heading: str) -> Callable[..., Callable[[Command], Command]]:
    """Return `click.option` for options under the heading of a section."""
    return partial(click.option, cls=HeadedOption, heading=heading)


class SettingsCommand(click.Command):
    """A command that also takes the options of settings classes.

    They are looked up when the command is called, because a registry may have grown by then. An
    option that the function states itself, or that two classes have, is there once.

    Attributes:
        example: What --help opens with.
        negative: What exit status 1 means, if there is one.
        sections: The settings classes.
    """

    def __init__(
        self,
        *arguments: Any,
        example: str,
        negative: str = "",
        sections: Sections = tuple,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.example = example
        self.negative = negative
        self.sections = sections

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write an example first, and exit statuses last."""
        write_opening(formatter, self.example)
        super().format_help(ctx, formatter)
        write_statuses(formatter, self.negative)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Say of files without an option that a table needs one, and of several what names them."""
        tables = [each for each in args if each.partition("=")[0] == "--data"]
        if len(tables) > 1:
            told = "--data is given twice. Name a directory, or a pattern: --data 'part-*.csv'."
            raise click.UsageError(told, ctx)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            has_data = any(parameter.name == "data" for parameter in self.get_params(ctx))
            if not (has_data and error.message.startswith("Got unexpected extra argument")):
                raise
            told = "Name a table with --data TABLE."
            if tables:
                told = "Put a pattern in quotes: --data 'part-*.csv'."
            raise click.UsageError(f"{error.message}. {told}", ctx) from error

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the function's own, then those of each section."""
        found = {parameter.name: parameter for parameter in super().get_params(ctx)}
        for section in self.sections():
            for setting in stated(section.settings):
                if setting.flag and setting.name not in found:
                    found[setting.name] = _option(setting, section.heading)
        return list(found.values())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections in their order; what has no heading comes last."""
        order = [DATA, MODEL, *(section.heading for section in self.sections())]
        last = (WRITTEN, PRINTED, "Options")
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        headings = {option: getattr(option, "heading", "Options") for option in options}
        own = [heading for heading in headings.values() if heading not in last]
        for heading in dict.fromkeys((*order, *own, *last)):
            under = [option for option in options if headings[option] == heading]
            records = [record for option in under if (record := option.get_help_record(ctx))]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def write_opening(formatter: click.HelpFormatter, example: str) -> None:
    """Write the example that --help opens with."""
    formatter.write(f"Example: {example}\n\n")


def write_statuses(formatter: click.HelpFormatter, negative: str) -> None:
    """Write the exit statuses that --help ends with."""
    one = f"1 {negative}, " if negative else ""
    formatter.write_paragraph()
    formatter.write_text(
        f"Exit status: 0 done, {one}2 misuse, 3 could not be done, 130 interrupted."
    )


def made(cls: type[T], values: Mapping[str, Any]) -> T:
    """Make settings of what was given on the command line; the rest keeps its default.

    Raises:
        click.UsageError: If they cannot be.
    """
    try:
        return cls(**given(cls, values))
    except ConfigError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error


def given(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings of a class that were given on the command line."""
    names = [setting.name for setting in stated(cls) if setting.flag]
    return {name: values[name] for name in names if values.get(name) not in (None, ())}


json_option = option_under(PRINTED)(
    "--json", "as_json", is_flag=True, help="Print one JSON document, of an error too."
)
quiet_option = option_under(PRINTED)("-q", "--quiet", is_flag=True, help="Print the result alone.")
verbose_option = option_under(PRINTED)(
    "-v", "--verbose", is_flag=True, help="Print all that is known."
)
graph_output_option = option_under(MODEL)(
    "--graph-output", metavar="NAME", help="Which output of an ONNX graph that has several."
)


def bundle_options(*, must_be_named: bool = False) -> Callable[[Command], Command]:
    """Add where a bundle goes, and what is printed of it."""
    where = {"required": True} if must_be_named else {"default": Path("models/linear-regression")}
    written = option_under(WRITTEN)
    return _together(
        written(
            "-o",
            "--output",
            type=click.Path(path_type=Path),
            show_default=True,
            **where,
            help="Directory of the bundle.",
        ),
        written("--overwrite", is_flag=True, help="Replace a bundle that is there."),
        json_option,
        quiet_option,
        verbose_option,
    )


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Add options in their order."""

    def add(command: Command) -> Command:
        for option in reversed(options):  # as decorators are applied, the last one first
            command = option(command)
        return command

    return add


def export_sections() -> list[Section]:
    """What shapes a bundle and its proof."""
    from linexport.parity import ProbeConfig
    from linexport.pipeline import ExportConfig

    return [Section("Parity check", ProbeConfig), Section(WRITTEN, ExportConfig)]


def table_sections() -> list[Section]:
    """How a table is written that is read."""
    from linexport.tables import Dialect

    return [Section("How CSV is written", Dialect)]


def dialect_given(values: Mapping[str, Any]) -> "Dialect | None":
    """Return how a table is written, if anything was said of it.

    Raises:
        click.UsageError: If it cannot be so.
    """
    from linexport.tables import Dialect

    return made(Dialect, values) if given(Dialect, values) else None


def columns_of(table: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
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

        try:
            names = tables.open_table(given, dialect=dialect_given(ctx.params)).names
        except (LinexportError, OSError):
            return []
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names if name.startswith(last)]

    return complete


def _units(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    units = {}
    for value in values:
        name, separator, unit = value.partition("=")
        if not separator:
            raise click.BadParameter(f"{value!r} is not NAME=UNIT.")
        units[name] = unit
    return units


def units_option(option: Callable[..., Any]) -> Callable[[Command], Command]:
    """Add the option that states units of columns."""
    made: Callable[[Command], Command] = option(
        "--unit",
        "units",
        multiple=True,
        metavar="NAME=UNIT",
        callback=_units,
        help="Unit of a column; repeatable.",
    )
    return made


def names_option(
    flag: str, help_text: str, option: Callable[..., Any], *, table: str
) -> Callable[[Command], Command]:
    """Add an option that takes column names, one each time or several with commas.

    Args:
        flag: On the command line.
        help_text: What the columns are for.
        option: Makes it, under its heading.
        table: The parameter that names the table, whose columns a shell completes.
    """
    made: Callable[[Command], Command] = option(
        flag,
        multiple=True,
        metavar="NAME[,NAME...]",
        help=f"{help_text} Repeatable.",
        shell_complete=columns_of(table),
    )
    return made


def rows_options(table: str, weights: str) -> Callable[[Command], Command]:
    """Add the options that say what the columns of a table to train on are for.

    Args:
        table: The parameter that names the table, whose columns a shell completes.
        weights: What --weights is, for --help.
    """
    data = option_under(DATA)
    features = "Columns to predict from; all others but the targets if not given."
    return _together(
        names_option("--target", "Columns to predict.", data, table=table),
        names_option("--features", features, data, table=table),
        names_option("--exclude", "Columns to leave aside.", data, table=table),
        data("--weights", metavar="NAME", shell_complete=columns_of(table), help=weights),
    )


def _option(setting: Setting, heading: str) -> click.Option:
    """Make an option that is None or () where it is not given: the class has the default."""
    flag = setting.flag
    help_text = setting.help + (" Repeatable." if setting.several else "")
    notes = [note for note in (_default(setting), setting.bounds) if note]
    if notes:
        help_text += f"  [{'; '.join(notes)}]"
    is_flag = setting.kind is bool
    return HeadedOption(
        [f"{flag}/--no-{flag.removeprefix('--')}" if is_flag else flag, setting.name],
        heading=heading,
        type=click.Choice(list(setting.choices())) if setting.choices else _TYPES.get(setting.kind),
        multiple=setting.several,
        default=None,
        metavar=setting.metavar,
        callback=partial(_checked, setting),
        help=help_text,
    )


def _checked(setting: Setting, ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    try:
        return value if value in (None, ()) else setting.taken(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


def _default(setting: Setting) -> str:
    value = setting.default
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        value = f"{'' if value else 'no-'}{setting.flag.removeprefix('--')}"
    return f"default: {', '.join(value) if setting.several else value}"
