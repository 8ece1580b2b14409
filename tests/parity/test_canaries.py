"""The planted faults: every one is caught, or cannot exist, or makes no difference."""

import itertools

import numpy as np
import onnx
import pytest

from linexport.formats import stated
from linexport.formats.onnx import graph as onnx_graph
from linexport.formats.onnx._runtime import OrtRuntime
from linexport.model import LinearModel
from linexport.parity._canaries import canaries
from linexport.parity._check import check
from linexport.parity._exact import DoubleReference

NUMBER_FAULTS = {
    "one weight off by an ulp",
    "one weight off by 1e-4",
    "one weight off by 1 %",
    "one sign flipped",
    "bias dropped",
    "bias shifted by 1e-6",
    "two features swapped",
    "last feature ignored",
    "targets swapped",
    "one scaler forgotten",
    "weights through float16",
    "weights through bfloat16",
    "weights through TF32",
    "weights through float32",
    "sum taken in float32",
}
GRAPH_FAULTS = {"ReLU at the end", "clipped at the end", "NaN hidden", "batch fixed to 1"}


def planted(model: LinearModel, artifact: bytes | None = None) -> dict:
    artifact = artifact or onnx_graph.write(model)
    return {canary.name: canary for canary in canaries(artifact, model)}


@pytest.mark.parametrize(
    ("dtype", "accumulate"),
    [("float32", "float32"), ("float32", "float64"), ("float64", "float64")],
)
@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
@pytest.mark.parametrize("num_targets", [1, 3])
def test_every_fault_is_caught(make_model, open_canaries, dtype, accumulate, centred, num_targets):
    """By its numbers, and by what it predicts; but for the last bit of a float64 weight there."""
    model = make_model(dtype, accumulate=accumulate, centred=centred, num_targets=num_targets)
    report = check(DoubleReference(model), [], open_canaries(model), probe_rows=64)
    every_fault = NUMBER_FAULTS | GRAPH_FAULTS | {"two names swapped"}
    assert {canary.name for canary in report.canaries} == every_fault
    impossible = {"targets swapped"} if num_targets == 1 else set()
    impossible |= {"weights through float32"} if accumulate == "float32" else set()
    impossible |= {"sum taken in float32"} if accumulate == dtype else set()
    unseen = {"one weight off by an ulp"} if accumulate != dtype else set()
    for canary in report.canaries:
        assert (canary.skipped is not None) == (canary.name in impossible)
        if canary.name == "two names swapped":
            assert canary.caught_by == ("names",)
        elif canary.skipped is None:
            assert "behaviour" in canary.caught_by or canary.name in unseen, canary
            assert ("structure" in canary.caught_by) == (canary.name in NUMBER_FAULTS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
@pytest.mark.parametrize("exponent", [-90, -30, 0, 30, 90])
def test_an_ulp_shows_in_predictions_wherever_bias_and_mean_can_be_drowned(
    make_model, open_canaries, dtype, centred, exponent
):
    ordinary = make_model(dtype, centred=centred, num_targets=2)
    model = LinearModel(
        weight=np.ldexp(ordinary.weight, exponent),
        bias=np.ldexp(ordinary.bias, min(exponent, 0)),
        mean=ordinary.mean,
    )
    report = check(DoubleReference(model), [], open_canaries(model), probe_rows=64)
    (ulp,) = [c for c in report.canaries if c.name == "one weight off by an ulp"]
    assert ulp.caught_by == ("structure", "behaviour")


def test_a_fault_is_in_a_file_that_is_otherwise_right(make_model):
    for model in (make_model(), make_model("float64", centred=True, num_targets=3)):
        for canary in planted(model).values():
            if canary.artifact is not None:
                onnx_graph.check(canary.artifact)
                assert OrtRuntime.start(canary.artifact, None).dtype == model.dtype


def test_a_weight_off_by_an_ulp_is_the_smallest_one_and_its_neighbour():
    weight = np.array([[1e30, -0.5], [2.0**24, 0.0]], np.float32)
    model = LinearModel(weight=weight, bias=np.zeros(2, np.float32))
    faulty = onnx_graph.read(
        onnx_graph.parse(planted(model)["one weight off by an ulp"].artifact)
    ).weight
    assert faulty[0, 1] == np.nextafter(np.float32(-0.5), np.float32(-1))
    assert (faulty != weight).sum() == 1


def test_an_ulp_is_planted_in_large_weights_too():
    """1e30 + 1 is 1e30: the neighbour is not one further."""
    model = LinearModel(weight=np.array([[1e30]], np.float32), bias=np.ones(1, np.float32))
    assert planted(model)["one weight off by an ulp"].artifact is not None


@pytest.mark.parametrize(
    ("bits", "name"), [(7, "weights through bfloat16"), (10, "weights through TF32")]
)
def test_weights_are_rounded_to_nearest_even(bits, name):
    """The oracle rounds in whole numbers: half of a unit in the last place left, up or down."""
    kept = np.array([[1 + 2.0**-bits, 1 + 2 * 2.0**-bits, 1.0]])
    half = 2.0 ** -(bits + 1)
    weight = kept + np.array([[half, half, half * 1.25]])
    model = LinearModel(weight=weight.astype(np.float32), bias=np.zeros(1, np.float32))
    faulty = onnx_graph.read(onnx_graph.parse(planted(model)[name].artifact))
    assert faulty.weight.tolist() == [[1 + 2 * 2.0**-bits, 1 + 2 * 2.0**-bits, 1 + 2.0**-bits]]


ZERO = LinearModel(weight=np.zeros((1, 2), np.float32), bias=np.zeros(1, np.float32))
ROUND = LinearModel(weight=np.array([[1.0, 1.0]]), bias=np.array([1.0]))
HUGE = LinearModel(weight=np.array([[3.4e38]], np.float32), bias=np.array([0.0], np.float32))


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        (ZERO, "one weight off by an ulp", "Every weight is zero"),
        (ZERO, "bias dropped", "changes no number"),
        (ZERO, "last feature ignored", "changes no number"),
        (ZERO, "one scaler forgotten", "Every weight is zero"),
        (ROUND, "two features swapped", "All features have the same weight"),
        (ROUND, "targets swapped", "one target only"),
        (ROUND, "one scaler forgotten", "mean and deviation are not known"),
        (ROUND, "weights through float16", "changes no number"),
        (ROUND, "weights through float32", "changes no number"),
        (HUGE, "weights through float32", "The model is float32"),
        (HUGE, "one weight off by 1 %", "leaves the range of float32"),
    ],
)
def test_a_fault_that_cannot_be_planted_is_skipped_with_its_reason(model, name, reason):
    canary = planted(model)[name]
    assert canary.artifact is None
    assert reason in canary.skipped


def checked(model, open_canaries):
    runtime = OrtRuntime.start(onnx_graph.write(model), model, num_threads=1)
    return check(DoubleReference(model), [runtime], open_canaries(model), probe_rows=64)


def without_effect(report):
    reason = "It moves no answer further than rounding may."
    return {canary.name for canary in report.canaries if canary.skipped == reason}


def test_a_fault_that_moves_no_answer_does_not_apply(open_canaries):
    assert without_effect(checked(ZERO, open_canaries)) == {
        "ReLU at the end",
        "clipped at the end",
        "NaN hidden",
    }
    assert without_effect(checked(ROUND, open_canaries)) == set()


@pytest.mark.parametrize("accumulate", ["float32", "float64", "float64 between float32"])
@pytest.mark.parametrize("num_targets", [1, 2])
@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
@pytest.mark.parametrize("size", ["max", "smallest_subnormal", "tiny"])
def test_right_models_of_extreme_weights_are_proven_whatever_their_signs(
    open_canaries, accumulate, num_targets, centred, size
):
    """What overflow excuses, such as a negative prediction that a ReLU makes 0, shows no fault."""
    dtype, outside = accumulate.split()[0], np.dtype(accumulate.split()[-1])
    extreme = getattr(np.finfo(dtype), size)
    patterns = list(itertools.product((1, -1), repeat=4))
    for signs in patterns if num_targets == 1 else patterns[::3]:  # of weights and biases
        weight = np.array(signs, dtype)[: 2 * num_targets].reshape(num_targets, 2) * extreme
        bias = np.array(signs, dtype)[4 - num_targets :] * (extreme if signs[1] > 0 else 1)
        mean = np.array([1, -1], dtype) if centred else None
        model = LinearModel(weight=weight, bias=bias, mean=mean, dtype=outside)
        report = checked(model, open_canaries)
        assert (report.verdict, report.failures) == ("proven", ()), signs


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e30, 1e37])
def test_faults_are_caught_or_skipped_at_the_ends_of_the_range(open_canaries, scale):
    """Nothing is planted that only an overflow or a flushed subnormal could show."""
    weight = (np.array([[1.0, -2.5, 0.3]]) * scale).astype(np.float32)
    for bias in (0.0, 1.0):
        model = LinearModel(weight=weight, bias=np.array([bias], np.float32))
        report = check(DoubleReference(model), [], open_canaries(model), probe_rows=64)
        assert report.failures == ()


def test_faults_go_into_our_graph_where_the_artifact_is_another(make_model):
    """In a graph of other names a changed initializer would change nothing."""
    model = make_model()
    proto = onnx.ModelProto.FromString(onnx_graph.write(model))
    proto.graph.node[0].input[1] = proto.graph.initializer[0].name = "w"
    foreign = proto.SerializeToString()
    wrong = onnx_graph.write(LinearModel(weight=model.weight * np.float32(2), bias=model.bias))
    for artifact in (foreign, wrong):
        for name, canary in planted(model, artifact).items():
            assert canary.artifact == planted(model)[name].artifact


@pytest.mark.parametrize("versions", [(9, 4), (23, 11)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_faults_can_be_planted_in_any_opset(make_model, dtype, versions):
    model = make_model(dtype, centred=True, num_targets=2)
    opset_version, ir_version = versions
    artifact = onnx_graph.write(model, opset_version=opset_version, ir_version=ir_version)
    rows = np.full((1, 4), 55, dtype)
    for canary in planted(model, artifact).values():
        if canary.artifact is not None:
            assert OrtRuntime.start(canary.artifact, None).predict(rows).shape == (1, 2)


def test_only_names_are_looked_for_in_metadata(make_model):
    """Sessions hold copies of it."""
    model = make_model()
    artifact = onnx_graph.write(model, metadata={"solver": "sgd"})
    faults = {name: c.artifact for name, c in planted(model, artifact).items() if c.artifact}
    noted = {name for name, data in faults.items() if onnx_graph.parse(data).metadata_props}
    assert len(faults) > 10
    assert noted == {"two names swapped"}


def test_two_names_are_swapped_without_their_columns_or_numbers(make_model):
    model = make_model(num_targets=2)
    data = planted(model)["two names swapped"].artifact
    said = stated(onnx_graph.read_metadata(onnx_graph.parse(data)))
    assert [column.name for column in said.features] == ["x1", "x0", "x2", "x3"]
    assert [column.minimum for column in said.features] == [c.minimum for c in model.features]
    assert said.targets == model.targets
    assert onnx_graph.read(onnx_graph.parse(data)).same_numbers(model)
