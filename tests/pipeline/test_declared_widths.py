"""linexport.verify on files that declare another number of predictions than they make."""

import numpy as np
import onnx
import pytest
from skl2onnx import to_onnx
from sklearn.cross_decomposition import PLSRegression

import linexport
from linexport.errors import ConfigError


@pytest.fixture(scope="module")
def estimator():
    random = np.random.default_rng(4)
    x = random.normal(size=(100, 3))
    return PLSRegression(2).fit(x, x @ random.normal(size=(3, 2)))


def test_a_regression_of_two_targets_that_declares_three_agrees(estimator, tmp_path):
    """What skl2onnx declares is the number of features."""
    path = tmp_path / "pls.onnx"
    proto = to_onnx(estimator, np.zeros((1, 3), np.float32))
    (declared,) = proto.graph.output
    assert declared.type.tensor_type.shape.dim[1].dim_value == 3
    onnx.save(proto, path)
    report = linexport.verify(path, reference=estimator, probe_rows=64)
    assert (report.verdict, report.num_targets) == ("consistent", 2), report.failures
    other = {"weight": np.ones((3, 3)), "bias": np.zeros(3)}
    said = "has 3 features and 2 targets, the reference 3 features and 3 targets"
    with pytest.raises(ConfigError, match=said):
        linexport.verify(path, reference=other, probe_rows=64)


def test_a_file_that_declares_no_width_is_known_by_what_it_makes(estimator, tmp_path):
    path = tmp_path / "pls.onnx"
    proto = to_onnx(estimator, np.zeros((1, 3), np.float32))
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, path)
    with pytest.raises(ConfigError, match="has 3 features and 2 targets"):
        linexport.verify(path, reference={"weight": np.ones((1, 3))}, probe_rows=64)
