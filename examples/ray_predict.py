"""Predict on Ray: every worker opens the model for itself, and rows never leave Arrow.

    python examples/ray_predict.py BUNDLE INPUT.parquet OUTPUT [--keep NAME]...

Writes OUTPUT, a directory of Parquet files with the kept columns and the predictions.
"""

import argparse

import ray

import linexport


def main() -> None:
    parser = argparse.ArgumentParser(description="Predict on Ray.")
    parser.add_argument("bundle")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--keep", action="append", default=[])
    arguments = parser.parse_args()

    predictor = linexport.load(arguments.bundle, num_threads=1)  # Ray gives each core a task
    predict = linexport.record_batch_predictor(predictor, keep=arguments.keep)

    columns = [*arguments.keep, *predictor.feature_names]
    rows = ray.data.read_parquet(arguments.input, columns=list(dict.fromkeys(columns)))
    rows.map_batches(predict, batch_format="pyarrow").write_parquet(arguments.output)


if __name__ == "__main__":
    main()
