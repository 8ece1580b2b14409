"""Predict on Spark: every executor opens the model for itself, and rows never leave Arrow.

    spark-submit examples/spark_predict.py BUNDLE INPUT.parquet OUTPUT [--keep NAME]...

Writes OUTPUT, a directory of Parquet files with the kept columns and the predictions. Executors
need linexport too; the bundle is read here, and goes to them with the function.
"""

import argparse
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, FloatType, StructField, StructType

import linexport


def main() -> None:
    parser = argparse.ArgumentParser(description="Predict on Spark.")
    parser.add_argument("bundle")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--keep", action="append", default=[])
    arguments = parser.parse_args()

    predictor = linexport.load(arguments.bundle, num_threads=1)  # Spark gives each core a task
    predict = linexport.record_batch_predictor(predictor, keep=arguments.keep)

    def predict_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return map(predict, batches)

    spark = SparkSession.builder.appName("linexport").getOrCreate()
    rows = spark.read.parquet(arguments.input)
    number = FloatType() if predictor.runtime.dtype == "float32" else DoubleType()
    kept = [rows.schema[name] for name in arguments.keep]
    predicted = [StructField(name, number) for name in predictor.target_names]
    rows.mapInArrow(predict_all, StructType(kept + predicted)).write.parquet(arguments.output)
    spark.stop()


if __name__ == "__main__":
    main()
