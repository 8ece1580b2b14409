"""An ONNX file as one whole: weights that lie beside it put in, what nobody needs left out."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import onnx
from onnx import TensorProto, helper

from linexport._asked import asked
from linexport._files import LARGEST_FILE, naming, parsing, read_artifact, read_plain
from linexport.columns import listed
from linexport.errors import ArtifactError, ConfigError
from linexport.formats.onnx import graph as onnx_graph

__all__ = ["read_file", "relisted", "selected"]

SUFFIX = ".onnx.data"
"""Of the file in which torch.onnx.export keeps the weights of model.onnx, by default."""


def read_file(path: Path) -> bytes:
    """Read a file that may be anything, with the weights that torch.onnx.export put beside it.

    These are read from one file alone, of the name that the graph states, without any directory,
    beside the graph, if it is called so as torch calls it and is no link.

    Raises:
        ArtifactError: If it cannot be read, or the weights are not in such a file.
    """
    data = read_artifact(path)
    if SUFFIX.encode() not in data:
        return data
    with naming(path), parsing():
        return _embedded(data, path.parent)


def _embedded(data: bytes, directory: Path) -> bytes:
    proto = onnx_graph.parse(data)
    outside = [t for t in proto.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    stated = [{entry.key: entry.value for entry in tensor.external_data} for tensor in outside]
    names = {_last_part(entries.get("location", "")) for entries in stated}
    if len(names) != 1 or not next(iter(names)).endswith(SUFFIX):
        return data  # which is refused, with what to do
    weights = _beside(directory / names.pop(), LARGEST_FILE - len(data))
    left = len(weights)
    for tensor, entries in zip(outside, stated, strict=True):
        part = _part(tensor, entries, weights)
        left -= len(part)
        if left < 0:
            raise ArtifactError("The ONNX file takes the same external numbers more than once.")
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = part
    embedded: bytes = proto.SerializeToString()
    return embedded


def _last_part(location: str) -> str:
    return PurePosixPath(location.replace("\\", "/")).name


def _beside(path: Path, largest: int) -> bytes:
    try:
        return read_plain(path, largest, name=path.name, flags=os.O_NOFOLLOW)
    except OSError as error:
        raise ArtifactError(
            f"its numbers are in {path.name}, which cannot be read beside it ({error.strerror}): "
            "copy that file too, or export with external_data=False."
        ) from error


def _part(tensor: TensorProto, entries: dict[str, str], weights: bytes) -> bytes:
    """Return the bytes of one tensor.

    Raises:
        ArtifactError: If the file has not as many there as the tensor's shape takes.
    """
    try:
        size = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        for length in tensor.dims:
            size *= length
        start, length = int(entries.get("offset", "0")), int(entries.get("length", size))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"The ONNX file's tensor '{tensor.name}' is damaged.") from error
    if not (0 <= start <= start + size <= len(weights) and length == size):
        raise ArtifactError(
            f"The ONNX file's tensor '{tensor.name}' should be {length} bytes from {start} on in a "
            f"file that has {len(weights)}: one of the two files is damaged, or of another export."
        )
    return weights[start : start + size]


def selected(proto: onnx.ModelProto, output: str | None) -> onnx.ModelProto:
    """Return a model with one output, without what that does not depend on.

    Args:
        proto: The model.
        output: The name of the output; None for the only one.

    Raises:
        ConfigError: If there is no output of that name, or several and none is named.
    """
    outputs: Sequence[onnx.ValueInfoProto] = proto.graph.output
    names = [value.name for value in outputs]
    if output is None and len(names) > 1:
        raise ConfigError(
            f"The ONNX graph has the outputs {listed(names)}: choose one with "
            f"{asked(graph_output=...)}."
        )
    chosen = [value for value in outputs if output in (None, value.name)]
    if len(chosen) != 1:
        raise ConfigError(
            f"The ONNX graph has no output '{output}'; it has {listed(names) or 'none'}."
        )
    kept = onnx.ModelProto()
    kept.CopyFrom(proto)
    kept.graph.ClearField("output")
    kept.graph.output.extend(chosen)
    return _without_unused(kept)


def relisted(data: bytes, names: Sequence[str]) -> bytes:
    """Return a checked file that lists its inputs, which it is fed by name, in another order.

    Constants that an old file lists as inputs come last.
    """
    proto, places = onnx_graph.parse(data), {name: place for place, name in enumerate(names)}
    inputs = sorted(proto.graph.input, key=lambda value: places.get(value.name, len(names)))
    kept = [value.__class__.FromString(value.SerializeToString()) for value in inputs]
    proto.graph.ClearField("input")
    proto.graph.input.extend(kept)
    ordered: bytes = proto.SerializeToString()
    return ordered


def _without_unused(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Leave out nodes, inputs and constants that no output depends on.

    Nodes stand in the order in which they are computed, which the checker requires.
    """
    graph, used = proto.graph, {value.name for value in proto.graph.output}
    nodes = []
    for node in reversed(graph.node):
        if used & set(node.output):
            nodes.append(node)
            used |= set(node.input)
    for name, parts in (
        ("node", nodes[::-1]),
        ("input", [value for value in graph.input if value.name in used]),
        ("initializer", [tensor for tensor in graph.initializer if tensor.name in used]),
    ):
        kept = [part.__class__.FromString(part.SerializeToString()) for part in parts]
        graph.ClearField(name)
        getattr(graph, name).extend(kept)
    return proto
