"""A bundle or an ONNX file at work."""

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from linexport import bundle, data, onnx_file, scoring
from linexport._files import naming, read_artifact
from linexport.errors import ArtifactError, ConfigError
from linexport.manifest import MANIFEST_FILE
from linexport.model import LinearModel
from linexport.pipeline._files import format_of, is_bundle
from linexport.pipeline._names import split_names
from linexport.scoring.predictor import Predictor

if TYPE_CHECKING:
    from linexport.data import OnRead
    from linexport.runtimes import OrtEngine
    from linexport.scoring import Scored
    from linexport.scoring.extrapolation import CheckRange

__all__ = ["load", "predict"]


def load(
    path: str | Path,
    *,
    num_threads: int | None = None,
    provider: str = "cpu",
    check_range: "CheckRange" = "off",
) -> Predictor:
    """Open a bundle, or an ONNX file that linexport wrote, for predicting with onnxruntime.

    What it returns may be used by any number of threads, sent to other processes (Spark, Ray,
    multiprocessing) and used after a fork: each process opens the file in a session of its own.

    Args:
        path: The bundle's directory, whose digests are checked, or the file.
        num_threads: Threads within one operator, at least 1; None for all cores.
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
    _check_threads(num_threads)
    model, artifact = _open(Path(path))
    runtime = _engine(path, artifact, num_threads=num_threads, provider=provider)
    return Predictor(runtime, model.features, model.targets, check_range)


def predict(
    path: str | Path,
    table: Any,
    output: str | Path,
    *,
    keep: str | Sequence[str] = (),
    delimiter: str | None = None,
    missing: Literal["error", "nan"] = "error",
    part_format: Literal["csv", "tsv", "parquet"] | None = None,
    resume: bool = False,
    check_range: "CheckRange" = "off",
    num_threads: int | None = 1,
    on_read: "OnRead | None" = None,
) -> "Scored":
    """Write predictions for every row of a table, in constant memory.

    Args:
        path: A bundle, or an ONNX file that linexport wrote.
        table: A CSV or Parquet file, a directory or pattern of them, or a list of these; - for CSV
            on standard input; or any other table that `Predictor.predict` takes.
        output: A CSV or Parquet file, replaced at the end; - for CSV on standard output; or a
            directory (one that is there, or text that ends in /) for a part for each file.
        keep: Columns of the table to hand on. A name that is no column is taken as several with
            commas between them.
        delimiter: Of a CSV file; found from its header line if not given.
        missing: Whether a missing value is an error, or makes its row be predicted as NaN.
        part_format: Of parts; that of each file if not given.
        resume: Leave parts as they are that are done already; see `scoring.score_parts`.
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
    directory = _directory(output)
    if directory is None and (resume or part_format):
        what = "resumed" if resume else "given another format"
        raise ConfigError(
            f"{output}: parts alone can be {what}; name a directory, with {os.sep} at its end."
        )
    _check_threads(num_threads)
    model, artifact = _open(Path(path))
    if directory is None and (missing, check_range) == ("error", "off"):
        engine = partial(_engine, path, artifact, num_threads=num_threads)
        scored = _predict_plain(table, delimiter, model, engine, output, keep, on_read)
        if scored is not None:
            return scored
    opened = data.open_table(table, delimiter=delimiter, on_read=on_read)
    kept = split_names(keep, opened.names)
    # Reading begins before onnxruntime is loaded, which takes as long as reading many a table.
    rows = None
    if directory is None:
        rows = opened.batches([column.name for column in model.features], kept)
    runtime = _engine(path, artifact, num_threads=num_threads)
    predictor = Predictor(runtime, model.features, model.targets, check_range)
    if directory is None:
        return scoring.score(opened, predictor, output, keep=kept, missing=missing, batches=rows)
    return scoring.score_parts(
        opened,
        predictor,
        directory,
        artifact_sha256=hashlib.sha256(artifact).hexdigest(),
        suffix=part_format and f".{part_format}",
        keep=kept,
        missing=missing,
        resume=resume,
    )


def _predict_plain(
    table: Any,
    delimiter: str | None,
    model: LinearModel,
    engine: Callable[[], "OrtEngine"],
    output: str | Path,
    keep: str | Sequence[str],
    on_read: "OnRead | None",
) -> "Scored | None":
    """Predict a small, plain CSV file in a process that has not loaded polars, else return None."""
    if "polars" in sys.modules:
        return None
    plain = data.read_plain(table, delimiter)
    if plain is None:
        return None
    kept = split_names(keep, plain.names)
    if not scoring.suits(plain, model.feature_names, model.target_names, output, kept):
        return None
    predictor = Predictor(engine(), model.features, model.targets)
    return scoring.score_plain(plain, predictor, output, keep=kept, on_read=on_read)


def _directory(output: str | Path) -> Path | None:
    """Return where parts are to lie, or None if one file is to be written."""
    directory = Path(output)
    if not str(output).endswith(os.sep) and (directory.suffix or not directory.is_dir()):
        return None
    if (directory / MANIFEST_FILE).exists():
        raise ConfigError(f"{output}: a bundle is here; name another directory for the parts.")
    return directory


def _check_threads(num_threads: int | None) -> None:
    if num_threads is not None and not num_threads >= 1:
        raise ConfigError(f"num_threads must be at least 1, got {num_threads}.")


def _engine(path: str | Path, artifact: bytes, **settings: Any) -> "OrtEngine":
    from linexport.runtimes import OrtEngine  # loads onnxruntime and onnx: see `predict`

    with naming(Path(path)):
        return OrtEngine(artifact, **settings)


def _open(path: Path) -> tuple[LinearModel, bytes]:
    if is_bundle(path):
        opened = bundle.read_bundle(path)
        if "model.onnx" not in opened.contents:
            raise ArtifactError(
                f"{path}: the bundle has no model.onnx, which predicting needs; export the model "
                "with --format onnx too."
            )
        return opened.model, opened.read("model.onnx")
    if format_of(path) != "onnx":
        raise ArtifactError(f"{path}: predicting needs a bundle or an ONNX file.")
    artifact = read_artifact(path)
    with naming(path):
        model = onnx_file.read_named(artifact)
    if model is None:
        raise ArtifactError(
            f"{path}: this is not a graph that linexport writes, so the names of its columns are "
            "not known."
        )
    return model, artifact
