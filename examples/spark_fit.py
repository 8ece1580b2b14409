"""Fit on Spark: each partition is added up where it lies, and only sums travel.

    spark-submit examples/spark_fit.py INPUT.parquet OUTPUT --target NAME [--weights NAME]
        [--categorical NAME]

Writes OUTPUT, a bundle. How Spark cuts the rows moves no bit of the fit. Each state says which
partition of how many it is, so that one that is lost, or counted twice, is an error.
"""

import argparse
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import SparkSession

import linexport


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit on Spark.")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--target", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--categorical", action="append", default=[])
    arguments = parser.parse_args()

    spark = SparkSession.builder.appName("linexport").getOrCreate()
    rows = spark.read.parquet(arguments.input)
    count = rows.rdd.getNumPartitions()

    def add_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        state = linexport.State(
            targets=arguments.target,
            weights=arguments.weights,
            categorical=arguments.categorical or None,
            part=f"{TaskContext.get().partitionId() + 1}/{count}",
        )
        for batch in batches:
            state.update(batch)
        yield pa.record_batch({"state": pa.array([state.to_bytes()], pa.binary())})

    def merge(one: bytes, other: bytes) -> bytes:
        read = linexport.State.from_bytes
        return read(one).merge(read(other)).to_bytes()

    states = rows.mapInArrow(add_up, "state binary").rdd.map(lambda row: bytes(row.state))
    total = linexport.State.from_bytes(states.treeReduce(merge))
    linexport.export(total.fit(), arguments.output)
    spark.stop()


if __name__ == "__main__":
    main()
