"""A bundle or an ONNX file at work."""

import hashlib
import os
from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from linexport import bundle, predicting, tables
from linexport._files import naming
from linexport.bundle import MANIFEST_FILE
from linexport.columns import split_names
from linexport.errors import ArtifactError, ConfigError
from linexport.pipeline._opening import Artifact, opened, predicting_artifact

if TYPE_CHECKING:
    from linexport.formats import Format
    from linexport.model import LinearModel
    from linexport.predicting import CheckRange, Missing, Predicted, Predictor
    from linexport.tables import Batch, OnRead, Table

__all__ = ["load", "predict_table"]


def load(
    given: Any,
    *,
    num_threads: int | None = None,
    provider: str = "cpu",
    check_range: "CheckRange" = "off",
) -> "Predictor":
    """Open a bundle, or an ONNX file that linexport wrote, for predicting with onnxruntime.

    What it returns may be used by any number of threads, sent to other processes (Spark, Ray,
    multiprocessing) and used after a fork: each process opens the file in a session of its own.

    Args:
        given: A bundle: what `read_bundle` or `export` returned, or its directory, whose digests
            are checked; or the path of the file.
        num_threads: Threads within one operator, at least 1 and at most one for each core; None for
            all cores.
        provider: "cpu", "cuda", or the full name of an execution provider.
        check_range: Whether rows with a value outside the training range, for which the model
            extrapolates, are predicted without a word ("off"), with an ExtrapolationWarning
            ("warn"), or refused ("error").

    Raises:
        ArtifactError: If it is damaged, hostile, or no linear model with names.
        ConfigError: If there are less than 1 threads, check_range is none of these, or rows are to
            be refused by a range that the model does not state.
        UnavailableError: If onnxruntime would not really use the provider.
    """
    num_threads, source = _threads(num_threads), _Source(given)
    return source.predictor(num_threads=num_threads, provider=provider, check_range=check_range)


def predict_table(
    given: Any,
    table: Any,
    output: str | Path,
    *,
    keep: str | Sequence[str] = (),
    delimiter: str | None = None,
    missing: "Missing" = "error",
    part_format: Literal["csv", "tsv", "parquet"] | None = None,
    resume: bool = False,
    check_range: "CheckRange" = "off",
    num_threads: int | None = 1,
    on_read: "OnRead | None" = None,
) -> "Predicted":
    """Write predictions for every row of a table, in constant memory.

    Args:
        given: As `load`: a bundle, or an ONNX file that linexport wrote.
        table: A CSV or Parquet file, a directory or pattern of them, or a list of these; - for CSV
            on standard input; or any other table that `Predictor.predict` takes.
        output: A CSV or Parquet file, replaced at the end; - for CSV on standard output; or a
            directory (one that is there, or text that ends in /) for a part for each file.
        keep: Columns of the table to hand on. A name that is no column is taken as several with
            commas between them.
        delimiter: Of a CSV file; found from its header line if not given.
        missing: Whether a missing value is an error, or makes its row be predicted as NaN.
        part_format: Of parts; that of each file if not given.
        resume: Leave parts as they are that are done already; see `predicting.write_parts`.
        check_range: As `load`; warnings come once for each output.
        num_threads: Of onnxruntime; None for all cores, which reading and writing need too.
        on_read: Called as the table is read.

    Returns:
        How many rows were read and written; and of what parts a directory is made.

    Raises:
        DataError: If the table cannot be used; nothing is left of the output then, or of the part
            that could not be written.
        ArtifactError: As `load`.
        ConfigError: As `load`; or if a setting is outside what it may be, or the output is a table
            that is read, or a bundle.
    """
    predicting.PredictConfig(
        delimiter=delimiter,
        missing=missing,
        part_format=part_format,
        resume=resume,
        check_range=check_range,
        num_threads=num_threads,
    )
    directory = _directory(output)
    if directory is None and (resume or part_format):
        what = "resumed" if resume else "given another format"
        raise ConfigError(
            f"{output}: parts alone can be {what}; name a directory, with {os.sep} at its end."
        )
    num_threads, source = _threads(num_threads), _Source(given)
    rows = tables.open_table(table, delimiter=delimiter, on_read=on_read)
    kept = split_names(keep, rows.names)
    batches = _begin(source, rows, kept) if directory is None else None
    predictor = source.predictor(num_threads=num_threads, check_range=check_range)
    if directory is None:
        return predicting.write_predictions(
            rows, predictor, output, keep=kept, missing=missing, batches=batches
        )
    return predicting.write_parts(
        rows,
        predictor,
        directory,
        artifact_sha256=hashlib.sha256(source.artifact).hexdigest(),
        suffix=part_format and f".{part_format}",
        keep=kept,
        missing=missing,
        resume=resume,
    )


def _begin(source: "_Source", rows: "Table", kept: Sequence[str]) -> "Generator[Batch, None, None]":
    """Begin to read; meanwhile NumPy and onnxruntime are loaded, which takes as long."""
    names = source.stated_features()
    batches = rows.batches(names, kept)
    if source.model.feature_names == names:
        return batches
    return rows.batches(source.model.feature_names, kept)  # another bundle has taken its place


def _directory(output: str | Path) -> Path | None:
    """Return where parts are to lie, or None if one file is to be written."""
    directory = Path(output)
    if not str(output).endswith(os.sep) and (directory.suffix or not directory.is_dir()):
        return None
    if (directory / MANIFEST_FILE).exists():
        raise ConfigError(f"{output}: a bundle is here; name another directory for the parts.")
    return directory


def _threads(num_threads: int | None) -> int | None:
    """Return as many threads as were asked for, at most one for each core."""
    if num_threads is None:
        return None
    if not isinstance(num_threads, int) or num_threads < 1:
        raise ConfigError(f"num_threads must be at least 1, got {num_threads!r}.")
    return min(num_threads, os.cpu_count() or num_threads)


class _Source:
    """A bundle or an ONNX file that linexport wrote, opened when it is first asked for more."""

    def __init__(self, given: Any) -> None:
        self._given = given

    def stated_features(self) -> tuple[str, ...]:
        """Return the features' names, of a bundle as its manifest alone has them.

        Raises:
            ArtifactError: If it cannot be read.
        """
        if isinstance(self._given, str | os.PathLike) and bundle.is_bundle(Path(self._given)):
            return bundle.feature_names(self._given)
        return self.model.feature_names

    @property
    def model(self) -> "LinearModel":
        """What it means, under its names."""
        return self._used[1]

    @property
    def artifact(self) -> bytes:
        """The file that predicts."""
        return self._used[3]

    def predictor(
        self,
        *,
        num_threads: int | None,
        provider: str = "cpu",
        check_range: "CheckRange" = "off",
    ) -> "Predictor":
        """Open an engine."""
        path, model, kind, artifact = self._used
        with naming(path):  # loads onnxruntime: see `_begin`
            engine = kind.engine(artifact, num_threads=num_threads, provider=provider)
        return predicting.Predictor(engine, model.features, model.targets, check_range)

    @cached_property
    def _used(self) -> "tuple[Path, LinearModel, Format, bytes]":
        found = opened(self._given)
        if not isinstance(found, Artifact):
            return found.path, found.model, *predicting_artifact(found)
        path, kind, data = found
        if not kind.predicts:
            raise ArtifactError(f"{path}: predicting needs a bundle or an ONNX file.")
        with naming(path):
            model = kind.read(data)
        if model is None:
            raise ArtifactError(
                f"{path}: this is not a graph that linexport writes, so the names of its columns "
                "are not known."
            )
        return path, model, kind, data
