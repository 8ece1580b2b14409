"""linexport synthesize: rows whose true weight and bias are known."""

import io
import json

import numpy as np
import polars as pl
import pytest

from linexport import synthetic_data


def frame_of(text):
    return pl.read_csv(io.StringIO(text))


def test_the_defaults_are_the_textbooks(run):
    outcome = run("synthesize")
    assert (outcome.status, outcome.errors) == (0, "")
    frame = frame_of(outcome.output)
    assert (frame.columns, frame.height) == (["x1", "x2", "y"], 1000)
    noise = frame.select(pl.col("y") - (2 * pl.col("x1") - 3.4 * pl.col("x2") + 4.2))["y"]
    # Ten standard errors: a thousand draws of N(0, 0.01) do not stray so far.
    assert abs(noise.mean()) < 10 * 0.01 / np.sqrt(1000)
    assert abs(noise.std() - 0.01) < 10 * 0.01 / np.sqrt(2000)
    for name in ("x1", "x2"):
        assert abs(frame[name].mean()) < 10 / np.sqrt(1000)
        assert abs(frame[name].std() - 1) < 10 / np.sqrt(2000)


def test_the_rows_are_those_of_the_python_door_bit_for_bit(run, tmp_path):
    features, target = synthetic_data(num_rows=50, seed=9)
    expected = np.hstack([features.numpy(), target.numpy()]).astype(np.float64)
    for name in ("rows.csv", "rows.tsv", "rows.parquet"):
        path = tmp_path / name
        outcome = run("synthesize", "--num-rows", 50, "--seed", 9, "-o", path)
        assert (outcome.status, outcome.output, outcome.errors) == (0, "", "")
        if name == "rows.parquet":
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, separator="\t" if name == "rows.tsv" else ",")
        assert frame.to_numpy().tobytes() == expected.tobytes()


def test_the_seed_decides(run):
    first, again, other = (
        run("synthesize", "--num-rows", 5, "--seed", seed).output for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_without_noise_the_target_is_the_line(run):
    options = ["--weight", "0.5,-1,3", "--bias", 7, "--noise-std", 0, "--num-rows", 20]
    frame = frame_of(run("synthesize", *options).output)
    line = frame.select(0.5 * pl.col("x1") - pl.col("x2") + 3 * pl.col("x3") + 7)
    # The target is the line rounded to float32.
    assert np.array_equal(frame["y"], line.to_series().cast(pl.Float32).cast(pl.Float64))


@pytest.mark.parametrize("biases", [[10.0], [10.0, -20.0]], ids=["one bias", "two biases"])
def test_a_weight_for_each_target_gives_several_targets(run, biases):
    options = ["--weight", "1,2", "--weight", "3,-4", "--noise-std", 0, "--num-rows", 20]
    for bias in biases:
        options += ["--bias", bias]
    frame = frame_of(run("synthesize", *options).output)
    assert frame.columns == ["x1", "x2", "y1", "y2"]
    for name, (first, second), bias in zip(
        ["y1", "y2"], [(1, 2), (3, -4)], [biases[0], biases[-1]], strict=True
    ):
        line = frame.select(first * pl.col("x1") + second * pl.col("x2") + bias).to_series()
        assert np.array_equal(frame[name], line.cast(pl.Float32).cast(pl.Float64))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_written_can_be_trained_on(run, tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    weights = ["--weight", "1,2,-0.5", "--weight", "3,-4,8"]
    assert run("synthesize", *weights, "--bias", 1, "-o", path).status == 0
    outcome = run(
        "train-and-export", "--data", path, "--target", "y1", "--target", "y2", "--json",
        "-o", tmp_path / "bundle",
    )  # fmt: skip
    document = json.loads(outcome.output)
    assert (outcome.status, document["verdict"]) == (0, "proven")
    for target, expected in (("y1", [1, 2, -0.5]), ("y2", [3, -4, 8])):
        estimated = list(document["coefficients"][target]["features"].values())
        # The standard error of each is 0.01 / sqrt(1000).
        assert estimated == pytest.approx(expected, abs=10 * 0.01 / np.sqrt(1000))


@pytest.mark.parametrize(
    ("options", "said", "status"),
    [
        (["--weight", "nan"], "must be finite", 2),
        (["--weight", "1,2", "--weight", "3"], "differ in length", 2),
        (["--weight", "1", "--bias", "1", "--bias", "2"], "one for each target", 2),
        (["--bias", "inf"], "must be finite", 2),
        (["--weight", "1e39"], "beyond float32", 2),
        (["--num-rows", str(10**15)], "not enough memory", 3),
        (["-o", "rows.txt"], ".csv, .tsv or .parquet", 2),
        (["-o", "no/rows.csv"], "There is no directory no", 3),
    ],
)
def test_what_cannot_be_gets_one_line(run, tmp_path, monkeypatch, options, said, status):
    monkeypatch.chdir(tmp_path)
    refused = run("synthesize", *options)
    assert refused.status == status
    assert said in refused.only_error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ["--weight", ""],
        ["--weight", "1,,2"],
        ["--num-rows", 0],
        ["--noise-std", -1],
        ["--noise-std", "inf"],
        ["--seed", -1],
    ],
)
def test_misuse_is_status_2(run, options):
    assert run("synthesize", *options).status == 2
