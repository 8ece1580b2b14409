"""What a format, its runtimes and what its files say look like to the rest.

Nothing here loads NumPy. N rows, D features, K targets.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeVar

import msgspec

from linexport._documented import documented
from linexport._files import first_line, read_artifact
from linexport.columns import Column
from linexport.encoding import Encoding
from linexport.errors import ArtifactError, UnavailableError

if TYPE_CHECKING:
    from linexport._arrays import FloatArray, FloatDType
    from linexport.model import LinearModel

T = TypeVar("T")

__all__ = [
    "BoundRow",
    "Engine",
    "Format",
    "Runtime",
    "Statement",
    "encoded",
    "stated",
    "stating",
]


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
    def dtype(self) -> "FloatDType":
        """Of features and predictions, and the precision that the engine claims."""
        ...

    @property
    def structure(self) -> "LinearModel | None":
        """The model that the artifact's graph states; None where it is not known."""
        ...

    def predict(self, features: "FloatArray") -> "FloatArray":
        """Evaluate (N, D) -> (N, K); N may be 0.

        Where the format takes columns, it is given a mapping of their names to (N, 1) each.
        """
        ...


@documented
class BoundRow(NamedTuple):
    """Memory for one row, bound to an engine once; for one thread, in the process that asked.

    Write `features`, call `run`, read `prediction`.
    """

    features: "FloatArray"
    """Shape (1, D), in the engine's dtype; to write to."""
    prediction: "FloatArray"
    """Shape (1, K); what `run` writes to."""
    run: Callable[[], None]
    """Evaluates the one into the other."""


class Engine(Runtime, Protocol):
    """A runtime that stays open to predict."""

    def bind(self) -> BoundRow:
        """Return memory for one row."""
        ...


@documented
class Format(ABC):
    """One kind of artifact: how it is written, opened, trusted and shown.

    A module that defines one loads no engine; its methods do.
    """

    name: str
    """What `--format` takes."""
    file_name: str
    """The artifact's name inside a bundle; its suffix tells the format of a file elsewhere."""
    runs_code: bool = False
    """Whether to open a file that is not ours may run what it holds."""
    predicts: bool = False
    """Whether `read` and `engine` are there, so that `predict` and `serve` can use the file."""
    takes_columns: bool = False
    """Whether its runtimes take a table's columns by name, not features, as its `encoding` has
    them, which is one of the settings of `configured`."""

    def configured(self, **settings: Any) -> Self:  # noqa: ARG002 - a format may have none
        """Return the format with those of the settings of an export that concern it.

        Raises:
            ConfigError: If it cannot be written so.
        """
        return self

    @abstractmethod
    def write(self, model: "LinearModel", metadata: Mapping[str, str]) -> bytes:
        """Return the file; the same model, metadata and settings give the same bytes.

        Raises:
            ExportError: If the file cannot be written.
        """

    def load(self, path: Path) -> bytes:
        """Return all that belongs to a file that may be anything.

        Raises:
            ArtifactError: If it cannot be read.
        """
        return read_artifact(path)

    @abstractmethod
    def open(self, data: bytes, model: "LinearModel", *, ours: bool) -> Iterator[Runtime]:
        """Yield the file in every runtime that the parity check is to ask, the simplest first.

        Args:
            data: The file; of a format that runs code, only what is ours or trusted.
            model: What it should hold, for formats that do not tell their dtype and width.
            ours: Whether these are known to be the bytes that `write` writes for the model.

        Raises:
            ArtifactError: If it is damaged or hostile, or an engine refuses it.
        """

    @abstractmethod
    def example(self, model: "LinearModel") -> list[str]:
        """Return lines of Python that load the file from the working directory and predict."""

    def is_ours(self, data: bytes, model: "LinearModel") -> bool:  # noqa: ARG002 - it may not tell
        """Tell whether these are, byte for byte, what `write` writes for the model.

        Nothing in the file is run for that. Where a format cannot tell, it takes `--trust` to open
        a file that may run code.
        """
        return False

    def shape(self, data: bytes) -> "tuple[int | None, int | None] | None":  # noqa: ARG002 - see below
        """Return how many features and targets the file states, where it states them."""
        return None

    def metadata(self, data: bytes) -> Mapping[str, str]:  # noqa: ARG002 - it may have no place
        """Return what the file says of itself, under the keys of `artifact_metadata`.

        Nothing in it is run for that. Empty where it says nothing.

        Raises:
            ArtifactError: If it is damaged or hostile.
        """
        return {}

    def summarize(self, data: bytes) -> Any:  # noqa: ARG002 - most say nothing without being run
        """Check a file and say what it holds, without running it.

        Raises:
            ArtifactError: If it is damaged or hostile, or does not say.
        """
        why = "loading this format may run code" if self.runs_code else "this format does not say"
        raise ArtifactError(f"{why}, so only its bundle can be inspected.")

    def read(self, data: bytes) -> "LinearModel | None":  # noqa: ARG002 - it may state none
        """Check a file and return the model that it states, under its names, if it does.

        Raises:
            ArtifactError: If it is damaged or hostile.
        """
        return None

    def engine(
        self,
        data: bytes,  # noqa: ARG002 - it may have none
        *,
        num_threads: int | None,  # noqa: ARG002
        provider: str = "cpu",  # noqa: ARG002
    ) -> Engine:
        """Open a file to predict with: for any number of threads, in any process.

        Raises:
            ArtifactError: If it is damaged or hostile, or the engine refuses it.
            UnavailableError: If the engine would not really use the provider, or linexport has none
                for the format.
        """
        raise UnavailableError(f"linexport has no engine that predicts with {self.name} files.")


class Statement(NamedTuple):
    """What an artifact says of its model in words; None where it does not say."""

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
        told = first_line(error)
        raise ArtifactError(f"The file's names of columns are damaged: {told}.") from error


def _known(columns: Iterable[Column]) -> list[dict[str, str | float]]:
    """Leave out what is not known: a wide model would carry it a thousand times."""
    names = [field.name for field in fields(Column)]
    told = (zip(names, map(partial(getattr, column), names), strict=True) for column in columns)
    return [{name: value for name, value in each if value not in (None, "")} for each in told]


def encoded(value: object) -> str:
    """Return a value as JSON, always written alike."""
    return msgspec.json.encode(value, order="deterministic").decode()
