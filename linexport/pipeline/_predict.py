"""A bundle or an ONNX file at work."""

import os
import warnings
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from linexport import bundle, formats, predicting
from linexport._asked import asked, asked_of_command
from linexport._files import naming
from linexport.bundle import MANIFEST_FILE
from linexport.columns import split_names
from linexport.errors import ArtifactError, CoarseWarning, ConfigError
from linexport.fit import Fit
from linexport.pipeline._opening import (
    Artifact,
    digest_of,
    open_table,
    opened,
    predicting_artifact,
)

if TYPE_CHECKING:
    from linexport.encoding import Encoding
    from linexport.fit import FitRecord
    from linexport.formats import Format
    from linexport.model import LinearModel
    from linexport.predicting import CheckRange, Missing, Predicted, Predictor
    from linexport.tables import Batch, Dialect, OnRead, Table

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
            are checked; the path of the file; or what `train` returned, which predicts in float64.
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
    predicting.PredictConfig(num_threads=num_threads, check_range=check_range)
    return _used(given).predictor(num_threads, check_range, provider)


def predict_table(
    given: Any,
    table: Any,
    output: str | Path,
    *,
    keep: str | Sequence[str] = (),
    names: str | Sequence[str] | None = None,
    interval: float | None = None,
    dialect: "Dialect | None" = None,
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
        table: A file, a directory or pattern of them, or a list of these; - for CSV on standard
            input; or any other table that `Predictor.predict` takes.
        output: A CSV or Parquet file, replaced at the end; - for CSV on standard output; or a
            directory (one that is there, or text that ends in /) for a part for each file.
        keep: Columns of the table to hand on. A name that is no column is taken as several with
            commas between them.
        names: Of the predictions' columns, one for each target. If not given those of the targets,
            or predicted_NAME beside a column that is kept.
        interval: The probability with which the truth of a row lies between two columns more, named
            NAME_lower and NAME_upper, which follow each prediction.
        dialect: How a CSV file is written, if not as most are; how that was that the model was
            trained on does not matter.
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
        ModelError: If the fit does not know its uncertainty, and intervals are asked for.
        ConfigError: As `load`; or if a setting is outside what it may be, or the output is a table
            that is read, or a bundle.
    """
    config = predicting.PredictConfig(
        missing=missing,
        part_format=part_format,
        resume=resume,
        check_range=check_range,
        num_threads=num_threads,
        names=(names,) if isinstance(names, str) else (tuple(names or ()) or None),
        interval=interval,
    )
    directory = _directory(output)
    if directory is None and (resume or part_format):
        what = "resumed" if resume else "given another format"
        raise ConfigError(
            f"{output}: parts alone can be {what}; name a directory, with {os.sep} at its end."
        )
    in_order = partial(asked_of_command, "predict", output=str(output))
    rows = open_table(table, dialect, on_read, model=given, in_order=in_order)
    kept = split_names(keep, rows.names)
    used, batches = _begun(given, rows, kept) if directory is None else (_used(given), None)
    outputs = predicting.Outputs(
        predictor=used.predictor(num_threads, check_range),
        source=rows.source,
        keep=tuple(kept),
        names=config.names or (),
        interval=interval,
        missing=missing,
    )
    if directory is None:
        return predicting.write_predictions(rows, outputs, output, batches=batches)
    return predicting.write_parts(
        rows,
        outputs,
        directory,
        artifact_sha256=digest_of(used.artifact, used.encoding),
        suffix=part_format and f".{part_format}",
        resume=resume,
    )


def _directory(output: str | Path) -> Path | None:
    """Return where parts are to lie, or None if one file is to be written."""
    directory = Path(output)
    if not str(output).endswith(os.sep) and (directory.suffix or not directory.is_dir()):
        return None
    if (directory / MANIFEST_FILE).exists():
        raise ConfigError(f"{output}: a bundle is here; name another directory for the parts.")
    return directory


class _Used(NamedTuple):
    """What predicts, before an engine is loaded."""

    path: Path
    model: "LinearModel"
    """What it means, under its names."""
    format: "Format"
    artifact: bytes
    """The file that predicts."""
    coarse: str = ""
    """Why it is too coarse, in a sentence; empty where it is not, or that is not known."""
    encoding: "Encoding | None" = None
    record: "FitRecord | None" = None
    """How it was fitted, where that is known."""

    @property
    def inputs(self) -> "Encoding | tuple[str, ...]":
        """What is read of a table."""
        return self.encoding or self.model.feature_names

    def predictor(
        self, num_threads: int | None, check_range: "CheckRange", provider: str = "cpu"
    ) -> "Predictor":
        """Open an engine, with at most one thread for each core."""
        if self.coarse:
            warnings.warn(f"{self.path}: {self.coarse}", CoarseWarning, stacklevel=3)
        if num_threads is not None:
            num_threads = min(num_threads, os.cpu_count() or num_threads)
        with naming(self.path):  # loads onnxruntime: see `_begun`
            engine = self.format.engine(self.artifact, num_threads=num_threads, provider=provider)
        columns = self.model.features, self.model.targets
        spread = None
        if self.record is not None:
            spread = predicting.Spread(self.record, self.model.target_names)
        return predicting.Predictor(engine, *columns, check_range, self.encoding, spread)


def _begun(
    given: Any, rows: "Table", kept: Sequence[str]
) -> "tuple[_Used, Generator[Batch, None, None]]":
    """Open what predicts, and begin to read for it as soon as the names of its features are known.

    A bundle's manifest alone has them; NumPy and onnxruntime are loaded meanwhile, which takes as
    long as reading.
    """
    inputs = batches = None
    if isinstance(given, str | os.PathLike) and bundle.is_bundle(Path(given)):
        inputs = bundle.read_inputs(given)
        batches = rows.batches(inputs, kept)
    used = _used(given)
    if batches is None or used.inputs != inputs:  # another bundle took its place
        batches = rows.batches(used.inputs, kept)
    return used, batches


def _used(given: Any) -> _Used:
    if isinstance(given, Fit):
        return _of_fit(given)
    found = opened(given)
    if not isinstance(found, Artifact):
        kind, data = predicting_artifact(found)
        stated = found.manifest
        return _Used(
            found.path, found.model, kind, data, stated.coarse, stated.encoding, stated.record
        )
    path, kind, data = found
    if not kind.predicts:
        around = bundle.bundle_around(path)
        its = f", as {around}," if around else ""
        raise ArtifactError(f"{path}: predicting needs a bundle{its} or an ONNX file.")
    with naming(path):
        model = kind.read(data)
    if model is None:
        raise ArtifactError(
            f"{path}: this is not a graph that linexport writes, so the names of its columns are "
            f"not known: export it to a bundle, and name them with {asked(features=...)}."
        )
    return _Used(path, model, kind, data)


def _of_fit(fit: Fit) -> _Used:
    """Return a fit as the ONNX file that it would be in float64."""
    kind = formats.FORMATS["onnx"]
    about = formats.artifact_metadata(fit.model, fit.record, {}, fit.encoding)
    data = kind.write(fit.model, about)
    return _Used(Path("the fit"), fit.model, kind, data, encoding=fit.encoding, record=fit.record)
