"""What an artifact says of its model in words, besides the numbers. Nothing here loads NumPy."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from linexport.columns import Column
from linexport.errors import ArtifactError

__all__ = ["Statement", "stated"]


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


def stated(metadata: Mapping[str, str]) -> Statement:
    """Return what a file's metadata say, under the keys of `artifact_metadata`.

    Raises:
        ArtifactError: If they are damaged.
    """
    return Statement(
        features=_columns(metadata.get("features")),
        targets=_columns(metadata.get("targets")),
        dtype=metadata.get("dtype"),
        accumulate=metadata.get("accumulate"),
        form=metadata.get("form"),
    )


def _columns(text: str | None) -> tuple[Column, ...] | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=tuple[Column, ...])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ArtifactError(f"The file's names of columns are damaged: {error}.") from error
