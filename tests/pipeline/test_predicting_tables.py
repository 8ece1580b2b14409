"""linexport.predict_table: tables of every kind into files."""

import numpy as np
import polars as pl
import pytest

import linexport
from linexport import Dialect
from linexport.errors import ArtifactError, ConfigError, DataError

ROWS = {
    "area": [64.0, 20.5, 199.0],
    "rooms": [3, 1, 9],
    "floor, from the ground": [2, -1, 0],
    "id": ["a", "b", "c"],
}
EXPECTED = {"price": [200328.5, 64772.0, 620620.5], "rent": [800.25, 254.875, 2497.0]}
"""3125 area - 250.5 rooms + 40 floor + 1000; 12.25 area + 7 rooms - 0.5 floor - 3.75."""


@pytest.mark.parametrize("kind", [pl.DataFrame, dict, lambda rows: pl.DataFrame(rows).to_pandas()])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_tables_in_memory_are_predicted_into_files(bundle, tmp_path, kind, suffix):
    output = tmp_path / f"out.{suffix}"
    predicted = linexport.predict_table(bundle, kind(ROWS), output)
    assert (predicted.rows_written, predicted.rows_without_prediction) == (3, 0)
    if suffix == "parquet":
        frame = pl.read_parquet(output)
    else:
        frame = pl.read_csv(output, separator="\t" if suffix == "tsv" else ",")
    assert frame.to_dict(as_series=False) == EXPECTED


@pytest.mark.parametrize("keep", ["id", ["id"], "id,floor, from the ground"])
def test_kept_columns_are_named_one_by_one_or_as_text(bundle, tmp_path, keep):
    if keep == "id,floor, from the ground":
        with pytest.raises(DataError, match="There is no column 'floor'"):
            linexport.predict_table(bundle, pl.DataFrame(ROWS), tmp_path / "out.csv", keep=keep)
        return
    linexport.predict_table(bundle, pl.DataFrame(ROWS), tmp_path / "out.csv", keep=keep)
    frame = pl.read_csv(tmp_path / "out.csv")
    assert frame.to_dict(as_series=False) == {"id": ["a", "b", "c"]} | EXPECTED


def test_missing_values_become_nan_only_when_asked(bundle, tmp_path):
    rows = pl.DataFrame(ROWS | {"rooms": [3, None, 9]})
    with pytest.raises(DataError, match=r"column 'rooms', row 2: There is no value"):
        linexport.predict_table(bundle, rows, tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == []
    predicted = linexport.predict_table(bundle, rows, tmp_path / "out.parquet", missing="nan")
    assert (predicted.rows_written, predicted.rows_without_prediction) == (3, 1)
    price = pl.read_parquet(tmp_path / "out.parquet")["price"].to_numpy()
    assert np.isnan(price[1])
    assert price[[0, 2]].tolist() == [200328.5, 620620.5]


@pytest.mark.parametrize(
    ("table", "output", "settings", "error", "said"),
    [
        (ROWS, "out.csv", {"missing": "drop"}, ConfigError, "missing must be error or nan"),
        (ROWS, "out.csv", {"num_threads": 0}, ConfigError, "num_threads must be a whole"),
        (ROWS, "out.csv", {"dialect": Dialect(delimiter=";")}, ConfigError, "delimiter is for CSV"),
        (ROWS, "out.json", {}, ConfigError, "Name the output .csv, .tsv or .parquet"),
        (ROWS, "no/out.csv", {}, DataError, "There is no directory"),
        (np.zeros((1, 3)), "out.csv", {}, DataError, "numpy.ndarray is no table"),
        ({"area": [1]}, "out.csv", {}, DataError, "There is no column 'rooms'"),
    ],
)
def test_what_cannot_be_predicted_is_refused(
    bundle, tmp_path, monkeypatch, table, output, settings, error, said
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        linexport.predict_table(bundle, table, output, **settings)
    assert list(tmp_path.iterdir()) == []


def test_only_onnx_predicts(bundle, tmp_path):
    with pytest.raises(ArtifactError, match=r"predicting needs a bundle, as .*, or an ONNX file"):
        linexport.predict_table(bundle / "model.pt", ROWS, tmp_path / "out.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_reading_begins_before_a_runtime_is_loaded(bundle, tmp_path, fresh_python, suffix):
    rows = pl.DataFrame(ROWS).with_columns(note=pl.lit("not plain"))
    source, output = tmp_path / f"in.{suffix}", tmp_path / "out.parquet"
    rows.write_csv(source) if suffix == "csv" else rows.write_parquet(source)
    code = f"""
import sys, linexport
from linexport.tables import Table
begin = Table.batches
def begin_and_tell(*arguments):
    print({{"onnxruntime", "torch"}} & set(sys.modules))
    return begin(*arguments)
Table.batches = begin_and_tell
linexport.predict_table({str(bundle)!r}, {str(source)!r}, {str(output)!r})
"""
    assert fresh_python(code) == "set()"
    assert pl.read_parquet(output).to_dict(as_series=False) == EXPECTED


@pytest.mark.parametrize("stated", [("rooms", "area", "floor, from the ground"), ("id", "rooms")])
def test_a_bundle_that_takes_the_place_of_another_is_given_its_own_features(
    bundle, tmp_path, monkeypatch, stated
):
    monkeypatch.setattr(linexport.bundle, "read_inputs", lambda _: stated)
    pl.DataFrame(ROWS).write_parquet(tmp_path / "in.parquet")
    linexport.predict_table(bundle, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet").to_dict(as_series=False) == EXPECTED
