"""Bundles with a file that takes a table's columns: proven, verified later, by itself, changed."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest

import linexport
from linexport.errors import ArtifactError, ConfigError

FILE = "model-columns.onnx"


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    random = np.random.default_rng(5)
    n = 120
    kind = random.choice(["flat", "house", "villa"], n)
    area = random.uniform(30, 200, n).round(1)
    price = 50 + 2 * area + 30 * (kind == "house") + random.normal(0, 3, n)
    gaps = pl.Series(random.random(n) < 0.1)
    return pl.DataFrame({"kind": kind, "area": area, "price": price}).with_columns(
        area=pl.when(gaps).then(None).otherwise(pl.col("area"))
    )


def exported(table: pl.DataFrame, path: Path, **settings) -> linexport.Exported:
    rows = linexport.read_data(
        table, targets="price", categorical="auto", missing="mean", missing_indicator=True
    )
    config = linexport.ExportConfig(formats=("onnx", "onnx-columns"), probe_rows=64, **settings)
    return linexport.export(linexport.train(rows), path, config=config)


@pytest.fixture(scope="module")
def bundle(table, tmp_path_factory) -> Path:
    done = exported(table, tmp_path_factory.mktemp("columns") / "bundle")
    assert done.certificate.verdict == "proven"
    assert done.path is not None
    return done.path


def test_both_files_are_proven_by_their_own_questions(bundle):
    certificate = linexport.verify(bundle, probe_rows=64)
    assert certificate.verdict == "proven"
    assert set(certificate.artifacts) == {"model.onnx", FILE}
    asked = {each.name for each in certificate.runtimes if each.structure == "matches"}
    assert {"pytorch", "onnxruntime", "onnxruntime from table columns"} <= asked
    assert {"two levels swapped", "bias dropped"} <= {c.name for c in certificate.canaries}
    said = {each.source: each.states for each in certificate.statements}
    assert "encoding" in said["model.onnx"]
    assert "encoding" in said[FILE]


def test_it_predicts_what_the_predictor_does(bundle, table):
    session = onnxruntime.InferenceSession(bundle / FILE)
    rows = table.drop("price")
    (ours,) = session.run(
        None,
        {
            "kind": rows["kind"].to_numpy().astype(object)[:, None],
            "area": rows["area"].to_numpy().astype(np.float32)[:, None],
        },
    )
    theirs = linexport.load(bundle).predict(rows)
    # Each is within the bound of the exact number: at most two bounds apart.
    manifest = json.loads((bundle / "manifest.json").read_text())
    apart = 2 * manifest["error_budget"]["price"]["runtime"]
    assert np.abs(ours.astype(np.float64) - theirs).max() <= apart


@pytest.mark.parametrize("settings", [{}, {"dtype": "float64"}, {"accumulate": "float64"}], ids=str)
def test_the_file_by_itself_is_held_against_a_reference(table, tmp_path, bundle, settings):
    written = exported(table, tmp_path / "other", **settings)
    for reference in (tmp_path / "other", written.fit):
        alone = linexport.verify(tmp_path / "other" / FILE, reference=reference, probe_rows=64)
        assert (alone.verdict, alone.failures) == ("proven", ())


def test_a_reference_that_states_no_encoding_is_compared_by_its_numbers(bundle, tmp_path):
    model = linexport.read_bundle(bundle).model
    unnamed = linexport.LinearModel(weight=model.weight, bias=model.bias)
    for name in ("model.onnx", FILE):
        for reference in (model, unnamed):
            alone = linexport.verify(bundle / name, reference=reference, probe_rows=64)
            assert (alone.verdict, alone.failures) == ("proven", ())
        wrong = linexport.LinearModel(
            weight=model.weight * np.float32(1.001), bias=model.bias, features=model.features
        )
        other = linexport.verify(bundle / name, reference=wrong, probe_rows=64)
        assert other.verdict == "disagrees"


def test_a_reference_of_another_encoding_disagrees(table, tmp_path, bundle):
    swapped = table.with_columns(kind=pl.col("kind").replace({"flat": "house", "house": "flat"}))
    exported(swapped, tmp_path / "swapped")
    report = linexport.verify(tmp_path / "swapped" / FILE, reference=bundle, probe_rows=64)
    assert report.verdict == "disagrees"
    with pytest.raises(ConfigError, match="needs the model to compare it with"):
        linexport.verify(bundle / FILE)


def test_a_file_that_was_changed_disagrees(bundle, tmp_path):
    proto = onnx.load(bundle / FILE)
    encoder = next(node for node in proto.graph.node if node.op_type == "LabelEncoder")
    for attribute in encoder.attribute:
        if attribute.name == "values_int64s":
            attribute.ints[0], attribute.ints[1] = attribute.ints[1], attribute.ints[0]
    onnx.save(proto, tmp_path / FILE)
    report = linexport.verify(tmp_path / FILE, reference=bundle, probe_rows=64)
    assert report.verdict == "disagrees"
    assert "of the probe 'every cell'" in report.failures[0]
    onnx.save(proto, tmp_path / "renamed.onnx")  # taken for a graph of features, which it is not
    renamed = linexport.verify(tmp_path / "renamed.onnx", reference=bundle)
    assert renamed.verdict == "not checked"
    assert "call a file of format onnx-columns model-columns.onnx" in str(renamed.not_checked)


def test_a_damaged_file_is_refused_in_a_line(bundle, tmp_path):
    data = (bundle / FILE).read_bytes()
    for damaged in (b"", data[:200], data.replace(b'"levels"', b'"lovels"')):
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(ArtifactError):
            linexport.verify(tmp_path / FILE, reference=bundle).require()


def test_a_table_of_numbers_may_be_written_so(tmp_path):
    model = linexport.LinearModel(weight=np.array([[1.5, -2.0]]), bias=np.array([0.25]))
    config = linexport.ExportConfig(formats=("onnx-columns",), dtype="float64", probe_rows=64)
    done = linexport.export(model, tmp_path / "bundle", config=config)
    assert done.certificate.verdict == "proven"
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / FILE)
    (prediction,) = session.run(None, {"x1": np.array([[2.0]]), "x2": np.array([[1.0]])})
    assert prediction.tolist() == [[1.25]]
    with pytest.raises(ArtifactError, match=r"no model\.onnx, which predicting needs"):
        linexport.load(tmp_path / "bundle")


def test_the_card_shows_it_and_it_can_be_inspected(bundle):
    card = (bundle / "README.md").read_text()
    example = card.split("## By columns")[1].split("```python\n")[1].split("```")[0]
    assert "'kind': numpy.array([['flat']], object)" in example
    found = {}
    exec(example.replace(f"'{FILE}'", repr(str(bundle / FILE))), found)
    assert found["prediction"].shape == (1, 1)
    summary = linexport.inspect(bundle / FILE)
    assert summary.inputs == {"kind": "string [batch, 1]", "area": "float32 [batch, 1]"}
    assert summary.encoding == linexport.read_bundle(bundle).manifest.encoding
    assert summary.encoding == linexport.inspect(bundle / "model.onnx").encoding
    assert [column.name for column in summary.features][:2] == ["kind[house]", "kind[villa]"]


@pytest.mark.parametrize("name", ["model.onnx", FILE])
def test_a_file_is_a_source_of_the_model_and_its_encoding(bundle, tmp_path, name):
    whole, alone = linexport.read_model(bundle), linexport.read_model(bundle / name)
    assert alone.encoding == whole.encoding
    assert alone.model.features == whole.model.features
    assert alone.model.targets == whole.model.targets
    for array, same in zip(
        alone.model.arrays().values(), whole.model.arrays().values(), strict=True
    ):
        np.testing.assert_array_equal(array, same)
    config = linexport.ExportConfig(formats=("onnx", "onnx-columns"), probe_rows=64)
    again = linexport.export(bundle / name, tmp_path / "again", config=config)
    assert again.certificate.verdict == "proven"
    assert again.manifest is not None
    assert again.manifest.encoding == whole.encoding
    for other in ("model.onnx", FILE):
        report = linexport.verify(
            tmp_path / "again" / other, reference=bundle / name, probe_rows=64
        )
        assert report.verdict == "proven"


def test_a_file_whose_encoding_makes_other_features_is_refused(bundle, tmp_path):
    proto = onnx.load(bundle / "model.onnx")
    for entry in proto.metadata_props:
        if entry.key == "linexport.encoding":
            entry.value = entry.value.replace("house", "castle")
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(ArtifactError, match="makes other features"):
        linexport.read_model(tmp_path / "model.onnx")
