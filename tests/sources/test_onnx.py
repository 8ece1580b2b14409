"""Linear models as other tools write them in ONNX, and graphs that are not one."""

import io
import warnings
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from agreement import assert_agrees
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from sklearn import linear_model as lm
from sklearn.cross_decomposition import PLSRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import LinearSVR

import linexport
from linexport import LinearModel
from linexport.errors import ArtifactError, ModelError
from linexport.formats.onnx import graph as onnx_graph
from linexport.numerics._bounds import FLOAT32, FLOAT64

PRECISIONS = {np.dtype(np.float32): FLOAT32, np.dtype(np.float64): FLOAT64}
KINDS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE}
GRAPHS = Path(__file__).parent / "graphs"
W = np.array([[2.0, -3.0, 0.5], [1.0, 0.25, 7.0]])
B = np.array([4.0, -1.5])
ROWS = np.array([[1.0, 2.0, 3.0], [-0.5, 0.0, 8.0], [0.25, -4.0, 1.0]])


def predicted_by(proto, rows, dtype):
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    inputs = session.get_inputs()
    feeds = {inputs[0].name: rows.astype(dtype)}
    if len(inputs) > 1:
        feeds = {value.name: rows[:, [place]].astype(dtype) for place, value in enumerate(inputs)}
    (prediction,) = session.run(None, feeds)
    return prediction


def assert_file_agrees(proto, rows, path, *, dtype=np.float32, sizes=None):
    """What onnxruntime predicts with the file, and what the bundle predicts."""
    dtype = np.dtype(dtype)
    return assert_agrees(
        proto,
        predicted_by(proto, rows, dtype),
        rows,
        path,
        dtype=dtype.name,
        precision=PRECISIONS[dtype],
        sizes=sizes,
    )


SCALED = [
    lm.LinearRegression(),
    make_pipeline(StandardScaler(), lm.Ridge()),
    make_pipeline(StandardScaler(with_mean=False), lm.Ridge()),
    make_pipeline(MinMaxScaler(), lm.LinearRegression()),
    make_pipeline(MaxAbsScaler(), lm.BayesianRidge()),
    make_pipeline(RobustScaler(), LinearSVR(max_iter=100_000)),
    make_pipeline(StandardScaler(), MinMaxScaler(), lm.HuberRegressor()),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("estimator", SCALED, ids=str)
def test_what_skl2onnx_writes_is_read_back(rows, target, tmp_path, estimator, dtype):
    rows = rows - [0, 5, 990]  # its float32 scalers add last, which costs digits far from zero
    rows = rows.astype(np.float32).astype(np.float64)
    estimator.fit(rows, target)
    proto = to_onnx(estimator, rows[:1].astype(dtype))
    # A scaler that adds last, and one after another: their terms cancel in the model's form.
    sizes = 20 * np.abs(linexport.read_model(proto).model.weight).sum()
    assert_file_agrees(proto, rows, tmp_path / "bundle", dtype=dtype, sizes=sizes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_several_targets_are_read_back(rows, targets, tmp_path, dtype):
    estimator = make_pipeline(StandardScaler(), lm.Ridge()).fit(rows, targets)
    proto = to_onnx(estimator, rows[:1].astype(dtype))
    exported = assert_file_agrees(proto, rows, tmp_path / "bundle", dtype=dtype)
    assert exported.model.num_targets == 2


def test_one_input_for_each_column_names_the_features(rows, target, tmp_path):
    estimator = make_pipeline(StandardScaler(), lm.Ridge()).fit(rows, target)
    columns = [(name, FloatTensorType([None, 1])) for name in ("area", "age", "height")]
    proto = convert_sklearn(estimator, initial_types=columns)
    exported = assert_file_agrees(proto, rows, tmp_path / "bundle")
    assert exported.model.feature_names == ("area", "age", "height")


def test_whole_numbers_that_are_cast_are_features_too(tmp_path, target, rows):
    whole = np.round(rows)
    estimator = lm.LinearRegression().fit(whole, target)
    proto = convert_sklearn(estimator, initial_types=[("X", Int64TensorType([None, 3]))])
    assert_agrees(
        proto, predicted_by(proto, whole, np.int64), whole, tmp_path / "b", precision=FLOAT32
    )


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize(("normalised", "bias"), [(True, True), (False, True), (False, False)])
def test_what_torch_exports_is_read_back(rows, tmp_path, dynamo, normalised, bias):
    torch.manual_seed(5)
    batch = torch.tensor(rows, dtype=torch.float32)
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2, bias=bias))
    for _ in range(40):
        module(batch)
    module = (module if normalised else module[1]).eval()
    file = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, of all releases
        if dynamo:
            shapes = ({0: torch.export.Dim("batch")},)
            torch.onnx.export(
                module, (batch,), file, dynamo=True, dynamic_shapes=shapes, verbose=False
            )
        else:
            torch.onnx.export(module, (batch,), file, dynamo=False, dynamic_axes={})
    exported = assert_file_agrees(onnx.load(file), rows, tmp_path / "bundle")
    linear = module[1] if normalised else module
    if not normalised:
        assert np.array_equal(exported.model.weight, linear.weight.detach().numpy())
    assert (exported.record.settings["source"]).startswith("ONNX graph of ")
    by_module = linexport.read_model(module).model
    by_file = linexport.read_model(file).model
    # The file's epsilon is 1e-5 in float32: the scale differs by less than half an ulp of it.
    assert np.allclose(by_module.weight, by_file.weight, rtol=2.0**-25 if normalised else 0, atol=0)
    if normalised:
        assert np.array_equal(by_module.mean, by_file.mean)


def graph(*nodes, dtype=np.float32, sizes=None, rank=2, **constants):
    """Make a file with the input x, the output y, and constants by name."""
    kind = KINDS[np.dtype(dtype)]
    initializers = [
        numpy_helper.from_array(array.astype(dtype) if array.dtype.kind == "f" else array, name)
        for name, array in ((name, np.asarray(array)) for name, array in constants.items())
    ]
    body = helper.make_graph(
        nodes,
        "somebody's",
        [helper.make_tensor_value_info("x", kind, sizes or ["n", 3])],
        [helper.make_tensor_value_info("y", kind, [None] * rank)],
        initializers,
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(body, opset_imports=opsets, ir_version=8)


def node(operator, *inputs, result="y", **attributes):
    domain = "ai.onnx.ml" if operator in ("Scaler", "LinearRegressor") else ""
    return helper.make_node(operator, inputs, [result], domain=domain, **attributes)


@pytest.mark.parametrize("beta", [1.0, -0.75])
@pytest.mark.parametrize("alpha", [1.0, 2.5])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("trans_a", [0, 1])
def test_gemm_with_any_attributes(tmp_path, trans_a, trans_b, alpha, beta):
    """These numbers are exact, so the weights are known to the last bit."""
    nodes = [node("Transpose", "x", result="t")] if trans_a else []
    nodes += [
        node("Gemm", "t" if trans_a else "x", "w", "b",
             transA=trans_a, transB=trans_b, alpha=alpha, beta=beta)
    ]  # fmt: skip
    proto = graph(*nodes, w=W if trans_b else W.T, b=B)
    model = linexport.read_model(proto).model
    assert np.array_equal(model.weight, alpha * W)
    assert np.array_equal(model.bias, beta * B)
    assert np.array_equal(predicted_by(proto, ROWS, np.float32), ROWS @ model.weight.T + model.bias)


ONE = W[:1]
EQUIVALENT = {
    "weight first": (
        [node("Gemm", "w", "x", "b", result="t", transB=1), node("Transpose", "t")],
        {"w": W, "b": B[:, None]},
    ),
    "weight first, without bias": (
        [node("Transpose", "x", result="t"), node("MatMul", "w", "t", result="p"),
         node("Transpose", "p", result="q", perm=[1, 0]), node("Add", "b", "q")],
        {"w": W, "b": B},
    ),
    "a constant node": (
        [node("Constant", result="c", value=numpy_helper.from_array(W.astype(np.float32))),
         node("Gemm", "x", "c", "b", transB=1)],
        {"b": B},
    ),
    "constants reshaped, turned and negated": (
        [node("Reshape", "flat", "shape", result="m"), node("Transpose", "m", result="t"),
         node("Neg", "minus", result="b"), node("Unsqueeze", "b", "axes", result="r"),
         node("MatMul", "x", "t", result="p"), node("Add", "p", "r")],
        {"flat": W.ravel(), "shape": np.array([2, 3]), "minus": -B, "axes": np.array([0])},
    ),
    "subtracted from a constant": (
        [node("Neg", "x", result="n"), node("MatMul", "n", "w", result="p"), node("Sub", "b", "p")],
        {"w": W.T, "b": B},
    ),
    "scaled before and after": (
        [node("Sub", "x", "m", result="c"), node("Div", "c", "s", result="z"),
         node("MatMul", "z", "w", result="p"), node("Mul", "p", "k", result="q"),
         node("Div", "q", "k", result="r"),
         node("Add", "r", "b")],
        {"m": np.array([1.0, 2.0, -4.0]), "s": np.array([[0.5, 2.0, 4.0]]),
         "w": (W * [0.5, 2.0, 4.0]).T, "k": np.array(8.0), "b": B + W @ [1.0, 2.0, -4.0]},
    ),
    "two layers": (
        [node("Gemm", "x", "first", result="h", transB=1), node("Gemm", "h", "second", "b")],
        {"first": np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 4]]),
         "second": W.T / np.array([[1.0], [2.0], [4.0]]), "b": B},
    ),
    "a regressor": (
        [node("Scaler", "x", result="z", offset=[1.0, 2.0, -4.0], scale=[0.5] * 3),
         node("LinearRegressor", "z", targets=2, coefficients=(2 * W).ravel().tolist(),
              intercepts=(B + W @ [1.0, 2.0, -4.0]).tolist())],
        {},
    ),
    "no change of meaning": (
        [node("Identity", "x", result="i"), node("Cast", "i", result="d", to=TensorProto.FLOAT),
         node("Flatten", "d", result="f"), node("Reshape", "f", "shape", result="g"),
           node("Gemm", "g", "w", "b", transB=1)],
        {"w": W, "b": B, "shape": np.array([0, -1])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EQUIVALENT)
def test_other_ways_to_write_the_same_model_are_the_same_model(case):
    """Exact numbers: every one of them means W and B, to the last bit."""
    nodes, constants = EQUIVALENT[case]
    proto = graph(*nodes, **constants)
    model = linexport.read_model(proto).model
    mean = np.zeros(3) if model.mean is None else model.mean
    assert np.array_equal(model.weight, W)
    assert np.array_equal(model.bias - model.weight @ mean, B)
    assert np.array_equal(predicted_by(proto, ROWS, np.float32), ROWS @ W.T + B)


@pytest.mark.parametrize(
    ("rank", "last"),
    [
        (1, [node("Reshape", "p", "shape")]),
        (1, [node("Squeeze", "p", "axes")]),
        (
            2,
            [
                node("Squeeze", "p", "axes", result="s"),
                node("Add", "s", "half", result="a"),
                node("Unsqueeze", "a", "axes", result="u"),
                node("Sub", "u", "half"),
            ],
        ),
    ],
)
def test_predictions_in_a_line_are_one_target(rank, last):
    proto = graph(
        node("MatMul", "x", "w", result="m"),
        node("Add", "m", "b", result="p"),
        *last,
        rank=rank,
        w=ONE.T,
        b=B[:1],
        shape=np.array([-1]),
        axes=np.array([1]),
        half=np.array(0.5),
    )
    model = linexport.read_model(proto).model
    assert (model.weight.tolist(), model.bias.tolist()) == (ONE.tolist(), B[:1].tolist())
    assert np.array_equal(predicted_by(proto, ROWS, np.float32).ravel(), ROWS @ ONE[0] + B[0])


def test_a_scaler_in_float64_before_a_layer_in_float32(tmp_path, rows):
    """As hummingbird writes it: Cast, Sub, Mul, Cast, Gemm(transB=0)."""
    rows = (rows - [0, 5, 1000]).astype(np.float32).astype(np.float64)
    mean, scale = rows.mean(axis=0), 1 / rows.std(axis=0)
    proto = graph(
        node("Cast", "x", result="d", to=TensorProto.DOUBLE),
        node("Sub", "d", "mean", result="c"),
        node("Mul", "c", "scale", result="z"),
        node("Cast", "z", result="f", to=TensorProto.FLOAT),
        node("Gemm", "f", "w", "b"),
        w=W.T,
        b=B,
    )
    for name, array in (("mean", mean), ("scale", scale)):
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    model = linexport.read_model(proto).model
    assert np.array_equal(model.mean, mean)
    assert np.array_equal(model.weight, W * scale)
    assert_file_agrees(proto, rows, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("hummingbird", ["Cast", "Sub", "Mul", "Cast", "Cast", "Gemm"]),
        ("spark", ["Scaler", "LinearRegressor"]),
    ],
)
def test_what_others_have_written_is_read_back(rows, tmp_path, name, operators):
    """Files of a standardising pipeline, by Hummingbird 0.4.12 and by OnnxMLTools 1.16.0 of Spark.

    Written once: Hummingbird, for one, asks for an onnx that is older than ours.
    """
    proto = onnx.load(GRAPHS / f"{name}.onnx")
    assert [node.op_type for node in proto.graph.node] == operators
    rows = (rows - [0, 5, 1000]).astype(np.float32).astype(np.float64)
    assert_file_agrees(proto, rows, tmp_path / "bundle")


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_narrow_constants_are_exact(kind):
    narrow = helper.make_tensor("w", kind, [2, 3], W.ravel())
    proto = graph(
        node("Cast", "w", result="wide", to=TensorProto.FLOAT),
        node("Gemm", "x", "wide", "b", transB=1),
        b=B,
    )
    proto.graph.initializer.append(narrow)
    assert np.array_equal(linexport.read_model(proto).model.weight, W)


def test_our_own_file_is_read_bit_for_bit_with_its_names(tiny, tmp_path):
    named = tiny.with_columns(
        [
            linexport.Column(name="a", unit="m", minimum=0.0, maximum=2.0),
            linexport.Column(name="b"),
        ],
        [linexport.Column(name="price")],
    )
    path = linexport.export(named, tmp_path / "bundle").path / "model.onnx"
    read = linexport.read_model(path)
    assert read.source == "linexport ONNX"
    assert (read.model.features, read.model.targets) == (named.features, named.targets)
    assert np.array_equal(read.model.weight, tiny.weight)


REFUSED = {
    "an activation": (
        graph(node("Gemm", "x", "w", result="g", transB=1), node("Relu", "g"), w=W),
        "The ONNX graph's Relu 'y' is not linear in the model's input",
    ),
    "a clipping scaler": (
        graph(node("Clip", "x", "low", result="c"), node("Gemm", "c", "w", transB=1),
              w=W, low=np.array(0.0)),
        "Clip 'c' is not linear",
    ),
    "a square": (
        graph(node("Mul", "x", "x", result="s"), node("Gemm", "s", "w", transB=1), w=W),
        "Mul 's' multiplies values that depend on the input, which is not linear",
    ),
    "a product of rows": (
        graph(node("Transpose", "x", result="t"), node("MatMul", "x", "t")), "depend on the input",
    ),
    "a quotient": (
        graph(node("Div", "one", "x", result="q"), node("Gemm", "q", "w", transB=1),
              w=W, one=np.array(1.0)),
        "divides by what depends on the input",
    ),
    "a division by zero": (
        graph(node("Div", "x", "zero", result="q"), node("Gemm", "q", "w", transB=1),
              w=W, zero=np.zeros(3)),
        "divides by 0",
    ),
    "whole numbers": (
        graph(node("Cast", "x", to=TensorProto.INT64)), "makes whole numbers",
    ),
    "a link": (
        graph(node("LinearRegressor", "x", coefficients=[1.0, 2.0, 3.0], intercepts=[1.0],
                   post_transform="LOGISTIC")),
        "transforms what it predicts",
    ),
    "a short regressor": (
        graph(node("LinearRegressor", "x", coefficients=[1.0, 2.0], intercepts=[1.0])),
        "one coefficient per target and feature",
    ),
    "a regressor of more targets than numbers": (
        graph(node("LinearRegressor", "x", coefficients=[1.0, 2.0, 3.0], targets=2**40)),
        "one coefficient per target and feature",
    ),
    "more features than weights": (
        graph(node("Mul", "x", "k"), k=np.array(2.0), sizes=["n", 2**40]),
        "input 'x' makes more numbers than a file of",
    ),
    "rows joined": (
        graph(node("Reshape", "x", "shape", result="r"), node("Gemm", "r", "w", transB=1),
              w=W, shape=np.array([3, -1])),
        r"mixes rows: the shape \[N, 3\] becomes \[3, -1\]",
    ),
    "rows summed": (
        graph(node("Gemm", "x", "w", result="g", transB=1, transA=1), node("Identity", "g"),
              w=np.ones((2, 4))),
        "adds up rows",
    ),
    "a term for each row": (
        graph(node("Gemm", "x", "w", "c", transB=1), w=W, c=np.array([[1.0, 1], [2, 2]])),
        "has constants that differ from row to row",
    ),
    "predictions in columns": (
        graph(node("Gemm", "w", "x", transB=1), w=W), "not one row of predictions",
    ),
    "constants that runtimes round": (
        graph(node("Exp", "w", result="s"), node("Gemm", "x", "s", transB=1), w=W),
        "Exp 's' computes with constants alone, which runtimes may round each in their way",
    ),
    "a batch that is normalised": (
        graph(
            helper.make_node("BatchNormalization", ["x", "g", "b", "m", "v"], ["n", "m2", "v2"],
                             training_mode=1),
            node("Gemm", "n", "w", transB=1),
            w=W, g=np.ones(3), b=np.ones(3), m=np.ones(3), v=np.ones(3),
        ),
        "normalises by the batch at hand",
    ),
    "no number of features": (
        graph(node("ReduceMean", "x", "a"), a=np.array([1]), sizes=["n", "d"]),
        "does not state how many features it has",
    ),
    "one row without a batch": (
        graph(node("MatMul", "x", "w"), w=W.T, sizes=[3], rank=1),
        "is one row of 3 values: export the model with the shape",
    ),
    "an overflow": (
        graph(node("Mul", "x", "k", result="a"), node("Mul", "a", "k", result="c"),
              node("MatMul", "c", "w"), dtype=np.float64, w=W.T, k=np.array(1e300)),
        "is beyond float64",
    ),
}  # fmt: skip
REFUSED["whole numbers"][0].graph.output[0].type.tensor_type.elem_type = TensorProto.INT64


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_linear_is_refused_by_the_operators_name(case):
    proto, said = REFUSED[case]
    with pytest.raises(ModelError, match=said):
        linexport.read_model(proto)


def test_a_shape_that_depends_on_the_input_is_refused():
    proto = graph(node("Reshape", "x", "s", result="r"), node("Gemm", "r", "w", transB=1), w=W)
    shape = helper.make_tensor_value_info("s", TensorProto.INT64, ["n", 2])
    proto.graph.input.append(shape)
    with pytest.raises((ModelError, ArtifactError), match=r"shape|Shape"):
        linexport.read_model(proto)


def test_hostile_files_are_refused_before_anything_else(tmp_path):
    proto = graph(node("Gemm", "x", "w", transB=1), w=W)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    with pytest.raises(ArtifactError, match="keeps 'w' in another file"):
        linexport.read_model(proto)
    path = tmp_path / "loop.onnx"
    body = graph(node("Identity", "x")).graph
    path.write_bytes(graph(node("Loop", "x", "w", body=body), w=W).SerializeToString())
    with pytest.raises(ArtifactError, match=r"loop\.onnx: .* has subgraphs"):
        linexport.read_model(path)


def test_old_operators_mean_something_else():
    proto = graph(node("Gemm", "x", "w", "b", transB=1), w=W, b=B)
    proto.opset_import[0].version = 8
    with pytest.raises(ModelError, match=r"has opset 8; bring it to 9"):
        linexport.read_model(proto)


def test_nothing_is_evaluated_on_samples(monkeypatch):
    """A weight of 1e-30 beside one of 1 leaves no trace in float32 predictions."""
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    weight = np.array([[1.0, 1e-30, -1.0]], np.float32)
    proto = graph(node("Gemm", "x", "w", transB=1), w=weight)
    assert linexport.read_model(proto).model.weight[0, 1] == float(weight[0, 1])


def chained(operator, count, *, width, **constants):
    """Return a file of one input and output, with an operator of constants after another."""
    names = ["x", *(f"h{n}" for n in range(count - 1)), "y"]
    keys = list(constants)
    axis = {} if keys else {"axis": 1}
    nodes = [
        node(operator, given, keys[n % len(keys)] if keys else given, result=made, **axis)
        for n, (given, made) in enumerate(pairwise(names))
    ]
    return graph(*nodes, sizes=["n", width], **constants)


def test_small_files_do_not_exhaust_the_reader():
    """Each would take gigabytes or minutes: of 921 bytes, and of 640 KB that say one layer."""
    with pytest.raises(ModelError, match=r"Concat 'h\d+' makes more numbers than a file of"):
        linexport.read_model(chained("Concat", 24, width=3))
    square = np.eye(400) + 1e-3
    with pytest.raises(ModelError, match=r"MatMul 'h\d+' makes more numbers than a file of"):
        linexport.read_model(chained("MatMul", 100, width=400, w=square))
    many = 10**6
    with pytest.raises(ModelError, match=r"graph's output makes more numbers than a file of"):
        linexport.read_model(graph(node("Tile", "x", "k"), sizes=["n", 1], k=np.array([1, many])))
    with pytest.raises(ModelError, match=r"input 'x' makes more numbers than a file of"):
        linexport.read_model(
            graph(node("ReduceMean", "x", "k"), sizes=["n", many], k=np.ones(1, int))
        )
    up, down = np.ones((1, 30_000)), np.full((30_000, 1), 2.0**-15)
    model = linexport.read_model(chained("MatMul", 60, width=1, up=up, down=down)).model
    factor = Fraction(30_000, 2**15) ** 30
    assert abs(Fraction(float(model.weight[0, 0])) / factor - 1) < Fraction(2) ** -53


@pytest.mark.parametrize("shape", [[None, None], None])
def test_a_width_that_only_the_weights_state(shape, target, rows):
    """As skl2onnx writes FloatTensorType([None, None]) and FloatTensorType()."""
    estimator = make_pipeline(StandardScaler(), lm.Ridge()).fit(rows, target)
    kind = FloatTensorType(shape) if shape else FloatTensorType()
    model = linexport.read_model(convert_sklearn(estimator, initial_types=[("x", kind)])).model
    stated = linexport.read_model(to_onnx(estimator, rows[:1].astype(np.float32))).model
    assert model.same_numbers(stated)


def test_pls_of_skl2onnx_whose_shapes_do_not_fit_is_taken(rows, targets, tmp_path):
    estimator = PLSRegression(n_components=2).fit(rows, targets)
    proto = to_onnx(estimator, rows[:1].astype(np.float32))
    assert_file_agrees(proto, rows, tmp_path / "bundle")


def test_constants_do_not_grow():
    """Concat of a constant with itself, thirty times: a gigabyte out of a kilobyte."""
    names = ["w", *(f"c{k}" for k in range(30))]
    doubled = [node("Concat", a, a, to=b, axis=0) for a, b in pairwise(names)]
    proto = graph(*doubled, node("MatMul", "x", "w"), w=np.ones((3, 1)))
    with pytest.raises((ModelError, ArtifactError)):
        linexport.read_model(proto)


def test_a_model_that_is_already_ours_is_linear_too():
    buffer = io.BytesIO()
    model = LinearModel(weight=W, bias=B)
    onnx.save(onnx.load_from_string(onnx_graph.write(model)), buffer)
    assert linexport.read_model(onnx.load_from_string(buffer.getvalue())).model.same_numbers(model)
