"""models/textbook: a bundle written once must load for ever."""

from pathlib import Path

import numpy as np
import pytest

import linexport
from linexport import formats
from linexport.numerics._bounds import FLOAT32, rounding_error_bound
from linexport.numerics._forms import affine_of

TEXTBOOK = Path(__file__).parent.parent / "models" / "textbook"


@pytest.fixture(scope="module")
def bundle():
    return linexport.read_bundle(TEXTBOOK)


def test_it_is_the_textbook_example(bundle):
    assert bundle.manifest.record.solver == "sgd"
    assert bundle.manifest.record.rows == 1000
    coefficients = bundle.manifest.record.coefficients["y"]
    # Three epochs end within the noise of single steps, 0.01, of the truth.
    assert coefficients.intercept == pytest.approx(4.2, abs=0.01)
    assert list(coefficients.features.values()) == pytest.approx([2.0, -3.4], abs=0.01)


def test_todays_code_proves_it_again():
    report = linexport.verify(TEXTBOOK)
    assert report.verdict == "proven"
    assert {runtime.name for runtime in report.runtimes} >= {"torchscript", "onnxruntime"}


def test_writing_it_anew_gives_the_same_bytes(bundle):
    """Of versions other than the ones that wrote it, the bytes tell; today's go into a new file."""
    manifest = bundle.manifest
    metadata = formats.artifact_metadata(bundle.model, manifest.record, manifest.versions)
    for name, data in formats.export(bundle.model, metadata=metadata).items():
        assert data == bundle.read(name), name


def test_exporting_it_anew_predicts_the_same_within_the_bound(bundle, tmp_path):
    exported = linexport.export(bundle.model, tmp_path / "anew")
    features = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    old = linexport.load(TEXTBOOK).predict(features).astype(np.float64)
    new = linexport.load(exported.path).predict(features).astype(np.float64)
    bound = rounding_error_bound(
        features.astype(np.float64), affine_of(bundle.model), precision=FLOAT32
    )
    assert (np.abs(old - new) <= 2 * bound).all()


def test_training_it_anew_ends_within_the_noise_of_its_steps(bundle):
    """Bits may differ between processors; the loss may not, beyond what single steps move it."""
    result = linexport.train(linexport.synthesize())
    ours = result.record.optimum["y"]
    theirs = bundle.manifest.record.optimum["y"]
    assert ours.loss_at_optimum == pytest.approx(theirs.loss_at_optimum, rel=1e-9)
    assert ours.loss == pytest.approx(theirs.loss, rel=0.01)
