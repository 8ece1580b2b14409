"""Small, plain files are scored to the bytes that `score` writes."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from linexport.errors import DataError
from linexport.formats.onnx import graph as onnx_graph
from linexport.formats.onnx._engine import OrtEngine
from linexport.model import LinearModel
from linexport.predicting._plain import score_plain, suits
from linexport.predicting._predictor import Predictor
from linexport.predicting._stream import score
from linexport.tables._plain import read_plain
from linexport.tables._tables import open_table


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make_predictor(dtype="float32", num_targets=1, num_features=2, *, standardized=False, names=()):
    random = np.random.default_rng(num_targets + num_features)
    shapes = {"weight": (num_targets, num_features), "bias": num_targets}
    if standardized:
        shapes |= {"mean": num_features, "scale": num_features}
    arrays = {name: random.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    model = LinearModel.from_arrays(arrays, targets=names)
    engine = OrtEngine(onnx_graph.write(model), num_threads=1)
    return Predictor(engine, model.features, model.targets)


def both(text, predictor, output="out.csv", keep=(), delimiter=None):
    """Score a table in both ways: what is read and written, and how reading is told."""
    Path("in.csv").write_text(text)
    told = ([], [])
    plain = read_plain("in.csv", delimiter)
    assert suits(plain, predictor.feature_names, predictor.target_names, output, keep)
    scored = score_plain(plain, predictor, output, keep=keep, on_read=told[0].append)
    ours = Path(output).read_bytes()
    table = open_table("in.csv", delimiter=delimiter, on_read=told[1].append)
    assert score(table, predictor, output, keep=keep) == scored
    assert told[0] == told[1]
    assert {path.name for path in Path().iterdir()} == {"in.csv", output}
    return ours, Path(output).read_bytes()


def rows_of(num_rows, num_features, seed=0):
    random = np.random.default_rng(seed)
    values = random.normal(size=(num_rows, num_features)) * 10.0 ** random.integers(-12, 12)
    lines = [",".join(map(repr, row)) for row in values.tolist()]
    return "\n".join([",".join(f"x{1 + n}" for n in range(num_features)), *lines, ""])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("standardized", [False, True])
@pytest.mark.parametrize("num_targets", [1, 3])
@pytest.mark.parametrize("num_features", [1, 2, 17])
def test_the_bytes_are_those_that_score_writes(dtype, standardized, num_targets, num_features):
    predictor = make_predictor(dtype, num_targets, num_features, standardized=standardized)
    for seed, num_rows in enumerate((0, 1, 2, 3, 7, 8, 10, 33, 90)):
        text = rows_of(num_rows, num_features, seed)
        for whole in (text, text.rstrip("\n")):
            ours, theirs = both(whole, predictor)
            assert ours == theirs
            assert len(ours.splitlines()) == 1 + num_rows


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("id,x2,x1\n007,1,2\n1.50,3e-2,-0\n", {"keep": ["id"]}),
        ("id,x2,x1\n007,1,2\n", {"keep": ["x1", "id", "x2"]}),
        ("naïve 特徴;x1;x2\n1;2;3\n", {"keep": ["naïve 特徴"]}),
        ("x1\tx2\tid\n1\t2\t3\n", {"keep": ["id"], "output": "out.tsv", "delimiter": "\\t"}),
        ("x1|x2\n1|2\n", {"output": "out.CSV"}),
        ("\ufeffx1,x2\n1,2", {}),
        ('"x1","x2","a, b"\n1,2,3\n\n\n', {}),
        ("x1,x2\n", {"output": "out.tsv"}),
    ],
    ids=range(8),
)
def test_what_is_kept_and_how_it_lies_is_the_same(text, options):
    ours, theirs = both(text, make_predictor(names=["価格"]), **options)
    assert ours == theirs


def test_standard_output_gets_the_same_bytes(monkeypatch, capfdbinary):
    predictor, text = make_predictor(), rows_of(5, 2)
    Path("in.csv").write_text(text)
    score_plain(read_plain("in.csv"), predictor, "-")
    ours = capfdbinary.readouterr().out
    score(open_table("in.csv"), predictor, "-")
    assert ours == capfdbinary.readouterr().out != b""


@pytest.mark.parametrize(
    ("output", "keep", "targets"),
    [
        ("out.parquet", [], ["y"]),
        ("out.txt", [], ["y"]),
        ("in.csv", [], ["y"]),
        ("link.csv", [], ["y"]),
        ("no/out.csv", [], ["y"]),
        ("folder.csv", [], ["y"]),
        ("out.csv", ["id", "id"], ["y"]),
        ("out.csv", ["y"], ["y"]),
        ("out.csv", ["no"], ["y"]),
        ("out.csv", ["a b;"], ["y"]),
        ("out.csv", [], ["y, in m"]),
        ("out.csv", [], ['"y"']),
    ],
)
def test_what_else_is_asked_is_left_to_score(output, keep, targets):
    Path("in.csv").write_text("x1,x2,id,y,a b;\n1,2,3,4,5\n")
    Path("link.csv").symlink_to("in.csv")
    Path("folder.csv").mkdir()
    plain = read_plain("in.csv", ",")
    assert suits(plain, ["x1", "x2"], ["z"], "out.csv", ["id"])
    assert not suits(plain, ["x1", "x2"], targets, output, keep)
    assert not suits(plain, ["x1", "x3"], ["z"], "out.csv", [])


def test_a_closed_standard_output_is_left_to_score(monkeypatch):
    Path("in.csv").write_text("x1,x2\n1,2\n")
    plain = read_plain("in.csv")
    assert suits(plain, ["x1"], ["y"], "-", [])
    monkeypatch.setattr(sys, "stdout", None)
    assert not suits(plain, ["x1"], ["y"], "-", [])


@pytest.mark.parametrize(("dtype", "number"), [("float32", "1e39"), ("float64", "1e400")])
def test_a_number_beyond_the_dtype_is_left_to_score(dtype, number):
    Path("in.csv").write_text(f"x1,x2\n1,2\n{number},2\n")
    assert score_plain(read_plain("in.csv"), make_predictor(dtype), "out.csv") is None
    assert not Path("out.csv").exists()
    with pytest.raises(DataError, match="row 2"):
        score(open_table("in.csv"), make_predictor(dtype), "out.csv")


def test_a_prediction_beyond_the_dtype_is_left_to_score_which_refuses_it():
    Path("in.csv").write_text("x1,x2\n3e38,3e38\n")
    model = LinearModel(weight=np.array([[2, 2]], "f4"), bias=np.zeros(1, "f4"))
    engine = OrtEngine(onnx_graph.write(model))
    predictor = Predictor(engine, model.features, model.targets)
    assert score_plain(read_plain("in.csv"), predictor, "out.csv") is None
    with pytest.raises(DataError, match=r"in\.csv, row 1: The prediction of 'y' is beyond"):
        score(open_table("in.csv"), predictor, "out.csv")


def test_an_output_that_cannot_be_written_leaves_the_old_one(monkeypatch):
    Path("in.csv").write_text("x1,x2\n1,2\n")
    Path("out.csv").write_text("old")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(DataError, match=r"^out.csv: It cannot be written: .*No space left"):
        score_plain(read_plain("in.csv"), make_predictor(), "out.csv")
    assert Path("out.csv").read_text() == "old"
    assert {path.name for path in Path().iterdir()} == {"in.csv", "out.csv"}


def test_a_reader_that_has_gone_is_nobodys_mistake(monkeypatch):
    class Gone(io.BytesIO):
        def write(self, *_):
            raise BrokenPipeError

    Path("in.csv").write_text("x1,x2\n1,2\n")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Gone()))
    with pytest.raises(BrokenPipeError):
        score_plain(read_plain("in.csv"), make_predictor(), "-")


COMMAND = """
import sys
from linexport.pipeline import predict
arguments = dict(table=sys.argv[2], output="-", **eval(sys.argv[3]))
print(predict(sys.argv[1], **arguments), "polars" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("table", "options", "loads_polars"),
    [
        ("plain.csv", {}, False),
        ("plain.csv", {"missing": "nan"}, True),
        ("plain.csv", {"check_range": "warn"}, True),
        ("quoted.csv", {}, True),
    ],
)
def test_only_what_is_not_plain_loads_polars(table, options, loads_polars):
    model = LinearModel(weight=np.array([[2, -3.5]], "f4"), bias=np.array([4.25], "f4"))
    columns = '[{"name":"x1","minimum":0,"maximum":9},{"name":"x2","minimum":0,"maximum":9}]'
    metadata = {"features": columns, "targets": '[{"name":"y"}]'}
    Path("model.onnx").write_bytes(onnx_graph.write(model, metadata=metadata))
    Path("plain.csv").write_text("x1,x2\n1,2\n")
    Path("quoted.csv").write_text('x1,x2\n"1",2\n')
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "model.onnx", table, repr(options)],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "y\n-0.75\n", done.stderr
    assert done.stderr.split()[-1] == str(loads_polars)
