"""Which dialects make numbers of text that is none: what is ambiguous is asked for, not guessed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

from linexport._asked import asked
from linexport._polars import pl
from linexport.tables._dialect import BEHIND, BRACKETS, LONG, MINUSES, Decimal, Dialect, Thousands
from linexport.tables._numbers import as_numbers, shown

_WRITTEN: tuple[tuple[Decimal, Thousands | None], ...] = (
    (".", None),
    (",", None),
    (".", ","),
    (",", "."),
    (".", " "),
    (",", " "),
    (".", "'"),
    (",", "'"),
    (".", "_"),
)
"""How numbers are written in the world."""
SIGN = r"\p{Sc}|%|\x{2030}|USD|EUR|GBP|CHF|JPY"
_NEGATIVE = {BRACKETS: r"\([^()]*\d[^()]*\)", BEHIND: r"\d\D*-\D*$", LONG: f"^[{LONG}\u2013]"}


class Readings:
    """The dialects that all text seen so far can be read in."""

    def __init__(self, dialect: Dialect | None) -> None:
        """Begin with all; with none where there is no dialect, as text in Parquet has none."""
        self._dialect = dialect or Dialect()
        self._is_empty = True
        self._signs: set[str] = set()
        self._left = dict.fromkeys(_WRITTEN, 0) if dialect else {}
        """Each with a digest of the numbers that it makes."""
        self._lost: dict[tuple[Decimal, Thousands | None], tuple[str, str]] = {}
        """The others, each with the first value seen that it makes none of, and where that is."""

    def add(self, text: pl.Series, where: Callable[[str], str] = str, *, unit: str = "") -> None:
        """Heed some more text, null where there is no value.

        Args:
            text: Without spaces around it.
            where: Says where in it a value stands.
            unit: A sign that its values have.
        """
        self._is_empty = False
        if not self._left:
            return
        self._signs |= {*_signs(text), *filter(None, [unit])}
        if len(self._signs - {*MINUSES}) > 1:
            self._left = {}  # dollars are no euros, nor percent
        for written, digest in [*self._left.items()]:
            numbers = as_numbers(text, self._dialect_of(*written))
            if numbers.count() == text.count():
                self._left[written] = hash((digest, numbers.hash().sum()))
            else:
                value = text.filter(numbers.is_null() & text.is_not_null())[0]
                self._lost[written] = value, where(value)
                del self._left[written]

    def found(self) -> list[Dialect]:
        """Return those that differ in what they make of it, the simplest of each.

        None where no text was seen.
        """
        if self._is_empty:
            return []
        simplest: dict[int, tuple[Decimal, Thousands | None]] = {}
        for written, digest in self._left.items():
            simplest.setdefault(digest, written)
        return [self._dialect_of(*written) for written in simplest.values()]

    def options(self) -> tuple[str, ...]:
        """Return what asks for each that is found."""
        return tuple(options(found, self._dialect) for found in self.found())

    def conflict(self) -> tuple[str, ...]:
        """Return two values of which no dialect makes numbers, each with where it stands.

        None where there is a dialect, or no such two.
        """
        lost = dict.fromkeys(self._lost.values())
        for two in combinations(lost, 2) if not self._left else ():
            if not readings(pl.Series([value for value, _ in two]), self._dialect):
                return tuple(f"{shown(value)} ({where})" for value, where in two)
        return ()

    @staticmethod
    def together(others: "Sequence[Readings]", dialect: Dialect | None) -> "Readings":
        """Return the dialects that the text of all can be read in."""
        together = Readings(dialect)
        for other in others:
            together._is_empty = False
            together._signs |= other._signs  # noqa: SLF001 - its own class
            left = other._left  # noqa: SLF001
            together._lost = other._lost | together._lost  # noqa: SLF001
            together._left = {
                written: hash((digest, left[written]))
                for written, digest in together._left.items()
                if written in left
            }
        return together

    def _dialect_of(self, decimal: Decimal, thousands: Thousands | None) -> Dialect:
        strip = ",".join(sorted({*self._dialect.signs, *self._signs}))
        return replace(self._dialect, decimal=decimal, thousands=thousands, strip=strip)


def readings(text: pl.Series, dialect: Dialect) -> list[Dialect]:
    """Return the dialects in which all text is numbers, of which one was not."""
    found = Readings(dialect)
    found.add(text.str.strip_chars())
    return found.found()


def options(found: Dialect, dialect: Dialect) -> str:
    """Return what asks for one dialect instead of another."""
    names = ("decimal", "thousands", "strip")
    values = {name: getattr(found, name) for name in names}
    return asked(**{k: v for k, v in values.items() if v and v != getattr(dialect, k)})


def advice(text: pl.Series, dialect: Dialect) -> str:
    """Say how to read the last of some values with those before it; nothing if it is no number."""
    last = text.tail(1)
    meant = [_meaning(last.item(), each, dialect) for each in readings(text, dialect)]
    if meant:
        return f"read it {' or '.join(meant)}"
    return "write it in the way of those before it" if readings(last, dialect) else ""


def _meaning(value: str, found: Dialect, dialect: Dialect) -> str:
    number = as_numbers(pl.Series([value.strip()]), found).item()
    return f"as {number:.15g} ({options(found, dialect)})"


def _signs(text: pl.Series) -> list[str]:
    before = text.str.extract(rf"^[-+(\u2212\u2013]?\s*({SIGN})", 1)
    after = text.str.extract(rf"[0-9.,)-]\s*({SIGN})\s*[)-]?$", 1)
    found = [sign for sign in before.append(after).unique().to_list() if sign is not None]
    return found + [sign for sign, form in _NEGATIVE.items() if text.str.contains(form).any()]
