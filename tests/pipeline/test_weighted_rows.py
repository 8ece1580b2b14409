"""Weights from a table to a bundle, in Python."""

import numpy as np
import polars as pl
import pytest

import linexport
from linexport.errors import ConfigError


def seconds(weight):
    random = np.random.default_rng(0)
    time = 1.7e9 + random.integers(0, 10**7, 200)
    target = 1e-3 * (time - 1.7e9) + random.normal(size=200) / 100
    return pl.DataFrame({"time": time, "y": target, "w": np.full(200, weight)})


def exported(weight, output):
    rows = linexport.read_data(seconds(weight), targets="y", weights="w", stream=True)
    return linexport.train_and_export(
        rows, output, config=linexport.ExportConfig(dtype="float32"), overwrite=True
    )


def test_weights_do_not_hide_that_float32_is_too_coarse(tmp_path):
    """Residuals are as large as without them."""
    plain, weighted = (exported(weight, tmp_path / "bundle") for weight in (1.0, 100.0))
    assert plain.certificate.verdict == weighted.certificate.verdict == "too coarse"
    limits = [result.certificate.fitness["y"].limit for result in (plain, weighted)]
    assert limits[1] == pytest.approx(limits[0])


@pytest.mark.parametrize("stream", [True, False])
def test_the_kind_is_kept_in_the_record(stream):
    frame = seconds(3.0)
    chosen = {"targets": "y", "weights": "w", "weights_kind": "frequency", "stream": stream}
    record = linexport.train(linexport.read_data(frame, **chosen)).record
    assert record.weights == linexport.Weighting(column="w", kind="frequency")
    assert record.rows == record.statistics.rows == 600


def test_a_kind_that_is_none_or_has_no_weights_is_refused():
    with pytest.raises(ConfigError, match="weights_kind must be precision or frequency"):
        linexport.read_data(seconds(1.0), targets="y", weights="w", weights_kind="count")
    with pytest.raises(ConfigError, match=r"pass weights=\.\.\. too"):
        linexport.read_data(seconds(1.0), targets="y", weights_kind="frequency")
