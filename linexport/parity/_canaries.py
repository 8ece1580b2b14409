"""Copies of the ONNX artifact with one known fault each, which the check must catch.

A check that cannot fail proves nothing. A fault that cannot be planted (two equal features swapped,
weights that float16 holds exactly) is skipped with its reason. Each of the others comes with what
it makes of a probe, worked out exactly, so that one that goes unnoticed can be told from one that
there is nothing to notice of.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from linexport._arrays import FloatArray
from linexport.columns import Column
from linexport.formats import stating
from linexport.formats.onnx import graph as onnx_graph
from linexport.formats.onnx.wire import METADATA_PREFIX
from linexport.model import LinearModel
from linexport.parity._exact import DoubleReference, Expectation, Meaning
from linexport.parity._probes import Probe

__all__ = ["Canary", "canaries"]

BFLOAT16_BITS, TF32_BITS = 7, 10
"""Bits of the fraction that each format keeps."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Canary:
    """One faulty artifact, or the reason why the fault cannot exist in this model."""

    name: str
    artifact: bytes | None = None
    meaning: Meaning | None = None
    """What it should answer; None where it is to be refused whatever that is."""
    skipped: str | None = None


_Arrays = dict[str, FloatArray]
_Fault = Callable[[LinearModel], _Arrays | str]
_GraphFault = Callable[[onnx.ModelProto, LinearModel], Meaning | None]


def canaries(artifact: bytes | None, model: LinearModel) -> Iterator[Canary]:
    """Yield every fault, made from the artifact's bytes.

    Args:
        artifact: An ONNX file, if there is one. Where it is not the graph that our exporter writes
            for the model, the faults go into one that is: in an unknown graph they might change
            nothing, and in a wrong one they would be noticed for what else is wrong.
        model: What it should hold, with the training data's means and deviations where known.
    """
    stated = None if artifact is None else onnx_graph.read(onnx_graph.parse(artifact))
    if artifact is None or stated is None or not stated.same_function(model):
        artifact = onnx_graph.write(model)
    artifact = _without_metadata(artifact)
    for name, fault in _NUMBER_FAULTS.items():
        yield _with_numbers(name, artifact, model, fault)
    for name, change in _GRAPH_FAULTS.items():
        proto = onnx.ModelProto.FromString(artifact)
        meaning = change(proto, model)
        yield Canary(name=name, artifact=proto.SerializeToString(), meaning=meaning)
    yield _sum_in_float32(model)
    yield _names_swapped(artifact, model)


def _without_metadata(artifact: bytes) -> bytes:
    """Leave out what no number is noticed by: each session would hold several copies of it."""
    proto = onnx.ModelProto.FromString(artifact)
    del proto.metadata_props[:]
    return bytes(proto.SerializeToString())


def _with_numbers(name: str, artifact: bytes, model: LinearModel, fault: _Fault) -> Canary:
    with np.errstate(all="ignore"):
        changed = fault(model)
    reason = changed if isinstance(changed, str) else _cannot_change(model, changed)
    if isinstance(changed, str) or reason:
        return Canary(name=name, skipped=reason)
    faulty = DoubleReference(LinearModel.from_arrays(model.arrays() | changed, dtype=model.dtype))
    return Canary(
        name=name,
        artifact=_with_arrays(artifact, changed),
        meaning=lambda _, probe: faulty.expect(probe),
    )


def _cannot_change(model: LinearModel, changed: _Arrays) -> str | None:
    if all(np.array_equal(changed[key], model.arrays()[key]) for key in changed):
        return "It changes no number of this model."
    if not all(np.isfinite(array).all() for array in changed.values()):
        return f"It leaves the range of {model.accumulate}."
    return None


def _with_arrays(artifact: bytes, arrays: _Arrays) -> bytes:
    proto = onnx.ModelProto.FromString(artifact)
    for tensor in proto.graph.initializer:
        if tensor.name in arrays:
            tensor.CopyFrom(numpy_helper.from_array(arrays[tensor.name], tensor.name))
    return bytes(proto.SerializeToString())


def _smallest_weight(model: LinearModel) -> tuple[int, int] | None:
    """The nonzero weight whose fault is hardest to see."""
    size = np.abs(model.weight)
    if not size.any():
        return None
    place = np.unravel_index(np.where(size > 0, size, np.inf).argmin(), size.shape)
    return int(place[0]), int(place[1])


def _one_weight(change: Callable[[Any], Any]) -> _Fault:
    def fault(model: LinearModel) -> _Arrays | str:
        place = _smallest_weight(model)
        if place is None:
            return "Every weight is zero."
        weight = model.weight.copy()
        weight[place] = change(weight[place])
        return {"weight": weight}

    return fault


def _bias_shifted(model: LinearModel) -> _Arrays:
    bias = model.bias.copy()
    # At least one ulp, also where that is more than a millionth.
    shifted = bias + np.where(bias == 0, 1, bias) * bias.dtype.type(1e-6)
    return {"bias": np.where(shifted == bias, np.nextafter(bias, np.inf), shifted)}


def _features_swapped(model: LinearModel) -> _Arrays | str:
    others = np.flatnonzero((model.weight != model.weight[:, :1]).any(axis=0))
    if len(others):
        order = np.arange(model.num_features)
        order[[0, others[0]]] = others[0], 0
        return {"weight": model.weight[:, order]}
    return "All features have the same weight."


def _last_feature_ignored(model: LinearModel) -> _Arrays:
    weight = model.weight.copy()
    weight[:, -1] = 0
    return {"weight": weight}


def _targets_swapped(model: LinearModel) -> _Arrays | str:
    if model.num_targets == 1:
        return "There is one target only."
    return {"weight": model.weight[::-1].copy(), "bias": model.bias[::-1].copy()}


def _scaler_forgotten(model: LinearModel) -> _Arrays | str:
    """One feature, the first that matters, reaches a standardized weight as it is."""
    used = np.flatnonzero(model.weight.any(axis=0))
    if not len(used):
        return "Every weight is zero."
    place, number = int(used[0]), model.accumulate.type
    column = model.features[place]
    arrays = {name: array.copy() for name, array in model.arrays().items()}
    if "mean" in arrays:
        arrays["mean"][place] = 0
    elif column.mean is None or not column.standard_deviation:
        return "The training data's mean and deviation are not known."
    else:
        arrays["bias"] += arrays["weight"][:, place] * number(column.mean)
    arrays["weight"][:, place] *= number(column.standard_deviation or 1)
    return arrays


def _through(narrow: type[np.float16 | np.float32]) -> _Fault:
    def fault(model: LinearModel) -> _Arrays | str:
        if model.accumulate == narrow:
            return f"The model is {model.accumulate}."
        limit = float(np.finfo(narrow).max)
        narrowed = np.clip(model.weight, -limit, limit).astype(narrow)
        return {"weight": narrowed.astype(model.accumulate)}

    return fault


def _through_fraction_of(bits: int) -> _Fault:
    """Round to nearest, ties to even, to fewer bits of fraction at the same exponent range."""

    def fault(model: LinearModel) -> _Arrays:
        integer = np.int32 if model.accumulate == np.float32 else np.int64
        dropped = (23 if model.accumulate == np.float32 else 52) - bits
        raw: NDArray[np.int32 | np.int64] = model.weight.view(integer)
        rounded = raw + ((1 << (dropped - 1)) - 1) + ((raw >> dropped) & 1)
        return {"weight": (rounded >> dropped << dropped).view(model.accumulate)}

    return fault


def _relu_at_the_end(proto: onnx.ModelProto, _: LinearModel) -> Meaning:
    _after_output(proto, lambda raw, out: [helper.make_node("Relu", [raw], [out])])
    return _clamped(0.0, np.inf)


def _clip_at_the_end(proto: onnx.ModelProto, model: LinearModel) -> Meaning:
    """Clamp at what the training range predicts at most: right there, wrong beyond."""
    reach = np.array(_reach(model), model.dtype)
    tensors = [
        numpy_helper.from_array(value, name)
        for name, value in (("lowest", -reach), ("highest", reach))
    ]
    proto.graph.initializer.extend(tensors)
    # Max and Min rather than Clip: they take constants of both types in every opset from 8 on.
    _after_output(
        proto,
        lambda raw, out: [
            helper.make_node("Max", [raw, "lowest"], ["not_below"]),
            helper.make_node("Min", ["not_below", "highest"], [out]),
        ],
    )
    return _clamped(-float(reach), float(reach))


def _clamped(lowest: float, highest: float) -> Meaning:
    """Return what clamping makes of right predictions; of NaN nothing, for runtimes differ."""

    def meaning(reference: DoubleReference, probe: Probe) -> Expectation:
        truth = reference.expect(probe)
        high = np.clip(truth.high, lowest, highest)
        ends = np.clip(truth.non_finite, lowest, highest)
        clamped = truth.special & np.isfinite(ends)
        return replace(
            truth,
            high=np.where(clamped, ends, high),
            low=np.where(high == truth.high, truth.low, 0.0),
            bound=np.where(clamped, 0.0, truth.bound),
            special=truth.special & ~clamped,
            non_finite=np.where(clamped, 0.0, ends),
        )

    return meaning


def _reach(model: LinearModel) -> float:
    size = np.abs(model.weight.astype(np.float64))
    spread = [column.standard_deviation or 1.0 for column in model.features]
    with np.errstate(over="ignore"):
        reach = (size @ np.array(spread)).max() * 8 + np.abs(model.bias.astype(np.float64)).max()
    return min(float(reach), float(np.finfo(model.dtype).max))


def _nan_hidden(proto: onnx.ModelProto, model: LinearModel) -> Meaning:
    name = proto.graph.input[0].name
    for node in proto.graph.node:
        node.input[:] = ["cleaned" if entry == name else entry for entry in node.input]
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros((), model.dtype), "zero"))
    nodes = [
        helper.make_node("IsNaN", [name], ["missing"]),
        helper.make_node("Where", ["missing", "zero", name], ["cleaned"]),
        *proto.graph.node,
    ]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)

    def meaning(reference: DoubleReference, probe: Probe) -> Expectation:
        features = np.where(np.isnan(probe.features), 0, probe.features)
        return reference.expect(replace(probe, features=features))

    return meaning


def _sum_in_float32(model: LinearModel) -> Canary:
    """What is written where nothing is said of the sum: no Cast, and the numbers rounded."""
    name, arrays = "sum taken in float32", model.arrays()
    if model.accumulate == np.float32:
        return Canary(name=name, skipped="That is how the model takes it.")
    if model.dtype == np.float64:
        return Canary(name=name, skipped="The model takes and gives float64.")
    with np.errstate(over="ignore"):
        arrays = {key: array.astype(np.float32) for key, array in arrays.items()}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        return Canary(name=name, skipped="It leaves the range of float32.")
    faulty = LinearModel.from_arrays(arrays)
    return Canary(name=name, artifact=onnx_graph.write(faulty))


def _batch_of_one(proto: onnx.ModelProto, _: LinearModel) -> None:
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def _names_swapped(artifact: bytes, model: LinearModel) -> Canary:
    """Of two features, or else of two targets, in what the file says of itself."""
    name, features, targets = "two names swapped", model.features, model.targets
    if len(features) > 1:
        features = (*_renamed(*features[:2]), *features[2:])
    elif len(targets) > 1:
        targets = (*_renamed(*targets[:2]), *targets[2:])
    else:
        return Canary(name=name, skipped="There is one feature, and one target.")
    proto = onnx.ModelProto.FromString(artifact)
    for key, value in stating(model.with_columns(features, targets)).items():
        proto.metadata_props.add(key=METADATA_PREFIX + key, value=value)
    return Canary(name=name, artifact=proto.SerializeToString())


def _renamed(first: Column, second: Column) -> tuple[Column, Column]:
    return replace(first, name=second.name), replace(second, name=first.name)


def _after_output(
    proto: onnx.ModelProto, nodes: Callable[[str, str], list[onnx.NodeProto]]
) -> None:
    output = proto.graph.output[0].name
    proto.graph.node[-1].output[0] = "unclamped"
    proto.graph.node.extend(nodes("unclamped", output))


_NUMBER_FAULTS: dict[str, _Fault] = {
    "one weight off by an ulp": _one_weight(lambda w: np.nextafter(w, np.copysign(np.inf, w))),
    "one weight off by 1e-4": _one_weight(lambda w: w * w.dtype.type(1.0001)),
    "one weight off by 1 %": _one_weight(lambda w: w * w.dtype.type(1.01)),
    "one sign flipped": _one_weight(lambda w: -w),
    "bias dropped": lambda model: {"bias": np.zeros_like(model.bias)},
    "bias shifted by 1e-6": _bias_shifted,
    "two features swapped": _features_swapped,
    "last feature ignored": _last_feature_ignored,
    "targets swapped": _targets_swapped,
    "one scaler forgotten": _scaler_forgotten,
    "weights through float16": _through(np.float16),
    "weights through bfloat16": _through_fraction_of(BFLOAT16_BITS),
    "weights through TF32": _through_fraction_of(TF32_BITS),
    "weights through float32": _through(np.float32),
}
_GRAPH_FAULTS: dict[str, _GraphFault] = {
    "ReLU at the end": _relu_at_the_end,
    "clipped at the end": _clip_at_the_end,
    "NaN hidden": _nan_hidden,
    "batch fixed to 1": _batch_of_one,
}
