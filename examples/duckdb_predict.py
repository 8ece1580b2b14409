"""Predict in DuckDB: the model is a function in SQL.

    python examples/duckdb_predict.py BUNDLE INPUT OUTPUT.parquet [--keep NAME]...

INPUT is whatever DuckDB reads: a Parquet or CSV file, a pattern of them, a URL.
"""

import argparse

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DOUBLE, FLOAT

import linexport


def register(connection: duckdb.DuckDBPyConnection, predictor: linexport.Predictor) -> None:
    """Add predict({'x1': ..., 'x2': ...}), which returns a struct of the targets."""
    score = linexport.record_batch_predictor(predictor)

    def predict(rows: pa.ChunkedArray) -> pa.StructArray:
        return score(pa.RecordBatch.from_struct_array(rows.combine_chunks())).to_struct_array()

    number = FLOAT if predictor.runtime.dtype == "float32" else DOUBLE
    connection.create_function(
        "predict",
        predict,
        [connection.struct_type(dict.fromkeys(predictor.feature_names, DOUBLE))],
        connection.struct_type(dict.fromkeys(predictor.target_names, number)),
        type="arrow",
    )


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def main() -> None:
    parser = argparse.ArgumentParser(description="Predict in DuckDB.")
    parser.add_argument("bundle")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--keep", action="append", default=[])
    arguments = parser.parse_args()

    predictor = linexport.load(arguments.bundle)
    features = ", ".join(f"{text(name)}: {identifier(name)}" for name in predictor.feature_names)
    columns = [*map(identifier, arguments.keep), f"unnest(predict({{{features}}}))"]
    query = f"SELECT {', '.join(columns)} FROM {text(arguments.input)}"
    with duckdb.connect() as connection:
        register(connection, predictor)
        connection.sql(query).write_parquet(arguments.output)


if __name__ == "__main__":
    main()
