"""Parts that Spark loses, runs again, or finds empty: what a merge of their states says.

    python spark_faults.py DIRECTORY SCRATCH

See engine_faults.py. Writes SCRATCH/found.json.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import engine_faults
import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark import TaskContext
from pyspark.sql import SparkSession


def run(source: str, directory: Path, tries: int) -> list[bytes | None]:
    """Return the state of each partition, None of one whose task failed so often.

    Each partition is a job, because a job is lost with any of its tasks.
    """
    directory.mkdir()
    settings = SparkSession.builder.master(f"local[2,{tries}]")
    # As large as a partition may be, so that each file is one, the largest first.
    spark = settings.config("spark.sql.files.openCostInBytes", "128MB").getOrCreate()
    spark.sparkContext.addPyFile(engine_faults.__file__)

    def add_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        state = engine_faults.add_up(batches, TaskContext.get().partitionId() + 1, directory)
        yield pa.record_batch({"state": pa.array([state], pa.binary())})

    rows = spark.read.parquet(source).mapInArrow(add_up, "state binary").rdd
    states = rows.map(lambda row: bytes(row.state))
    found: list[bytes | None] = []
    for number in range(engine_faults.COUNT):
        try:
            found += spark.sparkContext.runJob(states, list, [number])
        except Py4JJavaError:
            found.append(None)
    spark.stop()
    return found


def main() -> None:
    source, scratch = sys.argv[1], Path(sys.argv[2])
    again, never = run(source, scratch / "again", 3), run(source, scratch / "never", 1)
    engine_faults.write_found(again, never, scratch)


if __name__ == "__main__":
    main()
