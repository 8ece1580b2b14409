"""A bundle or an ONNX file at work."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from linexport import bundle, data, onnx_graph
from linexport.errors import ArtifactError
from linexport.model import LinearModel
from linexport.pipeline._files import format_of, is_bundle, read_artifact
from linexport.runtimes import OrtRuntime
from linexport.scoring import Predictor, Scored, score

__all__ = ["load", "predict"]


def load(path: str | Path, *, num_threads: int | None = None, provider: str = "cpu") -> Predictor:
    """Open a bundle, or an ONNX file that linexport wrote, for predicting with onnxruntime.

    Args:
        path: The bundle's directory, whose digests are checked, or the file.
        num_threads: Threads within one operator; None for all cores.
        provider: "cpu", "cuda", or the full name of an execution provider.

    Raises:
        ArtifactError: If it is damaged, hostile, or no linear model with names.
        UnavailableError: If onnxruntime would not really use the provider.
    """
    path = Path(path)
    model, artifact = _open(path)
    try:
        runtime = OrtRuntime.open(artifact, num_threads=num_threads, provider=provider)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    return Predictor(runtime, model.features, model.targets)


def predict(
    path: str | Path,
    table: Any,
    output: str | Path,
    *,
    keep: Sequence[str] = (),
    delimiter: str | None = None,
    missing: Literal["error", "nan"] = "error",
    num_threads: int | None = None,
) -> Scored:
    """Write predictions for every row of a table, in constant memory.

    Args:
        path: A bundle, or an ONNX file that linexport wrote.
        table: A CSV or Parquet file, or - for CSV on standard input.
        output: A CSV or Parquet file, replaced at the end; or - for CSV on standard output.
        keep: Columns of the table to hand on.
        delimiter: Of a CSV file; found from its header line if not given.
        missing: Whether a missing value is an error, or makes its row be predicted as NaN.
        num_threads: Of onnxruntime; None for all cores.

    Raises:
        DataError: If the table cannot be used; nothing is left of the output then.
        ArtifactError: As `load`.
    """
    predictor = load(path, num_threads=num_threads)
    opened = data.open_table(table, delimiter=delimiter)
    return score(opened, predictor, output, keep=keep, missing=missing)


def _open(path: Path) -> tuple[LinearModel, bytes]:
    if is_bundle(path):
        opened = bundle.read_bundle(path)
        return opened.model, opened.read("model.onnx")
    if format_of(path) != "onnx":
        raise ArtifactError(f"{path}: predicting needs a bundle or an ONNX file.")
    artifact = read_artifact(path)
    try:
        model = onnx_graph.read_named(onnx_graph.check(artifact))
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    if model is None:
        raise ArtifactError(
            f"{path}: this is not a graph that linexport writes, so the names of its columns are "
            "not known."
        )
    return model, artifact
