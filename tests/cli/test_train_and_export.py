"""The main job, from the command line to the files."""

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import msgspec
import numpy as np
import onnxruntime
import polars as pl
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

import linexport
from linexport import CoarseWarning

BUNDLE_FILES = {
    "README.md", "manifest.json", "model.onnx", "model.pt", "parity.json", "weights.safetensors",
}  # fmt: skip


def read_json(path):
    return json.loads(path.read_text())


def test_the_default_job_prints_what_the_textbook_prints_and_its_proof(run, tmp_path):
    outcome = run("train-and-export", "--verbose", "--output", tmp_path / "bundle")
    assert outcome.status == 0
    assert re.fullmatch(
        r"warning: The fit of 'y' ended \d\.\d standard errors from the least-squares optimum\. "
        r"Take more epochs at .*, or use --solver lstsq\.\n",
        outcome.errors,
    )
    lines = outcome.output.splitlines()
    losses = [re.fullmatch(r"epoch (\d), loss (\d\.\d{6})", line) for line in lines[:3]]
    assert [match and match[1] for match in losses] == ["1", "2", "3"]
    assert "Module: Linear(in_features=2, out_features=1, bias=True)" in lines
    assert "Gradients of minibatch 100 of epoch 3, 10 rows" in lines
    assert any(line.startswith("  weight, shape (1, 2), in target times") for line in lines)
    assert re.search(r"x1 +\d\.\d+ +2 +-?\d\.\d\de-\d\d", outcome.output)
    assert re.fullmatch(
        r"proven: 4 runtimes, run in \d+ ways, predict what the model means, within rounding, for "
        r"every finite input",
        lines[-3],
    )
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == BUNDLE_FILES


def test_the_default_report_is_short_and_in_words(run, tmp_path):
    lines = run("train-and-export", "--output", tmp_path / "the bundle").output.splitlines()
    assert [line.split(",")[0] for line in lines[:3]] == ["epoch 1", "epoch 2", "epoch 3"]
    assert lines[3] == "Coefficients of 'y' (sgd, 1000 rows)"
    assert lines[4].split() == ["estimated", "true", "error"]
    assert re.fullmatch(r"  'y' ended within 3\.\d standard errors of the .* optimum", lines[8])
    assert lines[10].split() == [
        "rows",
        "target",
        "count",
        "model",
        "guessing",
        "the",
        "mean",
        "R2",
    ]
    count, model, guess, _ = map(float, lines[11].split()[2:])
    assert (count, model, guess) == (
        1000,
        pytest.approx(0.0099, abs=1e-4),
        pytest.approx(3.9, abs=0.2),
    )
    assert lines[12].startswith(
        "Error budget: in the training range, predictions of 'y' are off the"
    )
    assert lines[12].endswith("most of it from the fit.")
    assert lines[13].startswith("proven: 4 runtimes, run in ")
    path = tmp_path / "the bundle"
    assert lines[14] == f"Bundle: {path}"
    assert lines[15] == (
        f"Next: linexport predict '{path}' TABLE, linexport report '{path}', "
        f"linexport serve '{path}'"
    )
    assert len(lines) == 16
    assert not re.search("probe|canar|folded|worst|bound/", "\n".join(lines))


def test_json_is_one_document_and_nothing_else(run, tmp_path):
    outcome = run("train-and-export", "--json", "--output", tmp_path / "bundle")
    document = json.loads(outcome.output)
    assert outcome.errors.splitlines() == [f"warning: {text}" for text in document["warnings"]]
    assert document["bundle"] == str(tmp_path / "bundle")
    assert document["verdict"] == "proven"
    assert {runtime["verdict"] for runtime in document["runtimes"]} == {"proven"}
    assert all(0 < runtime["worst_fraction"] <= 1 for runtime in document["runtimes"])
    assert document["metrics"]["training"]["y"]["rows"] == 1000
    manifest = read_json(tmp_path / "bundle" / "manifest.json")
    assert document["coefficients"] == manifest["record"]["coefficients"]
    assert set(manifest["record"]["coefficients"]["y"]["features"]) == {"x1", "x2"}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run, tmp_path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        assert run("train-and-export", "-q", "--seed", seed, "-o", tmp_path / name).status == 0
    for file in BUNDLE_FILES:
        first, again, other = (
            (tmp_path / name / file).read_bytes() for name in ("first", "again", "other")
        )
        assert first == again, file
        assert first != other, file


def test_python_gives_the_numbers_of_the_default_job(run, tmp_path):
    assert run("train-and-export", "-q", "--seed", 3, "-o", tmp_path / "bundle").status == 0
    record = read_json(tmp_path / "bundle" / "manifest.json")["record"]
    data, solver = linexport.synthetic_data(seed=3), linexport.SGDConfig(seed=3)
    result = linexport.train(data, solver=solver)
    assert record["losses"] == list(result.losses)
    assert record["coefficients"] == msgspec.to_builtins(result.coefficients)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Real and hard tables: path, targets, and the features in order."""
    folder = tmp_path_factory.mktemp("tables")
    diabetes = load_diabetes(as_frame=True, scaled=False).frame
    diabetes.to_csv(folder / "diabetes.csv", index=False)
    random = np.random.default_rng(3)
    far = pl.DataFrame(
        {"pressure": 1e6 + random.normal(0, 1, 500), "flow": random.normal(0, 1, 500)}
    ).with_columns(
        power=(pl.col("pressure") - 1e6) * 2 - pl.col("flow") + random.normal(0, 0.1, 500)
    )
    far.write_parquet(folder / "far.parquet")
    inputs = random.normal(5, 2, (300, 4))
    outputs = inputs @ random.normal(0, 1, (4, 3)) + random.normal(0, 0.5, (300, 3))
    pl.DataFrame(
        np.hstack([inputs, outputs]), schema=["a", "b", "c", "d", "u", "v", "w"]
    ).write_csv(folder / "three.csv")
    return {
        "diabetes": (folder / "diabetes.csv", ["target"]),
        "far": (folder / "far.parquet", ["power"]),
        "three": (folder / "three.csv", ["u", "v", "w"]),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["diabetes", "far", "three"])
def test_tables_end_proven_and_agree_with_scikit_learn_within_the_error_budget(
    run, tmp_path, tables, name, dtype
):
    path, targets = tables[name]
    options = [option for target in targets for option in ("--target", target)]
    outcome = run(
        "train-and-export", "--data", path, *options, "--dtype", dtype, "--json",
        "--accept-coarse", "-o", tmp_path / "bundle",
    )  # fmt: skip
    assert outcome.status == 0, outcome.errors
    document = json.loads(outcome.output)
    coarse = (name, dtype) == ("far", "float32")
    assert document["verdict"] == ("too coarse" if coarse else "proven")
    frame = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    features = frame.drop(targets).to_numpy().astype(np.float64)
    expected = LinearRegression().fit(features, frame[targets].to_numpy()).predict(features)
    with pytest.warns(CoarseWarning) if coarse else nullcontext():
        predicted = linexport.load(tmp_path / "bundle").predict(features)
    for column, target in enumerate(targets):
        allowed = document["error_budget"][target]["total"]
        # scikit-learn's own rounding, in float64: far below the distance from the optimum.
        slack = 1e-9 * np.abs(expected[:, column]).max()
        assert (np.abs(predicted[:, column] - expected[:, column]) <= allowed + slack).all()
        assert document["optimum"][target]["standard_errors"] <= 0.01


def test_the_mean_is_kept_where_folding_it_would_cost_digits(run, tmp_path, tables):
    path, _ = tables["far"]
    run(
        "train-and-export", "--data", path, "--target", "power", "-q", "-o", tmp_path / "bundle",
        "--dtype", "float32", "--accumulate", "float32", "--accept-coarse",
    )  # fmt: skip
    manifest = read_json(tmp_path / "bundle" / "manifest.json")
    assert manifest["form"] == "centred"
    assert manifest["error_budget"]["power"]["runtime"] < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / "model.onnx")
    assert session.get_inputs()[0].shape == ["batch", 2]


def test_the_held_out_part_is_measured_too(run, tmp_path, prices):
    outcome = run(
        "train-and-export", "--data", prices, "--target", "price", "--exclude", "street",
        "--test-fraction", 0.25, "--unit", "price=EUR", "--json", "-o", tmp_path / "bundle",
    )  # fmt: skip
    document = json.loads(outcome.output)
    assert document["metrics"]["training"]["price"]["rows"] == 300
    assert document["metrics"]["test"]["price"]["rows"] == 100
    manifest = read_json(tmp_path / "bundle" / "manifest.json")
    assert manifest["targets"][0]["unit"] == "EUR"
    assert [column["name"] for column in manifest["features"]] == ["area", "rooms", "garden"]


def test_features_are_chosen_by_name_one_by_one_or_with_commas(run, tmp_path, prices):
    for number, options in enumerate((["rooms,area"], ["rooms", "--features", "area"])):
        outcome = run(
            "train-and-export", "--data", prices, "--target", "price", "--features", *options,
            "-q", "-o", tmp_path / str(number),
        )  # fmt: skip
        assert outcome.status == 0, outcome.errors
        manifest = read_json(tmp_path / str(number) / "manifest.json")
        assert [column["name"] for column in manifest["features"]] == ["rooms", "area"]


def test_every_format_is_written_proven_and_loads(run, tmp_path):
    formats = [option for name in ("torchscript", "onnx", "pt2") for option in ("--format", name)]
    outcome = run("train-and-export", *formats, "--json", "-o", tmp_path / "bundle")
    names = {runtime["name"] for runtime in json.loads(outcome.output)["runtimes"]}
    assert {"pytorch", "torchscript", "torch.export", "onnxruntime", "onnx reference"} <= names
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == BUNDLE_FILES | {"model.pt2"}
    assert run("verify", "-q", tmp_path / "bundle").status == 0


def test_a_bundle_is_replaced_only_when_asked_and_anything_else_never(run, tmp_path):
    bundle = tmp_path / "bundle"
    assert run("train-and-export", "-q", "-o", bundle).status == 0
    before = (bundle / "manifest.json").read_bytes()
    refused = run("train-and-export", "-q", "-o", bundle, "--seed", 5)
    assert (refused.status, "--overwrite" in refused.only_error) == (3, True)
    assert (bundle / "manifest.json").read_bytes() == before
    assert run("train-and-export", "-q", "-o", bundle, "--seed", 5, "--overwrite").status == 0
    assert (bundle / "manifest.json").read_bytes() != before
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "cat.png").write_bytes(b"cat")
    refused = run("train-and-export", "-q", "-o", photos, "--overwrite")
    assert refused.status == 3
    assert "neither empty nor a bundle" in refused.only_error
    assert (photos / "cat.png").read_bytes() == b"cat"


BAD_TABLES = {
    "text column": (
        "a,b,y\n1,x,1\n2,y,2\n3,z,4\n9,w,7\n",
        "'b' is text with 4 levels",
        "--exclude b",
    ),
    "missing": ("a,b,y\n1,4,1\n2,,2\n3,5,4\n5,1,1\n", "column 'b', row 2", "--missing drop"),
    "infinite": ("a,b,y\n1,4,1\n2,3,2\n3,inf,4\n5,1,1\n", "column 'b', row 3", "--missing drop"),
    "NaN": ("a,b,y\nnan,4,1\n2,3,2\n3,2,4\n5,1,1\n", "column 'a', row 1", "--missing drop"),
    "constant": ("a,b,y\n1,4,1\n2,4,2\n3,4,4\n5,4,9\n", "'b' is constant", "--exclude b"),
    "duplicate": ("a,a,y\n1,4,1\n2,3,2\n3,2,4\n", "'a'", ""),
    "unknown target": ("a,b,z\n1,4,1\n2,3,2\n3,2,4\n", "'y'", ""),
    "no rows": ("a,b,y\n", "", "no rows"),
    "too few rows": ("a,b,y\n1,2,3\n2,7,1\n", "", "3"),
    "ragged": ("a,b,y\n1,4,1\n2,3\n3,2,4\n", "row 2", ""),
    "empty file": ("", "", "empty"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_get_one_line_and_status_3(run, tmp_path, case):
    content, place, remedy = BAD_TABLES[case]
    path = tmp_path / "bad.csv"
    path.write_text(content)
    refused = run("train-and-export", "--data", path, "--target", "y", "-o", tmp_path / "bundle")
    assert refused.status == 3
    assert refused.only_error.startswith(f"error: {path}")
    assert place in refused.only_error
    assert remedy.lower() in refused.only_error.lower()
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("options", "part", "status"),
    [
        (["--data", "missing.csv", "--target", "y"], "missing.csv", 3),
        (["--target", "y"], "--data", 2),
        (["--device", "cuda:99"], "cuda", 3),
        (["--learning-rate", 100], "learning rate", 3),
        (["--unit", "nobody=m"], "nobody", 2),
        (["--form", "centred"], "no mean to keep", 3),
    ],
)  # fmt: skip
def test_impossible_requests_get_one_line(run, tmp_path, monkeypatch, options, part, status):
    monkeypatch.chdir(tmp_path)
    refused = run("train-and-export", "-q", *options)
    assert refused.status == status, refused
    assert part.lower() in refused.only_error.lower()
    assert list(tmp_path.iterdir()) == []


def test_dropping_rows_says_how_many(run, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n1,1\n,2\n3,4\n4,inf\n5,6\n7,7\n")
    outcome = run(
        "train-and-export", "--data", path, "--target", "y", "--missing", "drop", "--json",
        "-o", tmp_path / "bundle",
    )  # fmt: skip
    document = json.loads(outcome.output)
    assert (document["rows"], document["rows_dropped"]) == (4, 2)
    text = run(
        "train-and-export", "--data", path, "--target", "y", "--missing", "drop",
        "-o", tmp_path / "again",
    )  # fmt: skip
    assert "2 rows dropped" in text.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_leaves_nothing_half_written(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "linexport", "train-and-export", "--epochs", "1000000",
         "-o", str(tmp_path / "bundle")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup has one ignored
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("epoch 1")
    time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors.strip() == "interrupted"
    assert list(tmp_path.iterdir()) == []
