"""linexport predict: tables in, tables out."""

import fcntl
import io
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from array import array

import numpy as np
import onnxruntime
import polars as pl
import pytest
from nearness import assert_near
from onnx import helper, numpy_helper

from linexport.formats.onnx import graph as onnx_graph
from linexport.model import LinearModel


@pytest.fixture(scope="session")
def priced(tmp_path_factory, prices):
    """A bundle of the prices' table: names, a boolean and whole numbers."""
    from linexport import read_data, train_and_export

    dataset = read_data(prices, targets=["price"], exclude=["street"])
    return train_and_export(dataset, tmp_path_factory.mktemp("priced") / "bundle").path


@pytest.fixture
def table(tmp_path):
    """Write a CSV file and return its path."""

    def write(text, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def onnxruntime_alone(bundle, rows):
    """What a user gets without linexport: rows as float32, features in the model's order."""
    session = onnxruntime.InferenceSession(bundle / "model.onnx")
    (prediction,) = session.run(None, {"features": np.asarray(rows, np.float32)})
    return prediction


def read_float32(text):
    return pl.read_csv(io.StringIO(text), schema_overrides=[pl.Float32]).to_numpy()


def assert_near_onnxruntime(output, bundle, rows):
    assert_near(read_float32(output), onnxruntime_alone(bundle, rows), bundle, rows)


def test_predictions_are_those_of_onnxruntime_within_the_bounds(run, textbook, table):
    rows = np.random.default_rng(1).normal(size=(500, 2))
    path = table("x1,x2\n" + "\n".join(f"{a!r},{b!r}" for a, b in rows.tolist()))
    outcome = run("predict", textbook, path)
    assert (outcome.status, outcome.errors) == (0, "")
    assert outcome.output.splitlines()[0] == "y"
    assert_near_onnxruntime(outcome.output, textbook, rows)
    assert run("predict", textbook / "model.onnx", path).output == outcome.output
    assert run("predict", "--threads", 1, textbook, path).output == outcome.output


def test_columns_are_taken_by_name_and_others_ignored(run, textbook, table):
    expected = run("predict", textbook, table("x1,x2\n1.5,2\n-3,4\n")).output
    other = table('note,x2,y,x1\n"a, ""b""",2,9,1.5\n,4,9,-3\n')
    assert run("predict", textbook, other).output == expected
    quoted = table('"x1","x2"\n"1.5","2"\n"-3"," 4"\n')
    assert run("predict", textbook, quoted).output == expected


def test_a_real_table_goes_in_as_it_is(run, priced, prices):
    """Booleans and whole numbers beside decimals, a text column that the model has no use for."""
    outcome = run("predict", priced, prices)
    frame = pl.read_csv(prices)
    rows = frame.select("area", "rooms", pl.col("garden").cast(pl.Float64)).to_numpy()
    assert outcome.output.splitlines()[0] == "price"
    assert_near_onnxruntime(outcome.output, priced, rows)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_every_format_goes_in_and_comes_out(run, priced, prices, tmp_path, suffix):
    frame = pl.read_csv(prices)
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    if suffix == "parquet":
        frame.write_parquet(source)
    else:
        frame.write_csv(source, separator="\t" if suffix == "tsv" else ",")
    outcome = run("predict", priced, source, "--keep", "rooms", "-o", output)
    assert (outcome.status, outcome.output) == (0, "")
    assert outcome.errors == f"400 rows read, 400 predicted into {output}\n"
    if suffix == "parquet":
        written = pl.read_parquet(output)
        assert written.schema == {"rooms": pl.Int64, "price": pl.Float32}
    else:
        written = pl.read_csv(
            output,
            separator="\t" if suffix == "tsv" else ",",
            schema_overrides={"price": pl.Float32},
        )
    expected = read_float32(run("predict", priced, prices).output)
    assert written["price"].to_numpy().tobytes() == expected.tobytes()
    assert written["rooms"].to_list() == frame["rooms"].to_list()


def test_quiet_says_nothing(run, textbook, table, tmp_path):
    outcome = run("predict", "-q", textbook, table("x1,x2\n1,2\n"), "-o", tmp_path / "out.csv")
    assert (outcome.status, outcome.output, outcome.errors) == (0, "", "")


def test_dashes_are_standard_input_and_output(run, textbook, monkeypatch):
    for output in ([], ["-o", "-"]):
        stream = io.TextIOWrapper(io.BytesIO(b"x2,x1\n1.0,2.0\n"))
        monkeypatch.setattr(sys, "stdin", stream)
        outcome = run("predict", textbook, "-", *output)
        assert (outcome.status, outcome.errors) == (0, "")
        assert_near_onnxruntime(outcome.output, textbook, [[2, 1]])


def test_standard_error_may_be_closed(textbook, tmp_path):
    (tmp_path / "rows.csv").write_text("x1,x2\n1,2\n")
    command = [sys.executable, "-m", "linexport", "predict", textbook, "rows.csv", "-o", "y.csv"]
    done = subprocess.run(
        command, cwd=tmp_path, check=False, capture_output=True, preexec_fn=lambda: os.close(2)
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "y.csv").read_text().count("\n") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_waiting_for_a_pipe(textbook, number):
    reader, writer = os.pipe()
    os.write(writer, b"x1,x2\n1,2\n")
    command = [sys.executable, "-m", "linexport", "predict", str(textbook), "-"]
    with subprocess.Popen(
        command,
        stdin=reader,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup has one ignored
    ) as waiting:
        unread = array("i", [1])
        while unread[0]:  # until it waits for what does not come
            time.sleep(0.01)
            fcntl.ioctl(reader, termios.FIONREAD, unread)
        waiting.send_signal(number)
        assert waiting.wait(timeout=60) == 128 + number
        assert waiting.stderr.read() == b"\ninterrupted\n"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("num_rows", [1e4, 1e6])
def test_an_interrupt_ends_writing_to_a_pipe_that_nobody_reads(
    textbook, tmp_path, number, num_rows
):
    """Also where polars has put a handler of its own before ours, as it does for SIGINT."""
    numbers = np.arange(num_rows)
    pl.DataFrame({"x1": numbers, "x2": numbers}).write_parquet(tmp_path / "rows.parquet")
    command = [sys.executable, "-m", "linexport", "predict", textbook, tmp_path / "rows.parquet"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup has one ignored
    ) as writing:
        unread = array("i", [0])
        while unread[0] < 2**15:  # of a pipe's 2**16 bytes
            time.sleep(0.01)
            fcntl.ioctl(writing.stdout, termios.FIONREAD, unread)
        writing.send_signal(number)
        assert writing.wait(timeout=60) == 128 + number
        assert writing.stderr.read() == b"\ninterrupted\n"


INTERRUPTED_WITHIN_POLARS = """
import os, signal, sys

left, running = int(sys.argv.pop(1)), [""]

def interrupt(frame, event, function):
    global left
    if event in ("call", "c_call"):
        if event == "call" and running[-1].startswith("Py"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGHUP)
        running.append(function.__qualname__ if event == "c_call" else "")
    elif running[1:]:
        running.pop()

signal.signal(signal.SIGHUP, signal.SIG_DFL)
from linexport.cli import main
sys.setprofile(interrupt)
main()
"""
"""In the function of Python that polars calls as the nth. It panics if some of them fail."""


def test_an_interrupt_within_polars_is_one_word(textbook, tmp_path):
    pl.DataFrame({"x1": [1.0], "x2": [2.0]}).write_parquet(tmp_path / "rows.parquet")
    command = ["predict", textbook, "rows.parquet", "-o", "predicted.csv"]
    for nth in itertools.count(1):
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED_WITHIN_POLARS, str(nth), *command],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:  # it calls no more
            break
        assert (done.returncode, done.stderr) == (128 + signal.SIGHUP, "\ninterrupted\n")
        assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]
    assert nth > 1


def test_a_directory_is_read_in_the_order_of_its_names(run, textbook, table, tmp_path):
    (tmp_path / "parts").mkdir()
    table("x1,x2\n3,4\n", "parts/b.csv")
    table("x2,x1\n2,1\n", "parts/a.csv")
    whole = run("predict", textbook, table("x1,x2\n1,2\n3,4\n"))
    assert run("predict", textbook, tmp_path / "parts").output == whole.output
    assert run("predict", textbook, f"{tmp_path}/parts/*.csv").output == whole.output


def test_several_inputs_are_one_table_in_the_order_given(run, textbook, table, tmp_path):
    first, second = table("x1,x2\n3,4\n", "z.csv"), table("x2,x1\n2,1\n", "a.csv")
    whole = run("predict", textbook, table("x1,x2\n3,4\n1,2\n"))
    assert run("predict", textbook, first, second).output == whole.output
    refused = run("predict", textbook, first, "-")
    assert (refused.status, "Standard input is a table by itself" in refused.only_error) == (
        3,
        True,
    )
    (tmp_path / "p.parquet").write_bytes(b"PAR1")
    refused = run("predict", textbook, first, tmp_path / "p.parquet")
    assert (refused.status, "CSV and Parquet files" in refused.only_error) == (3, True)


@pytest.fixture
def lake(table, tmp_path):
    """Two files, of 2 rows and 1."""
    (tmp_path / "lake").mkdir()
    table("x1,x2,id\n1,2,007\n3,4,008\n", "lake/a.csv")
    table("x1,x2,id\n5,6,009\n", "lake/b.csv")
    return tmp_path / "lake"


def test_rows_outside_the_training_range_are_named_when_asked(run, priced, table, tmp_path):
    rows = "area,rooms,garden\n60,3,true\n500,3,true\n40,3,false\n70,99,true\n"
    path, out = table(rows), tmp_path / "out.csv"
    expected = run("predict", priced, path).output
    warned = run("predict", priced, path, "--check-range", "warn")
    assert (warned.status, warned.output) == (0, expected)
    (line,) = warned.errors.splitlines()
    assert line.startswith(f"warning: {path}, column 'area', row 2: 500 is outside the training ")
    assert line.endswith("the prediction is an extrapolation; 2 rows are so.")
    counted = run("predict", priced, path, "--check-range", "warn", "--json", "-q", "-o", out)
    assert json.loads(counted.output)["rows_outside_range"] == 2
    assert counted.errors == ""
    out.unlink()
    refused = run("predict", priced, path, "--check-range", "error", "-o", out)
    assert (refused.status, out.exists()) == (3, False)
    assert refused.only_error.startswith(f"error: {path}, column 'area', row 2: 500 is outside ")


def test_a_directory_out_takes_a_part_for_each_input(run, textbook, lake, tmp_path):
    out = f"{tmp_path}/out/"
    outcome = run("predict", textbook, lake, "--keep", "id", "-o", out)
    assert (outcome.status, outcome.output) == (0, "")
    assert outcome.errors == f"3 rows read, 3 predicted into {out}; 2 parts\n"
    whole = run("predict", textbook, lake, "--keep", "id").output.splitlines()
    parts = [(tmp_path / "out" / name).read_text().splitlines() for name in ("a.csv", "b.csv")]
    assert parts == [whole[:3], [whole[0], whole[3]]]
    again = run("predict", textbook, lake, "--keep", "id", "--resume", "-o", tmp_path / "out")
    assert again.errors.endswith("out; 2 parts, 2 of them done before\n")


def test_one_row_and_one_part_are_not_several(run, textbook, lake, tmp_path):
    outcome = run("predict", textbook, lake / "b.csv", "-o", out := f"{tmp_path}/out/")
    assert outcome.errors == f"1 row read, 1 predicted into {out}; 1 part\n"


def test_json_counts_rows_and_parts(run, textbook, lake, tmp_path):
    counts = {"rows_read": 3, "rows_written": 3}
    counts |= {"rows_without_prediction": 0, "rows_outside_range": 0}
    outcome = run("predict", textbook, lake, "--json", "-o", tmp_path / "out.csv")
    assert json.loads(outcome.output) == {"output": str(tmp_path / "out.csv"), **counts}
    outcome = run(
        "predict", textbook, lake, "--json", "--format", "parquet", "-o", f"{tmp_path}/out/"
    )
    part = {"path": f"{tmp_path}/out/b.parquet", "rows_read": 1, "rows_written": 1}
    part |= {"rows_without_prediction": 0, "rows_outside_range": 0, "done_before": False}
    document = json.loads(outcome.output)
    assert document.pop("parts")[1] == part
    assert document == {"output": f"{tmp_path}/out/", **counts}


def test_killed_at_any_moment_every_part_is_whole_and_the_rest_is_resumed(
    run, textbook, table, tmp_path
):
    (tmp_path / "lake").mkdir()
    random = np.random.default_rng(3)
    for number in range(6):
        frame = pl.DataFrame(random.normal(size=(60_000, 2)), schema=["x1", "x2"])
        frame.write_parquet(tmp_path / f"lake/{number}.parquet")
    command = ["predict", textbook, tmp_path / "lake", "--resume", "-o", f"{tmp_path}/out/"]
    found = tmp_path / "out"
    for _ in range(2):
        before = len(list(found.glob("*.parquet")))
        running = subprocess.Popen([sys.executable, "-m", "linexport", *map(str, command)])
        while running.poll() is None and len(list(found.glob("*.parquet"))) <= before:
            time.sleep(0.001)
        running.kill()
        running.wait()
        for part in found.glob("*.parquet"):  # no half a part has a part's name
            assert pl.read_parquet(part).height == 60_000
    assert run(*command).errors.startswith("360000 rows read, 360000 predicted")
    run("predict", textbook, tmp_path / "lake", "-o", tmp_path / "whole.parquet")
    assert pl.read_parquet(found / "*.parquet").equals(pl.read_parquet(tmp_path / "whole.parquet"))


@pytest.mark.parametrize("keep", [["id,note"], ["id", "--keep", "note"]])
def test_kept_columns_come_first_and_as_they_were(run, textbook, table, keep):
    path = table('id,x1,note,x2\n007,1,"say ""a, b""",2\n1.50,3,,4\n')
    outcome = run("predict", textbook, path, "--keep", *keep)
    header, *lines = outcome.output.splitlines()
    assert header == "id,note,y"
    assert lines[0].startswith('007,"say ""a, b""",')
    assert lines[1].startswith("1.50,,")
    predictions = "\n".join(["y", *(line.rpartition(",")[2] for line in lines)])
    assert_near_onnxruntime(predictions, textbook, [[1, 2], [3, 4]])


def test_a_column_with_a_comma_in_its_name_is_one_column(run, textbook, table):
    outcome = run("predict", textbook, table('"a,b",x1,x2\n5,1,2\n'), "--keep", "a,b")
    assert outcome.output.splitlines()[0] == '"a,b",y'


def test_names_in_any_script_pass_through(run, tmp_path, table):
    columns = '[{"name":"naïve 特徴"},{"name":"a,b"},{"name":"c\\"d"}]'
    model = LinearModel(weight=np.array([[1, 2, 4]], "f4"), bias=np.array([0.5], "f4"))
    metadata = {"features": columns, "targets": '[{"name":"価格, EUR"}]'}
    (tmp_path / "modèle.onnx").write_bytes(onnx_graph.write(model, metadata=metadata))
    path = table('"c""d",naïve 特徴,"a,b"\n3,1,2\n', "données.csv")
    outcome = run("predict", tmp_path / "modèle.onnx", path)
    assert outcome.output == '"価格, EUR"\n17.5\n'


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("x1;x2\n1.5;2\n", []),
        ("x1\tx2\n1.5\t2\n", []),
        ("x1|x2\n1.5|2\n", []),
        ("x1;x2\n1.5;2\n", ["--delimiter", ";"]),
        ("x1\tx2\n1.5\t2\n", ["--delimiter", "\\t"]),
        ("x1:x2\n1.5:2\n", ["--delimiter", ":"]),
        ("\ufeffx1,x2\r\n1.5,2\r\n", []),
        ("x1,x2\n1.5,2", []),
        ("x1,x2\n15e-1,+2\n", []),
    ],
    ids=["; found", "tab found", "| found", ";", "tab", ":", "BOM and CRLF", "no newline", "forms"],
)  # fmt: skip
def test_csv_is_read_in_all_its_dialects(run, textbook, table, text, options):
    outcome = run("predict", textbook, table(text), *options)
    assert outcome.status == 0, outcome.errors
    assert_near_onnxruntime(outcome.output, textbook, [[1.5, 2]])


@pytest.mark.parametrize("cell", ["", "NA", "nan"])
def test_a_row_that_lacks_a_value_stops_or_is_predicted_as_nan(
    run, textbook, table, tmp_path, cell
):
    path = table(f"x1,x2\n1,2\n{cell},3\n5,6\n")
    refused = run("predict", textbook, path)
    assert refused.status == 3
    assert refused.only_error.startswith(f"error: {path}, column 'x1', row 2: ")
    assert "--missing nan" in refused.only_error
    outcome = run("predict", textbook, path, "--missing", "nan", "-o", tmp_path / "out.csv")
    said = f"3 rows read, 3 predicted into {tmp_path / 'out.csv'}, 1 of them as NaN\n"
    assert outcome.errors == said
    name, first, second, third = (tmp_path / "out.csv").read_text().splitlines()
    assert_near_onnxruntime("\n".join([name, first, third]), textbook, [[1, 2], [5, 6]])
    assert np.isnan(float(second))


@pytest.mark.parametrize(("cell", "value"), [("inf", "inf"), ("-inf", "-inf"), ("1e400", "inf")])
def test_infinity_is_no_missing_value(run, textbook, table, cell, value):
    path = table(f"x1,x2\n1,2\n{cell},3\n5,6\n")
    for options in ((), ("--missing", "nan")):
        refused = run("predict", textbook, path, *options)
        assert refused.status == 3
        assert refused.only_error == (
            f"error: {path}, column 'x1', row 2: {value} is given; correct it."
        )


@pytest.mark.parametrize("old", [None, "y\n1\n"], ids=["no file before", "a file before"])
def test_text_far_down_leaves_no_output_or_the_old_one(run, textbook, table, tmp_path, old):
    """Some megabytes of rows have been predicted by then."""
    path = table(b"x1,x2\n" + b"1.123456789,2.123456789\n" * 250_000 + b"oops,2\n")
    output = tmp_path / "out.csv"
    if old is not None:
        output.write_text(old)
    refused = run("predict", textbook, path, "-o", output)
    assert refused.status == 3
    assert refused.only_error.startswith(
        f"error: {path}, column 'x1', row 250001: 'oops' is not a number"
    )
    assert set(tmp_path.iterdir()) == ({path, output} if old else {path})
    assert old is None or output.read_text() == old


def test_a_table_without_rows_is_predicted_too(run, textbook, table, tmp_path):
    assert run("predict", textbook, table("x1,x2\n")).output == "y\n"
    run("predict", textbook, table("x1,x2\n"), "-o", tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet").shape == (0, 1)


def test_ten_thousand_features_are_found_by_name(run, tmp_path, table):
    width = 10_000
    weight = np.arange(1, width + 1, dtype=np.float32)[None]
    (tmp_path / "wide.onnx").write_bytes(
        onnx_graph.write(LinearModel(weight=weight, bias=np.zeros(1, np.float32)))
    )
    names = [f"x{number}" for number in range(width, 0, -1)]
    ones = ["1" if name in ("x3", "x9999") else "0" for name in names]
    path = table(",".join(names) + "\n" + ",".join(ones) + "\n")
    assert run("predict", tmp_path / "wide.onnx", path).output == "y\n10002.0\n"


def test_the_input_is_never_the_output(run, textbook, table, tmp_path):
    path = table("x1,x2\n1,2\n")
    (tmp_path / "link.csv").symlink_to(path)
    for output in (path, tmp_path / "link.csv", f"{tmp_path}/./rows.csv"):
        refused = run("predict", textbook, path, "-o", output)
        assert refused.status == 2
        assert "would replace the input" in refused.only_error
    assert path.read_text() == "x1,x2\n1,2\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x1,z\n1,2\n", "There is no column 'x2'"),
        ("X1,x2\n1,2\n", "There is no column 'x1'; did you mean 'X1'?"),
        ("x1,x1,x2\n1,1,2\n", "both named 'x1'"),
        ("x1,x2\n1,2\n3,b\n", "column 'x2', row 2: 'b' is not a number"),
        ("x1,x2\n1,2\n\"1,5\",2\n", "read it as 1.5 (--decimal ',')."),
        ("x1,x2\n1,2\n3\n", "row 2"),
        ("x1,x2\n1e39,2\n", "column 'x1', row 1: 1e+39 is beyond the range of float32"),
        ("", "The file is empty"),
    ],
    ids=["missing", "case", "twice", "text", "comma", "ragged", "too large", "empty"],
)  # fmt: skip
def test_a_table_that_cannot_be_used_gets_one_line(run, textbook, table, tmp_path, text, said):
    path = table(text)
    refused = run("predict", textbook, path, "-o", tmp_path / "out.csv")
    assert refused.status == 3
    assert refused.only_error.startswith(f"error: {path}")
    assert said in refused.only_error
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("name", [".", "model.onnx"])
def test_a_table_before_its_model_is_told_how_to_swap_them(run, textbook, table, command, name):
    rows, model = table("x1,x2,y\n0.5,-1,8.6\n1,2,-0.6\n"), textbook / name
    said = f"error: {model}: This is a model, not a table; the model comes first: linexport "
    told = run(command, rows, model).only_error
    assert told.startswith(f"{said}{command} {model} {rows}")
    pasted = shlex.split(told.removeprefix(said).rstrip("."))
    assert run(*pasted).status == 0


def test_a_model_is_no_table(run, textbook):
    told = (
        f"error: {textbook}: This is a model, not a table; linexport inspect {textbook} says what"
    )
    assert run("predict", textbook, textbook).only_error.startswith(told)
    assert run("describe", textbook).only_error.startswith(told)
    assert run("train-and-export", "--target", "y", "--data", textbook).only_error.startswith(told)


def foreign_onnx():
    weight = numpy_helper.from_array(np.ones((2, 1), np.float32), "W")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["Y"])],
        "foreign",
        [helper.make_tensor_value_info("X", 1, ["N", 2])],
        [helper.make_tensor_value_info("Y", 1, ["N", 1])],
        [weight],
    )
    opset = helper.make_opsetid("", 13)
    return helper.make_model(graph, opset_imports=[opset], ir_version=7).SerializeToString()


@pytest.mark.parametrize(
    ("options", "said", "status"),
    [
        (
            ["bundle/model.pt", "rows.csv"],
            "needs a bundle, as bundle, or an ONNX file",
            3,
        ),
        (["bundle/weights.safetensors", "rows.csv"], "neither a bundle's directory nor a file", 3),
        (["no-onnx", "rows.csv"], "no-onnx: the bundle has no model.onnx", 3),
        (["foreign.onnx", "rows.csv"], "not a graph that linexport writes", 3),
        (["nothing", "rows.csv"], "nothing: there is no bundle here", 3),
        (["nothing.onnx", "rows.csv"], "nothing.onnx: No such file", 3),
        (["tampered", "rows.csv"], "tampered: model.onnx is not the file", 3),
        (["bundle", "nothing.csv"], "nothing.csv: It cannot be read", 3),
        (["bundle", "rows.csv", "-o", "out.xlsx"], "Name the output .csv, .tsv or .parquet", 2),
        (["bundle", "rows.csv", "-o", "bundle"], "bundle: a bundle is here", 2),
        (["bundle", "rows.csv", "-o", "no/out.csv"], "There is no directory no", 3),
        (["bundle", "rows.csv", "-o", "folder.csv"], "It is not a file", 3),
        pytest.param(
            ["bundle", "rows.csv", "-o", "/proc/out.csv"],
            "/proc/out.csv",
            3,
            marks=pytest.mark.skipif(
                sys.platform != "linux", reason="only Linux has a directory that takes no file"
            ),
        ),
        (["bundle", "rows.csv", "-o", "bundle/"], "bundle/: a bundle is here", 2),
        (["bundle", "rows.csv", "-o", "no/out/"], "no/out: There is no directory no", 3),
        (["bundle", "rows.csv", "-o", "./"], "rows.csv: this input lies within the output's", 2),
        (["bundle", "rows.csv", "-o", "out.csv", "--resume"], "parts alone can be resumed", 2),
        (["bundle", "rows.csv", "-o", "out.csv", "--format", "csv"], "parts alone can be given", 2),
        (["bundle", "rows.csv", "--keep", "x3"], "There is no column 'x3'", 3),
        (["bundle", "rows.csv", "--keep", "x1,x1"], "to be kept twice", 3),
        (["bundle", "y.csv", "--keep", "y", "--name", "y"], "would have this name too", 3),
        (["bundle", "rows.csv", "--name", "a", "--name", "b"], "2 names are given for 1", 2),
        (["bundle", "rows.csv", "--interval", "0.9"], "There are no prediction intervals", 3),
    ],
)
def test_what_cannot_be_done_gets_one_line(
    run, textbook, table, tmp_path, monkeypatch, options, said, status
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle").symlink_to(textbook)
    (tmp_path / "folder.csv").mkdir()
    table("x1,x2\n1,2\n")
    table("x1,x2,y\n1,2,3\n", "y.csv")
    table(foreign_onnx(), "foreign.onnx")
    shutil.copytree(textbook, tmp_path / "tampered")
    (tmp_path / "tampered" / "model.onnx").write_bytes(b"x")
    if "no-onnx" in options:
        command = ["train-and-export", "-q", "--format", "torchscript", "-o", "no-onnx"]
        assert run(*command).status == 0
    refused = run("predict", *options)
    assert refused.status == status
    assert said in refused.only_error


@pytest.mark.parametrize(
    "options",
    [
        ["--threads", 0],
        ["--delimiter", "ab"],
        ["--missing", "drop"],
        ["--format", "json"],
        ["--json"],
    ],
)
def test_misuse_is_status_2(run, textbook, table, options):
    assert run("predict", textbook, table("x1,x2\n1,2\n"), *options).status == 2


def test_a_model_that_is_too_coarse_is_said_to_be_wherever_it_is_used(run, table, tmp_path):
    """Near 1.7e9 float32 has every 128th number."""
    source = table('{"intercept": -1.7e9, "coefficients": {"ts": 1.0}}', "seconds.json")
    bundle, rows = tmp_path / "seconds", table("ts\n1700000123\n")
    forced = ("export", source, "--dtype", "float32", "-o", bundle)
    refused = run(*forced)
    assert (refused.status, bundle.exists()) == (1, False)
    assert "or take it as it is with --accept-coarse" in refused.output
    assert run(*forced, "--accept-coarse", "--format", "onnx", "-q").status == 0
    reason = "rounding may move 'y' by 64, where 0.0008 (a 10,000th of the spread of its "
    said = f"warning: {bundle}: The model is too coarse, and was accepted so: {reason}predictions) "
    predicted = run("predict", bundle, rows)
    assert (predicted.status, predicted.output) == (0, "y\n128.0\n")
    assert predicted.errors == f"{said}is small enough.\n"
    inspected = run("inspect", bundle).output.splitlines()[-1]
    assert inspected.startswith("Certificate: proven, but too coarse: ")
    assert f"; {reason}" in inspected
    assert json.loads(run("inspect", bundle, "--json").output)["verdict"] == "too coarse"
    assert run("verify", bundle, "-q").status == 1
    assert run("verify", bundle, "-q", "--accept-coarse").status == 0


def test_the_targets_own_column_may_be_kept_beside_its_prediction(run, textbook, table):
    rows = table("x1,x2,y\n1,2,3\n", "y.csv")
    assert run("predict", textbook, rows, "--keep", "y").output.startswith("y,predicted_y\n3,")
    named = run("predict", textbook, rows, "--keep", "y", "--name", "guess").output
    assert named.startswith("y,guess\n3,")
    assert run("predict", textbook, rows, "--name", "guess").output.startswith("guess\n")


def test_an_interval_is_two_columns_more(run, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n" + "".join(f"{a},{2 * a + a % 3}\n" for a in range(20)))
    train = ("train-and-export", "--data", path, "--target", "y", "-q", "-o", tmp_path / "bundle")
    assert run(*train, "--format", "onnx").status == 0
    arguments = ("predict", tmp_path / "bundle", path, "--interval", 0.95, "--keep", "y")
    header, *lines = run(*arguments).output.splitlines()
    assert header == "y,predicted_y,predicted_y_lower,predicted_y_upper"
    rows = [[float(cell) for cell in line.split(",")] for line in lines]
    assert len(rows) == 20
    assert all(lower < predicted < upper for _, predicted, lower, upper in rows)
    parts = run(*arguments, "-o", f"{tmp_path / 'parts'}/", "--json").output
    assert json.loads(parts)["rows_written"] == 20
    resumed = (*arguments[:4], 0.9, *arguments[5:], "-o", f"{tmp_path / 'parts'}/", "--resume")
    (part,) = json.loads(run(*resumed, "--json").output)["parts"]
    assert part["done_before"] is False  # with another level it is another part
