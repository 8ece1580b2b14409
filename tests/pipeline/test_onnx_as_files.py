"""ONNX files as others leave them: weights beside them, several outputs, unused inputs."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import linexport
from linexport.errors import ArtifactError, ConfigError

W = np.array([[1.0], [2.0], [-3.0]], np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """What torch.onnx.export writes by default of a layer with some hundred inputs."""
    path = tmp_path_factory.mktemp("torch") / "model.onnx"
    layer = torch.nn.Linear(1000, 2)
    shapes = ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, of all releases
        torch.onnx.export(
            layer, (torch.randn(3, 1000),), path, dynamo=True, dynamic_shapes=shapes, verbose=False
        )
    assert (path.parent / "model.onnx.data").exists()
    torch.save(layer.state_dict(), path.parent / "layer.pt")
    return path


def copied(exported: Path, directory: Path, *, data: bytes | None = None) -> Path:
    path = directory / "model.onnx"
    path.write_bytes(exported.read_bytes())
    beside = exported.with_name("model.onnx.data").read_bytes() if data is None else data
    (directory / "model.onnx.data").write_bytes(beside)
    return path


def test_weights_beside_a_file_are_read_as_torch_writes_them(exported, tmp_path):
    state = exported.with_name("layer.pt")
    model = linexport.read_model(exported).model
    assert model.same_numbers(linexport.read_model(state).model)
    bundle = linexport.export(exported, tmp_path / "bundle")
    assert bundle.certificate.verdict == "proven"
    assert linexport.verify(exported, reference=state).passed
    # And they are what is judged: another number there is another model.
    changed = bytearray(exported.with_name("model.onnx.data").read_bytes())
    changed[2] ^= 0x40
    path = copied(exported, tmp_path, data=bytes(changed))
    assert linexport.verify(path, reference=state).verdict == "disagrees"


def test_weights_that_are_not_beside_a_file_are_refused(exported, tmp_path):
    path = copied(exported, tmp_path)
    beside = tmp_path / "model.onnx.data"
    whole = beside.read_bytes()
    beside.write_bytes(whole[:-100])
    with pytest.raises(ArtifactError, match=r"model\.onnx: .* in a file that has"):
        linexport.read_model(path)
    beside.unlink()
    with pytest.raises(ArtifactError, match=r"cannot be read beside it \(No such file.*copy that"):
        linexport.read_model(path)
    (tmp_path / "elsewhere").write_bytes(whole)
    beside.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="cannot be read beside it"):
        linexport.read_model(path)
    beside.unlink()
    beside.mkdir()
    with pytest.raises(ArtifactError, match=r"model\.onnx: "):
        linexport.read_model(path)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("../../etc/passwd", "keeps 'w' in another file, which is read only beside it"),
        ("weights.bin", "keeps 'w' in another file"),
        ("/tmp/../x/model.onnx.data", "cannot be read beside it"),
        ("..\\model.onnx.data", "cannot be read beside it"),
    ],
)
def test_no_other_file_is_read(tmp_path, location, said):
    proto = graph([helper.make_node("MatMul", ["x", "w"], ["y"])], ["y"], ["x"])
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path = tmp_path / "inner" / "m.onnx"
    path.parent.mkdir()
    (tmp_path / "model.onnx.data").write_bytes(W.tobytes())
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ArtifactError, match=said):
        linexport.read_model(path)
    with pytest.raises(ArtifactError, match=said):
        linexport.verify(path, reference={"weight": W.T, "bias": np.zeros(1)})


def graph(nodes, outputs, inputs, rank=2):
    constants = {"w": W, "b": np.array([0.5], np.float32)}
    body = helper.make_graph(
        nodes,
        "somebody's",
        [helper.make_tensor_value_info(i, TensorProto.FLOAT, ["n", 3][:rank]) for i in inputs],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, ["n", None]) for o in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


SEVERAL = graph(
    [
        helper.make_node("MatMul", ["x", "w"], ["plain"]),
        helper.make_node("Add", ["plain", "b"], ["shifted"]),
        helper.make_node("Relu", ["plain"], ["bent"]),
    ],
    ["plain", "shifted", "bent"],
    ["x", "unused"],
)


def test_one_of_several_outputs_is_chosen_by_its_name(tmp_path):
    path = tmp_path / "several.onnx"
    path.write_bytes(SEVERAL.SerializeToString())
    said = "outputs 'plain', 'shifted', 'bent': choose one with graph_output=..."
    with pytest.raises(ConfigError, match=said):
        linexport.read_model(path)
    with pytest.raises(ConfigError, match="no output 'other'; it has 'plain', 'shifted', 'bent'"):
        linexport.read_model(SEVERAL, graph_output="other")
    for source in (path, SEVERAL):
        model = linexport.read_model(source, graph_output="shifted").model
        assert model.weight.tolist() == W.T.tolist()
        assert model.bias.tolist() == [0.5]
        assert model.num_features == 3  # an input that is not used is no feature
    bundle = linexport.export(path, tmp_path / "bundle", graph_output="shifted")
    assert linexport.verify(path, reference=bundle, graph_output="shifted").passed
    assert linexport.verify(path, reference=bundle, graph_output="plain").verdict == "disagrees"
    with pytest.raises(ConfigError, match=said):
        linexport.verify(path, reference=bundle)
    with pytest.raises(ConfigError, match="only an ONNX file has outputs"):
        linexport.verify(tmp_path / "bundle", graph_output="shifted")
    with pytest.raises(ConfigError, match="Only an ONNX graph has outputs to choose from"):
        linexport.read_model({"weight": W.T}, graph_output="shifted")


def test_a_column_for_each_input_and_those_that_nobody_needs(tmp_path):
    """[N] each, one of them unused: the others are the features, by name."""
    nodes = [
        helper.make_node("Unsqueeze", [name, "axes"], [f"{name}_column"])
        for name in ("age", "area")
    ]
    nodes += [
        helper.make_node("Concat", ["age_column", "area_column"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "two"], ["y"]),
    ]
    proto = graph(nodes, ["y"], ["age", "kind", "area"], rank=1)
    for name, array in (("axes", np.array([1])), ("two", W[:2])):
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    path = tmp_path / "columns.onnx"
    onnx.save(proto, path)
    bundle = linexport.export(path, tmp_path / "bundle")
    assert bundle.model.feature_names == ("age", "area")
    assert bundle.model.weight.tolist() == [[1.0, 2.0]]
    assert linexport.verify(path, reference=bundle).passed
