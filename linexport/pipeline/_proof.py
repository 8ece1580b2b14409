"""Opening what was written, and having it checked."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from linexport import parity
from linexport.errors import ArtifactError
from linexport.formats import ONNX_FILE, Runtime, TorchRuntime, reproduces
from linexport.formats.onnx import OnnxReferenceRuntime, OrtRuntime, layouts
from linexport.formats.onnx import graph as onnx_graph
from linexport.formats.onnx import wire as onnx_wire
from linexport.model import LinearModel
from linexport.parity import DoubleReference, ParityReport
from linexport.pipeline._files import format_of


def prove(
    model: LinearModel,
    artifacts: Mapping[str, bytes],
    *,
    trusted: Callable[[str, bytes], bool],
    eager: bool = True,
    probe_rows: int,
    seed: int,
) -> ParityReport:
    """Check every artifact against a model, and that the check notices planted faults.

    Args:
        model: The reference, in the artifacts' dtype and form.
        artifacts: Files by name; the suffix tells the format.
        trusted: Whether a TorchScript or .pt2 file, given its format and bytes, is known to be what
            our exporter writes for the model. What it refuses to open, it raises.
        eager: Whether to ask eager PyTorch too.
        probe_rows: Rows of the largest probe batch.
        seed: Of the random rows.
    """
    runtimes: list[Runtime] = [TorchRuntime.eager(model)] if eager else []
    for name, data in artifacts.items():
        runtimes += open_runtimes(name, data, model, trusted)
    report = parity.check(
        DoubleReference(model),
        runtimes,
        _opened_canaries(model, artifacts.get(ONNX_FILE)),
        probe_rows=probe_rows,
        seed=seed,
    )
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in artifacts.items()}
    return replace(report, artifacts=digests)


def trusts(model: LinearModel, *, trust: bool) -> Callable[[str, bytes], bool]:
    """Return a judge of TorchScript and .pt2 bytes: reproduced, else trusted, else refused."""

    def judge(format_name: str, data: bytes) -> bool:
        if reproduces(format_name, data, model):
            return True
        if trust:
            return False
        raise ArtifactError(
            f"The {format_name} file is not, byte for byte, what this version of linexport and "
            "PyTorch writes for the model, so loading it might run other code. If you know where "
            "it comes from, pass --trust (trust=True)."
        )

    return judge


def open_runtimes(
    name: str, data: bytes, model: LinearModel, trusted: Callable[[str, bytes], bool]
) -> Iterator[Runtime]:
    """Yield an artifact in every runtime that is to be asked; the arguments are those of `prove`.

    Raises:
        ArtifactError: If it is damaged, hostile or not trusted.
    """
    format_name = format_of(Path(name))
    if format_name == "onnx":
        for num_threads in (1, None):
            yield OrtRuntime.open(data, num_threads=num_threads)
            yield OrtRuntime.open(data, num_threads=num_threads, optimization="off")
            yield from _laid_out(data, num_threads)
        yield OnnxReferenceRuntime.open(data)
    elif format_name == "torchscript":
        reproduced = trusted(format_name, data)
        yield TorchRuntime.torchscript(data, model, reproduced=reproduced)
    else:
        reproduced = trusted(format_name, data)
        yield TorchRuntime.exported(data, model, reproduced=reproduced)


def _laid_out(data: bytes, num_threads: int | None) -> Iterator[Runtime]:
    """Yield the other graphs that the predictor evaluates for the same file, if there are any."""
    stated = onnx_graph.read(onnx_graph.parse(data))
    for layout in layouts(stated):
        if stated is not None and layout is not None:
            graph = onnx_wire.write(stated, layout)
            structure = onnx_graph.read(onnx_graph.check(graph), layout)
            yield OrtRuntime.start(graph, structure, layout, num_threads=num_threads)


def _opened_canaries(model: LinearModel, artifact: bytes | None) -> Iterator[parity.OpenedCanary]:
    """Open a copy of the ONNX artifact for each fault planted in it."""
    for canary in parity.canaries(artifact, model):
        runtime = canary.artifact and OrtRuntime.open(canary.artifact, num_threads=1)
        yield parity.OpenedCanary(name=canary.name, runtime=runtime or None, skipped=canary.skipped)
