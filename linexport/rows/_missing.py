"""What becomes of missing values, column by column, as the user said it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from linexport._asked import asked
from linexport.columns import require_known
from linexport.encoding import CategoryColumn, EncodedColumn, NumberColumn
from linexport.errors import ConfigError
from linexport.rows._config import FILLS, LEVELS, REFUSALS


def said_of_columns(
    values: str | Sequence[str] | Mapping[str, str] | None,
) -> tuple[str, ...] | None:
    """Return what is said of columns as the command line has it: NAME=WHAT."""
    if isinstance(values, Mapping):
        return tuple(f"{name}={what}" for name, what in values.items())
    if isinstance(values, str):
        return (values,)
    return None if values is None else tuple(values)


def by_column(
    values: Iterable[str], names: Sequence[str], source: str
) -> tuple[list[str], dict[str, str]]:
    """Take NAME=WHAT apart, where a name may have = in it.

    Returns:
        What is said without a name, for all columns; and of each column.

    Raises:
        DataError: If there is no such column.
        ConfigError: If one is named twice.
    """
    of_all, found = [], dict[str, str]()
    for value in values:
        if "=" not in value:
            of_all.append(value)
            continue
        ends = [place for place, letter in enumerate(value) if letter == "="]
        name, what = next(
            ((value[:end], value[end + 1 :]) for end in ends if value[:end] in names),
            value.split("=", 1),
        )
        require_known([name], names, source)
        if found.setdefault(name, what) != what:
            raise ConfigError(f"'{name}' is to be both {found[name]} and {what}.")
    return of_all, found


class MissingRules:
    """What becomes of a missing value in each column, and what else could be said of it."""

    def __init__(
        self, values: Sequence[str], names: Sequence[str], source: str, *, of_part: bool = False
    ) -> None:
        """Take what was said, of all columns and of some of a table's.

        Args:
            values: What was said.
            names: The table's columns.
            source: Where it is, for messages.
            of_part: Whether there are more rows elsewhere, which decide too.

        Raises:
            DataError, ConfigError: As `by_column`; if two things are said of all numbers, or of
                all categories.
        """
        self.of_part = of_part
        self._of_all, self._of = by_column(values, names, source)
        for words in ((*FILLS, *REFUSALS), (*LEVELS, *REFUSALS)):
            said = sorted({what for what in self._of_all if what in words})
            if len(said) > 1:
                raise ConfigError(f"missing is said to be both {said[0]} and {said[1]}.")

    def of_number(self, name: str) -> str:
        """Return mean, median, zero, drop or error."""
        return self._said(name, (*FILLS, *REFUSALS), "is a number")

    def of_category(self, name: str) -> str:
        """Return level, reference, drop or error."""
        return self._said(name, (*LEVELS, *REFUSALS), "is a category")

    def of(self, column: EncodedColumn) -> str:
        """Return what is done about a missing value of a column that is encoded."""
        if isinstance(column, NumberColumn):
            return self.of_number(column.name)
        if isinstance(column, CategoryColumn):
            return self.of_category(column.name)
        return self.of_other(column.name, "is a date")

    def of_other(self, name: str, what: str = "is no feature") -> str:
        """Return drop or error: of a target, weights, or a date."""
        return self._said(name, REFUSALS, what)

    def leniently(self, column: EncodedColumn) -> EncodedColumn:
        """Return a column that takes what only rows hold that do not count, as a level of theirs.

        The others hold nothing else: they decided the levels.
        """
        if not isinstance(column, CategoryColumn):
            return column
        is_level = self.of(column) == "level" and column.missing == "error"
        missing = "reference" if is_level else column.missing
        return replace(column, unknown="reference", missing=missing)

    def to_fill(self, name: str | None = None) -> str:
        """Return what to say to have numbers filled in, of one column or of all."""
        what = "mean" if self.of_part else "median"  # a median takes all rows at once
        return asked(missing=what if name is None else [f"{name}={what}"])

    def to_drop(self, names: Iterable[str]) -> str:
        """Return what to say to leave rows out that lack a value of these columns."""
        is_said = any(what != "error" for what in self._of_all)  # and cannot be said in two ways
        return asked(missing=[f"{name}=drop" for name in names] if is_said else "drop")

    def _said(self, name: str, words: Sequence[str], what: str) -> str:
        own = self._of.get(name)
        if own is not None and own not in words:
            raise ConfigError(f"'{name}' {what}: missing may be {', '.join(words)}, got '{own}'.")
        return own or next((said for said in self._of_all if said in words), "error")
