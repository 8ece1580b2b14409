"""linexport.read_data: rows to train on, by name."""

import numpy as np
import polars as pl
import pytest

import linexport
from linexport import Dialect
from linexport.errors import ConfigError, DataError

FRAME = pl.DataFrame(
    {
        "id": ["p", "q", "r", "s", "t"],
        "a,b": [1, 2, 3, 5, 8],
        "c": [0.5, -1.5, 2.5, 0.0, 1.0],
        "open": [True, False, False, True, False],
        "y": [1.0, 2.0, 4.0, 8.0, 16.0],
        "z": [3, 1, 4, 1, 5],
    }
)


def test_without_a_table_it_is_the_textbooks_data():
    dataset = linexport.read_data(seed=3)
    features, target = linexport.synthetic_data(seed=3)
    assert np.array_equal(dataset.feature_values, features.numpy())
    assert np.array_equal(dataset.target_values, target.numpy())
    assert dataset.true_weight.tolist() == [[2.0, -3.4]]


def table(kind, tmp_path):
    if kind == "csv":
        FRAME.write_csv(tmp_path / "rows.csv", separator=";")
        return tmp_path / "rows.csv"
    if kind == "parquet":
        FRAME.write_parquet(tmp_path / "rows.parquet")
        return str(tmp_path / "rows.parquet")
    return {"polars": FRAME, "pandas": FRAME.to_pandas(), "pyarrow": FRAME.to_arrow()}[kind]


@pytest.mark.parametrize("kind", ["csv", "parquet", "polars", "pandas", "pyarrow"])
def test_every_kind_of_table_gives_the_same_rows(tmp_path, kind):
    source = table(kind, tmp_path)
    dialect = Dialect(delimiter=";") if kind == "csv" else None  # the header has a comma too
    dataset = linexport.read_data(source, targets=["y"], exclude=["id", "z"], dialect=dialect)
    assert [column.name for column in dataset.features] == ["a,b", "c", "open"]
    assert dataset.feature_values.tolist() == [
        [1, 0.5, 1], [2, -1.5, 0], [3, 2.5, 0], [5, 0, 1], [8, 1, 0],
    ]  # fmt: skip
    assert dataset.target_values.tolist() == [[1], [2], [4], [8], [16]]
    assert (dataset.features[0].minimum, dataset.features[0].maximum) == (1, 8)


def test_features_are_taken_in_the_order_asked_for_also_with_commas():
    for features in (["c,open"], ["c", "open"]):
        dataset = linexport.read_data(FRAME, targets=["z", "y"], features=features)
        assert [column.name for column in dataset.features] == ["c", "open"]
        assert [column.name for column in dataset.targets] == ["z", "y"]
    (column,) = linexport.read_data(FRAME, targets=["y"], features=["a,b"]).features
    assert column.name == "a,b"


def test_rows_without_a_value_are_dropped_only_when_asked():
    frame = FRAME.with_columns(c=pl.when(pl.col("id") != "q").then("c"))
    with pytest.raises(DataError, match=r"column 'c', row 2: There is no value"):
        linexport.read_data(frame, targets=["y"], features=["c"])
    dataset = linexport.read_data(frame, targets=["y"], features=["c"], missing="drop")
    assert (dataset.rows_dropped, dataset.target_values.ravel().tolist()) == (1, [1, 4, 8, 16])


def test_units_belong_to_columns():
    units = {"c": "kg", "y": "EUR"}
    dataset = linexport.read_data(FRAME, targets=["y"], features=["c"], units=units)
    assert (dataset.features[0].unit, dataset.targets[0].unit) == ("kg", "EUR")


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"targets": ["y"], "exclude": ["y", "id"]}, DataError, "both target and excluded"),
        ({"targets": ["y", "y"], "exclude": ["id"]}, DataError, "target twice"),
        ({"targets": ["y"], "features": ["y"]}, DataError, "both target and feature"),
        ({"targets": ["q"]}, DataError, "There is no column 'q'"),
        ({"targets": ["y"]}, DataError, r"text with 5 levels: leave out .* exclude=\['id'\]"),
        ({"targets": ["id"], "features": ["c"]}, DataError, "choose another target than 'id'"),
        ({"targets": ["y"], "features": ["c"], "units": {"d": "m"}}, ConfigError, "'d'"),
        (
            {"targets": ["y"], "features": ["c"], "dialect": Dialect(delimiter=";")},
            ConfigError,
            "for CSV",
        ),
        ({"targets": ["y"], "features": ["c"], "missing": "nan"}, ConfigError, "missing must be"),
    ],
)
def test_columns_that_cannot_be_used_are_named(settings, error, said):
    with pytest.raises(error, match=said):
        linexport.read_data(FRAME, **settings)


@pytest.mark.parametrize(
    "settings", [{"targets": ["y"]}, {"features": ["a"]}, {"dialect": Dialect(delimiter=";")}]
)
def test_columns_without_a_table_are_refused(settings):
    with pytest.raises(ConfigError, match="no table"):
        linexport.read_data(**settings)


def test_a_table_needs_a_target(tmp_path):
    with pytest.raises(ConfigError, match="name the column to predict"):
        linexport.read_data(table("csv", tmp_path))
