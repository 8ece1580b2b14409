"""What a format and its runtimes look like to the rest.

N rows, D features, K targets.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from linexport._arrays import FloatArray, FloatDType
from linexport.model import LinearModel

__all__ = ["BoundRow", "Engine", "Exporter", "Runtime"]


class Runtime(Protocol):
    """A loaded artifact that can predict."""

    @property
    def name(self) -> str:
        """The engine with the settings that tell it from others in one report."""
        ...

    @property
    def version(self) -> str:
        """The engine's version."""
        ...

    @property
    def provider(self) -> str:
        """The execution provider or device really used, as the engine reports it."""
        ...

    @property
    def num_threads(self) -> int | None:
        """Threads within one operator; None where the engine decides."""
        ...

    @property
    def dtype(self) -> FloatDType:
        """Of features and predictions, and the precision that the engine claims."""
        ...

    @property
    def structure(self) -> LinearModel | None:
        """The model that the artifact's graph states; None where it is not known."""
        ...

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K); N may be 0."""
        ...


class BoundRow(NamedTuple):
    """Memory for one row, bound to an engine once; for one thread, in the process that asked.

    Write `features`, call `run`, read `prediction`.
    """

    features: FloatArray
    """Shape (1, D), in the engine's dtype; to write to."""
    prediction: FloatArray
    """Shape (1, K); what `run` writes to."""
    run: Callable[[], None]
    """Evaluates the one into the other."""


class Engine(Runtime, Protocol):
    """A runtime that stays open to predict."""

    def bind(self) -> BoundRow:
        """Return memory for one row."""
        ...


class Exporter(Protocol):
    """One artifact format."""

    @property
    def format(self) -> str:
        """The name that `--format` takes."""
        ...

    @property
    def file_name(self) -> str:
        """The artifact's name inside a bundle."""
        ...

    def export(self, model: LinearModel, metadata: Mapping[str, str]) -> bytes:
        """Return the file; the same model and metadata give the same bytes."""
        ...
