"""How others score a table with ten features: one whole process each.

    python benchmarks/_scorers.py NAME INPUT OUTPUT [ONNX]

INPUT and OUTPUT are .parquet or .csv. Each writes one column of float32 predictions.
"""

import sys
from collections.abc import Callable
from pathlib import Path

FEATURES = [f"x{number}" for number in range(1, 11)]
WEIGHT = [0.37 * number for number in range(1, 11)]
BIAS = 4.2


def polars_alone(source: str, output: str) -> None:
    """Decode every feature and encode one column: what no scorer on polars can undercut."""
    import polars as pl

    if source.endswith(".csv"):
        frame = pl.read_csv(source, schema_overrides=dict.fromkeys(FEATURES, pl.Float32))
        frame.select(y="x1").write_csv(output)
    else:
        pl.read_parquet(source).select(y="x1").write_parquet(output)


def polars_expression(source: str, output: str) -> None:
    import polars as pl

    terms = [pl.col(name) * weight for name, weight in zip(FEATURES, WEIGHT, strict=True)]
    y = pl.sum_horizontal(*terms, pl.lit(BIAS)).cast(pl.Float32).alias("y")
    if source.endswith(".csv"):
        rows = pl.scan_csv(source, schema_overrides=dict.fromkeys(FEATURES, pl.Float32))
        rows.select(y).sink_csv(output)
    else:
        pl.scan_parquet(source).select(y).sink_parquet(output)


def duckdb_sql(source: str, output: str) -> None:
    import duckdb

    terms = " + ".join(f"{weight} * {name}" for name, weight in zip(FEATURES, WEIGHT, strict=True))
    with duckdb.connect() as connection:
        connection.sql(
            f"COPY (SELECT ({terms} + {BIAS})::FLOAT AS y FROM '{source}') TO '{output}'"
        )


def pyarrow_onnxruntime(source: str, output: str, onnx: str) -> None:
    import numpy as np
    import onnxruntime
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    is_csv = source.endswith(".csv")
    read = pyarrow.csv.read_csv if is_csv else pyarrow.parquet.read_table
    table = read(source)
    rows = np.column_stack([table[name].to_numpy() for name in FEATURES]).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx)
    (y,) = session.run(None, {session.get_inputs()[0].name: rows})
    write = pyarrow.csv.write_csv if is_csv else pyarrow.parquet.write_table
    write(pa.table({"y": y[:, 0]}), output)


def pandas_scikit_learn(source: str, output: str) -> None:
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    model = LinearRegression()
    model.coef_, model.intercept_ = np.array(WEIGHT, np.float32), np.float32(BIAS)
    model.n_features_in_, model.feature_names_in_ = len(FEATURES), np.array(FEATURES, object)
    read = pd.read_csv if source.endswith(".csv") else pd.read_parquet
    predictions = pd.DataFrame({"y": model.predict(read(source)[FEATURES]).astype(np.float32)})
    if source.endswith(".csv"):
        predictions.to_csv(output, index=False)
    else:
        predictions.to_parquet(output)


def write_skl2onnx(path: Path) -> None:
    """Convert the model as scikit-learn's users do."""
    import numpy as np
    import skl2onnx
    from sklearn.linear_model import LinearRegression

    model = LinearRegression()
    model.coef_, model.intercept_ = np.array([WEIGHT], np.float32), np.array([BIAS], np.float32)
    model.n_features_in_ = len(FEATURES)
    proto = skl2onnx.to_onnx(model, np.zeros((1, len(FEATURES)), np.float32))
    path.write_bytes(proto.SerializeToString())


PEERS: dict[str, Callable[..., None]] = {
    "polars, decode + encode alone": polars_alone,
    "polars expression": polars_expression,
    "DuckDB SQL": duckdb_sql,
    "pyarrow + onnxruntime": pyarrow_onnxruntime,
    "skl2onnx's model": pyarrow_onnxruntime,
    "pandas + scikit-learn": pandas_scikit_learn,
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](*sys.argv[2:])
