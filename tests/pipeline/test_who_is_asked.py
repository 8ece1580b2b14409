"""linexport.verify asks onnx's own evaluator where it is a witness, and says where it is none."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import linexport

NORMAL = {"gain": [2, 0.5, 3], "shift": [0, 1, -1], "mean": [1, 20, 300], "variance": [4, 0.25, 1]}
WEIGHT = np.array([[1.0, 1.0, 3.0]])
"""Of the normalization, with epsilon 0, and of the sum of its three values."""
BIAS = np.array([-1.0 - 20 + 1 - 900 - 1])


def saved(path, nodes, opset=13, **numbers):
    """A float32 file from x (N, 3) to y (N, 1)."""
    value = helper.make_tensor_value_info
    tensors = [numpy_helper.from_array(np.float32(numbers[name]), name) for name in numbers]
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("x", TensorProto.FLOAT, ["N", 3])],
        [value("y", TensorProto.FLOAT, ["N", 1])],
        tensors,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def asked(report):
    return {result.name.split(",")[0] for result in report.runtimes}


@pytest.mark.parametrize("opset", [9, 13, 14, 17])
def test_a_normalization_that_the_evaluator_takes_for_training_is_not_put_to_it(opset, tmp_path):
    nodes = [
        helper.make_node("BatchNormalization", ["x", *NORMAL], ["z"], epsilon=0.0),
        helper.make_node("MatMul", ["z", "ones"], ["y"]),
    ]
    path = saved(tmp_path / "a.onnx", nodes, opset, **NORMAL, ones=np.ones((3, 1)))
    report = linexport.verify(path, reference={"weight": WEIGHT, "bias": BIAS}, probe_rows=64)
    assert report.verdict == "consistent", report.failures
    told = "onnx's own evaluator was not asked: before opset 14 its BatchNormalization"
    if opset < 14:
        assert asked(report) == {"onnxruntime"}
        assert report.notes[-1].startswith(told)
    else:
        assert asked(report) == {"onnxruntime", "onnx reference"}
        assert not any(told in note for note in report.notes)
    wrong = {"weight": WEIGHT[:, ::-1], "bias": BIAS}
    assert linexport.verify(path, reference=wrong, probe_rows=64).verdict == "disagrees"


@pytest.mark.parametrize("intercepts", [None, [], [0.5]], ids=str)
def test_a_regressor_without_intercepts_is_not_put_to_it(intercepts, tmp_path):
    domain = "ai.onnx.ml"
    regressor = helper.make_node(
        "LinearRegressor", ["x"], ["y"], domain=domain, coefficients=[1.0, 2.0, 3.0], targets=1
    )
    if intercepts is not None:
        kind = onnx.AttributeProto.FLOATS
        regressor.attribute.add(name="intercepts", type=kind, floats=intercepts)
    path = saved(tmp_path / "a.onnx", [regressor])
    reference = {"weight": [[1.0, 2, 3]], "bias": [0.5 if intercepts else 0.0]}
    report = linexport.verify(path, reference=reference, probe_rows=64)
    assert report.verdict == "consistent", report.failures
    told = "onnx's own evaluator was not asked: it reads a LinearRegressor without intercepts"
    assert any(note.startswith(told) for note in report.notes) is not bool(intercepts)
    assert ("onnx reference" in asked(report)) is bool(intercepts)
