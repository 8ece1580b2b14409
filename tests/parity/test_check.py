"""What the check says of runtimes that are wrong, and of those that are right."""

from dataclasses import replace

import numpy as np
import pytest
from fake_runtimes import AlteredRuntime, FakeRuntime, FlushingRuntime, numpy_predict, truncated

from linexport.columns import Column
from linexport.errors import BundleError, ParityError, PrecisionError
from linexport.formats import eager
from linexport.formats.onnx import Onnx, graph as onnx_graph
from linexport.formats.onnx._runtime import OrtRuntime
from linexport.model import LinearModel
from linexport.parity import decode_certificate, encode_certificate
from linexport.parity._check import OpenedCanary, check
from linexport.parity._exact import DoubleReference

CASES = [(dtype, kept) for dtype in ("float32", "float64") for kept in (False, True)]
every_case = pytest.mark.parametrize(("dtype", "centred"), CASES)


@every_case
def test_right_runtimes_are_proven(make_model, judge, open_canaries, dtype, centred):
    model = make_model(dtype, centred=centred, num_targets=2)
    data = onnx_graph.write(model)
    runtimes = [*Onnx().open(data, model, ours=True), eager(model)]
    report = judge(model, *runtimes, canaries=open_canaries(model))
    assert report.verdict == "proven"
    assert report.passed
    assert report.failures == ()
    assert report.form == ("centred" if centred else "folded")
    assert (report.dtype, report.num_features, report.num_targets) == (dtype, 4, 2)
    for runtime in report.runtimes:
        assert runtime.structure == "matches"
        assert 0 < runtime.worst_fraction <= 1
        assert 0 < runtime.probabilistic_fraction < runtime.worst_fraction
        assert runtime.worst.distance <= runtime.worst.bound
        assert runtime.subnormals == "kept"
        assert set(runtime.batch_sizes) >= {0, 1, 7, 64}
    assert report.worst_fraction == max(runtime.worst_fraction for runtime in report.runtimes)
    report.require()


@every_case
def test_a_runtime_of_unknown_structure_is_consistent_at_best(make_model, judge, dtype, centred):
    model = make_model(dtype, centred=centred)
    report = judge(model, FakeRuntime(model, numpy_predict))
    assert report.verdict == "consistent"
    assert report.runtimes[0].structure == "unknown"
    assert report.passed


def test_a_runtime_more_precise_than_it_claims_is_right(make_model, judge):
    def in_float64(model, features):
        inputs = np.asarray(features, np.float64)
        return (inputs @ model.weight.T.astype(np.float64) + model.bias).astype(np.float32)

    model = make_model()
    report = judge(model, FakeRuntime(model, in_float64))
    assert report.passed
    assert report.worst_fraction <= 1


def mixed_rows(prediction):
    return prediction + prediction.dtype.type(1e-3) * np.roll(prediction, 1, axis=0)


def fails_without_rows(features):
    if not len(features):
        raise ValueError("the batch is empty")
    return features


def memory_order_ignored(features):
    return np.frombuffer(features.tobytes(order="A"), features.dtype).reshape(features.shape)


def strides_ignored(features):
    """Read as many numbers as there are from where the array's memory starts."""
    start = features if features.base is None else features.base
    return start.ravel(order="K")[: features.size].reshape(features.shape)


WRONG = {
    "inputs through bfloat16": {"before": truncated(7)},
    "inputs through TF32": {"before": truncated(10)},
    "predictions through float16": {
        "after": lambda prediction: np.clip(prediction, -6e4, 6e4).astype(np.float16).astype("f4")
    },
    "rows mixed with their neighbours": {"after": mixed_rows},
    "rows in reverse": {"after": lambda prediction: np.ascontiguousarray(prediction[::-1])},
    "NaN hidden in inputs": {"before": lambda x: np.where(np.isnan(x), 0, x).astype(x.dtype)},
    "NaN hidden in predictions": {"after": lambda prediction: np.nan_to_num(prediction, nan=0)},
    "infinity made finite": {
        "after": lambda p: np.clip(p, -np.finfo(p.dtype).max, np.finfo(p.dtype).max)
    },
    "infinity made NaN": {"after": lambda p: np.where(np.isinf(p), np.nan, p).astype(p.dtype)},
    "NaN in one row spoils the others": {
        "after": lambda p: np.full_like(p, np.nan) if np.isnan(p).any() else p
    },
    "NaN among ordinary rows": {
        "after": lambda p: np.where(np.arange(len(p))[:, None] == 20, np.nan, p).astype(p.dtype)
    },
    "infinity among ordinary rows": {
        "after": lambda p: np.where(np.arange(len(p))[:, None] == 20, np.inf, p).astype(p.dtype)
    },
    "large predictions saturated": {"after": lambda prediction: np.clip(prediction, -1e9, 1e9)},
    "ReLU": {"after": lambda prediction: np.maximum(prediction, 0)},
    "one target for all": {"after": lambda p: np.repeat(p[:, :1], p.shape[1], axis=1)},
    "no rows refused": {"before": fails_without_rows},
    "batches of one only": {"after": lambda p: p if len(p) == 1 else p[:1].repeat(len(p), 0)},
    "the last row of large batches lost": {
        "after": lambda p: np.vstack([p[:-1], p[:1]]) if len(p) > 63 else p
    },
    "column-major taken for row-major": {"before": memory_order_ignored},
    "strides ignored": {"before": strides_ignored},
    "float64 input refused": {"before": lambda x: x if x.dtype != np.float64 else x[:, :1]},
    "whole numbers taken for bytes": {"before": lambda x: x.astype("i1") if x.dtype == "i8" else x},
    "float64 predictions": {"after": lambda prediction: prediction.astype(np.float64)},
    "float16 predictions": {"after": lambda prediction: prediction.astype(np.float16)},
    "predictions without an axis": {"after": lambda prediction: prediction[:, 0]},
    "targets by rows": {"after": lambda prediction: prediction.T},
    "a row too many": {"after": lambda prediction: np.vstack([prediction, prediction[:1]])},
}


@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
@pytest.mark.parametrize("fault", WRONG)
def test_wrong_runtimes_disagree_although_their_structure_matches(
    make_model, judge, fault, centred
):
    model = make_model(centred=centred, num_targets=2)
    report = judge(model, AlteredRuntime(model, **WRONG[fault]), eager(model))
    assert report.verdict == "disagrees"
    wrong, right = report.runtimes
    assert (wrong.verdict, right.verdict) == ("disagrees", "proven")
    assert (wrong.structure, wrong.subnormals) == ("matches", "kept")
    assert wrong.failure.startswith("'altered' ")
    assert report.failures == (wrong.failure,)
    with pytest.raises(ParityError, match="'altered'"):
        report.require()


def in_turn(model, *changes):
    """Runtimes that alter the predictions in these ways, named by their place."""
    runtimes = [AlteredRuntime(model, after=after) for after in changes]
    for number, runtime in enumerate(runtimes):
        runtime.name = f"altered, {number}"
    return runtimes


def test_what_is_wrong_with_several_runtimes_is_said_once(make_model, judge):
    model = make_model(num_targets=2)
    runtimes = in_turn(model, *[lambda prediction: prediction[:, :1]] * 3)
    (failure,) = judge(model, eager(model), *runtimes).failures
    assert failure.startswith("'altered, 0' answers the probe 'subnormal' with float32 of shape")
    assert failure.endswith(" The same holds for 'altered, 1', 'altered, 2'.")


def test_wrong_answers_are_one_failure_wherever_they_are_furthest_off(make_model, judge):
    """Its place and digits depend on the kernels of a processor: the number of messages may not."""
    model = make_model(num_targets=2)
    report = judge(
        model,
        *in_turn(
            model,
            lambda prediction: prediction[:, ::-1],
            lambda prediction: np.nextafter(prediction[:, ::-1], np.float32(np.inf)),
            lambda prediction: np.nan_to_num(prediction, nan=7.0),
        ),
    )
    assert len({runtime.failure for runtime in report.runtimes}) == 3
    assert len({runtime.worst.probe for runtime in report.runtimes}) == 2
    assert {runtime.failed_by for runtime in report.runtimes} == {"answer"}
    (failure,) = report.failures
    assert failure.startswith("'altered, 0' disagrees with the reference model at row ")
    assert failure.endswith(" Wrong answers also from 'altered, 1', 'altered, 2'.")


def test_failures_of_another_kind_are_told_apart(make_model, judge):
    model = make_model(num_targets=2)
    report = judge(
        model,
        *in_turn(model, lambda p: p[:, :1], lambda p: p[:, ::-1], lambda p: p.astype(np.float64)),
        AlteredRuntime(model, before=fails_without_rows),
    )
    assert [runtime.failed_by for runtime in report.runtimes] == [
        "shape", "answer", "shape", "error",
    ]  # fmt: skip
    assert report.failures == tuple(runtime.failure for runtime in report.runtimes)


@every_case
def test_a_bias_off_by_an_ulp_shows_where_nothing_else_does(make_model, judge, dtype, centred):
    model = make_model(dtype, centred=centred)
    arrays = model.arrays() | {"bias": np.nextafter(model.bias, 0)}
    report = judge(model, FakeRuntime(LinearModel.from_arrays(arrays), numpy_predict))
    assert report.verdict == "disagrees"
    assert report.runtimes[0].worst.probe == "bias alone"


def test_the_failure_names_everything_one_needs(judge):
    """Where -w x comes instead of w x, the distance is twice the size of either."""
    model = LinearModel(
        weight=np.array([[1.0, 0.0], [0.0, 3.0]], np.float32),
        bias=np.zeros(2, np.float32),
        targets=(Column(name="price", unit="USD"), Column(name="rent", unit="USD")),
    )
    flipped = LinearModel(weight=np.array([[1, 0], [0, -3]], np.float32), bias=model.bias)
    report = judge(model, FakeRuntime(flipped, numpy_predict, name="engine"))
    failure, worst = report.runtimes[0].failure, report.runtimes[0].worst
    assert (worst.probe, worst.target) == ("one-hot", "rent")
    assert worst.got == -worst.expected != 0
    assert worst.distance == 2 * abs(worst.expected)
    assert failure == (
        f"'engine' disagrees with the reference model at row {worst.row} of the probe "
        f"'one-hot', target 'rent': got {worst.got:.9g}, expected {worst.expected:.9g}, apart by "
        f"{worst.distance:.2g} USD, where rounding explains {worst.bound:.2g}. The artifact or its "
        f"runtime is wrong, or computes below float32 (TF32, bfloat16)."
    )


def test_a_wrong_class_names_row_target_and_both_values(make_model, judge):
    model = make_model(num_targets=2)
    report = judge(model, AlteredRuntime(model, after=lambda p: np.nan_to_num(p, nan=7.0)))
    assert report.runtimes[0].failure == (
        "'altered' disagrees with the reference model at row 1 of the probe "
        "'NaN and infinity', target 'y0': got 7.0, expected nan."
    )
    assert report.runtimes[0].worst.got == 7
    assert report.runtimes[0].worst.bound is None


def test_an_engine_that_raises_is_quoted(make_model, judge):
    model = make_model()
    report = judge(model, AlteredRuntime(model, before=fails_without_rows))
    assert report.runtimes[0].failure == (
        "'altered' fails on the probe 'no rows': the batch is empty"
    )


def test_a_prediction_of_the_wrong_shape_is_described(make_model, judge):
    model = make_model(num_targets=2)
    report = judge(model, AlteredRuntime(model, after=lambda prediction: prediction[:, :1]))
    assert report.runtimes[0].failure == (
        "'altered' answers the probe 'subnormal' with float32 of shape (16, 1), "
        "not float32 of shape (16, 2)."
    )


def test_a_disagreement_beyond_what_float64_can_say_is_one(judge):
    """The distance itself overflows, or its ratio to a subnormal bound."""
    model = LinearModel(weight=np.array([[1.0]]), bias=np.array([0.0]))
    largest = np.finfo(np.float64).max

    def wrong_far_out(_, x):
        return np.where(np.abs(x) > 1e300, -np.copysign(largest, x), x).astype(np.float64)

    report = judge(
        model,
        FakeRuntime(model, wrong_far_out),
        FakeRuntime(model, lambda _, x: np.full((len(x), 1), largest)),
    )
    assert report.runtimes[0].worst.distance == largest
    assert report.runtimes[1].worst_fraction == largest
    assert [runtime.verdict for runtime in report.runtimes] == ["disagrees"] * 2
    assert decode_certificate(encode_certificate(report)) == report


NUMBERS = {
    "weight": r"holds weight\[0, 1\] = 9.5, the reference 2.5",
    "bias": r"holds bias\[1\] = 9.5, the reference 8.5",
    "mean": r"holds mean\[1\] = 9.5, the reference 0.5",
}


@pytest.mark.parametrize("name", NUMBERS)
def test_other_numbers_are_named_although_the_predictions_are_right(judge, name):
    model = LinearModel(
        weight=np.array([[1.5, 2.5], [3.5, 4.5]], np.float32),
        bias=np.array([7.5, 8.5], np.float32),
        mean=np.array([0.25, 0.5], np.float32),
    )
    arrays = {key: array.copy() for key, array in model.arrays().items()}
    place = {"weight": (0, 1), "bias": 1, "mean": 1}[name]
    arrays[name][place] = 9.5
    runtime = FakeRuntime(model, numpy_predict, structure=LinearModel.from_arrays(arrays))
    report = judge(model, runtime)
    assert report.runtimes[0].structure == "differs"
    assert report.runtimes[0].worst_fraction <= 1
    assert report.verdict == "disagrees"
    with pytest.raises(ParityError, match=f"'fake' {NUMBERS[name]}"):
        report.require()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bias": np.array([-0.0], np.float32)}, "zeros of another sign"),
        ({"weight": np.ones((1, 3), np.float32)}, "another form or shape"),
        (
            {"mean": np.zeros(2, np.float32)},
            "another form or shape",
        ),
        (
            {"weight": np.ones((1, 2)), "bias": np.zeros(1)},
            "holds float64 numbers, the reference float32",
        ),
    ],
)
def test_another_model_is_described(judge, changes, message):
    arrays = {"weight": np.ones((1, 2), np.float32), "bias": np.zeros(1, np.float32)}
    model, other = LinearModel(**arrays), LinearModel(**(arrays | changes))
    report = judge(model, FakeRuntime(model, numpy_predict, structure=other))
    assert report.verdict == "disagrees"
    assert message in report.runtimes[0].failure


def test_a_fault_that_nobody_notices_is_a_disagreement(make_model, judge):
    """A check that cannot fail proves nothing."""
    model = make_model()
    right = OrtRuntime.start(onnx_graph.write(model), model)
    report = judge(model, right, canaries=[OpenedCanary(name="no fault at all", runtime=right)])
    assert report.runtimes[0].verdict == "proven"
    assert report.verdict == "disagrees"
    assert report.failures == ("The check did not notice the planted fault 'no fault at all'.",)
    with pytest.raises(ParityError, match="did not notice the planted fault 'no fault at all'"):
        report.require()


def test_a_fault_that_should_show_and_does_not_is_a_disagreement(make_model, judge, open_canaries):
    """Whether it applies is worked out exactly, not by what its runtime answers."""
    model = make_model()
    right = FakeRuntime(model, numpy_predict)
    planted = [replace(canary, runtime=right) for canary in open_canaries(model) if canary.runtime]
    report = judge(model, canaries=planted)
    assert report.verdict == "disagrees"
    kept = {canary.name for canary in report.canaries if canary.skipped}
    assert kept == {"one weight off by an ulp"}  # two answers half an ulp off may meet between


def test_a_fault_that_moves_no_answer_does_not_apply(make_model, judge):
    model = make_model()
    right = FakeRuntime(model, numpy_predict)
    canary = OpenedCanary(name="none", runtime=right, meaning=DoubleReference.expect)
    report = judge(model, canaries=[canary])
    assert report.canaries[0].skipped == "It moves no answer further than rounding may."
    assert report.passed


def test_an_unknown_structure_does_not_count_as_a_fault_noticed(make_model, judge):
    """Of a right runtime it would say the same."""
    model = make_model()
    unknown = FakeRuntime(model, numpy_predict)
    report = judge(model, canaries=[OpenedCanary(name="no fault at all", runtime=unknown)])
    assert report.canaries[0].caught_by == ()
    assert report.verdict == "disagrees"


def test_a_skipped_fault_is_reported_with_its_reason(make_model, judge):
    skipped = OpenedCanary(name="x", runtime=None, skipped="It cannot be.")
    report = judge(make_model(), canaries=[skipped])
    assert report.canaries[0].skipped == "It cannot be."
    assert report.passed


def test_the_same_seed_gives_the_same_report(make_model, judge, open_canaries):
    known = make_model()
    model = LinearModel(weight=known.weight, bias=known.bias)  # no ranges, whose ends never vary
    runtime = OrtRuntime.start(onnx_graph.write(model), model, num_threads=1)

    def report(seed):
        return judge(model, runtime, canaries=open_canaries(model), probe_seed=seed)

    assert report(3) == report(3)
    assert report(3).runtimes[0].worst_fraction != report(4).runtimes[0].worst_fraction


@pytest.mark.parametrize("fault", [None, "rows in reverse", "NaN hidden in predictions"])
def test_the_certificate_reads_back_as_it_was_written(make_model, judge, open_canaries, fault):
    model = make_model(num_targets=2)
    runtime = AlteredRuntime(model, **({} if fault is None else WRONG[fault]))
    report = judge(model, runtime, canaries=open_canaries(model))
    data = encode_certificate(report)
    assert decode_certificate(data) == report
    assert data.endswith(b"}\n")
    assert encode_certificate(decode_certificate(data)) == data


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 10_000, b'{"verdict": "fine"}'])
def test_what_is_no_certificate_is_refused(data):
    with pytest.raises(BundleError, match=r"parity.json is not a certificate"):
        decode_certificate(data)


FLUSHED_BY_HARDWARE = {
    "onnxruntime": lambda model: OrtRuntime.start(onnx_graph.write(model), model, num_threads=1),
    "pytorch": eager,
    "NumPy": lambda model: FakeRuntime(model, numpy_predict),
}


def sensitive_model(dtype: str, *, centred: bool) -> LinearModel:
    """Large weights show what becomes of subnormal inputs, where no bias drowns them."""
    mean = np.zeros(3, dtype) if centred else None
    weight = np.array([[1e20, -3e20, 2e20], [5e19, 7e20, 1e19]], dtype)
    return LinearModel(weight=weight, bias=np.zeros(2, dtype), mean=mean)


@every_case
@pytest.mark.parametrize("engine", FLUSHED_BY_HARDWARE)
def test_a_runtime_that_flushes_subnormals_is_named_as_such(judge, engine, dtype, centred):
    model = sensitive_model(dtype, centred=centred)
    keeping = FLUSHED_BY_HARDWARE[engine](model)
    report = judge(model, FlushingRuntime(keeping), keeping)
    assert report.passed, report.failures
    assert [runtime.subnormals for runtime in report.runtimes] == ["flushed", "kept"]


@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
@pytest.mark.parametrize("engine", FLUSHED_BY_HARDWARE)
def test_one_that_flushes_before_and_after_a_float64_sum_is_too(judge, engine, centred):
    """Inputs that are subnormal in float32, though none is in float64; and the result."""
    wide = sensitive_model("float64", centred=centred)
    model = LinearModel.from_arrays(wide.arrays(), dtype=np.dtype(np.float32))
    keeping = FLUSHED_BY_HARDWARE[engine](model)
    report = judge(model, FlushingRuntime(keeping), keeping)
    assert report.passed, report.failures
    assert [runtime.subnormals for runtime in report.runtimes] == ["flushed", "kept"]


@pytest.mark.parametrize("exponent", range(-148, -40, 9))
@pytest.mark.parametrize("bias", [0.0, 1e-30])
def test_flushing_is_recognised_whichever_probe_shows_it(judge, exponent, bias):
    """Small weights make products subnormal, subnormal weights count as zero themselves."""
    weight = np.ldexp(np.array([[1.5, -0.75, 1.25]], np.float32), exponent)
    model = LinearModel(weight=weight, bias=np.array([bias], np.float32))
    keeping = OrtRuntime.start(onnx_graph.write(model), model, num_threads=1)
    report = judge(model, FlushingRuntime(keeping), keeping)
    assert report.passed, report.failures
    assert report.runtimes[1].subnormals == "kept"
    if bias == 0:
        assert report.runtimes[0].subnormals == "flushed"


def scaled_where_subnormal(factor, columns=slice(None)):
    def change(features):
        changed = np.array(features)
        if changed.dtype.kind == "f":
            part = changed[:, columns]
            tiny = np.abs(part) < np.finfo(changed.dtype).smallest_normal
            changed[:, columns] = np.where(tiny, part * changed.dtype.type(factor), part)
        return changed

    return change


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "change",
    [
        scaled_where_subnormal(2),
        scaled_where_subnormal(0.5),
        scaled_where_subnormal(-1),
        scaled_where_subnormal(0, columns=slice(1)),
    ],
    ids=["doubled", "halved", "sign flipped", "one feature's only flushed"],
)
def test_a_runtime_that_is_wrong_at_subnormals_in_another_way_disagrees(judge, dtype, change):
    model = sensitive_model(dtype, centred=False)
    report = judge(model, AlteredRuntime(model, before=change))
    assert report.runtimes[0].verdict == "disagrees"
    assert report.runtimes[0].worst.probe == "subnormal"


def test_a_flushing_runtime_that_is_wrong_elsewhere_disagrees(judge):
    model = sensitive_model("float32", centred=False)
    report = judge(model, FlushingRuntime(AlteredRuntime(model, before=truncated(10))))
    assert report.runtimes[0].subnormals == "flushed"
    assert report.runtimes[0].verdict == "disagrees"


def test_faults_are_caught_in_a_model_whose_weights_are_tiny(open_canaries):
    """What flushing would explain is no excuse for a fault that it does not explain."""
    weight = np.array([[1.3e-30, -2.7e-30, 1.9e-30]], np.float32)
    model = LinearModel(weight=weight, bias=np.zeros(1, np.float32))
    report = check(DoubleReference(model), [], open_canaries(model), probe_rows=64)
    for canary in report.canaries:
        assert canary.skipped or {"behaviour", "names"} & {*canary.caught_by}, canary


def test_a_thread_that_flushes_subnormals_itself_cannot_check(make_model):
    """Its exact reference would not be exact."""

    class Checked:
        name = "checked"

        def predict(self, model):
            return check(DoubleReference(model), [])

    with pytest.raises(PrecisionError, match=r"flushes subnormal .*ffast-math"):
        FlushingRuntime(Checked()).predict(make_model())
