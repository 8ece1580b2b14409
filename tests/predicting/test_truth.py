"""Predictions beside the truth."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import linexport
from linexport.predicting import predicted_with_truth
from linexport.tables import open_table

HOMES = """kind,area,price
flat,54,171
house,,402
flat,39,NA
house,96,345
studio,28,103
flat,72,226
house,140,455
studio,31,104
flat,83,268
"""


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("homes")
    table = directory / "homes.csv"
    table.write_text(HOMES)
    rows = linexport.read_data(
        table, targets="price", categorical="kind", missing={"area": "mean", "price": "drop"}
    )
    config = linexport.ExportConfig(formats=("onnx",))
    linexport.train_and_export(rows, directory / "bundle", config=config, solver="lstsq")
    return table, linexport.load(directory / "bundle")


def test_every_row_has_its_truth_and_its_prediction(homes):
    table, predictor = homes
    (found,) = predicted_with_truth(open_table(table), predictor)
    np.testing.assert_array_equal(found.truth[:4, 0], [171, 402, np.nan, 345])
    np.testing.assert_array_equal(
        found.prediction, predictor.predict(pl.read_csv(table).drop("price"))
    )
    assert found.features.shape == (9, 3)


def test_a_table_without_the_target_is_refused_by_its_name(homes):
    _, predictor = homes
    table = open_table({"kind": ["flat"], "area": [50.0]})
    with pytest.raises(linexport.DataError, match="There is no column 'price'"):
        next(predicted_with_truth(table, predictor))


def test_messages_name_the_row_of_the_table(homes, tmp_path):
    _, predictor = homes
    table = tmp_path / "new.csv"
    table.write_text("kind,area,price\nflat,50,1\nflat,inf,1\n")
    with pytest.raises(linexport.DataError, match=r"new.csv, column 'area', row 2"):
        list(predicted_with_truth(open_table(table), predictor))


def test_without_an_encoding_features_are_the_columns(tmp_path):
    predictor = linexport.load(Path(__file__).parents[2] / "models" / "textbook")
    table = open_table({"y": [1.0, 2.0], "x2": [0.5, 1.0], "x1": [2.0, 3.0]})
    (found,) = predicted_with_truth(table, predictor)
    np.testing.assert_array_equal(found.features, [[2.0, 0.5], [3.0, 1.0]])
    np.testing.assert_array_equal(found.truth, [[1.0], [2.0]])
    np.testing.assert_array_equal(found.prediction, predictor.predict(found.features))
