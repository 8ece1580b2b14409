"""Parquet tables to fit, written a row group at a time so that they may be larger than memory."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

ROW_GROUP = 1 << 18


def write_parquet(path: Path, *, num_rows: int, num_features: int, seed: int = 0) -> None:
    """Write x1, x2, ... ~ N(0, 1) and y = x.w + b + noise as float64, not compressed."""
    generator = np.random.default_rng(seed)
    weight = generator.normal(size=num_features)
    names = [f"x{number + 1}" for number in range(num_features)] + ["y"]
    schema = pa.schema([(name, pa.float64()) for name in names])
    with pyarrow.parquet.ParquetWriter(
        path, schema, compression="none", use_dictionary=False
    ) as writer:
        for start in range(0, num_rows, ROW_GROUP):
            features = generator.normal(size=(min(ROW_GROUP, num_rows - start), num_features))
            target = features @ weight + 4.2 + 0.1 * generator.normal(size=len(features))
            columns = [*features.T, target]
            writer.write_table(pa.table([np.ascontiguousarray(c) for c in columns], schema=schema))
