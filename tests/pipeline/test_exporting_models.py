"""linexport.export: models from elsewhere, and what training returned."""

import json
from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file

import linexport
from linexport import Column, ExportConfig, LinearModel
from linexport.errors import BundleError, ConfigError, ModelError, ParityError
from linexport.pipeline import _export

ROWS = [[64, 3, 2], [20.5, 1, -1], [199, 9, 0]]


def test_a_model_from_elsewhere_becomes_a_proven_bundle(model, bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert (manifest["dtype"], manifest["form"]) == ("float32", "folded")
    assert manifest["record"]["solver"] == "imported"
    assert json.loads((bundle / "parity.json").read_text())["verdict"] == "proven"
    price, rent = (manifest["record"]["coefficients"][name] for name in ("price", "rent"))
    assert price["intercept"] == 1000.0
    assert rent["features"] == {"area": 12.25, "rooms": 7.0, "floor, from the ground": -0.5}
    area, rooms, _ = manifest["features"]
    assert (area["unit"], area["minimum"], area["maximum"]) == ("m²", 20.0, 200.0)
    assert (rooms["minimum"], rooms["mean"]) == (1.0, None)
    assert manifest["targets"][0]["unit"] == "EUR"
    numbers = load_file(bundle / "weights.safetensors")
    assert np.array_equal(numbers["weight"], model.weight.astype(np.float32))
    assert np.array_equal(numbers["bias"], model.bias.astype(np.float32))


def test_onnxruntime_alone_predicts_the_models_meaning(model, bundle, exact):
    """These numbers are exact in float32, in any order."""
    session = onnxruntime.InferenceSession(bundle / "model.onnx")
    (prediction,) = session.run(None, {"features": np.array(ROWS, np.float32)})
    assert [[Fraction(y) for y in row] for row in prediction.tolist()] == exact(model, ROWS)


def test_the_model_comes_before_its_directory(model, tmp_path):
    with pytest.raises(ConfigError, match=r'got a LinearModel: export\(model, "models/mine"\)\.'):
        linexport.export(str(tmp_path / "bundle"), model)
    assert not list(tmp_path.iterdir())


def test_what_is_returned_is_what_is_written(model, tmp_path):
    exported = linexport.export(model, tmp_path / "bundle")
    assert exported.path == tmp_path / "bundle"
    assert exported.certificate.verdict == "proven"
    assert exported.fit is None
    read = linexport.read_bundle(tmp_path / "bundle")
    assert read.manifest == exported.manifest
    assert read.model.same_numbers(exported.model)
    assert exported.model.features == model.features


@pytest.mark.parametrize("source_dtype", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_costs_what_the_budget_says(tmp_path, exact, source_dtype, dtype):
    """Every digit between the source and the artifact, over the range of the features."""
    random = np.random.default_rng(2)
    low, high = -3.0, 5.0
    features = tuple(Column(name=f"f{k}", minimum=low, maximum=high) for k in range(4))
    source = LinearModel(
        weight=random.normal(size=(2, 4)).astype(source_dtype),
        bias=random.normal(size=2).astype(source_dtype),
        features=features,
    )
    exported = linexport.export(source, tmp_path / "bundle", config=ExportConfig(dtype=dtype))
    budgets = list(exported.error_budget.values())
    widened = source_dtype == dtype or dtype == "float64"
    # It is worked out in double-double, whose own error, about 2**-104 of the numbers, it includes.
    assert all((budget.export < 2.0**-96) == widened for budget in budgets)
    assert all(budget.fit is None for budget in budgets)
    rows = random.uniform(low, high, (50, 4)).astype(dtype)
    predicted = linexport.load(tmp_path / "bundle").predict(rows)
    for row, truths in zip(predicted.tolist(), exact(source, rows.tolist()), strict=True):
        for value, truth, budget in zip(row, truths, budgets, strict=True):
            assert abs(Fraction(value) - truth) <= Fraction(budget.total)


@pytest.mark.parametrize("form", ["folded", "centred"])
def test_a_mean_is_folded_or_kept_and_means_the_same(tmp_path, exact, form):
    """Small numbers, so that folding is exact too."""
    source = LinearModel(
        weight=np.array([[0.75, -40.0]]), bias=np.array([7.0]), mean=np.array([16.0, -0.5])
    )
    exported = linexport.export(source, tmp_path / "bundle", config=ExportConfig(form=form))
    assert exported.manifest.form == form
    coefficients = exported.manifest.record.coefficients["y"]
    # 7 - 16 * 0.75 + -0.5 * 40.
    assert (coefficients.features, coefficients.intercept) == ({"x1": 0.75, "x2": -40.0}, -25.0)
    rows = [[1, 2], [16, -0.5], [-3, 0.125]]
    predicted = linexport.load(tmp_path / "bundle").predict(rows)
    assert [[Fraction(y) for y in row] for row in predicted.tolist()] == exact(source, rows)
    operators = [node.op_type for node in onnx.load(exported.path / "model.onnx").graph.node]
    assert operators == (["Gemm"] if form == "folded" else ["Sub", "Gemm"])


def test_settings_reach_the_artifacts(model, tmp_path):
    config = ExportConfig(formats=("onnx",), opset_version=17, ir_version=8, dtype="float64")
    exported = linexport.export(model, tmp_path / "bundle", config=config)
    names = {path.name for path in exported.path.iterdir()}
    assert names == {
        "README.md",
        "manifest.json",
        "model.onnx",
        "parity.json",
        "weights.safetensors",
    }
    proto = onnx.load(exported.path / "model.onnx")
    assert (proto.opset_import[0].version, proto.ir_version) == (17, 8)
    assert numpy_helper.to_array(proto.graph.initializer[0]).dtype == np.float64


def test_what_training_returns_is_exported_as_the_main_job_does_it(tmp_path):
    rows = linexport.read_data(seed=4)
    result = linexport.train(rows)
    exported = linexport.export(result, tmp_path / "in-two-steps")
    assert exported.fit is result
    assert exported.certificate.verdict == "proven"
    at_once = linexport.train_and_export(rows, tmp_path / "at-once")
    files = {path.name for path in at_once.path.iterdir()}
    assert files == {path.name for path in exported.path.iterdir()}
    for name in files:
        ours, theirs = exported.path / name, at_once.path / name
        assert ours.read_bytes() == theirs.read_bytes(), name


def test_nothing_is_written_where_parity_fails(model, tmp_path, monkeypatch):
    """An exporter that writes one wrong number, far from the largest."""
    export = _export.formats.export

    def faulty(*arguments, **settings):
        artifacts = export(*arguments, **settings)
        proto = onnx.ModelProto.FromString(artifacts["model.onnx"])
        weight = numpy_helper.to_array(proto.graph.initializer[0]).copy()
        weight[1, 2] = np.nextafter(weight[1, 2], np.float32(0))
        proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "weight"))
        return artifacts | {"model.onnx": proto.SerializeToString()}

    monkeypatch.setattr(_export.formats, "export", faulty)
    exported = linexport.export(model, tmp_path / "bundle")
    assert (exported.path, exported.manifest) == (None, None)
    verdicts = {runtime.name: runtime.verdict for runtime in exported.certificate.runtimes}
    assert (verdicts["torchscript"], verdicts["onnxruntime"]) == ("proven", "disagrees")
    with pytest.raises(ParityError, match=r"'onnxruntime.*' disagrees .* target 'rent': got"):
        exported.certificate.require()
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_replaced_only_when_asked(model, tmp_path):
    path = tmp_path / "bundle"
    linexport.export(model, path)
    before = (path / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match="there is a bundle already"):
        linexport.export(model, path)
    assert (path / "manifest.json").read_bytes() == before
    linexport.export(model, path, config=ExportConfig(dtype="float64"), overwrite=True)
    assert linexport.read_bundle(path).manifest.dtype == "float64"


@pytest.mark.parametrize("which", ["weight", "bias"])
def test_a_number_too_large_for_the_dtype_is_refused_before_anything_is_written(tmp_path, which):
    arrays = {"weight": np.ones((1, 2)), "bias": np.ones(1)}
    arrays[which] = arrays[which] * 1e300
    narrow = ExportConfig(dtype="float32", accumulate="float32")
    with pytest.raises(ModelError, match=rf"{which} 1e\+300 is too large for float32; use float64"):
        linexport.export(LinearModel(**arrays), tmp_path / "bundle", config=narrow)
    assert list(tmp_path.iterdir()) == []
    wide = linexport.export(LinearModel(**arrays), tmp_path / "bundle")
    assert wide.model.dtype == np.float64
    # Beside such a bias nothing is left of what the features say.
    assert wide.certificate.verdict == {"weight": "proven", "bias": "too coarse"}[which]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dtype": "float16"}, "dtype must be auto, float32 or float64"),
        ({"formats": ()}, "formats must be a tuple of"),
        ({"formats": ("onxx",)}, "formats must be a tuple of"),
        ({"probe_rows": 0}, "probe_rows must be a whole number of at least 1"),
        ({"opset_version": 4}, "Opset 4 is not possible"),
        ({"opset_version": 21}, "IR version 7 is not possible"),
        ({"opset_version": 21, "ir_version": 7}, "IR version 7 is not possible"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_done(settings, said):
    with pytest.raises(ConfigError, match=said):
        ExportConfig(**settings)


def test_what_cannot_be_exported_leaves_nothing_behind(model, tmp_path):
    with pytest.raises(ModelError, match="no mean to keep"):
        linexport.export(model, tmp_path / "bundle", config=ExportConfig(form="centred"))
    assert list(tmp_path.iterdir()) == []
