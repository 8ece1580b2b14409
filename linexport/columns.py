"""What a model calls its inputs and outputs. Without NumPy, so that names can be read early."""

from collections.abc import Sequence
from dataclasses import dataclass

from linexport.errors import ModelError

__all__ = ["Column", "default_columns", "listed"]

_MOST_LISTED = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One feature or target: its name and what the training data showed of it."""

    name: str
    unit: str = ""
    """Unit of measurement, as the user wrote it; empty if not given."""
    minimum: float | None = None
    """Smallest training value, in `unit`; None where the model was not trained here."""
    maximum: float | None = None
    mean: float | None = None
    standard_deviation: float | None = None
    """Of the training values, dividing by N; of an imported model, what its scaler subtracts and
    divides by, where it has one."""

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable():
            raise ModelError(f"A column name must be printable text, got {self.name!r}.")
        if not (self.unit == "" or self.unit.isprintable()):
            raise ModelError(f"The unit of '{self.name}' must be printable text.")
        if (self.minimum is None) != (self.maximum is None):
            raise ModelError(f"Column '{self.name}' needs both ends of its range, or neither.")
        if self.minimum is not None and not self.minimum <= self.maximum:  # type: ignore[operator]
            raise ModelError(
                f"The range of '{self.name}' is empty: {self.minimum} to {self.maximum}."
            )


def default_columns(prefix: str, count: int) -> tuple[Column, ...]:
    """Name columns that have no name: x1, x2, ...; a single target is just y."""
    if (prefix, count) == ("y", 1):
        return (Column(name="y"),)
    return tuple(Column(name=f"{prefix}{number}") for number in range(1, count + 1))


def listed(names: Sequence[str]) -> str:
    """Return names as a message lists them, the first of many."""
    shown = ", ".join(f"'{name}'" for name in names[:_MOST_LISTED])
    left = len(names) - _MOST_LISTED
    return f"{shown} and {left} more" if left > 0 else shown
