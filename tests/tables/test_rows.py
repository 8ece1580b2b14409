import numpy as np
import polars as pl
import pytest
from reading import DROPPING, read_dataset

from linexport.columns import default_columns
from linexport.errors import ConfigError, DataError
from linexport.fit import Weighting
from linexport.rows._dataset import Dataset, split
from linexport.rows._table_rows import training_rows
from linexport.tables._opening import open_table

HOUSES = (
    "id,area,garden,price,rooms\na,50,true,3.5,2\nb,60,false,4,3\nc,80,true,6.5,4\nd,95,true,7,2\n"
)


def names(columns) -> list[str]:
    return [column.name for column in columns]


def test_every_column_but_targets_and_excluded_ones_is_a_feature(write):
    dataset = read_dataset(open_table(write(HOUSES)), targets="price", exclude=["id"])
    assert names(dataset.features) == ["area", "garden", "rooms"]
    assert names(dataset.targets) == ["price"]
    assert dataset.feature_values.tolist() == [[50, 1, 2], [60, 0, 3], [80, 1, 4], [95, 1, 2]]
    assert dataset.target_values.tolist() == [[3.5], [4.0], [6.5], [7.0]]
    assert dataset.feature_values.dtype == dataset.target_values.dtype == np.float64
    assert (dataset.source, dataset.rows_dropped) == ("t.csv", 0)


def test_features_are_taken_in_the_order_given_and_others_not_looked_at(write):
    dataset = read_dataset(
        open_table(write(HOUSES)), targets=["price", "garden"], features=["rooms", "area"]
    )
    assert names(dataset.features) == ["rooms", "area"]
    assert dataset.feature_values[0].tolist() == [2.0, 50.0]
    assert dataset.target_values[1].tolist() == [4.0, 0.0]


def test_columns_know_what_the_rows_showed_of_them(write):
    dataset = read_dataset(open_table(write(HOUSES)), targets="price", features=["area"])
    (area,) = dataset.features
    assert (area.minimum, area.maximum, area.mean) == (50.0, 95.0, 71.25)
    assert area.standard_deviation == pytest.approx(np.std([50, 60, 80, 95]), rel=1e-15)


@pytest.mark.parametrize("unit", [1e-310, 1e-200, 1.0, 1e200, 1e307])
def test_columns_of_any_magnitude_are_described(unit):
    frame = pl.DataFrame({"x": [unit, 3 * unit, 5 * unit, 0.0], "y": [0.0, 0.0, 0.0, -unit]})
    dataset = read_dataset(open_table(frame), targets="y")
    x, y = dataset.features[0], dataset.targets[0]
    # Exact but for a few roundings, of which the last is of a subnormal number at 1e-310.
    ulps = 4 * np.spacing(unit)
    assert x.mean == pytest.approx(2.25 * unit, abs=ulps)
    assert x.standard_deviation == pytest.approx(np.sqrt(59) / 4 * unit, abs=ulps)
    assert y.standard_deviation == pytest.approx(np.sqrt(3) / 4 * unit, abs=ulps)


def test_integers_beyond_float64_are_rounded_to_it():
    frame = pl.DataFrame({"x": [2**53 + 1, -(2**62) - 1, 3], "y": [1.0, 2.0, 4.0]})
    dataset = read_dataset(open_table(frame), targets="y")
    assert dataset.feature_values.ravel().tolist() == [2.0**53, -(2.0**62), 3.0]


def test_dropping_leaves_out_and_counts_the_rows_without_a_value(write):
    source = write("x,note,y\n1,,2\nNA,a,3\n3,,inf\n4,,\n5,,6\n7,b,9\n")
    rows = training_rows(open_table(source), targets="y", features=["x"], config=DROPPING)
    for _ in range(2):
        batches = list(rows.batches())
        assert np.concatenate([x for x, _ in batches]).ravel().tolist() == [1.0, 5.0, 7.0]
        assert np.concatenate([y for _, y in batches]).ravel().tolist() == [2.0, 6.0, 9.0]
        assert rows.rows_dropped == 3


def test_rows_can_be_read_again_as_long_as_the_file_stays(write):
    rows = training_rows(open_table(write('x,y\n1,2\n2,4\n"3",5\n')), targets="y")
    first, second = ([x.tolist() for x, _ in rows.batches()] for _ in range(2))
    assert first == second == [[[1.0], [2.0], [3.0]]]
    write("x,y\n1,2\n2,4\n3,oops\n")
    with pytest.raises(DataError, match="It has changed from 18 to 19 bytes while it was read"):
        list(rows.batches())


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_many_batches_make_one_dataset_in_the_order_of_the_rows(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("linexport.tables._records._BLOCK_BYTES", 1 << 16)
    random = np.random.default_rng(1)
    values = random.normal(size=(100_000, 3))
    path = tmp_path / f"t.{suffix}"
    getattr(pl.DataFrame(values, schema=["a", "y", "b"]), f"write_{suffix}")(path)
    dataset = read_dataset(open_table(path), targets="y")
    assert dataset.feature_values.tobytes() == values[:, [0, 2]].tobytes()
    assert dataset.target_values.tobytes() == values[:, [1]].tobytes()


def test_standard_input_can_be_read_into_memory(monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x,y\n1,2\n2,4\n3,5\n")))
    dataset = read_dataset(open_table("-"), targets="y")
    assert dataset.num_rows == 3


@pytest.fixture
def numbered():
    random = np.random.default_rng(0)
    frame = pl.DataFrame({"x": range(101), "z": random.normal(size=101), "y": range(101)})
    return read_dataset(open_table(frame), targets="y")


def test_a_split_shares_out_every_row_once(numbered):
    training, test = split(numbered, 0.2, seed=3)
    assert (training.num_rows, test.num_rows) == (81, 20)
    rows = np.concatenate([training.target_values, test.target_values]).ravel()
    assert sorted(rows) == list(range(101))
    for part in (training, test):  # features stay with their targets
        assert np.array_equal(part.feature_values[:, 0], part.target_values[:, 0])


def test_a_split_depends_on_the_seed_alone(numbered):
    again = [split(numbered, 0.2, seed=seed)[1].target_values.tobytes() for seed in (3, 3, 4)]
    assert again[0] == again[1] != again[2]


def test_both_parts_carry_what_the_training_part_showed(numbered):
    training, test = split(numbered, 0.5, seed=0)
    assert training.features == test.features
    assert training.features[1].maximum == training.feature_values[:, 1].max()
    assert training.features != numbered.features


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_test_fraction_is_between_zero_and_one(numbered, fraction):
    with pytest.raises(ConfigError, match="The test fraction must be between 0 and 1"):
        split(numbered, fraction, seed=0)


@pytest.mark.parametrize("fraction", [0.004, 0.996])
def test_both_parts_have_rows(numbered, fraction):
    with pytest.raises(ConfigError, match=r"for the test; each needs one\."):
        split(numbered, fraction, seed=0)


@pytest.mark.parametrize("row", [1, 2**17, 2**17 + 1, 150_000])
def test_a_value_that_is_missing_is_named_by_its_row_wherever_it_is(row):
    """Rows are dealt with a mebibyte at a time; the number counts from the first of the table."""
    values = np.arange(150_000.0)
    values[row - 1] = np.nan
    rows = training_rows(open_table({"x": values, "y": values[::-1].copy()}), targets="y")
    with pytest.raises(DataError, match=rf"column '[xy]', row ({row}|{150_001 - row}): "):
        list(rows.batches())


def test_blocks_are_the_rows_in_their_order():
    values = np.arange(300_000.0)
    rows = training_rows(open_table({"x": values, "y": values % 7}), targets="y")
    features, targets = (np.concatenate(part) for part in zip(*rows.batches(), strict=True))
    assert features[:, 0].tolist() == values.tolist()
    assert targets[:, 0].tolist() == (values % 7).tolist()


@pytest.mark.parametrize(
    ("kind", "bad", "why"),
    [
        ("precision", [1, -1], "row 2: The weight -1 is negative"),
        ("precision", [np.nan, 1], "row 1: There is no value"),
        ("frequency", [1, np.inf], "row 2: inf is given"),
        ("frequency", [1, 0.5], "row 2: The weight 0.5 is no whole number"),
        ("frequency", [1, 1e300], "row 2: The weight 1e\\+300 is no whole number"),
        ("frequency", [1, 1, 1], "2 rows take as many weights"),
    ],
)
def test_rows_in_memory_take_only_weights_that_can_be(kind, bad, why):
    with pytest.raises(DataError, match=why):
        Dataset(
            feature_values=np.ones((2, 1)),
            target_values=np.ones((2, 1)),
            features=default_columns("x", 1),
            targets=default_columns("y", 1),
            weights=np.array(bad),
            weighting=Weighting(column="w", kind=kind),
        )


def test_a_row_left_out_takes_its_weight_along():
    frame = pl.DataFrame({"x": [1.0, 2, 3, 4], "y": [1.0, None, 5, 6], "w": [1.0, 2, None, 4]})
    dataset = read_dataset(open_table(frame), targets="y", weights="w", config=DROPPING)
    assert dataset.feature_values.ravel().tolist() == [1, 4]
    assert dataset.weights.tolist() == [1, 4]
    parts = split(dataset, 0.5, 0)
    for part in parts:
        assert part.weights.tolist() == part.feature_values.ravel().tolist()
