"""ONNX files from elsewhere, right ones and hostile ones, in onnxruntime and onnx's evaluator."""

import numpy as np
import onnx
import onnxruntime
import pytest
from artifacts import FOREIGN, onnx_file, true_predictions, whole_model, whole_rows
from onnx import TensorProto, helper

from linexport.errors import ArtifactError, UnavailableError
from linexport.formats.onnx import Onnx, graph as onnx_graph
from linexport.formats.onnx._engine import OrtEngine
from linexport.formats.onnx._runtime import OrtRuntime


def reference(data: bytes):
    """A foreign file in onnx's evaluator."""
    *_, last = Onnx().open(data, whole_model(), ours=False)
    assert last.name == "onnx reference"
    return last


every_engine = pytest.mark.parametrize("opened", [OrtEngine, reference])


@every_engine
@pytest.mark.parametrize("form", FOREIGN)
@pytest.mark.parametrize("num_rows", [0, 1, 7])
def test_foreign_graphs_predict_and_state_no_structure(opened, form, num_rows):
    model, write = FOREIGN[form]
    runtime = opened(write(model))
    rows = whole_rows(model, num_rows)
    assert runtime.structure is None
    assert runtime.dtype == model.dtype
    assert runtime.predict(rows).tolist() == true_predictions(model, rows)


def gemm_file(change=lambda _: None) -> bytes:
    proto = onnx.ModelProto.FromString(onnx_graph.write(whole_model()))
    change(proto)
    return proto.SerializeToString()


def _external(proto):
    tensor = proto.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="../../etc/passwd")


def _nan(proto):
    weight = np.full(whole_model().weight.shape, np.nan, np.float32)
    proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "weight"))


def _infinity(proto):
    bias = np.array([1, np.inf], np.float32)
    proto.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(bias, "bias"))


def _custom_domain(proto):
    proto.graph.node[0].domain = "com.example"
    proto.opset_import.add(domain="com.example", version=1)


def _encoder(proto):
    proto.graph.node[0].CopyFrom(
        helper.make_node("OneHotEncoder", ["features"], ["prediction"], domain="ai.onnx.ml")
    )
    proto.opset_import.add(domain="ai.onnx.ml", version=3)


def _imputer(proto):
    nan, mean = np.float32("nan"), [0.5] * whole_model().num_features
    proto.graph.node[0].CopyFrom(
        helper.make_node(
            "Imputer",
            ["features"],
            ["prediction"],
            domain="ai.onnx.ml",
            imputed_value_floats=mean,
            replaced_value_float=nan,
        )
    )
    proto.opset_import.add(domain="ai.onnx.ml", version=3)


def _subgraph(operator):
    def change(proto):
        body = helper.make_graph([], "body", [], [])
        node = helper.make_node(operator, ["features"], ["prediction"], body=body)
        proto.graph.node[0].CopyFrom(node)

    return change


def _function(proto):
    proto.functions.add(name="f", domain="local")


HOSTILE = {
    "numbers in another file": (_external, "in another file, which is read only beside it"),
    "NaN": (_nan, "'weight' holds NaN or infinity"),
    "infinity": (_infinity, "'bias' holds NaN or infinity"),
    "a custom operator": (_custom_domain, "operator Gemm of .*, which is not run here"),
    "an encoder of columns": (_encoder, "which is not run here: .*`linexport export FILE"),
    "an imputer of columns": (_imputer, "operator Imputer .* not run here: .*`linexport export"),
    "a loop": (_subgraph("Loop"), "has subgraphs"),
    "a branch": (_subgraph("If"), "has subgraphs"),
    "a graph within a known operator": (_subgraph("Gemm"), "has subgraphs"),
    "functions": (_function, "has functions"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_before_an_engine_sees_them(case):
    change, reason = HOSTILE[case]
    with pytest.raises(ArtifactError, match=reason):
        OrtEngine(gemm_file(change))


@pytest.mark.parametrize("data", [b"", b"not a model", gemm_file()[:40]])
def test_what_is_no_onnx_file_is_refused(data):
    with pytest.raises(ArtifactError, match=r"not an ONNX file|not valid"):
        OrtEngine(data)


def _two_inputs(proto):
    proto.graph.input.add().CopyFrom(proto.graph.input[0])
    proto.graph.input[1].name = "more"


def _two_outputs(proto):
    proto.graph.node.append(helper.make_node("Identity", ["prediction"], ["again"]))
    proto.graph.output.add().CopyFrom(proto.graph.output[0])
    proto.graph.output[1].name = "again"


def _unknown_width(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "width"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_two_inputs, "one .*input and one output"),
        (_two_outputs, "one .*input and one output"),
        (_unknown_width, r"input must have shape \[batch, features\]"),
    ],
)
def test_graphs_that_do_not_map_rows_to_predictions_are_refused(change, reason):
    with pytest.raises(ArtifactError, match=reason):
        OrtEngine(gemm_file(change))


def test_an_input_of_one_axis_is_refused():
    proto = onnx.ModelProto.FromString(
        onnx_file([helper.make_node("Neg", ["x"], ["y"])], {}, num_features=3)
    )
    for value in (proto.graph.input[0], proto.graph.output[0]):
        del value.type.tensor_type.shape.dim[1]
    with pytest.raises(ArtifactError, match=r"input must have shape \[batch, features\]"):
        OrtEngine(proto.SerializeToString())


def test_whole_number_graphs_are_refused():
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    proto = onnx.ModelProto.FromString(
        onnx_file([node], {}, num_features=3, output_shape=("batch", 3))
    )
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(ArtifactError, match="float32 or float64"):
        OrtEngine(proto.SerializeToString())


@every_engine
def test_initializers_that_are_listed_as_inputs_are_no_inputs(opened):
    """As ONNX had it before IR version 4, and some tools still have it."""

    def listed(proto):
        for tensor in proto.graph.initializer:
            proto.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )

    model = whole_model()
    runtime = opened(gemm_file(listed))
    rows = whole_rows(model)
    assert runtime.structure is None
    assert runtime.predict(rows).tolist() == true_predictions(model, rows)


@every_engine
def test_a_batch_that_the_graph_does_not_take_is_an_artifact_error(opened):
    reshape = [
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    data = onnx_file(reshape, {"shape": np.array([1, 3])}, num_features=3, output_shape=(1, 3))
    runtime = opened(data)
    assert runtime.predict(np.ones((1, 3))).tolist() == [[1, 1, 1]]
    with pytest.raises(ArtifactError, match="refuses a batch of 7 rows"):
        runtime.predict(np.ones((7, 3)))


@pytest.mark.parametrize("provider", ["cuda", "TensorrtExecutionProvider", "NoSuchProvider"])
def test_a_provider_that_is_not_there_is_unavailable(provider):
    names = {"cuda": "CUDAExecutionProvider"}
    if names.get(provider, provider) in onnxruntime.get_available_providers():
        pytest.skip(f"{provider} is here")
    with pytest.raises(UnavailableError, match=r"it has .*CPUExecutionProvider"):
        OrtEngine(gemm_file(), provider=provider)


def test_a_provider_that_onnxruntime_falls_back_from_is_unavailable(monkeypatch):
    """It does so without a word where a GPU's driver is missing."""
    available = [*onnxruntime.get_available_providers(), "CUDAExecutionProvider"]
    session = onnxruntime.InferenceSession

    def falls_back(data, options, providers):
        return session(data, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    with pytest.raises(UnavailableError, match="would use CPUExecutionProvider"):
        OrtEngine(gemm_file(), provider="cuda")


def test_threads_and_optimization_are_what_was_asked_for():
    runtime = OrtRuntime.start(gemm_file(), whole_model(), num_threads=2, optimization="off")
    options = runtime.session.get_session_options()
    assert runtime.num_threads == options.intra_op_num_threads == 2
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert OrtRuntime.start(gemm_file(), whole_model()).num_threads >= 1


def test_threads_of_a_session_sleep_while_others_take_their_turn():
    """In a proof, which asks many in turn; the one session of a server waits awake."""
    spinning = "session.intra_op.allow_spinning"
    opened = Onnx().open(gemm_file(), whole_model(), ours=False)
    asked = [each for each in opened if isinstance(each, OrtRuntime)]
    options = [
        each.session.get_session_options()
        for each in (*asked, OrtRuntime.start(gemm_file(), whole_model()))
    ]
    *turns, alone = [each.get_session_config_entry(spinning) for each in options]
    assert (set(turns), alone) == ({"0"}, "1")


def test_no_kernel_is_used_that_clamps_infinity():
    """The kernels for SME do; they are on few processors, so the setting is what is tested."""
    options = OrtRuntime.start(gemm_file(), whole_model()).session.get_session_options()
    assert options.get_session_config_entry("mlas.disable_kleidiai") == "1"
