"""The main job with the least-squares solver."""

import io
import json
import sys

import numpy as np
import polars as pl
import pytest
import statsmodels.api
from sklearn.linear_model import Ridge

from linexport import load, read_bundle

DIGITS = 1e-9
"""Relative: more than what statsmodels and scikit-learn lose on data as tame as these."""


@pytest.fixture(scope="module")
def flats(tmp_path_factory):
    random = np.random.default_rng(5)
    area, floor = random.uniform(30, 150, 200), random.integers(0, 9, 200)
    price = 20 + 3.1 * area - 1.5 * floor + random.normal(0, 8, 200)
    path = tmp_path_factory.mktemp("flats") / "flats.parquet"
    times = random.integers(0, 4, 200)
    pl.DataFrame({"area": area, "floor": floor, "times": times, "price": price}).write_parquet(path)
    return path


def fit(run, path, bundle, *options):
    outcome = run(
        "train-and-export", "--data", path, "--target", "price", "--solver", "lstsq", "--json",
        "-o", bundle, *options,
    )  # fmt: skip
    assert outcome.status == 0, outcome.errors
    return json.loads(outcome.output)


def test_statistics_agree_with_statsmodels(run, tmp_path, flats):
    document = fit(run, flats, tmp_path / "bundle", "--exclude", "times")
    frame = pl.read_parquet(flats)
    design = statsmodels.api.add_constant(frame["area", "floor"].to_numpy())
    expected = statsmodels.api.OLS(frame["price"].to_numpy(), design).fit()
    found = document["statistics"]["targets"]["price"]
    rows = [found["intercept"], *found["features"].values()]
    for key, values in (
        ("estimate", expected.params),
        ("standard_error", expected.bse),
        ("t", expected.tvalues),
        ("p_value", expected.pvalues),
        ("lower", expected.conf_int()[:, 0]),
        ("upper", expected.conf_int()[:, 1]),
    ):
        assert [row[key] for row in rows] == pytest.approx(values, rel=DIGITS, abs=1e-300)
    assert found["r2"] == pytest.approx(expected.rsquared, rel=DIGITS)
    assert found["f"] == pytest.approx(expected.fvalue, rel=DIGITS)
    assert found["aic"] == pytest.approx(expected.aic, rel=DIGITS)
    assert document["verdict"] == "proven"


@pytest.mark.parametrize("kind", [None, "precision", "frequency"])
def test_weights_agree_with_statsmodels(run, tmp_path, flats, kind):
    options = ["--weights", "times"] + ([] if kind is None else ["--weights-kind", kind])
    document = fit(run, flats, tmp_path / "bundle", *options)
    frame = pl.read_parquet(flats).filter(pl.col("times") > 0)
    weights = frame["times"].to_numpy()
    if kind == "frequency":
        frame = frame.select(pl.all().repeat_by("times")).explode(pl.all())
        weights = 1.0
    design = statsmodels.api.add_constant(frame["area", "floor"].to_numpy())
    expected = statsmodels.api.WLS(frame["price"].to_numpy(), design, weights=weights).fit()
    found = document["statistics"]["targets"]["price"]
    rows = [found["intercept"], *found["features"].values()]
    assert [row["estimate"] for row in rows] == pytest.approx(expected.params, rel=DIGITS)
    assert [row["standard_error"] for row in rows] == pytest.approx(expected.bse, rel=DIGITS)
    assert [row["p_value"] for row in rows] == pytest.approx(expected.pvalues, rel=DIGITS)
    assert found["aic"] == pytest.approx(expected.aic, rel=DIGITS)
    assert list(found["features"]) == ["area", "floor"]
    assert document["weights"] == {"column": "times", "kind": kind or "precision"}
    rows = document["rows"]
    assert rows == document["metrics"]["training"]["price"]["rows"] == expected.nobs
    shown = run("inspect", tmp_path / "bundle").output
    assert f"(lstsq, {rows} rows, weighted by 'times' ({kind or 'precision'}))" in shown


def test_weighted_rows_may_be_kept_for_the_test(run, tmp_path, flats):
    options = ["--weights", "times", "--weights-kind", "frequency", "--test-fraction", "0.3"]
    document = fit(run, flats, tmp_path / "bundle", *options)
    rows = [document["metrics"][part]["price"]["rows"] for part in ("training", "test")]
    assert sum(rows) == pl.read_parquet(flats)["times"].sum()
    assert rows[0] == document["rows"]


@pytest.mark.parametrize("intercept", [True, False])
def test_ridge_agrees_with_scikit_learn(run, tmp_path, flats, intercept):
    options = ["--exclude", "times", "--l2", "50"] + ([] if intercept else ["--no-intercept"])
    fit(run, flats, tmp_path / "bundle", *options, "--dtype", "float64")
    frame = pl.read_parquet(flats)
    features = frame["area", "floor"].to_numpy().astype(np.float64)
    ridge = Ridge(alpha=50, fit_intercept=intercept, solver="svd")
    expected = ridge.fit(features, frame["price"].to_numpy()).predict(features)
    predicted = load(tmp_path / "bundle").predict(features)[:, 0]
    assert predicted == pytest.approx(expected, rel=DIGITS)


def test_text_shows_the_table_with_intervals(run, tmp_path, flats):
    outcome = run(
        "train-and-export", "--data", flats, "--target", "price", "--solver", "lstsq",
        "-v", "-o", tmp_path / "bundle",
    )  # fmt: skip
    assert outcome.output.startswith("Coefficients of 'price' (lstsq, 200 rows)\n")
    for word in ("std. error", "95 % from", "VIF", "condition number", "Error budget", "\nproven:"):
        assert word in outcome.output
    assert "std. error" in run("inspect", tmp_path / "bundle").output


def test_dependent_columns_are_named_or_accepted(run, tmp_path):
    path = tmp_path / "rows.csv"
    rows = [(a, b, a + b, 3 * a - b) for a, b in [(1, 2), (2, 1), (3, 5), (4, 4), (5, 1), (6, 3)]]
    path.write_text("a,b,sum,y\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    command = ["train-and-export", "--data", path, "--target", "y", "--solver", "lstsq"]
    refused = run(*command, "-o", tmp_path / "bundle")
    assert refused.status == 3
    assert "'sum' is a combination of 'a' and 'b'" in refused.only_error
    assert not (tmp_path / "bundle").exists()
    accepted = run(*command, "-o", tmp_path / "bundle", "-q", "--rank-deficient", "minimum-norm")
    assert accepted.status == 0
    assert accepted.errors.startswith("warning: ")
    assert "'sum'" in accepted.errors


@pytest.mark.parametrize("solver", ["lstsq", "sgd"])
def test_standard_input_is_read_once(run, tmp_path, monkeypatch, solver):
    """Nearly dependent rows, which would be read again if they could be; of many blocks."""
    random = np.random.default_rng(0)
    a = random.normal(size=150_000)
    b, y = a + 2.0**-20 * random.normal(size=len(a)), a + random.normal(size=len(a))
    text = pl.DataFrame({"a": a, "b": b, "y": y}).write_csv()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    outcome = run(
        "train-and-export", "--data", "-", "--target", "y", "--solver", solver, "-q",
        "-o", tmp_path / "bundle",
    )  # fmt: skip
    assert outcome.status == 0, outcome.errors


@pytest.mark.parametrize(
    ("options", "weight", "why"),
    [
        ([], -2, "The weight -2 is negative"),
        (["--weights-kind", "frequency"], -2, "The weight -2 is negative"),
        (
            ["--weights-kind", "frequency"],
            2.5,
            "The weight 2.5 is no whole number up to 2**53, which a frequency is; for weights "
            "that are precisions take --weights-kind precision",
        ),
        (["--weights-kind", "frequency", "--test-fraction", ".3"], "inf", "inf is given"),
    ],
)
def test_a_weight_that_cannot_be_is_named(run, tmp_path, options, weight, why):
    path = tmp_path / "rows.csv"
    path.write_text(f"a,n,y\n1,1,1\n2,1,3\n3,{weight},2\n4,1,5\n")
    refused = run(
        "train-and-export", "--data", path, "--target", "y", "--solver", "lstsq",
        "--weights", "n", *options, "-o", tmp_path / "bundle",
    )  # fmt: skip
    assert refused.status == 3
    assert refused.only_error.startswith(f"error: {path}, column 'n', row 3: {why}")


@pytest.mark.parametrize(
    ("options", "status", "part"),
    [
        (["--solver", "lstsq", "--epochs", "3"], 2, "--epochs is for --solver sgd"),
        (["--epochs", "3"], 2, "--epochs is for --solver sgd, not lstsq"),
        (["--solver", "sgd", "--l2", "1"], 2, "--l2 is for --solver lstsq"),
        (["--solver", "sgd", "--weights", "times"], 2, "--solver lstsq"),
        (["--weights-kind", "frequency"], 2, "pass --weights too"),
        (["--solver", "lstsq", "--l2", "-1"], 2, "l2 must be a finite number of at least 0"),
        (["--solver", "lstsq", "--weights", "nobody"], 3, "nobody"),
        (["--solver", "lstsq", "--weights", "price"], 3, "price"),
    ],
)
def test_settings_that_do_not_fit_are_refused(run, tmp_path, flats, options, status, part):
    refused = run(
        "train-and-export", "--data", flats, "--target", "price", "-o", tmp_path / "b", *options
    )
    assert refused.status == status
    assert part in refused.errors
    assert not (tmp_path / "b").exists()


CONSTANT = "a,one,y\n1,1,3.1\n2,1,5.2\n3,1,6.9\n4,1,9.1\n"
AS_MANY_ROWS = "a,b,y\n1,2,3\n2,7,1\n"


@pytest.mark.parametrize("table", [CONSTANT, AS_MANY_ROWS])
@pytest.mark.parametrize(
    "options", [["--no-intercept"], ["--l2", 1], ["--rank-deficient", "minimum-norm"]]
)
def test_rows_that_determine_such_a_fit_are_fitted(run, tmp_path, table, options):
    path = tmp_path / "rows.csv"
    path.write_text(table)
    command = ["train-and-export", "--data", path, "--target", "y", "--solver", "lstsq"]
    refused = run(*command, "-o", tmp_path / "refused")
    assert refused.status == 3
    assert "'one' is constant" in refused.errors or "too few rows: 2, where 2" in refused.errors
    fitted = run(*command, *options, "-o", tmp_path / "bundle")
    assert fitted.status == 0
    rows = pl.read_csv(path)
    features = rows.drop("y").to_numpy().astype(float)
    record = read_bundle(tmp_path / "bundle").manifest.record.coefficients["y"]
    found = [record.intercept, *record.features.values()]
    assert found == pytest.approx(reference(features, rows["y"].to_numpy(), options), rel=DIGITS)


def reference(features, target, options):
    """The coefficients, the bias first, by NumPy's pseudoinverse or scikit-learn's ridge."""
    if "--no-intercept" in options:
        return [0.0, *(np.linalg.pinv(features) @ target)]
    if "--l2" in options:
        ridge = Ridge(alpha=1.0).fit(features, target)
        return [ridge.intercept_, *ridge.coef_]
    mean = features.mean(axis=0)
    weight = np.linalg.pinv(features - mean) @ (target - target.mean())
    return [target.mean() - mean @ weight, *weight]


@pytest.fixture(scope="module")
def genes(tmp_path_factory):
    random = np.random.default_rng(6)
    features = random.normal(size=(12, 400))
    path = tmp_path_factory.mktemp("genes") / "genes.parquet"
    columns = {f"x{j}": features[:, j] for j in range(400)}
    pl.DataFrame({**columns, "price": features[:, 0] + 3}).write_parquet(path)
    return path


def test_fewer_rows_than_columns_are_proven_with_a_ridge(run, tmp_path, genes):
    outcome = run("train-and-export", "--data", genes, "--target", "price", "--solver", "lstsq",
                  "--l2", "0.1", "-o", tmp_path / "bundle")  # fmt: skip
    assert outcome.status == 0, outcome.errors
    assert "\nproven: " in outcome.output
    assert "... and 381 more in manifest.json" in outcome.output
    assert len(outcome.output.splitlines()) < 40
    frame = pl.read_parquet(genes)
    features, target = frame.drop("price").to_numpy(), frame["price"].to_numpy()
    expected = Ridge(alpha=0.1, solver="svd").fit(features, target)
    found = read_bundle(tmp_path / "bundle").manifest.record.coefficients["price"]
    assert list(found.features.values()) == pytest.approx(expected.coef_, rel=DIGITS)
    assert found.intercept == pytest.approx(expected.intercept_, rel=DIGITS)


def test_without_a_ridge_they_are_refused_in_one_line_to_paste_from(run, genes, tmp_path):
    outcome = run("train-and-export", "--data", genes, "--target", "price", "--solver", "lstsq",
                  "-o", tmp_path / "bundle")  # fmt: skip
    assert outcome.status == 3
    (line,) = outcome.errors.splitlines()
    assert len(line) < 400
    assert "--solver lstsq --l2 1" in line
    assert not (tmp_path / "bundle").exists()
