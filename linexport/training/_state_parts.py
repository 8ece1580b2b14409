"""Names of parts: what they may be, and whether all that are numbered are there."""

import re
from collections.abc import Iterable
from itertools import islice

from linexport.errors import ConfigError, DataError, shortened

_LONGEST = 200
_MOST_SHOWN = 12
_NUMBERED = re.compile(r"(.*?)(\d{1,9})/(\d{1,9})")


def named_part(name: str | None) -> str | None:
    """Return the name of a part.

    Raises:
        ConfigError: If it is no printable text of one line, or a number beyond its count.
    """
    if name is None:
        return name
    if not (0 < len(name) <= _LONGEST and name.isprintable()):
        raise ConfigError(
            f"A part's name must be printable, up to {_LONGEST} letters: {shortened(repr(name))}."
        )
    found = _NUMBERED.fullmatch(name)
    if found and not 1 <= int(found[2]) <= int(found[3]):
        raise ConfigError(f"There is no part '{name}': parts are numbered from 1, as 1/{found[3]}.")
    return name


def require_all(names: Iterable[str]) -> None:
    """Check that of parts with names such as `3/8` all are there.

    Raises:
        DataError: If some are not, or are of different counts.
    """
    groups: dict[str, set[tuple[int, int]]] = {}
    for found in filter(None, map(_NUMBERED.fullmatch, names)):
        groups.setdefault(found[1], set()).add((int(found[2]), int(found[3])))
    for prefix, numbered in groups.items():
        counts = sorted({count for _, count in numbered})
        if len(counts) > 1:
            raise DataError(
                f"Parts are numbered as of {counts[0]} and as of {counts[1]}: make their states "
                "again, with one count."
            )
        lost = counts[0] - len(numbered)
        if lost:
            there = {number for number, _ in numbered}
            missing = (n for n in range(1, counts[0] + 1) if n not in there)
            shown = [f"{prefix}{n}/{counts[0]}" for n in islice(missing, _MOST_SHOWN)]
            more = f" and {lost - _MOST_SHOWN} more" if lost > _MOST_SHOWN else ""
            raise DataError(
                f"{lost} of {counts[0]} parts are missing: {', '.join(shown)}{more}. Merge their "
                "states too."
            )
