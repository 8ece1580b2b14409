"""A solver is one class and its line in the table: everything else follows from it."""

import json
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

import linexport
from linexport._settings import setting, settings
from linexport.fit import Fit, FitRecord
from linexport.training import SOLVERS


@settings
class Mean:
    """Predicts the mean of each target, whatever the features."""

    name: ClassVar[str] = "mean"
    streams: ClassVar[bool] = False
    exact: ClassVar[bool] = False

    shrinkage: float = setting(default=0.0, minimum=0, below=1, help="Part left out of the mean.")

    def fit(self, rows, *, ranks, on_epoch):
        mean = (1 - self.shrinkage) * rows.target_values.mean(axis=0)
        model = linexport.LinearModel(
            weight=np.zeros((len(rows.targets), len(rows.features))),
            bias=mean,
            features=rows.features,
            targets=rows.targets,
        )
        return Fit(model=model, record=FitRecord(solver=self.name, rows=rows.num_rows))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(SOLVERS, Mean.name, Mean)


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=50)
    pl.DataFrame({"x": x, "y": 3 * x + 7 + random.normal(size=50)}).write_csv(tmp_path / "t.csv")
    return tmp_path / "t.csv"


def test_training_finds_it_by_name_and_by_its_settings(table):
    expected = pl.read_csv(table)["y"].mean()
    fit = linexport.train(table, "y", solver="mean")
    assert fit.record.solver == "mean"
    assert fit.record.settings == {"shrinkage": 0.0}
    assert fit.record.coefficients["y"].intercept == pytest.approx(expected, rel=1e-15)
    assert fit.record.metrics["training"]["y"].r2 == pytest.approx(0, abs=1e-14)
    half = linexport.train(table, "y", solver=Mean(shrinkage=0.5))
    assert half.record.settings == {"shrinkage": 0.5}
    assert half.model.bias[0] == fit.model.bias[0] / 2


def test_how_far_it_is_from_the_optimum_is_told_and_warned_of(table):
    fit = linexport.train(table, "y", solver="mean")
    assert fit.record.optimum["y"].standard_errors > 1
    assert fit.record.optimum["y"].loss_at_optimum < fit.record.optimum["y"].loss
    (warning,) = fit.warnings
    assert "use solver='lstsq'" in warning


def test_the_command_line_the_manifest_and_the_card_know_it(run, tmp_path, table):
    options = run("train-and-export", "--help").output
    assert "[lstsq|sgd|mean]" in options
    assert "With --solver mean:" in options
    assert "--shrinkage FLOAT" in options
    bundle = tmp_path / "bundle"
    outcome = run(
        "train-and-export", "--data", table, "--target", "y", "--solver", "mean",
        "--shrinkage", 0.25, "--test-fraction", 0.2, "-o", bundle,
    )  # fmt: skip
    assert outcome.status == 0, outcome.errors
    assert "Coefficients of 'y' (mean, 40 rows)" in outcome.output
    fit = json.loads((bundle / "manifest.json").read_text())["record"]
    assert (fit["solver"], fit["settings"]) == (
        "mean",
        {"shrinkage": 0.25, "test_fraction": 0.2, "test_seed": 0},
    )
    assert fit["metrics"]["test"]["y"]["rows"] == 10
    assert "Coefficients of 'y' (mean, 40 rows)" in (bundle / "README.md").read_text()
    assert run("verify", "-q", bundle).status == 0


def test_its_options_are_for_it_alone(run, table):
    refused = run("train-and-export", "--data", table, "--target", "y", "--shrinkage", 0.25)
    assert refused.status == 2
    assert "--shrinkage is for --solver mean, not lstsq" in refused.errors
    refused = run(
        "train-and-export", "--data", table, "--target", "y", "--solver", "mean", "--shrinkage", 1
    )
    assert refused.status == 2
    assert "shrinkage must be a finite number of at least 0 and below 1" in refused.errors
