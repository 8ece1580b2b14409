"""In which format the numbers came is known wherever they came from."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from linexport.rows import TableRows, in_memory, training_data, training_rows
from linexport.tables import open_table

NARROW, WIDE = 2.0**-24, 2.0**-53


def roundoffs(rows):
    if isinstance(rows, TableRows):
        for _ in rows.batches():
            pass
        assert in_memory(rows).unit_roundoff.tolist() == rows.unit_roundoff.tolist()
    return rows.unit_roundoff.tolist()


def frame():
    values = np.arange(6.0)
    return pl.DataFrame({"a": values, "b": values, "y": values**2}).with_columns(
        pl.col("a").cast(pl.Float32)
    )


def test_a_parquet_file_states_the_format_of_each_column(tmp_path):
    path = tmp_path / "rows.parquet"
    frame().write_parquet(path)
    assert roundoffs(training_rows(open_table(path), targets="y")) == [NARROW, WIDE, WIDE]


def test_of_several_files_the_widest_rounding_counts(tmp_path):
    frame().write_parquet(tmp_path / "1.parquet")
    frame().with_columns(pl.col("a", "y").cast(pl.Float64)).write_parquet(tmp_path / "2.parquet")
    rows = training_rows(open_table(tmp_path / "*.parquet"), targets="y")
    assert roundoffs(rows) == [NARROW, WIDE, WIDE]


@pytest.mark.parametrize("text", ["a,b,y\n1,0.5,2\n2,1.5,3\n", '"a",b,y\n1,0.5,2\n2,1.5,3\n'])
def test_text_is_taken_for_float64(tmp_path, text):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    assert roundoffs(training_rows(open_table(path), targets="y")) == [WIDE] * 3


def test_tables_in_memory_state_it_too():
    table = frame()
    for data in (table, table.to_pandas(), table.to_arrow(), table.to_dict(as_series=False)):
        expected = WIDE if isinstance(data, dict) else NARROW
        assert roundoffs(training_data(data, "y")) == [expected, WIDE, WIDE]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (np.ones((4, 2), np.float32), NARROW),
        (np.ones((4, 2), np.float16), 2.0**-11),
        (np.ones((4, 2), np.int32), WIDE),
        (torch.ones(4, 2), NARROW),
        (torch.ones(4, 2, dtype=torch.bfloat16), 2.0**-8),
        ([[1.0, 2.0]] * 4, WIDE),
    ],
)
def test_arrays_and_tensors_state_it(features, expected):
    target = np.arange(4.0)
    assert roundoffs(training_data(features, target)) == [expected, expected, WIDE]


def test_a_data_frame_of_features_states_it_by_column():
    features = pd.DataFrame({"a": np.ones(4, np.float32), "b": np.ones(4)})
    assert roundoffs(training_data(features, np.arange(4.0))) == [NARROW, WIDE, WIDE]
