"""What an artifact says of its model in words, besides the numbers. Nothing here loads NumPy."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from linexport.columns import Column
from linexport.encoding import Encoding
from linexport.errors import ArtifactError

if TYPE_CHECKING:
    from linexport.model import LinearModel

T = TypeVar("T")

__all__ = ["Statement", "encoded", "stated", "stating"]


class Statement(NamedTuple):
    """None where it does not say."""

    features: tuple[Column, ...] | None = None
    """In the order of the input."""
    targets: tuple[Column, ...] | None = None
    """In the order of the output."""
    dtype: str | None = None
    """Of input and output."""
    accumulate: str | None = None
    """In which the sum is taken."""
    form: str | None = None
    encoding: Encoding | None = None
    """What makes the features of a table's columns."""


def stating(model: "LinearModel", encoding: Encoding | None = None) -> dict[str, str]:
    """Return metadata that say what a model's artifact is, for `stated` to read."""
    return {
        "accumulate": model.accumulate.name,
        "dtype": model.dtype.name,
        **({} if encoding is None else {"encoding": encoded(encoding)}),
        "features": encoded(_known(model.features)),
        "form": model.form,
        "targets": encoded(_known(model.targets)),
    }


def stated(metadata: Mapping[str, str]) -> Statement:
    """Return what a file's metadata say, under the keys of `artifact_metadata`.

    Raises:
        ArtifactError: If they are damaged.
    """
    return Statement(
        features=_decoded(metadata.get("features"), tuple[Column, ...]),
        targets=_decoded(metadata.get("targets"), tuple[Column, ...]),
        dtype=metadata.get("dtype"),
        accumulate=metadata.get("accumulate"),
        form=metadata.get("form"),
        encoding=_decoded(metadata.get("encoding"), Encoding),
    )


def _decoded(text: str | None, kind: type[T]) -> T | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ArtifactError(f"The file's names of columns are damaged: {error}.") from error


def _known(columns: Iterable[Column]) -> list[dict[str, str | float]]:
    """Leave out what is not known: a wide model would carry it a thousand times."""
    return [
        {name: value for name, value in asdict(column).items() if value not in (None, "")}
        for column in columns
    ]


def encoded(value: object) -> str:
    """Return a value as JSON, always written alike."""
    return msgspec.json.encode(value, order="deterministic").decode()
