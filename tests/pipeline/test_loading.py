"""linexport.load: a bundle or an ONNX file, for predicting in Python."""

import os
import pickle
import shutil
from fractions import Fraction

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import linexport
from linexport import ExportConfig
from linexport.errors import (
    ArtifactError,
    BundleError,
    ConfigError,
    DataError,
    ExtrapolationWarning,
    UnavailableError,
)

NAMES = ["area", "rooms", "floor, from the ground"]
ROWS = [[64.0, 3.0, 2.0], [20.5, 1.0, -1.0], [199.0, 9.0, 0.0]]


@pytest.fixture(params=["bundle", "onnx"])
def predictor(request, bundle):
    return linexport.load(bundle if request.param == "bundle" else bundle / "model.onnx")


def shuffled_frame() -> pl.DataFrame:
    frame = pl.DataFrame(ROWS, schema=NAMES, orient="row")
    return frame.select([NAMES[2], NAMES[0], pl.lit("x").alias("note"), NAMES[1]])


INPUTS = {
    "list": ROWS,
    "float32": np.array(ROWS, np.float32),
    "float64": np.array(ROWS),
    "column-major": np.asfortranarray(ROWS),
    "every second row": np.repeat(np.array(ROWS), 2, axis=0)[::2],
    "tensor": torch.tensor(ROWS),
    "tensor that needs gradients": torch.tensor(ROWS, requires_grad=True),
    "polars": shuffled_frame(),
    "pandas": shuffled_frame().to_pandas(),
    "pyarrow": shuffled_frame().to_arrow(),
    "mapping": {name: [row[k] for row in ROWS] for k, name in reversed(list(enumerate(NAMES)))},
}


@pytest.mark.parametrize("kind", INPUTS)
def test_arrays_tensors_and_tables_are_predicted_exactly(predictor, model, exact, kind):
    prediction = predictor.predict(INPUTS[kind])
    assert (prediction.dtype, prediction.shape) == (np.float32, (3, 2))
    assert [[Fraction(y) for y in row] for row in prediction.tolist()] == exact(model, ROWS)


def test_predictions_are_those_of_onnxruntime_bit_for_bit(bundle):
    rows = np.random.default_rng(3).normal(scale=100, size=(1000, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(bundle / "model.onnx")
    (expected,) = session.run(None, {"features": rows})
    for num_threads in (None, 1, 2):
        predictor = linexport.load(bundle, num_threads=num_threads)
        assert predictor.predict(rows).tobytes() == expected.tobytes()


def test_names_units_and_ranges_come_along(predictor, model):
    assert predictor.features == model.features
    assert predictor.targets == model.targets
    assert predictor.feature_names == tuple(NAMES)


def test_a_path_may_be_text(bundle):
    assert linexport.load(str(bundle)).predict([ROWS[0]]).shape == (1, 2)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([1, 2, 3], r"got \(3,\)"),
        (np.zeros((2, 4)), r"must have shape \(rows, 3\), got \(2, 4\)"),
        ([["a", "b", "c"]], "real numbers"),
        ({"area": [1], "rooms": [2]}, "There is no column 'floor, from the ground'"),
        (pa.table({"area": ["x"], "rooms": [1], NAMES[2]: [2]}), "column 'area', row 1: 'x'"),
        (pd.DataFrame({"area": [1.0, None], "rooms": [1, 2], NAMES[2]: [3, 4]}), "row 2"),
        (np.array([[1e39, 1, 1]]), "column 'area', row 1: 1e\\+39 is beyond the range of float32"),
    ],
)
def test_rows_that_do_not_fit_are_refused(predictor, features, said):
    with pytest.raises(DataError, match=said):
        predictor.predict(features)


@pytest.mark.parametrize("num_threads", [0, -1, 1.5, "2"])
def test_threads_are_at_least_one(bundle, num_threads):
    with pytest.raises(ConfigError, match="num_threads must be a whole number of at least 1"):
        linexport.load(bundle, num_threads=num_threads)


def test_more_threads_than_cores_are_not_started(bundle):
    assert linexport.load(bundle, num_threads=10**6).runtime.num_threads == os.cpu_count()


@pytest.mark.parametrize("provider", ["MIGraphXExecutionProvider", "warp"])
def test_a_provider_that_is_not_here_is_not_replaced_by_another(bundle, provider):
    with pytest.raises(UnavailableError, match=f"has no {provider} here"):
        linexport.load(bundle, provider=provider)


def test_rows_outside_the_training_range_are_told_of_if_asked(bundle):
    with pytest.raises(ConfigError, match=r"no training range of 'floor, from the ground', so"):
        linexport.load(bundle, check_range="error")
    with pytest.warns(ExtrapolationWarning, match="'floor, from the ground': not checked"):
        predictor = linexport.load(bundle, check_range="warn")
    assert predictor.predict(np.array(ROWS)).shape == (3, 2)
    with pytest.warns(ExtrapolationWarning, match="column 'rooms', row 1: 99 is outside the train"):
        predictor.predict([[64.0, 99.0, 2.0]])


def test_a_predictor_travels_with_its_options(bundle):
    with pytest.warns(ExtrapolationWarning):
        predictor = linexport.load(bundle, num_threads=1, check_range="warn")
    copy = pickle.loads(pickle.dumps(predictor))
    assert copy.predict(np.array(ROWS)).tolist() == predictor.predict(np.array(ROWS)).tolist()
    assert (copy.features, copy.targets) == (predictor.features, predictor.targets)
    assert (copy.check_range, copy.runtime.num_threads) == ("warn", 1)


def test_a_bundle_without_onnx_says_what_to_do(model, tmp_path):
    linexport.export(model, tmp_path / "b", config=ExportConfig(formats=("torchscript",)))
    with pytest.raises(ArtifactError, match=r"has no model.onnx.*formats=.*'onnx'"):
        linexport.load(tmp_path / "b")


def test_a_bundle_that_was_changed_is_not_loaded(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    data = bytearray((copy / "model.onnx").read_bytes())
    data[-1] ^= 1
    (copy / "model.onnx").write_bytes(data)
    with pytest.raises(BundleError, match=r"model.onnx is not the file"):
        linexport.load(copy)
