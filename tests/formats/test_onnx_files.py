"""ONNX files, against the checker, onnxruntime and torch.onnx.export as witnesses."""

import io

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import checker, helper, numpy_helper

from linexport.errors import ConfigError
from linexport.formats._pytorch import to_module
from linexport.formats.onnx import Onnx

NEWEST_OPSET = max(each for domain, each in helper.OP_SET_ID_VERSION_MAP if domain == "ai.onnx")
RUNTIME_OPSETS = range(9, 24)
"""What onnxruntime has long accepted; newer ones it may refuse."""


def least_ir_version(opset_version):
    return max(helper.find_min_ir_version_for([helper.make_opsetid("", opset_version)]), 4)


def export(model, **versions):
    return Onnx(**versions).write(model, {"solver": "sgd"})


def predict(data, features):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"features": features})[0]


def test_batches_of_none_one_and_many_rows_are_predicted_exactly(model, exact_batches):
    data = export(model)
    for features, expected in exact_batches(model):
        predicted = predict(data, features)
        assert predicted.dtype == model.dtype
        assert predicted.shape == expected.shape
        assert predicted.tolist() == expected.tolist()


@pytest.mark.parametrize("opset_version", range(9, NEWEST_OPSET + 1))
@pytest.mark.parametrize("centred", [False, True])
def test_every_opset_is_valid_with_the_oldest_and_the_newest_ir(
    make_model, exact_batches, opset_version, centred
):
    model = make_model(3, 5, centred=centred)
    for ir_version in (least_ir_version(opset_version), onnx.IR_VERSION):
        data = export(model, opset_version=opset_version, ir_version=ir_version)
        proto = onnx.load_from_string(data)
        checker.check_model(proto, full_check=True)
        assert [entry.version for entry in proto.opset_import] == [opset_version]
        assert proto.ir_version == ir_version
    if opset_version in RUNTIME_OPSETS:
        data = export(
            model, opset_version=opset_version, ir_version=least_ir_version(opset_version)
        )
        features, expected = exact_batches(model)[-1]
        assert predict(data, features).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("opset_version", "ir_version", "message"),
    [
        (8, 7, "Opset 8 is not possible: use 9 to"),
        (0, 7, "Opset 0 is not possible"),
        (NEWEST_OPSET + 1, 7, f"use 9 to {NEWEST_OPSET} "),
        (9, 3, "IR version 3 is not possible with opset 9: use 4 to"),
        (13, 6, "IR version 6 is not possible with opset 13: use 7 to"),
        (21, 9, "IR version 9 is not possible with opset 21: use 10 to"),
        (13, onnx.IR_VERSION + 1, f"to {onnx.IR_VERSION} "),
    ],
)
def test_versions_that_cannot_be_are_refused(opset_version, ir_version, message):
    with pytest.raises(ConfigError, match=message):
        Onnx(opset_version=opset_version, ir_version=ir_version)


def test_metadata_are_prefixed_and_everything_is_inline(make_model):
    proto = onnx.load_from_string(export(make_model()))
    assert [(entry.key, entry.value) for entry in proto.metadata_props] == [
        ("linexport.solver", "sgd")
    ]
    assert all(not tensor.external_data for tensor in proto.graph.initializer)


def meaning(data):
    """What a graph says, whatever its values between input and output are called."""
    proto = onnx.load_from_string(data)
    names = {"features": "features", "prediction": "prediction"}
    names |= {tensor.name: tensor.name for tensor in proto.graph.initializer}
    nodes = []
    for index, node in enumerate(proto.graph.node):
        names |= {name: f"value {index}" for name in node.output if name not in names}
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        defaults = {"alpha": 1.0, "beta": 1.0, "transA": 0}
        nodes.append(
            (
                node.domain,
                node.op_type,
                {name: value for name, value in attributes.items() if defaults.get(name) != value},
                [names[name] for name in node.input],
                [names[name] for name in node.output],
            )
        )
    numbers = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    ends = [
        (
            value.name,
            value.type.tensor_type.elem_type,
            [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
        )
        for value in (*proto.graph.input, *proto.graph.output)
    ]
    return (
        nodes,
        {name: (array.dtype, array.shape, array.tobytes()) for name, array in numbers.items()},
        ends,
    )


def torch_onnx_export(model, *, dynamo):
    """What PyTorch's own exporter writes for the same module."""
    buffer = io.BytesIO()
    example = torch.zeros(2, model.num_features, dtype=getattr(torch, model.dtype.name))
    options = {"input_names": ["features"], "output_names": ["prediction"], "dynamo": dynamo}
    if dynamo:
        batch = torch.export.Dim("batch", min=0)
        options |= {"dynamic_shapes": {"features": {0: batch}}, "verbose": False}
        program = torch.onnx.export(to_module(model), (example,), opset_version=18, **options)
        return program.model_proto.SerializeToString()
    axes = {"features": {0: "batch"}, "prediction": {0: "batch"}}
    torch.onnx.export(
        to_module(model), (example,), buffer, opset_version=13, dynamic_axes=axes, **options
    )
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
def test_torch_onnx_export_writes_the_same(make_model, centred, dtype, dynamo):
    model = make_model(3, 5, dtype, centred=centred)
    witness, ours = torch_onnx_export(model, dynamo=dynamo), export(model)
    assert meaning(ours) == meaning(witness)
    features = np.random.default_rng(2).normal(size=(9, 5)).astype(dtype)
    assert predict(ours, features).tobytes() == predict(witness, features).tobytes()
