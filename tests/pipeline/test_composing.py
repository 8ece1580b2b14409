"""What a verb returns, every verb after it takes."""

import hashlib

import numpy as np
import pytest

import linexport
from linexport import Column, ExportConfig, LeastSquaresConfig, LinearModel
from linexport.errors import ConfigError, ModelError, ParityError

CONFIG = ExportConfig(probe_rows=16)


@pytest.fixture(scope="module")
def fit():
    """A fit to rows that lie far from 0, so that every number of its record is an ordinary one."""
    random = np.random.default_rng(4)
    features = random.normal(50, 9, (200, 2))
    table = {
        "area": features[:, 0].tolist(),
        "age": features[:, 1].tolist(),
        "price": (features @ [3.7, -0.3] + 11 + random.normal(0, 0.1, 200)).tolist(),
    }
    rows = linexport.read_data(table, targets="price", units={"area": "m2", "price": "EUR"})
    return linexport.train(rows, solver=LeastSquaresConfig())


@pytest.fixture(scope="module")
def exported(fit, tmp_path_factory):
    return linexport.export(fit, tmp_path_factory.mktemp("composing") / "first", config=CONFIG)


def same_files(one, other):
    names = {path.name for path in one.path.iterdir()}
    assert names == {path.name for path in other.path.iterdir()}
    return {
        name for name in names if (one.path / name).read_bytes() == (other.path / name).read_bytes()
    }


@pytest.mark.parametrize("given", ["exported", "imported", "fit"])
def test_a_fit_is_exported_alike_from_wherever_it_is_taken(fit, exported, given, tmp_path):
    source = {"exported": exported, "imported": linexport.read_model(fit), "fit": fit}[given]
    again = linexport.export(source, tmp_path / "again", config=CONFIG)
    assert len(same_files(exported, again)) == 6
    assert again.fit is (None if given == "imported" else fit)


@pytest.mark.parametrize("given", [linexport.read_bundle, str])
def test_a_bundle_keeps_its_names_its_record_and_what_it_lost(exported, given, tmp_path):
    config = ExportConfig(formats=("onnx",), dtype="float64", probe_rows=16)
    again = linexport.export(given(exported.path), tmp_path / "again", config=config)
    assert again.record == exported.record
    assert again.record.metrics["training"]["price"].rmse > 0
    assert again.model.features == exported.model.features
    assert again.model.targets == exported.model.targets
    assert again.model.features[0].unit == "m2"
    assert linexport.verify(again).verdict == "proven"
    first, second = exported.error_budget["price"], again.error_budget["price"]
    assert second.fit == first.fit
    # float64 holds the bundle's float32 numbers exactly, but these had left the fit's.
    assert 0 < first.export == pytest.approx(second.export, rel=1e-6)
    assert second.runtime < first.runtime / 1e6
    assert second.inputs == 0 < first.inputs


def test_the_digits_of_a_fit_are_there_as_long_as_it_is(exported, tmp_path):
    """What was exported knows what it was before it was rounded."""
    config = ExportConfig(dtype="float64", probe_rows=16)
    again = linexport.export(exported, tmp_path / "again", config=config)
    assert again.error_budget["price"].export < exported.error_budget["price"].export / 1e6


def test_a_model_from_elsewhere_keeps_its_source_and_may_be_named_late(tmp_path):
    imported = linexport.read_model({"weight": [2.0, -3.4], "bias": 4.2})
    first = linexport.export(imported, tmp_path / "a", config=CONFIG)
    assert first.record.settings == {"source": "arrays"}
    named = [Column(name="area", unit="m2"), "age"]
    second = linexport.export(first, tmp_path / "b", config=CONFIG, features=named)
    assert second.model.feature_names == ("area", "age")
    assert second.record.settings == {"source": "arrays"}
    with pytest.raises(ModelError, match="names its features 'area', 'age'"):
        linexport.export(second, tmp_path / "c", features=["a", "b"])


def test_every_verb_takes_a_bundle_in_whichever_guise(exported):
    rows = np.array([[50.0, 60.0], [70.0, 40.0]], np.float32)
    expected = linexport.load(exported.path).predict(rows)
    for given in (exported, linexport.read_bundle(exported), exported.path, str(exported.path)):
        assert linexport.verify(given, probe_rows=16).passed
        assert linexport.inspect(given).manifest == exported.manifest
        assert linexport.load(given).predict(rows).tolist() == expected.tolist()


def test_predictions_are_written_by_what_was_exported(exported, tmp_path):
    table = {"area": [50.0, 70.0], "age": [60.0, 40.0]}
    for number, given in enumerate((exported, linexport.read_bundle(exported))):
        linexport.predict_table(given, table, tmp_path / f"{number}.csv")
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


def test_a_bundle_is_what_it_was_when_it_was_read(fit, tmp_path):
    read = linexport.read_bundle(linexport.export(fit, tmp_path / "b", config=CONFIG))
    other = LinearModel(weight=np.ones((1, 2)), bias=np.ones(1))
    linexport.export(other, tmp_path / "b", config=CONFIG, overwrite=True)
    digest = hashlib.sha256(read.read("model.onnx")).hexdigest()
    assert linexport.verify(read, probe_rows=16).artifacts["model.onnx"] == digest


@pytest.mark.parametrize("kind", ["exported", "bundle", "model", "imported", "arrays", "path"])
def test_a_reference_is_whatever_states_a_model(exported, kind):
    reference = {
        "exported": exported,
        "bundle": linexport.read_bundle(exported),
        "model": exported.model,
        "imported": linexport.read_model(exported.path),
        "arrays": exported.model.arrays(),
        "path": exported.path / "weights.safetensors",
    }[kind]
    artifact = exported.path / "model.onnx"
    report = linexport.verify(artifact, reference=reference, probe_rows=16)
    assert (report.verdict, report.notes) == ("proven", ())


@pytest.mark.parametrize("name", ["model.onnx", "model.pt"])
@pytest.mark.parametrize("form", ["folded", "auto"])
def test_a_fit_is_the_reference_of_what_became_of_it(fit, tmp_path, form, name):
    config = ExportConfig(form=form, probe_rows=16)
    exported = linexport.export(fit, tmp_path / "bundle", config=config)
    report = linexport.verify(exported.path / name, reference=fit, probe_rows=16)
    assert (report.verdict, report.form) == ("proven", exported.model.form)
    assert report.notes[0] == "The float64 reference was rounded to float32."
    folded = exported.model.form != fit.model.form
    assert report.notes[1:] == ("The reference was folded, as the artifact is.",) * folded


@pytest.mark.parametrize("verb", [linexport.verify, linexport.inspect, linexport.load])
def test_what_is_neither_a_bundle_nor_a_path_is_said(verb, exported):
    with pytest.raises(ConfigError, match="LinearModel is neither a bundle nor a path"):
        verb(exported.model)


def test_what_was_not_written_says_why_wherever_it_is_used(exported):
    import dataclasses

    report = dataclasses.replace(exported.certificate, verdict="disagrees")
    failed = dataclasses.replace(exported, path=None, certificate=report)
    with pytest.raises(ParityError):
        linexport.verify(failed)
