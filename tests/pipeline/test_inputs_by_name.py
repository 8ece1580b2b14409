"""linexport.verify feeds a file of several inputs by name, in whichever order it lists them."""

import hashlib
import itertools

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import linexport
from linexport import Column, ExportConfig, LinearModel

WEIGHTS = {"area": 1.5, "floor": -2.25, "age": 0.125}
REFERENCE = LinearModel(
    weight=np.array([list(WEIGHTS.values())]),
    bias=np.array([0.5]),
    features=tuple(Column(name=name) for name in WEIGHTS),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    config = ExportConfig(formats=("onnx",), probe_rows=64)
    return linexport.export(REFERENCE, tmp_path_factory.mktemp("named") / "b", config=config).path


def saved(path, inputs, weights, shape=("N", 1)):
    """A file with such inputs, which are put side by side in the order of the weights."""
    value, lines = helper.make_tensor_value_info, len(shape) == 1
    axis = numpy_helper.from_array(np.array([1]), "axis")
    nodes = [helper.make_node("Unsqueeze", [name, "axis"], [f"{name}_2"]) for name in weights]
    columns = [f"{name}_2" if lines else name for name in weights]
    numbers = {"w": np.array(list(weights.values()))[:, None], "b": np.array([0.5])}
    graph = helper.make_graph(
        [
            *(nodes if lines else []),
            helper.make_node("Concat", columns, ["x"], axis=1),
            helper.make_node("Gemm", ["x", "w", "b"], ["y"]),
        ],
        "graph",
        [value(name, TensorProto.FLOAT, shape) for name in inputs],
        [value("y", TensorProto.FLOAT, ["N", 1])],
        [axis, *(numpy_helper.from_array(np.float32(a), name) for name, a in numbers.items())],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize("shape", [("N", 1), ("N",)], ids=["columns", "lines"])
@pytest.mark.parametrize("inputs", [*itertools.permutations(WEIGHTS)], ids="-".join)
def test_inputs_are_matched_by_name(inputs, shape, bundle, tmp_path):
    path = saved(tmp_path / "a.onnx", inputs, WEIGHTS, shape)
    report = linexport.verify(path, reference=bundle, probe_rows=64)
    assert report.verdict == "consistent", report.failures
    assert report.features == tuple(WEIGHTS)
    assert report.artifacts == {"a.onnx": hashlib.sha256(path.read_bytes()).hexdigest()}
    matched = "The file's inputs were matched with the reference's features by name."
    assert (matched in report.notes) == (inputs != tuple(WEIGHTS))


def test_a_file_that_mixes_its_inputs_up_disagrees(bundle, tmp_path):
    wrong = dict(zip(("age", "floor", "area"), WEIGHTS.values(), strict=True))
    path = saved(tmp_path / "a.onnx", ("age", "area", "floor"), wrong)
    report = linexport.verify(path, reference=bundle, probe_rows=64)
    assert report.verdict == "disagrees"
    assert not any("by name the predictions" in said for said in report.failures)


def test_inputs_of_other_names_are_those_of_the_reference_in_its_order(tmp_path):
    """A reference without names has none to match."""
    path = saved(tmp_path / "a.onnx", ("age", "area", "floor"), dict(sorted(WEIGHTS.items())))
    weight = [[weight for _, weight in sorted(WEIGHTS.items())]]
    report = linexport.verify(path, reference={"weight": weight, "bias": [0.5]}, probe_rows=64)
    assert report.verdict == "consistent", report.failures


def test_inputs_of_several_columns_are_matched_by_the_names_they_are_given(tmp_path):
    """The columns of an input are numbered, as where a bundle is made of the file."""
    files = {}
    value = helper.make_tensor_value_info
    weight = numpy_helper.from_array(np.array([[1.5], [-2.25], [0.125]], np.float32), "w")
    for order in (("few", "size"), ("size", "few")):
        graph = helper.make_graph(
            [
                helper.make_node("Concat", ["few", "size"], ["x"], axis=1),
                helper.make_node("MatMul", ["x", "w"], ["y"]),
            ],
            "graph",
            [value(n, TensorProto.FLOAT, ["N", 2 if n == "few" else 1]) for n in order],
            [value("y", TensorProto.FLOAT, ["N", 1])],
            [weight],
        )
        files[order] = tmp_path / f"{order[0]}.onnx"
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(made, files[order])
    first, second = files.values()
    config = ExportConfig(formats=("onnx",), probe_rows=64)
    exported = linexport.export(first, tmp_path / "bundle", config=config)
    for path in (first, second):
        report = linexport.verify(path, reference=exported.path, probe_rows=64)
        assert report.verdict == "consistent", report.failures
