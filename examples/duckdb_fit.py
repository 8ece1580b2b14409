"""Fit in DuckDB: whatever a query returns is added up as it comes, in memory that does not grow.

    python examples/duckdb_fit.py QUERY OUTPUT --target NAME [--weights NAME] [--categorical NAME]

QUERY is SQL, such as "SELECT * FROM 's3://lake/*.parquet'". Writes OUTPUT, a bundle. The order in
which DuckDB's threads bring the rows moves no bit of the fit.
"""

import argparse

import duckdb

import linexport

BATCH_ROWS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit in DuckDB.")
    parser.add_argument("query")
    parser.add_argument("output")
    parser.add_argument("--target", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--categorical", action="append", default=[])
    arguments = parser.parse_args()

    state = linexport.State(
        targets=arguments.target,
        weights=arguments.weights,
        categorical=arguments.categorical or None,
    )
    with duckdb.connect() as connection:
        for batch in connection.sql(arguments.query).to_arrow_reader(BATCH_ROWS):
            state.update(batch)
    linexport.export(state.fit(), arguments.output)


if __name__ == "__main__":
    main()
