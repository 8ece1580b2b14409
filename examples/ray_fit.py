"""Fit on Ray: each worker adds up the rows that it reads, and only sums travel.

    python examples/ray_fit.py INPUT.parquet OUTPUT --target NAME [--weights NAME]
        [--categorical NAME]

Writes OUTPUT, a bundle. Ray may cut the rows as it likes; that moves no bit of the fit. A batch's
state is named by its sums: one that Ray tried twice and kept twice would be an error. Batches that
hold the same rows, as of a table that repeats itself, need names of their own (part=).
"""

import argparse

import pyarrow as pa
import ray

import linexport

BATCH_ROWS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit on Ray.")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--target", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--categorical", action="append", default=[])
    arguments = parser.parse_args()

    def add_up(batch: pa.Table) -> pa.Table:
        state = linexport.State(
            targets=arguments.target,
            weights=arguments.weights,
            categorical=arguments.categorical or None,
        )
        return pa.table({"state": pa.array([state.update(batch).to_bytes()], pa.large_binary())})

    rows = ray.data.read_parquet(arguments.input)
    states = rows.map_batches(add_up, batch_format="pyarrow", batch_size=BATCH_ROWS)
    total = linexport.State().merge(
        *(linexport.State.from_bytes(row["state"]) for row in states.iter_rows())
    )
    linexport.export(total.fit(), arguments.output)


if __name__ == "__main__":
    main()
