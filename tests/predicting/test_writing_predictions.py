import csv
import io
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from peak_memory import PEAK
from predicted import predict_into

from linexport.errors import ConfigError, DataError
from linexport.predicting import Predicted
from linexport.rows._dataset import write_dataset
from linexport.rows._synthetic import synthesize
from linexport.tables._opening import open_table
from linexport.tables._writing import write_table

HOUSES = 'id,a,b,note\n007,1,2,"say ""hi"""\nNA,3,4,"x,\ny"\n 1.50,-5,6,\n'


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_predictions_stand_beside_what_is_kept(predictor):
    Path("in.csv").write_text(HOUSES)
    predicted = predict_into(open_table("in.csv"), predictor, "out.csv", keep=["note", "id"])
    assert predicted == Predicted(
        rows_read=3, rows_written=3, rows_without_prediction=0, rows_outside_range=0
    )
    assert list(csv.reader(io.StringIO(Path("out.csv").read_text(), newline=""))) == [
        ["note", "id", "y", "z"],
        ['say "hi"', "007", "-5.5", "2.0"],
        ["x,\ny", "NA", "-9.5", "6.0"],
        ["", " 1.50", "-33.5", "0.0"],
    ]
    assert files() == ["in.csv", "out.csv"]


@pytest.mark.parametrize("output", ["out.parquet", "out.csv", "out.tsv", "out.CSV"])
@pytest.mark.parametrize("input_", ["in.parquet", "in.csv"])
def test_csv_and_parquet_go_in_and_out(predictor, input_, output):
    random = np.random.default_rng(0)
    frame = pl.DataFrame(random.integers(-99, 99, (150_000, 3)), schema=["b", "id", "a"])
    frame.write_csv("in.csv") if input_.endswith("csv") else frame.write_parquet("in.parquet")
    assert predict_into(open_table(input_), predictor, output, keep=["id"]).rows_written == 150_000
    if output == "out.parquet":
        found = pl.read_parquet(output)
        assert found.schema["y"] == pl.Float32
        assert found.schema["id"] == (pl.String if input_.endswith("csv") else pl.Int64)
    else:
        found = pl.read_csv(output, separator="\t" if output.endswith("tsv") else ",")
    assert found.columns == ["id", "y", "z"]
    assert found["id"].cast(pl.Int64).equals(frame["id"])
    a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
    assert np.array_equal(found["y"].to_numpy(), 2 * a - 4 * b + 0.5)
    assert np.array_equal(found["z"].to_numpy(), a + b - 1)


def test_columns_of_parquet_are_kept_with_their_types(predictor):
    frame = pl.DataFrame(
        {
            "a": [1, 3],
            "b": [2, 4],
            "day": pl.Series([0, 1]).cast(pl.Date),
            "tags": [["u"], []],
            "kind": pl.Series(["v", None], dtype=pl.Categorical),
        }
    )
    frame.write_parquet("in.parquet")
    predict_into(
        open_table("in.parquet"), predictor, "out.parquet", keep=["day", "tags", "kind", "a"]
    )
    found = pl.read_parquet("out.parquet")
    assert found.drop("y", "z").equals(frame.select("day", "tags", "kind", "a"))


def significant(number: str) -> str:
    return number.lower().split("e")[0].lstrip("-").replace(".", "").strip("0")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=40)
@given(data=st.data())
def test_what_is_written_reads_back_as_the_same_bits(tmp_path_factory, dtype, data):
    values = data.draw(hnp.arrays(dtype, st.integers(0, 30)))
    folder = tmp_path_factory.mktemp("bits")
    for name in ("t.csv", "t.parquet"):
        write_table([pl.DataFrame({"y": values})], folder / name)
    text = (folder / "t.csv").read_text().split()[1:]
    assert np.array_equal(np.array([float(cell) for cell in text], dtype), values, equal_nan=True)
    assert [significant(cell) for cell in text] == [
        significant(np.format_float_scientific(value)) for value in values
    ]
    found = pq.read_table(folder / "t.parquet")["y"].to_numpy()
    assert found.dtype == dtype
    assert np.array_equal(found, values, equal_nan=True)


def test_a_table_of_no_rows_gives_a_header(predictor):
    Path("in.csv").write_text("a,b,id\n")
    for output in ("out.csv", "out.parquet"):
        assert predict_into(open_table("in.csv"), predictor, output, keep=["id"]).rows_written == 0
    assert Path("out.csv").read_text() == "id,y,z\n"
    assert pl.read_parquet_schema("out.parquet") == {
        "id": pl.String,
        "y": pl.Float32,
        "z": pl.Float32,
    }


def test_standard_input_goes_to_standard_output(predictor, monkeypatch, capfdbinary):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"b;a\n2;1\n4;3\n")))
    assert predict_into(open_table("-"), predictor, "-").rows_written == 2
    assert capfdbinary.readouterr().out == b"y,z\n-5.5,2.0\n-9.5,6.0\n"


def test_a_directory_of_parts_is_one_table(predictor):
    Path("parts").mkdir()
    for number in range(3):
        Path(f"parts/{number}.csv").write_text(f"a,b\n{number},0\n")
    predict_into(open_table("parts"), predictor, "out.csv")
    assert pl.read_csv("out.csv")["y"].to_list() == [0.5, 2.5, 4.5]


def test_rows_without_a_value_are_an_error_or_predicted_as_nan(predictor):
    Path("in.csv").write_text("a,b,id\n1,2,u\n,2,v\n3,4,w\n")
    table = open_table("in.csv")
    with pytest.raises(DataError, match=r"^in.csv, column 'a', row 2: There is no value; fill it "):
        predict_into(table, predictor, "out.csv")
    predicted = predict_into(table, predictor, "out.csv", keep=["id"], missing="nan")
    assert predicted == Predicted(
        rows_read=3, rows_written=3, rows_without_prediction=1, rows_outside_range=0
    )
    assert Path("out.csv").read_text() == "id,y,z\nu,-5.5,2.0\nv,NaN,NaN\nw,-9.5,6.0\n"


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (
            ["y", "predicted_y"],
            "in.csv, column 'predicted_y': A column of the predictions would have this name too; "
            "name theirs with names=....",
        ),
        (["id", "id"], "in.csv, column 'id': It is to be kept twice."),
        (["ID"], "in.csv: There is no column 'ID'; did you mean 'id'?"),
    ],
)
def test_columns_that_cannot_be_kept_are_refused(predictor, keep, message):
    Path("in.csv").write_text("a,b,id,y,predicted_y\n1,2,3,4,5\n")
    with pytest.raises(DataError) as caught:
        predict_into(open_table("in.csv"), predictor, "out.csv", keep=keep)
    assert str(caught.value) == message
    assert files() == ["in.csv"]


def test_a_missing_feature_is_named(predictor):
    Path("in.csv").write_text("a,bb\n1,2\n")
    with pytest.raises(DataError, match=r"^in.csv: There is no column 'b'; did you mean 'bb'\?$"):
        predict_into(open_table("in.csv"), predictor, "out.csv")


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        ("out.txt", ConfigError, "Name the output .csv, .tsv or .parquet, or - for CSV, not 'out"),
        ("none/out.csv", DataError, "none/out.csv: There is no directory none."),
        ("folder.csv", DataError, "folder.csv: It is not a file, and is not replaced."),
        ("null.csv", DataError, "null.csv: It is not a file, and is not replaced."),
        ("loop.csv", DataError, "loop.csv: It cannot be written: "),
        ("x" * 300 + ".csv", DataError, "x" * 300 + ".csv: It cannot be written: "),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_a_row_is_read(predictor, output, error, message):
    Path("in.csv").write_text("a,b\n1,oops\n")
    Path("folder.csv").mkdir()
    Path("null.csv").symlink_to(os.devnull)
    Path("loop.csv").symlink_to("loop.csv")
    with pytest.raises(error) as caught:
        predict_into(open_table("in.csv"), predictor, output)
    assert str(caught.value).startswith(message)
    assert predictor.runtime.calls == []


def rows_then(last: str, count: int = 40_000) -> str:
    return "\n".join(["a,b", *["1.25,2.5"] * count, last]) + "\n"


@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
@pytest.mark.parametrize(
    ("last", "message"),
    [
        (
            "1,oops",
            "in.csv, column 'b', row 40001: 'oops' is not a number; correct it, or delete its row.",
        ),
        ("1,", "in.csv, column 'b', row 40001: There is no value"),
        (
            "1",
            "in.csv, row 40001: The header names 2 columns, but this row has 1;",
        ),
        ('1,"2', "in.csv, row 40001: A quote is never closed"),
    ],
)
def test_a_late_bad_row_is_named_and_the_old_output_stays(
    predictor, monkeypatch, output, last, message
):
    monkeypatch.setattr("linexport.tables._records._BLOCK_BYTES", 1 << 14)
    Path("in.csv").write_text(rows_then(last))
    Path(output).write_text("old")
    with pytest.raises(DataError) as caught:
        predict_into(open_table("in.csv"), predictor, output)
    assert str(caught.value).startswith(message)
    assert len(predictor.runtime.calls) > 10  # it had begun
    assert Path(output).read_text() == "old"
    assert files() == sorted(["in.csv", output])


@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_an_interrupt_leaves_nothing_half_written(predictor, monkeypatch, output):
    monkeypatch.setattr("linexport.tables._records._BLOCK_BYTES", 1 << 12)
    Path("in.csv").write_text(rows_then("1,2"))
    predict = predictor.runtime.predict

    def interrupted(features):
        if len(predictor.runtime.calls) >= 20:  # again, should polars' encoder swallow one
            os.kill(os.getpid(), signal.SIGINT)
        return predict(features)

    predictor.runtime.predict = interrupted
    with pytest.raises(KeyboardInterrupt):
        predict_into(open_table("in.csv"), predictor, output)
    assert files() == ["in.csv"]


INTERRUPTED = """
import os, signal, sys, threading
import polars as pl
from linexport.tables import write_table
def frames():
    while True:  # the interrupt comes while polars works, here or in the encoder
        yield pl.read_csv(b"1,2\\n" * 500_000, has_header=False)
threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGINT)).start()
print("started", flush=True)
write_table(frames(), sys.argv[1])
"""


@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
@pytest.mark.parametrize("delay", ["0.1", "0.23"])
def test_an_interrupt_within_polars_leaves_nothing_half_written(output, delay):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, output, delay], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGINT
    assert done.stdout == "started\n"
    assert "KeyboardInterrupt" in done.stderr
    assert files() == []


@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_a_full_disk_is_an_error_that_says_so(monkeypatch, output):
    def open_full(descriptor, mode):
        os.close(descriptor)
        return Path("/dev/full").open(mode)

    monkeypatch.setattr(os, "fdopen", open_full)
    frames = (pl.DataFrame({"y": np.arange(100_000.0)}) for _ in range(50))
    with pytest.raises(DataError, match=rf"^{output}: It cannot be written: .*No space left"):
        write_table(frames, output)


def test_a_date_of_no_calendar_is_not_written(capfd):
    dates = pl.DataFrame({"d": pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date)})
    with pytest.raises(DataError, match=r"^out\.csv: It cannot be written: .*out-of-range date"):
        write_table([dates], "out.csv")
    assert not Path("out.csv").exists()
    capfd.readouterr()  # Rust has told it too


def test_an_output_is_replaced_in_one_step_also_behind_a_link(predictor):
    Path("in.csv").write_text("a,b\n1,2\n")
    Path("real.csv").write_text("old")
    Path("link.csv").symlink_to("real.csv")
    with Path("real.csv").open() as reader:
        predict_into(open_table("in.csv"), predictor, "link.csv")
        assert reader.read() == "old"  # who had it open keeps the old file
    assert Path("link.csv").is_symlink()
    assert Path("real.csv").read_text() == "y,z\n-5.5,2.0\n"


def test_what_is_replaced_keeps_its_mode(predictor):
    Path("in.csv").write_text("a,b\n1,2\n")
    Path("out.csv").write_text("old")
    Path("out.csv").chmod(0o600)
    predict_into(open_table("in.csv"), predictor, "out.csv")
    assert Path("out.csv").stat().st_mode & 0o777 == 0o600


KILLED = """
import os, sys
import polars as pl
from linexport.tables import write_table

def frames():
    yield pl.DataFrame({"y": [1.0]})
    os.kill(os.getpid(), int(sys.argv[1]))
    yield pl.DataFrame({"y": [2.0]})

write_table(frames(), "out.csv")
"""


@pytest.mark.parametrize("planted", ["killed", "a link", "another's name"])
def test_what_a_killed_writer_left_is_taken_over(predictor, tmp_path, planted):
    Path("in.csv").write_text("a,b\n1,2\n")
    for _ in range(3):
        subprocess.run([sys.executable, "-c", KILLED, str(int(signal.SIGKILL))], check=False)
    (left,) = Path.cwd().glob(".linexport-*.tmp")
    if planted == "a link":
        left.unlink()
        left.symlink_to("in.csv")
    elif planted == "another's name":
        left.unlink()
        left.hardlink_to("in.csv")
    predict_into(open_table("in.csv"), predictor, "out.csv")
    assert Path("out.csv").read_text() == "y,z\n-5.5,2.0\n"
    assert Path("in.csv").read_text() == "a,b\n1,2\n"
    stays = [] if planted == "killed" else [left]
    assert list(Path.cwd().glob(".linexport-*.tmp")) == stays


def test_writers_to_one_place_do_not_meet():
    frame = pl.DataFrame({"y": np.arange(1000.0)})

    def write():
        for _ in range(20):
            write_table([frame] * 5, "out.csv")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pl.read_csv("out.csv").height == 5000
    assert list(Path.cwd().glob(".linexport-*.tmp")) == []


def test_the_output_has_the_permissions_of_a_new_file(predictor):
    Path("in.csv").write_text("a,b\n1,2\n")
    umask = os.umask(0o027)
    try:
        predict_into(open_table("in.csv"), predictor, "out.csv")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(Path("out.csv").stat().st_mode) == 0o640


def test_columns_without_a_form_in_csv_are_named(predictor):
    pl.DataFrame({"a": [1], "b": [2], "tags": [["u"]]}).write_parquet("in.parquet")
    with pytest.raises(
        DataError, match=r"^out.csv: CSV has no cells for .* of 'tags': write Parquet"
    ):
        predict_into(open_table("in.parquet"), predictor, "out.csv", keep=["tags"])
    assert files() == ["in.parquet"]


def test_parts_that_differ_in_the_type_of_a_kept_column_are_named(predictor):
    pl.DataFrame({"a": [1], "b": [2], "id": [1]}).write_parquet("p0.parquet")
    pl.DataFrame({"a": [1.5], "b": [2], "id": ["u"]}).write_parquet("p1.parquet")
    table = open_table("p*.parquet")
    assert predict_into(table, predictor, "out.csv").rows_written == 2
    with pytest.raises(
        DataError, match=r"^p1.parquet, column 'id': It holds String, but Int64 in the files before"
    ):
        predict_into(table, predictor, "out.csv", keep=["id"])


def test_a_dataset_is_written_as_it_is(here):
    dataset = synthesize([[1, 2], [3, 4]], num_rows=50)
    for name in ("t.csv", "t.parquet"):
        write_dataset(dataset, name)
        found = open_table(name)
        assert found.names == ("x1", "x2", "y1", "y2")
        (batch,) = found.batches(found.names)
        assert batch.numbers()[:, :2].tobytes() == dataset.feature_values.tobytes()
        assert batch.numbers()[:, 2:].tolist() == dataset.target_values.tolist()


MEMORY = (
    PEAK
    + """
import sys
import numpy as np, polars as pl
from linexport.tables import _tables as tables
from linexport.tables import open_table
from linexport.columns import Column
from linexport.predicting import Outputs, Predictor, write_predictions
tables._BYTES_AHEAD = 1 << 20  # what may be held, whether or not the machine is busy
class Runtime:
    name = version = provider = "numpy"; num_threads = 1; structure = None; dtype = np.dtype("f4")
    def predict(self, features): return features.sum(axis=1, keepdims=True)
columns = tuple(Column(name=name) for name in "abcd")
predictor = Predictor(Runtime(), columns, columns[:1])
outputs = Outputs(predictor=predictor, source=sys.argv[1])
write_predictions(open_table(sys.argv[1]), outputs, sys.argv[2])
print(peak())
"""
)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_rows(suffix):
    values = np.random.default_rng(0).random((250_000, 4))
    peak = []
    for copies in (6, 10):  # both of them more than is read ahead
        frame = pl.concat([pl.DataFrame(values, schema=list("abcd"))] * copies)
        name = f"in{copies}.{suffix}"
        frame.write_csv(name) if suffix == "csv" else frame.write_parquet(
            name, row_group_size=20_000
        )
        command = [sys.executable, "-c", MEMORY, name, f"out.{suffix}"]
        peak.append(int(subprocess.check_output(command)))
    # Holding a million more rows would take 32 MB as numbers, 75 MB as text.
    assert peak[1] - peak[0] < 16
