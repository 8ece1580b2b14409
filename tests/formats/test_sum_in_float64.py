"""float32 in and out, the sum in float64: every runtime is within its bound, and close to it."""

import numpy as np
import onnx
import pytest
from rational import exactly

import linexport
from linexport import formats
from linexport.errors import ConfigError, ModelError
from linexport.formats.onnx import graph as onnx_graph, wire as onnx_wire
from linexport.model import LinearModel
from linexport.parity import DoubleReference, check
from linexport.pipeline import ExportConfig


def made(*, num_features=5, num_targets=1, mean=None, seed=0) -> LinearModel:
    random = np.random.default_rng(seed)
    shape = (num_targets, num_features)
    # Far from float32's numbers, so that rounding any of them shows.
    return LinearModel(
        weight=random.normal(size=shape) * 2.0 ** random.integers(-8, 8, shape),
        bias=random.normal(size=num_targets) * 100,
        mean=None if mean is None else mean + random.normal(size=num_features),
        dtype=np.dtype(np.float32),
    )


MODELS = {
    "one feature": made(num_features=1),
    "folded": made(),
    "two targets": made(num_targets=2, seed=1),
    "far from zero": made(mean=1e6, seed=2),
    "wide": made(num_features=3000, seed=3),
}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    return request.param


def opened(model):
    yield formats.eager(model)
    for each in (kind for kind in formats.FORMATS.values() if not kind.takes_columns):
        yield from each.open(each.write(model, {}), model, ours=True)


def test_every_runtime_is_within_the_bound_and_some_row_is_close_to_it(model):
    report = check(DoubleReference(model), list(opened(model)), probe_rows=256)
    assert report.verdict == "proven", report.failures
    assert (report.dtype, report.accumulate) == ("float32", "float64")
    assert {runtime.structure for runtime in report.runtimes} == {"matches"}
    assert all(0.9 < runtime.worst_fraction <= 1 for runtime in report.runtimes)


def cancelling(model, num_rows=200):
    """Rows whose terms leave a prediction a thousand million times smaller than themselves."""
    random = np.random.default_rng(4)
    centre = np.zeros(model.num_features) if model.mean is None else model.mean
    rows = (centre + random.normal(size=(num_rows, model.num_features)) * 100).astype("f4")
    column = np.abs(model.weight[0]).argmax()
    rest = (rows.astype("f8") - centre) @ model.weight[0] + model.bias[0]
    rows[:, column] -= (rest / model.weight[0, column]).astype("f4")
    return rows


def test_cancelling_rows_are_rounded_once_from_the_exact_sum(model):
    """Against rational arithmetic: off by half an ulp and by what float64 leaves of the terms."""
    rows = cancelling(model, 20)
    weights = [exactly(weight) for weight in model.weight[0]]
    means = [exactly(m) for m in (np.zeros(len(weights)) if model.mean is None else model.mean)]
    for runtime in opened(model):
        for row, got in zip(rows, runtime.predict(rows)[:, 0], strict=True):
            terms = [(exactly(x) - m) * w for x, m, w in zip(row, means, weights, strict=True)] + [
                exactly(model.bias[0])
            ]
            size = sum(map(abs, terms))
            half_ulp = exactly(np.spacing(np.abs(got))) / 2
            left = (len(terms) + 1) * size / 2**52
            assert abs(exactly(got) - sum(terms)) <= half_ulp + left


@pytest.mark.parametrize("layout", [None, "rows", "columns"])
def test_a_file_is_read_back_as_it_was_written(model, layout):
    data = onnx_wire.write(model, layout)
    assert onnx_graph.read(onnx_graph.check(data), layout).same_function(model)
    if layout is None:
        assert onnx_wire.read(data).model.same_function(model)


def test_its_graph_casts_before_and_after():
    for model, between in ((MODELS["folded"], []), (MODELS["far from zero"], ["Sub"])):
        proto = onnx.load_from_string(onnx_graph.write(model))
        operators = [node.op_type for node in proto.graph.node]
        assert operators == ["Cast", *between, "Gemm", "Cast"]
        ends = (*proto.graph.input, *proto.graph.output)
        assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize(("opset_version", "ir_version"), [(9, 4), (13, 7), (18, 8), (21, 10)])
def test_every_version_of_the_file_is_proven(opset_version, ir_version):
    for model in (MODELS["two targets"], MODELS["far from zero"]):
        kind = formats.FORMATS["onnx"].configured(
            opset_version=opset_version, ir_version=ir_version
        )
        runtimes = list(kind.open(kind.write(model, {}), model, ours=True))
        assert check(DoubleReference(model), runtimes, probe_rows=64).verdict == "proven"


@pytest.mark.parametrize("narrow", ["the file", "its numbers"])
def test_a_sum_in_float32_after_all_disagrees(narrow):
    """Whether the Cast is missing or the numbers were rounded before they were stored."""
    model = MODELS["folded"]
    rounded = {name: array.astype("f4") for name, array in model.arrays().items()}
    if narrow == "its numbers":
        rounded = {name: array.astype("f8") for name, array in rounded.items()}
    faulty = LinearModel.from_arrays(rounded, dtype=np.dtype(np.float32))
    (kind,) = formats.configured(["onnx"])
    report = check(
        DoubleReference(model), list(kind.open(kind.write(faulty, {}), model, ours=False))
    )
    assert {runtime.verdict for runtime in report.runtimes} == {"disagrees"}
    assert {runtime.failed_by for runtime in report.runtimes} == {"answer"}


@pytest.fixture(scope="module", params=["folded", "far from zero"])
def exported(request, tmp_path_factory):
    source = MODELS[request.param]
    form = "folded" if source.mean is None else "centred"
    config = ExportConfig(
        dtype="float32",
        accumulate="float64",
        form=form,
        formats=tuple(formats.FORMATS),
        accept_coarse=True,
    )
    return linexport.export(source, tmp_path_factory.mktemp("sum") / "bundle", config=config)


def test_a_bundle_keeps_the_digits_of_float64(exported):
    manifest, model = exported.manifest, exported.model
    assert (manifest.dtype, manifest.accumulate) == ("float32", "float64")
    assert (model.dtype, model.accumulate) == (np.float32, np.float64)
    assert model.same_numbers(exported.origin.model)
    assert {budget.export for budget in exported.error_budget.values()} == {0.0}
    assert linexport.read_bundle(exported.path).model.same_function(model)
    assert "sum in float64" in (exported.path / "README.md").read_text("utf-8")


def test_a_bundle_and_each_of_its_artifacts_is_proven_again(exported):
    report = linexport.verify(exported, accept_coarse=True)
    assert {runtime.verdict for runtime in report.runtimes} == {"proven"}
    for kind in formats.FORMATS.values():
        report = linexport.verify(exported.path / kind.file_name, reference=exported.path)
        assert (report.verdict, report.accumulate, report.notes) == ("proven", "float64", ())


@pytest.mark.filterwarnings("ignore::linexport.errors.CoarseWarning")
def test_what_predicts_takes_and_gives_float32(exported):
    predictor = linexport.load(exported)
    rows = cancelling(exported.model)
    assert predictor.predict(rows.astype("f8")).dtype == np.float32
    (row,) = predictor.predict(rows[:1])
    bound = predictor.bind()
    bound.features[...] = rows[:1]
    bound.run()
    assert (bound.prediction == row).all()


def test_the_file_is_read_as_the_exact_function(exported):
    read = linexport.read_model(exported.path / "model.onnx").model
    assert read.same_numbers(exported.model.widened())


def test_the_module_is_read_as_the_exact_function(exported):
    read = linexport.read_model(formats.eager(exported.model)._module).model
    assert read.same_numbers(exported.model)


def test_a_float64_model_has_no_sum_in_float32():
    with pytest.raises(ConfigError, match="float64 model takes its sum in float64"):
        ExportConfig(dtype="float64", accumulate="float32")
    numbers = {"weight": np.ones((1, 1), "f4"), "bias": np.ones(1, "f4")}
    with pytest.raises(ModelError, match="dtype must be float32 with float32 numbers"):
        LinearModel(**numbers, dtype=np.dtype(np.float64))
