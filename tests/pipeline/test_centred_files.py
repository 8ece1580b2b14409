"""linexport.verify on float32 files that subtract a mean, each number of them rounded once."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from skl2onnx import to_onnx
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import linexport
from linexport import ExportConfig
from linexport.numerics import raw_coefficients


@pytest.fixture(scope="module", params=["PLSRegression", "StandardScaler"])
def estimator(request):
    random = np.random.default_rng(4)
    x = random.normal(30, 3, size=(100, 3))
    y = x @ random.normal(size=(3, 2))
    scaled = make_pipeline(StandardScaler(with_std=False), LinearRegression())
    return (PLSRegression(2) if request.param == "PLSRegression" else scaled).fit(x, y)


def test_the_mean_s_rounding_need_not_be_made_up_for(estimator, tmp_path):
    path = tmp_path / "sk.onnx"
    onnx.save(to_onnx(estimator, np.zeros((1, 3), np.float32)), path)
    config = ExportConfig(formats=("onnx",), probe_rows=64)
    exported = linexport.export(estimator, tmp_path / "bundle", config=config)
    for reference in (estimator, exported.path):
        report = linexport.verify(path, reference=reference, probe_rows=64)
        assert report.verdict == "consistent", report.failures


def test_a_reference_may_be_folded(estimator, tmp_path):
    """The intercept of the file is a sum of rounded products, of which the reference has none."""
    path = tmp_path / "sk.onnx"
    proto = to_onnx(estimator, np.zeros((1, 3), np.float32))
    onnx.save(proto, path)
    weight, bias = raw_coefficients(linexport.read_model(estimator).model)
    report = linexport.verify(path, reference={"weight": weight, "bias": bias}, probe_rows=64)
    assert (report.verdict, report.form) == ("consistent", "own"), report.failures
    for other in (
        {"weight": weight * (1 + 1e-6), "bias": bias},
        {"weight": weight, "bias": bias + 1e-4},
    ):
        assert linexport.verify(path, reference=other, probe_rows=64).verdict == "disagrees"


@pytest.mark.parametrize("place", [0, 1, 2], ids=["mean", "weight", "bias"])
def test_a_number_that_is_off_by_an_ulp_is_found(place, tmp_path):
    random = np.random.default_rng(5)
    x = random.normal(30, 3, size=(100, 3))
    estimator = PLSRegression(2).fit(x, x @ random.normal(size=(3, 2)))
    proto = to_onnx(estimator, np.zeros((1, 3), np.float32))
    tensor = proto.graph.initializer[place]
    numbers = numpy_helper.to_array(tensor).copy()
    numbers.flat[0] = np.nextafter(numbers.flat[0], np.float32(np.inf))
    tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))
    path = tmp_path / "sk.onnx"
    onnx.save(proto, path)
    assert linexport.verify(path, reference=estimator, probe_rows=64).verdict == "disagrees"
