"""Every kind of model that there is: how it is known, and which module reads it. Nothing is loaded.

A module defines `read(thing) -> Imported` for objects and, where its row names suffixes,
`decode(data: bytes) -> Imported` for what files of those hold, and `load(path: Path) -> bytes` if
that is not all in the one file. Where its row has outputs, both take a name as well.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from linexport.errors import ConfigError

__all__ = [
    "INTERCEPTS",
    "SOURCES",
    "Source",
    "is_arrays",
    "is_coefficients",
    "made_by",
    "register",
    "source_files",
]

INTERCEPTS = ("(Intercept)", "Intercept", "const")
"""What R, formulas of Python's and statsmodels call it among the coefficients."""


class Source(NamedTuple):
    """One kind of model."""

    module: str
    """What reads it, by its full name; imported when something of the kind is met."""
    takes: Callable[[Any], bool]
    """Tells an object of the kind from others."""
    suffixes: tuple[str, ...] = ()
    """Of files of the kind, with the dot."""
    holding: str = ""
    """What such a file holds, where its suffix leaves that open; for --help."""
    has_outputs: bool = False
    """Whether there may be several outputs, one of which is the model."""


def made_by(*packages: str) -> Callable[[Any], bool]:
    """Take what a package made: an object of its classes, or a mapping with such values."""

    def takes(thing: Any) -> bool:
        return any(
            kind.__module__.partition(".")[0] in packages
            for part in (thing, *(thing.values() if isinstance(thing, Mapping) else ()))
            for kind in type(part).__mro__
        )

    return takes


def register(new: Source) -> None:
    """Add a kind; it is asked after those that are there.

    Raises:
        ConfigError: If one of its suffixes is another's.
    """
    for known in SOURCES:
        for suffix in {*known.suffixes} & {*new.suffixes}:
            raise ConfigError(f"Files with {suffix} are read by {known.module} already.")
    SOURCES.append(new)


def source_files() -> str:
    """Return what files there are, for --help: each kind's suffixes, and what they hold."""
    kinds = (
        f"{', '.join(known.suffixes)}{' with ' * bool(known.holding)}{known.holding}"
        for known in SOURCES
        if known.suffixes
    )
    return "; ".join(kinds)


def is_coefficients(thing: Any) -> bool:
    """Tell coefficients by name, or broom's rows of them, from other things."""
    if isinstance(thing, list):
        return bool(thing) and all(isinstance(row, Mapping) for row in thing)
    if type(thing).__module__.partition(".")[0] == "pandas":
        return type(thing).__name__ == "Series"
    # A form with the intercept among them has a number for each name; one of these may be weight.
    named = isinstance(thing, Mapping) and any(name in thing for name in INTERCEPTS)
    return named or (isinstance(thing, Mapping) and not (is_arrays(thing) or _is_tensors(thing)))


def _is_tensors(thing: Mapping[Any, Any]) -> bool:
    return bool(thing) and all(made_by("torch")(value) for value in thing.values())


def is_arrays(thing: Any) -> bool:
    """Tell plain arrays by name."""
    return isinstance(thing, Mapping) and any(
        isinstance(name, str) and name.split(".")[-1] == "weight" for name in thing
    )


_ROOM = "linexport.sources"
SOURCES = [
    Source(f"{_ROOM}._coefficients", is_coefficients, (".json",), "names and coefficients"),
    Source(f"{_ROOM}._torch_modules", made_by("torch"), (".pt", ".pth", ".bin"), "a state_dict"),
    Source(f"{_ROOM}._arrays", is_arrays, (".safetensors",)),
    Source(f"{_ROOM}._onnx", made_by("onnx"), (".onnx",), has_outputs=True),
    Source(f"{_ROOM}._statsmodels", made_by("statsmodels")),
    Source(f"{_ROOM}._xgboost", made_by("xgboost")),
    Source(f"{_ROOM}._lightgbm", made_by("lightgbm")),
    # Their estimators are derived from scikit-learn's.
    Source(f"{_ROOM}._scikit_learn", made_by("sklearn")),
    Source(f"{_ROOM}._reading", made_by("linexport")),
]
"""In the order in which they are asked."""
