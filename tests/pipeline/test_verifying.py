"""linexport.verify: the report in Python."""

import numpy as np
import pytest
from safetensors.numpy import save_file

import linexport
from linexport import ExportConfig, LinearModel
from linexport.errors import ArtifactError, ConfigError, ParityError


def test_a_bundle_is_proven_and_nothing_is_raised(bundle):
    report = linexport.verify(str(bundle), probe_rows=64)
    assert (report.verdict, report.passed, report.failures) == ("proven", True, ())
    assert (report.num_features, report.num_targets) == (3, 2)
    assert set(report.artifacts) == {"model.onnx", "model.pt"}
    report.require()


def test_an_artifact_of_another_model_raises_when_required(bundle, model, tmp_path):
    numbers = {name: array.astype(np.float32) for name, array in model.arrays().items()}
    numbers["bias"] += np.float32([0, 0.25])
    save_file(numbers, tmp_path / "other.safetensors")
    report = linexport.verify(bundle / "model.onnx", reference=tmp_path / "other.safetensors")
    assert (report.verdict, report.passed) == ("disagrees", False)
    # A safetensors file has no names: the second target is y2.
    with pytest.raises(ParityError, match=r"'onnxruntime.*' disagrees .* target 'y2': got"):
        report.require()


def test_a_float64_bundle_is_a_reference_for_its_float32_twin(tmp_path):
    random = np.random.default_rng(6)
    model = LinearModel(weight=random.normal(size=(1, 5)), bias=random.normal(size=1))
    for dtype in ("float32", "float64"):
        linexport.export(model, tmp_path / dtype, config=ExportConfig(dtype=dtype))
    rounded = linexport.verify(tmp_path / "float32/model.onnx", reference=tmp_path / "float64")
    assert (rounded.verdict, rounded.dtype) == ("proven", "float32")
    assert rounded.notes == ("The float64 reference was rounded to float32.",)
    # The other way round the bundle has lost digits, and knows what it was made from.
    widened = linexport.verify(tmp_path / "float64/model.onnx", reference=tmp_path / "float32")
    assert (widened.verdict, widened.dtype) == ("proven", "float64")
    assert widened.notes == (
        "The reference is what the bundle was made from, before it was rounded.",
    )


@pytest.mark.parametrize("settings", [{"probe_rows": 0}, {"probe_seed": -1}])
def test_settings_that_cannot_be_are_refused(bundle, settings):
    with pytest.raises(ConfigError, match=f"{next(iter(settings))} must"):
        linexport.verify(bundle, **settings)


def test_a_program_needs_trust_in_python_too(bundle, tmp_path):
    (tmp_path / "model.pt").write_bytes((bundle / "model.pt").read_bytes() + b"\0")
    with pytest.raises(ArtifactError, match="trust=True"):
        linexport.verify(tmp_path / "model.pt", reference=bundle)
