"""linexport.verify on files that keep what we fold: right ones agree, wrong ones do not."""

import copy
import dataclasses
import warnings

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import linexport
from linexport import ExportConfig
from linexport.errors import ArtifactError

CONFIG = ExportConfig(probe_rows=64, formats=("onnx",))


def checked(path, reference):
    return linexport.verify(path, reference=reference, probe_rows=64)


@pytest.fixture(scope="module", params=[StandardScaler, MinMaxScaler])
def pipeline(request):
    random = np.random.default_rng(3)
    x = random.normal(size=(200, 4)) * [1, 10, 1000, 0.1] + [0, 100, 1e4, 5]
    y = x @ [1, 0.3, 1e-3, 7] + random.normal(size=200)
    return make_pipeline(request.param(), Ridge()).fit(x, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_file_of_skl2onnx_agrees_with_what_was_made_of_it(pipeline, dtype, tmp_path):
    path = tmp_path / "sk.onnx"
    onnx.save(to_onnx(pipeline, np.zeros((1, 4), dtype)), path)
    exported = linexport.export(path, tmp_path / "bundle", config=CONFIG)
    for reference in (exported.path, pipeline):
        report = checked(path, reference)
        assert (report.verdict, report.form, report.dtype) == ("consistent", "own", dtype)
        assert 0 < report.worst_fraction <= 1
    assert linexport.verify(exported.path, probe_rows=16).verdict == "proven"
    assert checked(exported.path / "model.onnx", exported.path).verdict == "proven"
    notes = checked(path, exported.path).notes
    assert notes == (
        "The file is compared with what the bundle was made from; the bundle's own numbers are "
        "that, rounded to float32.",
    )


def graph_file(path, nodes, numbers):
    """A float32 file from x (batch, 3) to y, of opset 13."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("x", TensorProto.FLOAT, ["batch", 3])],
        [value("y", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in numbers.items()],
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


REPEATING = {
    "Gather": (helper.make_node("Gather", ["x", "places"], ["z"], axis=1), [0, 0, 1, 1, 2, 2]),
    "Tile": (helper.make_node("Tile", ["x", "places"], ["z"]), [1, 2]),
    "Concat": (helper.make_node("Concat", ["x", "x"], ["z"], axis=1), [0]),
}


@pytest.mark.parametrize("operator", REPEATING)
def test_an_infinity_that_meets_itself_is_no_disagreement(operator, tmp_path):
    """The file answers NaN, of inf - inf, where the function has one weight for the column."""
    node, places = REPEATING[operator]
    nodes = [node, helper.make_node("MatMul", ["z", "weight"], ["y"])]
    weight = np.array([[2], [-3], [5], [-4], [7], [1]], np.float32)
    path = graph_file(tmp_path / "a.onnx", nodes, {"places": places, "weight": weight})
    exported = linexport.export(path, tmp_path / "bundle", config=CONFIG)
    assert checked(path, exported.path).verdict == "consistent"
    weight[1] += 2e-6
    graph_file(path, nodes, {"places": places, "weight": weight})
    assert checked(path, exported.path).verdict == "disagrees"


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_of_8_bits_are_read_and_run_where_onnx_does_not_evaluate_them(axis, tmp_path):
    """Its reference knows DequantizeLinear from opset 19 on; files of opset 13 are common."""
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["weight"], axis=axis),
        helper.make_node("MatMul", ["x", "weight"], ["y"]),
    ]
    size = (3, 1)[axis]
    scale, zero = np.full(size, 0.25, np.float32), np.full(size, 3, np.int8)
    numbers = {"q": np.array([[103], [-5], [4]], np.int8), "scale": scale, "zero": zero}
    path = graph_file(tmp_path / "a.onnx", nodes, numbers)
    assert linexport.read_model(path).model.weight.tolist() == [[25.0, -2.0, 0.25]]
    exported = linexport.export(path, tmp_path / "bundle", config=CONFIG)
    if axis == 0:  # else onnxruntime's optimizer computes below float32, which is told
        assert checked(path, exported.path).verdict == "consistent"


def with_coefficients(proto, change):
    """The file, its LinearRegressor's coefficients changed."""
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.name == "coefficients":
                values = np.array(attribute.floats, np.float32)
                attribute.floats[:] = change(values).tolist()
    return proto


def swapped(values):
    return values[[1, 0, 2, 3]]


def off_by_four_ulps(values):
    changed = values.copy()
    changed[3] = changed[3] + 4 * np.spacing(changed[3])
    return changed


@pytest.mark.parametrize("fault", [swapped, off_by_four_ulps])
def test_a_file_with_a_fault_disagrees(pipeline, fault, tmp_path):
    right = to_onnx(pipeline, np.zeros((1, 4), np.float32))
    exported = linexport.export(right, tmp_path / "bundle", config=CONFIG)
    onnx.save(with_coefficients(right, fault), tmp_path / "wrong.onnx")
    report = checked(tmp_path / "wrong.onnx", exported.path)
    assert report.verdict == "disagrees"
    assert report.failures


@pytest.fixture(scope="module")
def projected():
    """A pipeline whose weights are small sums of large products."""
    random = np.random.default_rng(0)
    x = random.normal(50, 10, (200, 30))
    return make_pipeline(PCA(15), LinearRegression()).fit(x, x @ random.normal(size=30))


def test_weights_that_are_sums_of_rounded_products_agree(projected, tmp_path):
    path = tmp_path / "sk.onnx"
    right = to_onnx(projected, np.zeros((1, 30), np.float32))
    onnx.save(right, path)
    exported = linexport.export(projected, tmp_path / "bundle", config=CONFIG)
    for reference in (exported.path, projected):
        report = checked(path, reference)
        assert (report.verdict, report.form) == ("consistent", "own"), report.failures
    onnx.save(with_coefficients(right, lambda values: values * np.float32(1 + 2.0**-19)), path)
    report = checked(path, exported.path)
    assert report.verdict == "disagrees"
    assert "which rounding does not explain" in report.failures[0]


def test_a_network_made_in_float64_and_exported_as_float32_agrees(tmp_path):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(*size, dtype=torch.float64) for size in ((30, 30), (30, 1))]
    source = torch.nn.Sequential(*layers).eval()
    path = tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            copy.deepcopy(source).float(), (torch.zeros(2, 30),), path, dynamo=False,
            input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "N"}, "y": {0: "N"}},
        )  # fmt: skip
    report = checked(path, source)
    assert report.verdict == "consistent", report.failures
    with torch.no_grad():
        source[0].weight[3, 4] *= 1 + 1e-4
    assert checked(path, source).verdict == "disagrees"


def test_weights_that_cancel_to_a_float32_number_agree(tmp_path):
    """The sum of two float32 numbers may be one too, where the source's is nowhere near it."""
    nodes = [
        helper.make_node("Concat", ["x", "x"], ["z"], axis=1),
        helper.make_node("MatMul", ["z", "weight"], ["y"]),
    ]
    source = np.array([1.1, 2.2, 3.3, -1.1003, -2.2003, -3.3003])
    path = graph_file(tmp_path / "a.onnx", nodes, {"weight": source.astype(np.float32)[:, None]})
    weight = (source[:3] + source[3:])[None]
    assert checked(path, {"weight": weight}).verdict == "consistent"
    assert checked(path, {"weight": weight + 1e-6}).verdict == "disagrees"


def test_a_file_that_forgot_its_scaler_disagrees(pipeline, tmp_path):
    right = to_onnx(pipeline, np.zeros((1, 4), np.float32))
    exported = linexport.export(right, tmp_path / "bundle", config=CONFIG)
    onnx.save(to_onnx(pipeline[-1], np.zeros((1, 4), np.float32)), tmp_path / "wrong.onnx")
    assert checked(tmp_path / "wrong.onnx", exported.path).verdict == "disagrees"


def test_batch_norm_by_torch_onnx_export_agrees(tmp_path):
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    with torch.no_grad():
        network(torch.randn(200, 3) * 20 + 100)
        network[0].weight.uniform_(0.5, 2)
        network[0].bias.uniform_(-1, 1)
    network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.zeros(2, 3),), tmp_path / "bn.onnx", dynamo=False,
            input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "N"}, "y": {0: "N"}},
        )  # fmt: skip
        torch.jit.save(torch.jit.script(network), tmp_path / "bn.pt")
    program = linexport.verify(tmp_path / "bn.pt", reference=network, trust=True, probe_rows=64)
    assert (program.verdict, program.form) == ("consistent", "own"), program.failures
    exported = linexport.export(tmp_path / "bn.onnx", tmp_path / "bundle", config=CONFIG)
    for reference in (exported.path, network):
        report = checked(tmp_path / "bn.onnx", reference)
        assert (report.verdict, report.form) == ("consistent", "own"), report.failures


WEIGHT, BIAS = np.array([[1.1, 2.3, -3.7]], np.float32), np.array([0.5], np.float32)
NUMBERS = {"w": WEIGHT.T, "b": BIAS, "order": np.array([2, 0, 1]), "axis": np.array([1])}
REORDERED = WEIGHT[:, [1, 2, 0]]
GEMM = helper.make_node("Gemm", ["p", "w", "b"], ["y"])


def graph(nodes, path, *, columns=False, whole=False):
    kind = TensorProto.INT64 if whole else TensorProto.FLOAT
    widths = {"c": 1, "d": 1, "e": 1} if columns else {"x": 3}
    inputs = [helper.make_tensor_value_info(n, kind, ["N", w]) for n, w in widths.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])
    tensors = [numpy_helper.from_array(array, name) for name, array in NUMBERS.items()]
    made = helper.make_graph(nodes, "g", inputs, [output], tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=8), path)
    return path


def node(*arguments, **settings):
    return helper.make_node(*arguments, **settings)


CASTS = [node("Cast", [name], [f"{name}f"], to=TensorProto.FLOAT) for name in "cde"]
RUN = {
    "Gather": ([node("Gather", ["x", "order"], ["p"], axis=1), GEMM], REORDERED, {}),
    "ArrayFeatureExtractor": (
        [node("ArrayFeatureExtractor", ["x", "order"], ["p"], domain="ai.onnx.ml"), GEMM],
        REORDERED,
        {},
    ),
    "Sum": ([node("MatMul", ["x", "w"], ["s"]), node("Sum", ["s", "b"], ["y"])], WEIGHT, {}),
    "ReduceSum": (
        [
            node("Transpose", ["w"], ["row"]),
            node("Mul", ["x", "row"], ["m"]),
            node("ReduceSum", ["m", "axis"], ["s"]),
            node("Add", ["s", "b"], ["y"]),
        ],
        WEIGHT,
        {},
    ),
    "Split": (
        [
            node("Split", ["x"], ["p1", "p2", "p3"], axis=1),
            node("Concat", ["p1", "p2", "p3"], ["p"], axis=1),
            GEMM,
        ],
        WEIGHT,
        {},
    ),
    "Abs": (
        [
            node("Abs", ["x"], ["size"]),
            node("Sub", ["x", "size"], ["less"]),
            node("Add", ["less", "size"], ["p"]),
            GEMM,
        ],
        WEIGHT,
        {},
    ),
    "inputs by column": (
        [node("Concat", ["c", "d", "e"], ["p"], axis=1), GEMM], WEIGHT, {"columns": True}
    ),
    "whole numbers": (
        [*CASTS, node("Concat", ["cf", "df", "ef"], ["p"], axis=1), GEMM],
        WEIGHT,
        {"columns": True, "whole": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RUN)
def test_what_is_not_one_of_ours_is_run_and_judged_by_behaviour(case, tmp_path):
    nodes, weight, settings = RUN[case]
    path = graph(nodes, tmp_path / "graph.onnx", **settings)
    report = checked(path, {"weight": weight, "bias": BIAS})
    assert report.verdict == "consistent", report.failures
    for wrong in (weight[:, ::-1], weight * np.float32(1 + 2.0**-18)):
        assert checked(path, {"weight": wrong, "bias": BIAS}).verdict == "disagrees"


def test_what_cannot_be_run_is_neither_right_nor_wrong(tmp_path):
    nodes = [node("RandomUniformLike", ["x"], ["p"]), GEMM]
    path = graph(nodes, tmp_path / "graph.onnx")
    report = checked(path, {"weight": WEIGHT, "bias": BIAS})
    assert (report.verdict, report.passed, report.failures) == ("not checked", False, ())
    with pytest.raises(ArtifactError, match="RandomUniformLike, which is not run here"):
        report.require()


def test_a_bundle_whose_numbers_are_not_what_it_was_made_from_disagrees(pipeline, tmp_path):
    exported = linexport.export(pipeline, tmp_path / "bundle", config=CONFIG)
    found = linexport.read_bundle(exported)
    origin = found.manifest.origin
    moved = msgspec.structs.replace(origin, bias=(origin.bias[0] * 1.001,))
    manifest = msgspec.structs.replace(found.manifest, origin=moved)
    report = linexport.verify(dataclasses.replace(found, manifest=manifest), probe_rows=16)
    assert report.verdict == "disagrees"
    assert "states an origin whose predictions of 'y' are up to" in report.failures[0]


def test_a_program_of_another_network_disagrees(tmp_path):
    torch.manual_seed(2)
    norm = torch.nn.BatchNorm1d(3).eval()
    right = torch.nn.Sequential(norm, torch.nn.Linear(3, 2)).eval()
    wrong = torch.nn.Sequential(norm, torch.nn.Linear(3, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(wrong), tmp_path / "wrong.pt")
    report = linexport.verify(tmp_path / "wrong.pt", reference=right, trust=True, probe_rows=64)
    assert report.verdict == "disagrees"


@pytest.mark.parametrize("case", ["Gather", "ArrayFeatureExtractor", "Sum"])
def test_columns_picked_and_sums_are_understood(case, tmp_path):
    nodes, weight, settings = RUN[case]
    path = graph(nodes, tmp_path / "graph.onnx", **settings)
    model = linexport.read_model(path).model
    assert model.weight.tolist() == weight.astype(np.float64).tolist()
    assert model.bias.tolist() == [0.5]
    # What is understood is held to its numbers: one that is off by an ulp shows.
    near = weight.copy()
    near[0, 1] = np.nextafter(near[0, 1], np.float32(9))
    assert checked(path, {"weight": near, "bias": BIAS}).verdict == "disagrees"


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
def test_a_float32_file_of_unix_seconds_is_too_coarse(scaled, tmp_path):
    """It answers 8 8 16 16 or so, where 5 8 11 14 is right."""
    seconds, y = 1.7e9 + 60.0 * np.arange(100)[:, None], 3.0 * np.arange(100) + 5
    fitted = Ridge(1e-9).fit(seconds, y)
    source = make_pipeline(StandardScaler(), Ridge(1e-9)).fit(seconds, y) if scaled else fitted
    ranges = {"x1": seconds[:, 0]}
    ranged = linexport.export(source, tmp_path / "bundle", config=CONFIG, ranges=ranges)
    verdicts = {"float32": "too coarse"}
    if not scaled:  # onnxruntime's optimizer fuses a scaler's division, rounded to float32
        verdicts["float64"] = "consistent"
    for dtype, verdict in verdicts.items():
        path = tmp_path / f"{dtype}.onnx"
        onnx.save(to_onnx(source, seconds[:1].astype(dtype)), path)
        report = checked(path, ranged)
        assert (report.verdict, report.passed) == (verdict, verdict == "consistent"), dtype
    report = linexport.verify(
        tmp_path / "float32.onnx", reference=ranged, probe_rows=64, accept_coarse=True
    )
    assert (report.verdict, report.passed) == ("too coarse", True)
    assert report.fitness["y"].rounding > 64 * 0.05  # float32 has every 128th second


@pytest.mark.parametrize("narrow", ["FLOAT16", "BFLOAT16"])
def test_a_graph_that_rounds_to_fewer_digits_says_so_and_is_too_coarse(narrow, tmp_path):
    path, to = tmp_path / "narrow.onnx", getattr(TensorProto, narrow)
    nodes = [
        node("Cast", ["x"], ["narrow"], to=to),
        node("Cast", ["narrow"], ["wide"], to=TensorProto.FLOAT),
        node("Gemm", ["wide", "w", "b"], ["y"]),
    ]
    graph(nodes, path)
    model = {"weight": WEIGHT, "bias": BIAS}
    report = checked(path, model)
    said = f"The graph rounds to {narrow.lower()} on its way: its bound allows for that."
    assert (report.verdict, report.notes) == ("consistent", (said,))  # over no known range
    ranges = {f"x{k}": np.array([-3.0, 3.0]) for k in (1, 2, 3)}
    known = linexport.export(model, tmp_path / "bundle", config=CONFIG, ranges=ranges)
    assert checked(path, known).verdict == "too coarse"
