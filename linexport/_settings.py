"""Settings stated once: what each is for, its default, and what it may be.

A settings class checks itself at birth, lists its fields in its docstring, and gives the command
line its options:

    @settings
    class LeastSquaresConfig:
        \"\"\"What least squares minimizes, and how.\"\"\"

        l2: float = setting(default=0.0, help="Ridge penalty.", minimum=0)
"""

import math
import operator
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields
from functools import cache
from numbers import Integral, Real
from typing import (
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from linexport.errors import ConfigError

__all__ = ["Setting", "setting", "settings", "stated"]

T = TypeVar("T")

_NOUNS = {bool: "True or False", int: "a whole number", float: "a finite number", str: "text"}
_NUMBERS: dict[type, type] = {int: Integral, float: Real}
_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "at least": operator.ge, "above": operator.gt, "at most": operator.le, "below": operator.lt,
}  # fmt: skip


class Setting(NamedTuple):
    """One field of a settings class."""

    name: str
    kind: type
    """bool, int, float or str; of each element where there are several."""
    optional: bool
    """Whether it may be None, which leaves the choice to us."""
    several: bool
    """Whether it is a tuple."""
    default: Any
    help: str
    choices: Callable[[], Iterable[str]] | None
    """Looked up when needed: a registry may have grown since the class was made."""
    limits: dict[str, float]
    """By words: "at least", "above", "at most", "below"."""
    flag: str
    """On the command line; empty for none."""
    metavar: str | None

    @property
    def bounds(self) -> str:
        """The bounds in words; empty if there are none."""
        return " and ".join(f"{word} {bound}" for word, bound in self.limits.items())

    def taken(self, value: Any) -> Any:
        """Return a value as the field holds it.

        Raises:
            ConfigError: If it may not be.
        """
        if value is None and self.optional:
            return None
        if not self.several:
            if self._is_one(value):
                return self.kind(value)
        elif isinstance(value, tuple | list) and value and all(map(self._is_one, value)):
            return tuple(map(self.kind, value))
        raise ConfigError(f"must be {self._allowed()}, got {value!r}.", setting=self.name)

    def _is_one(self, value: Any) -> bool:
        if self.choices is not None:
            return isinstance(value, str) and value in self.choices()
        if self.kind not in _NUMBERS:
            return isinstance(value, self.kind)
        return isinstance(value, _NUMBERS[self.kind]) and self._is_within(value)

    def _is_within(self, value: Any) -> bool:
        return (
            not isinstance(value, bool)
            and math.isfinite(value)
            and (self.kind is float or -(2**63) <= value < 2**63)
            and all(_HOLDS[word](value, bound) for word, bound in self.limits.items())
        )

    def _allowed(self) -> str:
        if self.choices is None:
            of = "of " if self.bounds.startswith("at ") else ""
            return f"{_NOUNS[self.kind]} {of}{self.bounds}".rstrip()
        *others, last = self.choices()
        if self.several:
            return f"a tuple of {', '.join((*others, last))}, such as ('{last}',)"
        return f"{', '.join(others)} or {last}" if others else last


def setting(
    *,
    default: Any,
    help: str,  # noqa: A002 - click's word too
    choices: Callable[[], Iterable[str]] | None = None,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    flag: str | None = None,
    metavar: str | None = None,
) -> Any:
    """State a field of a settings class.

    Args:
        default: None, where the type allows it, leaves the choice to us.
        help: For the class's docstring and for --help: what it is, with its unit.
        choices: Returns what it may be; not needed for a Literal.
        minimum: The least that it may be.
        above: What it must exceed.
        maximum: The most that it may be.
        below: What it must stay under.
        flag: On the command line, where it is not the name with dashes; empty for none.
        metavar: What --help shows for the value.
    """
    bounds = {"at least": minimum, "above": above, "at most": maximum, "below": below}
    metadata = {
        "help": " ".join(help.split()),
        "choices": choices,
        "limits": {word: bound for word, bound in bounds.items() if bound is not None},
        "flag": flag,
        "metavar": metavar,
    }
    return field(default=default, metadata=metadata)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting,))
def settings(cls: type[T]) -> type[T]:
    """Make a frozen, keyword-only dataclass that is valid from birth, of fields by `setting`.

    What depends on several fields, or is no matter of bounds, goes into its `__post_init__`.
    """
    further: Callable[[T], None] | None = getattr(cls, "__post_init__", None)  # a base's too

    def check(self: Any) -> None:
        for each in stated(made):
            object.__setattr__(self, each.name, each.taken(getattr(self, each.name)))
        if further is not None:
            further(self)

    cls.__post_init__ = check  # type: ignore[attr-defined]
    made: Any = dataclass(frozen=True, kw_only=True, slots=True)(cls)
    made.__doc__ = f"{cls.__doc__}\n\nAttributes:\n{_described(made)}"
    return made  # type: ignore[no-any-return]


@cache
def stated(cls: Any) -> tuple[Setting, ...]:
    """Return the fields of a settings class, in their order."""
    hints = get_type_hints(cls)
    return tuple(_setting(each, hints[each.name]) for each in fields(cls))


def _setting(field: Field[Any], hint: Any) -> Setting:
    """Tell from a type what the values are; a Literal is its own choices."""
    parts = get_args(hint)
    optional = type(None) in parts
    if optional:
        (hint,) = (part for part in parts if part is not type(None))
    several = get_origin(hint) is tuple
    if several:
        hint = get_args(hint)[0]
    stated = dict(field.metadata)
    if get_origin(hint) is Literal:
        stated["choices"] = lambda: get_args(hint)
    if stated["flag"] is None:
        stated["flag"] = "--" + field.name.replace("_", "-")
    return Setting(
        name=field.name,
        default=field.default,
        kind=hint if isinstance(hint, type) else str,
        optional=optional,
        several=several,
        **stated,
    )


def _described(cls: type) -> str:
    return "\n".join(
        textwrap.fill(
            f"{each.name}: {each.help}", 96, initial_indent=" " * 4, subsequent_indent=" " * 8
        )
        for each in stated(cls)
    )
