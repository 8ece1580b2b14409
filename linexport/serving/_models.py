"""A model as it is served, and where it comes from."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from linexport.predicting import Missing, Predictor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ServedModel:
    """One version of a model; requests that began with it end with it."""

    name: str
    version: str
    predictor: Predictor
    missing: Missing = "error"
    """Whether a row that lacks a value is refused, or predicted as NaN."""


class ModelSource(Protocol):
    """Where a model comes from, now and after it was changed."""

    @property
    def name(self) -> str:
        """Under which it is served."""
        ...

    def load(self) -> ServedModel:
        """Open and verify the model as it is now.

        Raises:
            LinexportError: If it must not be served.
        """
        ...

    def fingerprint(self) -> Hashable:
        """Return something that differs once the model may have changed; it costs little."""
        ...
