"""Whether rounding is small beside what a model explains: chosen, judged, and said everywhere."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import linexport
from linexport import AssumedRangeWarning, CoarseWarning, Column, ExportConfig, LinearModel
from linexport.errors import DataError, ModelError, ParityError
from linexport.pipeline import _serve
from linexport.serving import ServeConfig
from linexport.serving._routes import _metadata

QUICK = {"formats": ("onnx",), "probe_rows": 16}
SECONDS = 1.7e9 + 60.0 * np.arange(100)
READINGS = 3.0 * np.arange(100) + 5.0


def exported(source, path, **settings):
    return linexport.export(source, path, config=ExportConfig(**QUICK, **settings))


def precision(done):
    return done.model.dtype.name, done.model.accumulate.name


@pytest.fixture
def clock():
    """It answers seconds since the middle of November 2023."""
    return LinearModel(
        weight=np.ones((1, 1)), bias=np.array([-1.7e9]), features=(Column(name="ts"),)
    )


def test_unix_seconds_are_predicted_in_float64(clock, tmp_path):
    done = exported(clock, tmp_path / "imported")
    assert (done.certificate.verdict, *precision(done)) == ("proven", "float64", "float64")
    assert linexport.load(done.path).predict([[1700000123.0]]).tolist() == [[123.0]]
    for name, source in {
        "elsewhere": LinearRegression().fit(SECONDS[:, None], READINGS),
        "here": linexport.train(SECONDS[:, None], READINGS, solver="lstsq"),
    }.items():
        done = exported(source, tmp_path / name)
        assert precision(done) == ("float64", "float64")
        predicted = linexport.load(done.path).predict(SECONDS[:4, None])
        assert np.round(predicted.ravel(), 5).tolist() == [5, 8, 11, 14]


def test_a_scaler_around_a_large_mean_is_predicted_in_float64(tmp_path):
    random = np.random.default_rng(0)
    features = np.column_stack([1e9 + random.uniform(-5, 5, 200), random.normal(size=200)])
    target = features[:, 0] - 1e9 + features[:, 1]
    model = make_pipeline(StandardScaler(), Ridge(1e-3)).fit(features, target)
    done = exported(model, tmp_path / "bundle")
    assert precision(done) == ("float64", "float64")
    predicted = linexport.load(done.path).predict(features).ravel()
    assert np.abs(predicted - model.predict(features)).max() < 1e-5


def test_what_overflows_is_told_of_float64_only_where_that_helps(tmp_path):
    def refusal(weight, **settings):
        with pytest.raises(ModelError) as told:
            exported({"weight": np.array([[weight]])}, tmp_path / "b", **settings)
        return str(told.value).partition("range: ")[2]

    assert refusal(1.7e308) == "use other units."
    narrow = refusal(1e38, dtype="float32")
    assert narrow == "use config=ExportConfig(dtype='float64'), or other units."


@pytest.mark.parametrize("spacing", [1_000, 60_000_000_000])
def test_integers_beyond_float64_are_too_coarse_where_their_rounding_shows(tmp_path, spacing):
    """Near 1.7e18 float64 has every 256th integer."""
    rows = {"ns": 1_700_000_000_000_000_000 + spacing * np.arange(200), "y": 2.0 * np.arange(200)}
    rows["y"] += np.random.default_rng(0).normal(size=200)
    polars = pytest.importorskip("polars")
    polars.DataFrame(rows).write_parquet(tmp_path / "ns.parquet")
    table = linexport.read_data(tmp_path / "ns.parquet", targets="y")
    done = exported(linexport.train(table), tmp_path / "bundle")
    assert precision(done) == ("float64", "float64")
    assert done.certificate.verdict == ("too coarse" if spacing == 1_000 else "proven")
    assert (done.path is None) == (spacing == 1_000)


def test_what_is_not_written_leaves_a_warning_and_what_was_there(tmp_path):
    """Who goes on with the name alone is not to take the older bundle for the new one."""
    model = {"intercept": 1.0, "coefficients": {"x": 2.0}}
    linexport.export(model, tmp_path / "b", config=ExportConfig(**QUICK))
    with pytest.warns(linexport.NotWrittenWarning, match=r"written to .*b: .* 'too coarse'; what"):
        done = linexport.export(
            model | {"intercept": 2.0**53},
            tmp_path / "b",
            overwrite=True,
            config=ExportConfig(**QUICK),
        )
    assert done.path is None
    assert linexport.load(tmp_path / "b").predict([[1.0]]).item() == 3.0


def test_the_textbook_stays_float32_with_a_plain_sum(tmp_path):
    done = linexport.train_and_export(
        linexport.read_data(), tmp_path / "b", config=ExportConfig(**QUICK)
    )
    assert precision(done) == ("float32", "float32")
    (fitness,) = done.manifest.fitness.values()
    assert (fitness.limit_of, fitness.good_enough) == ("residuals", True)
    assert done.manifest.assumed_ranges == {}


@pytest.mark.parametrize(
    ("noise", "forced", "verdict", "chosen"),
    [
        (1.0, {}, "proven", ("float32", "float32")),
        (0.1, {}, "proven", ("float32", "float64")),
        (1.0, {"dtype": "float32", "accumulate": "float32"}, "proven", ("float32", "float32")),
        (0.1, {"dtype": "float32", "accumulate": "float32"}, "too coarse", ("float32", "float32")),
    ],
)
def test_a_wide_model_is_judged_by_what_grows_with_the_root(
    tmp_path, noise, forced, verdict, chosen
):
    """1,000 standard normal features; the worst case would be off by 0.2."""
    random = np.random.default_rng(0)
    model = LinearModel(
        weight=random.normal(size=(1, 1000)),
        bias=np.zeros(1),
        features=tuple(
            Column(name=f"f{k}", minimum=-4.0, maximum=4.0, mean=0.0, standard_deviation=1.0)
            for k in range(1000)
        ),
    )
    metrics = linexport.Metrics(rows=2000, rmse=noise, mae=None, r2=None)
    record = linexport.FitRecord(
        solver="imported",
        rows=0,
        metrics={"training": {"y": metrics}},
    )
    origin = linexport.read_model(model)
    origin = type(origin)(model=origin.model, source="test", record=record)
    from linexport.pipeline._precision import to_write

    written = to_write(origin, record, ExportConfig(**QUICK, **forced))
    assert (written.model.dtype.name, written.model.accumulate.name) == chosen
    assert written.good_enough == (verdict == "proven")


@pytest.mark.parametrize("bias", [0.0, 0.1, 1e9])
def test_a_constant_is_judged_by_its_size(tmp_path, bias):
    done = exported(LinearModel(weight=np.zeros((1, 2)), bias=np.array([bias])), tmp_path / "b")
    assert (done.certificate.verdict, *precision(done)) == ("proven", "float32", "float32")


@pytest.mark.parametrize("bias", [5e-324, 1e-323, 1e-320])
def test_a_constant_of_the_smallest_numbers_has_a_fitness(tmp_path, bias):
    """A 10,000th of it is 0 in float64, of which nothing is a part."""
    model = LinearModel(weight=np.zeros((1, 2)), bias=np.array([bias]))
    done = linexport.export(model, tmp_path / "bundle")
    assert done.certificate.verdict != "disagrees"
    (fitness,) = done.manifest.fitness.values()
    assert fitness.limit > 0


def test_a_constant_with_residuals_is_judged_by_them(tmp_path):
    random = np.random.default_rng(0)
    fit = linexport.train(random.normal(size=(50, 1)), 1e9 + random.normal(size=50), solver="lstsq")
    assert precision(exported(fit, tmp_path / "b")) == ("float64", "float64")


def test_an_exact_fit_is_judged_by_its_spread(tmp_path):
    celsius = np.arange(100.0)
    fit = linexport.train(celsius[:, None], 1.8 * celsius + 32, solver="lstsq")
    done = exported(fit, tmp_path / "b")
    assert precision(done) == ("float32", "float32")
    assert done.manifest.fitness["y"].limit_of == "spread"


@pytest.mark.parametrize(
    ("slope", "chosen"), [(1e-46, "float64"), (5e-324, "float64"), (0.0, "float32")]
)
def test_what_is_nearly_nothing_is_not_taken_for_nothing(tmp_path, slope, chosen):
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"intercept": 0, "coefficients": {"x": slope}}))
    with pytest.warns(AssumedRangeWarning):
        done = linexport.export(linexport.read_model(path), tmp_path / "b")
    assert precision(done)[0] == chosen


def test_what_is_forced_and_too_coarse_is_written_only_if_accepted(clock, tmp_path):
    done = exported(clock, tmp_path / "b", dtype="float32", accumulate="float32")
    assert (done.certificate.verdict, done.path, list(tmp_path.iterdir())) == (
        "too coarse",
        None,
        [],
    )
    with pytest.raises(ParityError, match="float32 is too coarse, rounding may move 'y' by"):
        done.certificate.require()
    done = exported(clock, tmp_path / "b", dtype="float32", accept_coarse=True)
    done.certificate.require()
    manifest = json.loads((done.path / "manifest.json").read_text())
    assert manifest["fitness"]["y"]["good_enough"] is False
    assert json.loads((done.path / "parity.json").read_text())["verdict"] == "too coarse"
    assert "Parity: proven, but too coarse:" in (done.path / "README.md").read_text()
    with pytest.warns(CoarseWarning, match="too coarse, and was accepted so"):
        linexport.load(done.path)
    served = _serve._Source(done.path, ServeConfig()).load()
    assert _metadata(served)["parameters"] == {"too_coarse": done.manifest.coarse}
    assert linexport.verify(done.path, probe_rows=16).passed is False
    again = linexport.verify(done.path, probe_rows=16, accept_coarse=True)
    assert (again.verdict, again.passed) == ("too coarse", True)


@pytest.mark.parametrize("kind", ["array", "tensor", "frame"])
def test_the_rows_trained_on_take_the_place_of_ranges_that_are_assumed(tmp_path, kind):
    """Arrays and tensors are of the features in their order; a frame has them by name."""
    rows = np.array([[1.0, 20.0], [3.0, -5.0], [2.0, 0.0]])
    frame = pd.DataFrame(rows, columns=["x1", "x2"])
    seen = {"array": rows, "tensor": torch.tensor(rows), "frame": frame}[kind]
    source = {"weight": [[2.0, -3.4]], "bias": [4.2]}
    with pytest.warns(AssumedRangeWarning, match=r"ranges=\.\.\. takes them from the training"):
        linexport.export(source, tmp_path / "assumed")
    done = linexport.export(source, tmp_path / "known", ranges=seen)
    assert [(c.minimum, c.maximum) for c in done.manifest.features] == [(1.0, 3.0), (-5.0, 20.0)]
    assert done.warnings == ()
    with pytest.raises(DataError, match=r"ranges has 1 columns; the features are 'x1', 'x2'\."):
        linexport.export(source, tmp_path / "few", ranges=rows[:, :1])


def test_a_range_that_is_assumed_is_said_to_be(clock, tmp_path):
    with pytest.warns(AssumedRangeWarning, match=r"The range of 'ts' \(-4 to 4\) is assumed"):
        done = exported(clock, tmp_path / "b")
    assert done.manifest.assumed_ranges == {"ts": (-4.0, 4.0)}
    assert "4 standard deviations around the mean are assumed" in (
        done.path / "README.md"
    ).read_text().replace("\n", " ")
