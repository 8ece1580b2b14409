"""Column names as users write them."""

from collections.abc import Sequence


def split_names(values: str | Sequence[str], names: Sequence[str]) -> list[str]:
    """Take "a,b" as two names, unless there is a column of that name."""
    values = [values] if isinstance(values, str) else values
    return [name for value in values for name in ([value] if value in names else value.split(","))]
