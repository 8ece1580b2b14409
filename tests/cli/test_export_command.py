"""linexport export: a file in, a proven bundle out."""

import json

import numpy as np
import onnxruntime
import polars as pl
import pytest
import torch

FIT = '{"intercept": 4.25, "coefficients": {"x1": 2.0, "x2": -3.5}}'


@pytest.fixture
def fit(tmp_path):
    path = tmp_path / "fit.json"
    path.write_text(FIT)
    return path


def test_coefficients_become_a_bundle_that_predicts_them(run, tmp_path, fit):
    outcome = run("export", fit, "-o", tmp_path / "bundle")
    assert outcome.status == 0
    assert outcome.errors.startswith("warning: The ranges of 'x1' (-4 to 4), 'x2' (-4 to 4) are")
    lines = outcome.output.splitlines()
    assert lines[0] == "Coefficients of 'y' (imported from named coefficients)"
    assert lines[-3].startswith("proven: 4 runtimes, run in ")
    assert lines[-2] == f"Bundle: {tmp_path / 'bundle'}"
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / "model.onnx")
    (prediction,) = session.run(None, {"features": np.array([[1, 2], [0.5, 0]], np.float32)})
    assert prediction.tolist() == [[-0.75], [5.25]]


def test_the_options_are_those_of_the_main_job(run, tmp_path, fit):
    outcome = run(
        "export", fit, "-o", tmp_path / "bundle", "--dtype", "float64", "--format", "onnx",
        "--opset", 17, "--ir-version", 8, "--json",
    )  # fmt: skip
    document = json.loads(outcome.output)
    assert (document["verdict"], document["dtype"]) == ("proven", "float64")
    assert document["settings"] == {"source": "named coefficients"}
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == {
        "README.md", "manifest.json", "model.onnx", "parity.json", "weights.safetensors",
    }  # fmt: skip
    again = run("export", fit, "-o", tmp_path / "bundle")
    assert (again.status, again.output) == (3, "")
    assert "--overwrite" in again.only_error
    assert run("export", fit, "-o", tmp_path / "bundle", "--overwrite", "-q").status == 0


def test_names_are_given_where_the_source_has_none(run, tmp_path):
    path = tmp_path / "linear.pt"
    torch.save(torch.nn.Linear(3, 1).state_dict(), path)
    names = ("--features", "area,age", "--features", "floor", "--target", "rent")
    outcome = run("export", path, "-o", tmp_path / "bundle", *names, "--json")
    (target,) = json.loads(outcome.output)["coefficients"].items()
    assert target[0] == "rent"
    assert list(target[1]["features"]) == ["area", "age", "floor"]


def test_the_error_budget_holds_over_the_range_that_is_given(run, tmp_path, fit):
    table = tmp_path / "seen.parquet"
    frame = pl.DataFrame({"x2": [1000.0, None, -2000.0], "extra": ["a", "b", "c"], "x1": [1, 2, 3]})
    frame.write_parquet(table)
    wide = json.loads(run("export", fit, "-o", tmp_path / "a", "--json", "--ranges", table).output)
    assumed = json.loads(run("export", fit, "-o", tmp_path / "b", "--json").output)
    columns = json.loads((tmp_path / "a" / "manifest.json").read_text())["features"]
    assert [(c["minimum"], c["maximum"]) for c in columns] == [(1, 3), (-2000, 1000)]
    assert wide["error_budget"]["y"]["total"] > 100 * assumed["error_budget"]["y"]["total"]
    frame.drop("x1").write_parquet(table)
    outcome = run("export", fit, "-o", tmp_path / "c", "--ranges", table)
    assert outcome.status == 3
    assert "x1" in outcome.only_error
    frame.with_columns(x1=pl.lit(None, pl.Float64)).write_parquet(table)
    outcome = run("export", fit, "-o", tmp_path / "c", "--ranges", table)
    assert "column 'x1': there is no number, so no range." in outcome.only_error


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.pkl", b"\x80\x04.", "loading a pickled object runs the code in it"),
        ("model.joblib", b"", "pass the model itself to linexport.export"),
        ("model.txt", b"", "the suffix does not say what it holds"),
        ("fit.json", b'{"intercept": 1}', "There are no 'coefficients': write"),
        ("model.onnx", b"no", "not an ONNX file"),
        ("model.safetensors", b"no", "The safetensors file is damaged"),
        ("model.pt", b"no", "not a file of tensors and plain values alone"),
    ],
)
def test_what_cannot_be_taken_is_one_line_and_status_3(run, tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    outcome = run("export", path, "-o", tmp_path / "bundle")
    assert outcome.status == 3
    assert outcome.only_error.startswith(f"error: {path}: ")
    assert said in outcome.only_error
    assert not (tmp_path / "bundle").exists()


def test_names_that_are_not_the_sources_are_refused(run, tmp_path, fit):
    outcome = run("export", fit, "-o", tmp_path / "bundle", "--features", "x2,x1")
    assert outcome.status == 3
    assert "names its features 'x1', 'x2', not 'x2', 'x1'" in outcome.only_error


def test_the_output_must_be_named(run, fit):
    misused = run("export", fit)
    assert misused.status == 2
    assert "Missing option '-o' / '--output'." in misused.errors


def test_help_says_what_is_taken(run):
    output = run("export", "--help").output
    assert all(suffix in output for suffix in (".json", ".safetensors", ".onnx", ".pt"))


def test_the_sum_is_taken_in_float64_where_asked(run, fit, tmp_path):
    bundle = tmp_path / "bundle"
    run("export", fit, "-o", bundle, "--accumulate", "float64", "--quiet")
    inspected = run("inspect", bundle)
    assert inspected.status == 0
    assert " float32 linear model, sum in float64: " in inspected.output.splitlines()[0]
    again = run("verify", "--json", "--reference", bundle, bundle / "model.onnx")
    assert json.loads(again.output)["accumulate"] == "float64"
    assert again.status == 0


def test_a_sum_in_fewer_digits_than_the_result_is_misuse(run, fit, tmp_path):
    narrow = "--dtype", "float64", "--accumulate", "float32"
    refused = run("export", fit, "-o", tmp_path / "bundle", *narrow)
    assert refused.status == 2
    assert "A float64 model takes its sum in float64" in refused.errors
    assert not (tmp_path / "bundle").exists()
