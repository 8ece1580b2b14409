"""Every kind of model that there is: how it is known, and which module reads it. Nothing is loaded.

A module defines `read(thing) -> Imported` for objects and, where its row names suffixes,
`decode(data: bytes) -> Imported` for what files of those hold, and `load(path: Path) -> bytes` if
that is not all in the one file. Where its row has outputs, both take a name as well.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from linexport.errors import ConfigError

__all__ = [
    "INTERCEPTS",
    "SOURCES",
    "Source",
    "is_arrays",
    "is_coefficients",
    "is_source_file",
    "made_by",
    "register",
    "source_files",
]

INTERCEPTS = ("(Intercept)", "Intercept", "const", "__bias__")
"""What R, formulas of Python's, statsmodels and polars-ds call it among the coefficients."""

STATE_DICTS = ("state_dict", "model_state_dict", "model")
"""What a checkpoint calls it: Lightning and others; PyTorch's tutorials; research code."""


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
    asks_width: bool = False
    """Whether `read` takes `num_features` too, which an object of the kind might not tell: how many
    names were given, 0 if none."""


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


def is_source_file(path: Path) -> bool:
    """Tell a file by whose suffix a model is read."""
    return path.is_file() and any(path.suffix.lower() in known.suffixes for known in SOURCES)


def is_coefficients(thing: Any) -> bool:
    """Tell coefficients by name, or broom's rows of them, from other things."""
    if isinstance(thing, list):
        return bool(thing) and all(isinstance(row, Mapping) for row in thing)
    if type(thing).__module__.partition(".")[0] == "pandas":
        return type(thing).__name__ == "Series"
    # A form with the intercept among them has a number for each name; one of these may be weight.
    named = isinstance(thing, Mapping) and any(name in thing for name in INTERCEPTS)
    others = is_arrays, _is_tensors, is_checkpoint
    return named or (isinstance(thing, Mapping) and not any(each(thing) for each in others))


def _is_tensors(thing: Mapping[Any, Any]) -> bool:
    return bool(thing) and all(made_by("torch")(value) for value in thing.values())


def is_arrays(thing: Any) -> bool:
    """Tell plain arrays by name."""
    return isinstance(thing, Mapping) and any(
        isinstance(name, str) and name.split(".")[-1] == "weight" for name in thing
    )


def is_checkpoint(thing: Any) -> bool:
    """Tell a mapping with a state_dict in it."""
    parts = (thing.get(name) for name in STATE_DICTS) if isinstance(thing, Mapping) else ()
    return any(isinstance(part, Mapping) and made_by("torch")(part) for part in parts)


def _is_of_torch(thing: Any) -> bool:
    return (made_by("torch")(thing) or is_checkpoint(thing)) and not _is_of_onnx(thing)


def _is_of_onnx(thing: Any) -> bool:
    """Tell a ModelProto, and what torch.onnx.export(..., dynamo=True) returned."""
    exported = type(thing).__module__.startswith("torch.onnx") and hasattr(thing, "model_proto")
    return exported or made_by("onnx")(thing)


_ROOM = "linexport.sources"
SOURCES = [
    Source(f"{_ROOM}._coefficients", is_coefficients, (".json",), "names and coefficients"),
    Source(
        f"{_ROOM}._torch_modules",
        _is_of_torch,
        (".pt", ".pth", ".bin", ".ckpt"),
        "a state_dict",
        asks_width=True,
    ),
    Source(f"{_ROOM}._arrays", is_arrays, (".safetensors",)),
    Source(f"{_ROOM}._onnx", _is_of_onnx, (".onnx",), has_outputs=True),
    Source(f"{_ROOM}._statsmodels", made_by("statsmodels")),
    Source(f"{_ROOM}._xgboost", made_by("xgboost")),
    # Their estimators are derived from scikit-learn's.
    Source(f"{_ROOM}._scikit_learn", made_by("lightgbm", "sklearn")),
    Source(f"{_ROOM}._reading", made_by("linexport")),
]
"""In the order in which they are asked."""
