"""The recipes, run as their users run them, on the real engines in local mode."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import linexport

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ENVIRONMENT = {
    "PYSPARK_PYTHON": sys.executable,
    "SPARK_LOCAL_IP": "127.0.0.1",  # nothing listens beyond this machine
    "SPARK_LOCAL_HOSTNAME": "localhost",
    "PYSPARK_SUBMIT_ARGS": "--master local[2] --conf spark.ui.enabled=false "
    "--conf spark.driver.memory=512m "
    # A JVM that lives for seconds: compiling for speed would cost more than it gains.
    "--conf spark.driver.extraJavaOptions='-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' "
    "pyspark-shell",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # as there: nothing listens beyond this machine
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_DEDUP_LOGS": "0",
    "RAY_raylet_start_wait_time_s": "300",  # not 30, which a busy machine takes
    "OMP_NUM_THREADS": "1",
}
SECONDS = 900
"""After which an engine hangs; each takes some ten on idle cores."""


@contextlib.contextmanager
def waiting_for_others(tmp_path_factory):
    """Keep the engines from starting at the same time in several test processes."""
    lock = tmp_path_factory.getbasetemp().parent / "engines.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def alone(tmp_path_factory):
    with waiting_for_others(tmp_path_factory):
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Names with what SQL and shells take for their own."""
    path = tmp_path_factory.mktemp("model") / "bundle"
    model = linexport.LinearModel.from_arrays(
        {
            "weight": np.array([[3.1, -0.8, 0.3], [1e-3, 7.0, 2.0]]),
            "bias": np.array([40.0, -1.0]),
        },
        features=["area", 'the "floor"', "it's"],
        targets=["rent", "kWh"],
    )
    linexport.export(model, path)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Other columns, other types, other order; text to keep; several row groups."""
    random = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    frame = pl.DataFrame(
        {
            "it's": random.integers(-9, 9, 5000).astype(np.int16),
            "id": [f"{number:05}" for number in range(5000)],
            "note": [None, "x"] * 2500,
            "area": random.normal(size=5000),
            'the "floor"': random.normal(size=5000).astype(np.float32),
        }
    )
    frame.write_parquet(path, row_group_size=1000)
    return path


def run(*command: object, cwd: Path) -> None:
    """Run Python in a process of its own."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, **ENVIRONMENT},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr


def run_example(name: str, model: Path, table: Path, output: Path) -> pl.DataFrame:
    run(EXAMPLES / name, model, table, output, "--keep", "id", cwd=output.parent)
    files = sorted(output.rglob("*.parquet")) if output.is_dir() else output
    return pl.read_parquet(files)


def needs_java() -> None:
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java: apt-get install openjdk-17-jre-headless")


@pytest.mark.parametrize("name", ["duckdb_predict.py", "ray_predict.py", "spark_predict.py"])
def test_an_engine_predicts_what_linexport_predicts_bit_for_bit(
    alone, model, table, tmp_path, name
):
    if name.startswith("spark"):
        needs_java()
    found = run_example(name, model, table, tmp_path / "out.parquet").sort("id")
    linexport.predict_table(model, table, tmp_path / "expected.parquet", keep="id")
    expected = pl.read_parquet(tmp_path / "expected.parquet")
    assert found.schema == {"id": pl.String, "rent": pl.Float32, "kWh": pl.Float32}
    assert found.equals(expected)


@pytest.fixture(scope="module")
def rents(tmp_path_factory) -> Path:
    """Rows to fit: weights, a category with a rare level, several files, one of them empty."""
    random = np.random.default_rng(6)
    path = tmp_path_factory.mktemp("rents")
    kind = random.choice(["flat", "house", "loft"], 6000, p=[0.6, 0.399, 0.001])
    area = 50 + 10 * random.standard_normal(6000)
    rent = 10 * area + 80 * (kind == "house") + random.standard_normal(6000)
    columns = {"area": area, "kind": kind, "times": random.random(6000), "rent": rent}
    table = pl.DataFrame(columns)
    for number, part in enumerate((table[:100], table[:0], table[100:])):
        part.write_parquet(path / f"{number}.parquet", row_group_size=700)
    return path


COLUMNS = ("--target", "rent", "--weights", "times", "--categorical", "kind")


def by_engine(name: str, rents: Path, directory: Path) -> list[list[object]]:
    """Return the commands that fit the rows and write a bundle."""
    bundle = directory / "bundle"
    if name.endswith("ranks"):
        ranks = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={name[0]}")
        state = directory / "all.state"
        return [
            [*ranks, "-m", "linexport", "state", rents, *COLUMNS, "-o", state],
            ["-m", "linexport", "fit", state, "-o", bundle],
        ]
    query = f"SELECT * FROM '{rents}/*.parquet' ORDER BY area"
    source = query if name == "duckdb" else rents
    return [[EXAMPLES / f"{name}_fit.py", source, bundle, *COLUMNS]]


@pytest.mark.parametrize("name", ["duckdb", "ray", "spark", "2 ranks", "3 ranks"])
def test_an_engine_fits_what_one_process_fits_bit_for_bit(alone, rents, tmp_path, name):
    if name == "spark":
        needs_java()
    for command in by_engine(name, rents, tmp_path):
        run(*command, cwd=tmp_path)
    state = linexport.State(targets="rent", weights="times", categorical="kind").update(rents)
    expected = linexport.export(state.fit(), tmp_path / "expected")
    found = linexport.read_bundle(tmp_path / "bundle")
    assert found.manifest.record == expected.manifest.record
    assert found.manifest.encoding == expected.manifest.encoding
    for artifact in ("model.onnx", "weights.safetensors"):
        assert found.manifest.files[artifact] == expected.manifest.files[artifact]


@pytest.fixture(scope="module", params=["ray", "spark"])
def faults(request, rents, tmp_path_factory):
    """What an engine's tasks came to, one of which died after its state was written."""
    if request.param == "spark":
        needs_java()
    scratch = tmp_path_factory.mktemp("faults")
    script = Path(__file__).with_name(f"{request.param}_faults.py")
    with waiting_for_others(tmp_path_factory):
        run(script, rents, scratch, cwd=scratch)
    return json.loads((scratch / "found.json").read_text())


def test_a_task_that_is_run_again_counts_once(faults, rents):
    state = linexport.State(targets="rent", weights="times", categorical="kind").update(rents)
    assert faults["num_files"] == 4  # of three tasks
    assert faults["tasks"]["weight"] == state.fit().model.weight.tolist()
    assert faults["tasks"]["rows"] == state.num_rows


def test_both_states_of_a_task_that_was_run_again_are_refused(faults):
    assert faults["files"]["error"] == (
        "The part '2/3' is in both, and would be counted twice: leave one of the two out. "
        "Different parts need different names (part=...)."
    )


def test_a_task_that_was_lost_is_told(faults):
    assert faults["lost"]["error"] == "1 of 3 parts are missing: 2/3. Merge their states too."


def test_a_task_without_rows_is_no_fault(faults):
    assert faults["empty"] == 0
    assert faults["tasks"]["parts"] == ["1/3", "2/3", "3/3"]


def test_every_recipe_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "duckdb_fit.py", "duckdb_predict.py", "ray_fit.py", "ray_predict.py", "spark_fit.py",
        "spark_predict.py", "textbook.py",
    }  # fmt: skip
