"""ONNX graphs: what is written, recognised and refused."""

from itertools import pairwise

import hypothesis
import numpy as np
import onnx
import pytest
from hypothesis import given, strategies as st
from onnx import TensorProto, helper, numpy_helper

from linexport.columns import Column
from linexport.errors import ArtifactError, ExportError
from linexport.formats import Statement, stated
from linexport.formats.onnx import Onnx, graph as onnx_graph
from linexport.formats.onnx._running import require_runnable
from linexport.model import LinearModel

FOLDED = LinearModel(weight=np.array([[2, -3.5]], np.float32), bias=np.array([4.25], np.float32))
CENTRED = LinearModel(
    weight=FOLDED.weight,
    bias=FOLDED.bias,
    mean=np.array([1, 2], np.float32),
)


def written(model=FOLDED, **options):
    return onnx_graph.parse(onnx_graph.write(model, **options))


def models():
    widths = {"float32": 32, "float64": 64}

    @st.composite
    def build(draw):
        dtype = draw(st.sampled_from(sorted(widths)))
        num_targets, num_features = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        numbers = st.floats(allow_nan=False, allow_infinity=False, width=widths[dtype])

        def array(*shape):
            count = int(np.prod(shape))
            values = draw(st.lists(numbers, min_size=count, max_size=count))
            return np.array(values, dtype).reshape(shape)

        kept = draw(st.booleans())
        return LinearModel(
            weight=array(num_targets, num_features),
            bias=array(num_targets),
            mean=array(num_features) if kept else None,
        )

    return build()


@hypothesis.settings(deadline=None)
@given(models())
def test_what_was_written_is_recognised_bit_for_bit(model):
    proto = onnx_graph.check(onnx_graph.write(model))
    recognised = onnx_graph.read(proto)
    assert recognised is not None
    assert recognised.same_numbers(model)


def test_the_graphs_are_the_documented_ones():
    assert [node.op_type for node in written().graph.node] == ["Gemm"]
    assert [node.op_type for node in written(CENTRED).graph.node] == ["Sub", "Gemm"]
    (value,) = written().graph.input
    batch, width = value.type.tensor_type.shape.dim
    assert (value.name, batch.dim_param, width.dim_value) == ("features", "batch", 2)


@pytest.mark.parametrize("versions", [(9, 4), (13, 7), (23, 11)])
def test_other_versions_are_recognised_too(versions):
    proto = written(opset_version=versions[0], ir_version=versions[1])
    assert onnx_graph.read(proto).same_numbers(FOLDED)


def test_metadata_lose_their_prefix_and_those_of_others_are_left_out():
    proto = written(metadata={"b": "2", "a": "é"})
    proto.metadata_props.add(key="author", value="somebody")
    assert onnx_graph.read_metadata(proto) == {"a": "é", "b": "2"}


def test_metadata_come_in_one_order():
    assert onnx_graph.write(FOLDED, metadata={"a": "1", "b": "2"}) == onnx_graph.write(
        FOLDED, metadata={"b": "2", "a": "1"}
    )


def test_columns_come_from_the_metadata():
    features = '[{"name":"a","unit":"m","minimum":0.5,"maximum":2.0},{"name":"b"}]'
    proto = written(metadata={"features": features, "targets": '[{"name":"y"}]'})
    said = stated(onnx_graph.read_metadata(proto))
    assert said.features == (
        Column(name="a", unit="m", minimum=0.5, maximum=2.0),
        Column(name="b"),
    )
    assert said.targets == (Column(name="y"),)
    assert said.form is None


def test_a_file_without_columns_has_none():
    assert stated(onnx_graph.read_metadata(written())) == Statement()
    assert onnx_graph.read_named(written()).feature_names == ("x1", "x2")


def test_what_is_noted_twice_is_refused():
    """Readers take the one or the other."""
    proto = written(metadata={"features": '[{"name":"a"},{"name":"b"}]'})
    proto.metadata_props.add(key="linexport.features", value='[{"name":"b"},{"name":"a"}]')
    for read in (onnx_graph.read_metadata, onnx_graph.read_named):
        with pytest.raises(ArtifactError, match="metadata have a key twice"):
            read(proto)


def test_inputs_of_one_column_each_name_the_features():
    names, float32 = ["b", "a"], TensorProto.FLOAT
    body = helper.make_graph(
        [
            helper.make_node("Concat", names, ["features"], axis=1),
            helper.make_node("Gemm", ["features", "w"], ["prediction"]),
        ],
        "columns",
        [helper.make_tensor_value_info(name, float32, ["batch", 1]) for name in names],
        [helper.make_tensor_value_info("prediction", float32, ["batch", 1])],
        [numpy_helper.from_array(np.ones((2, 1), np.float32), "w")],
    )
    proto = helper.make_model(body, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    said = stated(Onnx().metadata(proto.SerializeToString()))
    assert said.features == (Column(name="b"), Column(name="a"))
    assert stated(Onnx().metadata(onnx_graph.write(FOLDED))) == Statement()


def test_columns_name_the_model():
    metadata = {"features": '[{"name":"a"},{"name":"b"}]', "targets": '[{"name":"c"}]'}
    model = onnx_graph.read_named(written(metadata=metadata))
    assert (model.feature_names, model.target_names) == (("a", "b"), ("c",))
    assert model.same_numbers(FOLDED)


@pytest.mark.parametrize("features", ['[{"name":"a"}]', '[{"name":"a"},{"name":"a"}]'])
def test_columns_that_do_not_fit_are_refused(features):
    proto = written(metadata={"features": features, "targets": '[{"name":"c"}]'})
    with pytest.raises(ArtifactError, match="names of columns are damaged"):
        onnx_graph.read_named(proto)


def test_a_summary_says_what_a_file_holds():
    data = onnx_graph.write(CENTRED, opset_version=15, ir_version=8, metadata={"a": "1"})
    summary = Onnx().summarize(data)
    assert summary.bytes == len(data)
    assert (summary.opset_versions, summary.ir_version) == ({"": 15}, 8)
    assert summary.operators == ("Sub", "Gemm")
    assert (summary.producer, summary.form) == ("linexport", "centred")
    assert (summary.features, summary.targets) == (CENTRED.features, CENTRED.targets)
    assert summary.metadata == {"a": "1"}


@pytest.mark.parametrize(
    "features",
    ["", "[", "{}", '[{"unit":"m"}]', '[{"name":""}]', '[{"name":"\\u001b"}]', "[" * 100_000],
    ids=range(7),
)
def test_damaged_columns_are_refused(features):
    proto = written(metadata={"features": features, "targets": "[]"})
    with pytest.raises(ArtifactError, match="names of columns are damaged"):
        stated(onnx_graph.read_metadata(proto))


def test_a_model_beyond_a_gibibyte_is_refused(monkeypatch):
    monkeypatch.setattr(onnx_graph, "LARGEST_FILE", 20)
    with pytest.raises(ExportError, match="1 GiB"):
        onnx_graph.write(FOLDED)


ALPHA = helper.make_attribute("alpha", 2.0)
UNRECOGNISED = {
    "another factor": lambda p: p.graph.node[0].attribute.append(ALPHA),
    "not transposed": lambda p: p.graph.node[0].attribute.pop(),
    "another operator after": lambda p: (
        p.graph.node[0].output.__setitem__(0, "value"),
        p.graph.node.append(helper.make_node("Neg", ["value"], ["prediction"])),
    ),
    "bias left out": lambda p: p.graph.node[0].input.pop(),
    "weight for bias": lambda p: p.graph.node[0].input.__setitem__(2, "weight"),
    "operator of another domain": lambda p: setattr(p.graph.node[0], "domain", "ai.onnx.ml"),
    "fixed batch": lambda p: setattr(
        p.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 1
    ),
    "unnamed batch": lambda p: p.graph.input[0].type.tensor_type.shape.dim[0].Clear(),
    "input of another dtype": lambda p: setattr(p.graph.input[0].type.tensor_type, "elem_type", 11),
    "another input": lambda p: p.graph.input.append(p.graph.output[0]),
    "initializer that may be overridden": lambda p: p.graph.input.append(
        helper.make_tensor_value_info("bias", TensorProto.FLOAT, [1])
    ),
    "another initializer": lambda p: p.graph.initializer.append(
        numpy_helper.from_array(np.ones(1, np.float32), "more")
    ),
    "the same initializer again": lambda p: p.graph.initializer.append(p.graph.initializer[0]),
    "weight of another shape": lambda p: p.graph.initializer[0].dims.reverse(),
    "NaN": lambda p: setattr(p.graph.initializer[1], "raw_data", b"\0\0\xc0\x7f"),
    "no weight": lambda p: p.graph.initializer.pop(0),
    "quantised": lambda p: p.graph.quantization_annotation.add(tensor_name="weight"),
    "opset of the future": lambda p: setattr(p.opset_import[0], "version", 999),
    "opset before Gemm broadcasts": lambda p: setattr(p.opset_import[0], "version", 6),
    "two opsets": lambda p: p.opset_import.add(domain="ai.onnx.ml", version=1),
    "opset of another domain": lambda p: setattr(p.opset_import[0], "domain", "ai.onnx.ml"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNRECOGNISED)
def test_a_graph_with_one_thing_different_is_not_recognised(case):
    proto = written()
    UNRECOGNISED[case](proto)
    assert onnx_graph.read(proto) is None


def graph_of(*nodes, initializers=(), opsets=(("", 13),)):
    """A file that somebody else wrote."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in dict(initializers).items()],
    )
    imports = [helper.make_opsetid(*opset) for opset in opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=7)


W, B = np.ones((1, 2), np.float32), np.ones(1, np.float32)
ML = (("", 13), ("ai.onnx.ml", 1))


def gemm(**attributes):
    return helper.make_node("Gemm", ["features", "w", "b"], ["prediction"], transB=1, **attributes)


def regressor(*coefficients):
    return helper.make_node(
        "LinearRegressor",
        ["features"],
        ["prediction"],
        domain="ai.onnx.ml",
        coefficients=coefficients,
        intercepts=[0.5],
        targets=1,
    )


@pytest.mark.parametrize(
    "proto",
    [
        graph_of(gemm(), initializers={"w": W, "b": B}),
        graph_of(
            helper.make_node("MatMul", ["features", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["prediction"]),
            initializers={"w": W.T.copy(), "b": B},
        ),
        graph_of(regressor(1.0, 2.0), opsets=ML),
    ],
    ids=["gemm", "matmul", "regressor"],
)
def test_linear_models_of_other_exporters_pass_the_check_unrecognised(proto):
    checked = onnx_graph.check(proto.SerializeToString())
    assert checked == proto
    assert onnx_graph.read(checked) is None


def external():
    proto = written()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return proto


def changed(change):
    proto = written()
    change(proto)
    return proto


def constant(**value):
    return helper.make_node("Constant", [], ["w"], **value)


def with_subgraph():
    branch = helper.make_graph([], "branch", [], [])
    node = helper.make_node("Identity", ["features"], ["prediction"])
    node.attribute.append(helper.make_attribute("body", branch))
    return graph_of(node)


SPARSE = helper.make_sparse_tensor(
    numpy_helper.from_array(np.ones(2, np.float32), "values"),
    numpy_helper.from_array(np.array([0, 1]), "indices"),
    [1, 2],
)

REFUSED = {
    "external data": (external(), "keeps 'weight' in another file"),
    "unknown operator": (
        graph_of(helper.make_node("Softmax", ["features"], ["prediction"])),
        "operator Softmax, which is not run here",
    ),
    "operator of a custom domain": (
        changed(lambda p: setattr(p.graph.node[0], "domain", "evil")),
        "does not state the opset of evil, whose Gemm",
    ),
    "operator of a domain with a long name": (
        changed(lambda p: setattr(p.graph.node[0], "domain", "n" * 3000)),
        "does not state the opset of n{100}[.]{3}, whose Gemm",
    ),
    "subgraph": (with_subgraph(), "subgraphs"),
    "function": (changed(lambda p: p.functions.add(name="f")), "functions, sparse or training"),
    "training": (changed(lambda p: p.training_info.add()), "functions, sparse or training"),
    "sparse initializer": (
        changed(lambda p: p.graph.sparse_initializer.append(SPARSE)),
        "functions, sparse or training",
    ),
    "sparse constant": (
        graph_of(constant(sparse_value=SPARSE), gemm(), initializers={"b": B}),
        "sparse tensors",
    ),
    "NaN weight": (graph_of(gemm(), initializers={"w": W * np.nan, "b": B}), "'w' holds NaN"),
    "infinite constant": (
        graph_of(
            constant(value=numpy_helper.from_array(W * np.inf, "c")), gemm(), initializers={"b": B}
        ),
        "'c' holds NaN or infinity",
    ),
    "NaN attribute": (
        graph_of(gemm(alpha=float("nan")), initializers={"w": W, "b": B}),
        "'alpha' is not finite",
    ),
    "NaN coefficient": (graph_of(regressor(1.0, float("nan")), opsets=ML), "'coefficients' is not"),
    "text for numbers": (
        graph_of(gemm(), initializers={"w": np.array(["a", "b"], object), "b": B}),
        "no real numbers",
    ),
    "complex numbers": (graph_of(gemm(), initializers={"w": W * 1j, "b": B}), "no real numbers"),
    "text": (graph_of(gemm(), initializers={"w": W.astype(str), "b": B}), "no real numbers"),
    "dimensions beyond the data": (
        changed(lambda p: p.graph.initializer[0].dims.__setitem__(0, 2**40)),
        "'weight' is damaged",
    ),
    "data beyond the dimensions": (
        changed(lambda p: setattr(p.graph.initializer[1], "raw_data", bytes(8))),
        "'bias' is damaged",
    ),
    "no element type": (
        changed(lambda p: setattr(p.graph.initializer[0], "data_type", 0)),
        "'weight' is damaged",
    ),
    "IR of the future": (changed(lambda p: setattr(p, "ir_version", 999)), "IR version 999"),
    "value from nowhere": (graph_of(gemm(), initializers={"w": W}), "not valid"),
    "more of a row than is run": (
        graph_of(
            *(helper.make_node("Concat", [a, a], [b], axis=1)
              for a, b in pairwise(["features", *(f"c{n}" for n in range(22)), "prediction"])),
        ),
        "makes [0-9]+ numbers of each row",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("default")  # what is only warned of is not refused
@pytest.mark.parametrize("case", REFUSED)
def test_files_that_are_damaged_or_hold_more_than_a_linear_model_are_refused(case):
    proto, reason = REFUSED[case]
    with pytest.raises(ArtifactError, match=reason) as caught:
        require_runnable(onnx_graph.check(proto.SerializeToString()))
    assert len(str(caught.value).splitlines()) == 1


@hypothesis.settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused(data):
    with pytest.raises(ArtifactError, match="not an ONNX file"):
        onnx_graph.parse(data)


def test_an_empty_graph_is_refused():
    with pytest.raises(ArtifactError, match="its graph is empty"):
        onnx_graph.check(onnx.ModelProto(ir_version=7).SerializeToString())
