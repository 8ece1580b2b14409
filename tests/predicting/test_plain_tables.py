"""Small, plain files are predicted to the bytes that the road through polars writes."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from predicted import predict_into

from linexport.errors import ConfigError, DataError
from linexport.formats.onnx import OrtEngine, graph as onnx_graph
from linexport.model import LinearModel
from linexport.predicting._predictor import Predictor
from linexport.tables import Dialect
from linexport.tables._csv import PlainFile
from linexport.tables._csv_frames import CsvFile
from linexport.tables._opening import File, open_table
from linexport.tables._tables import Table


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make_predictor(dtype="float32", num_targets=1, num_features=2, *, centred=False, names=()):
    random = np.random.default_rng(num_targets + num_features)
    shapes = {"weight": (num_targets, num_features), "bias": num_targets}
    if centred:
        shapes |= {"mean": num_features}
    arrays = {name: random.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    model = LinearModel.from_arrays(arrays, targets=names)
    engine = OrtEngine(onnx_graph.write(model), num_threads=1)
    return Predictor(engine, model.features, model.targets)


def through_polars(delimiter=None, **options) -> Table:
    path = Path("in.csv")
    file = File(path, path)
    return Table(
        "in.csv", [CsvFile(path, "in.csv", Dialect(delimiter=delimiter))], files=[file], **options
    )


def both(text, predictor, output="out.csv", keep=(), delimiter=None):
    """Predict a table on both roads: what is read and written, and how reading is told."""
    Path("in.csv").write_text(text)
    told = ([], [])
    plain = open_table("in.csv", dialect=Dialect(delimiter=delimiter), on_read=told[0].append)
    assert isinstance(plain._parts[0], PlainFile)
    delimiter = "\t" if delimiter == "\\t" else delimiter
    general = through_polars(delimiter, on_read=told[1].append)
    predicted = predict_into(plain, predictor, output, keep=keep)
    ours = Path(output).read_bytes()
    assert predict_into(general, predictor, output, keep=keep) == predicted
    assert told[0] == told[1]
    assert {path.name for path in Path().iterdir()} == {"in.csv", output}
    return ours, Path(output).read_bytes()


def rows_of(num_rows, num_features, seed=0):
    random = np.random.default_rng(seed)
    values = random.normal(size=(num_rows, num_features)) * 10.0 ** random.integers(-12, 12)
    lines = [",".join(map(repr, row)) for row in values.tolist()]
    return "\n".join([",".join(f"x{1 + n}" for n in range(num_features)), *lines, ""])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("num_targets", [1, 3])
@pytest.mark.parametrize("num_features", [1, 2, 17])
def test_the_bytes_are_those_that_polars_writes(dtype, centred, num_targets, num_features):
    predictor = make_predictor(dtype, num_targets, num_features, centred=centred)
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
        ("x1,x2,id\n1,2,3\n4,5,6\n", {"output": "out.parquet", "keep": ["id"]}),
        ("x1,x2,a b;\n1,2,3\n", {"keep": ["a b;"], "delimiter": ","}),
    ],
    ids=range(10),
)
def test_what_is_kept_and_how_it_lies_is_the_same(text, options):
    ours, theirs = both(text, make_predictor(names=["価格"]), **options)
    assert ours == theirs


def test_standard_output_gets_the_same_bytes(capfdbinary):
    predictor, text = make_predictor(), rows_of(5, 2)
    Path("in.csv").write_text(text)
    written = []
    for table in (open_table("in.csv"), through_polars()):
        predict_into(table, predictor, "-")
        written.append(capfdbinary.readouterr().out)
    assert written[0] == written[1] != b""


@pytest.mark.parametrize(
    ("row", "dtype", "settings"),
    [
        ("1e39,2", "float32", {}),
        ("1e400,2", "float64", {}),
        ("3e38,3e38", "float32", {}),
        ("1,2", "float32", {"output": "out.txt"}),
        ("1,2", "float32", {"output": "in.csv"}),
        ("1,2", "float32", {"output": "link.csv"}),
        ("1,2", "float32", {"output": "no/out.csv"}),
        ("1,2", "float32", {"output": "folder.csv"}),
        ("1,2", "float32", {"keep": ["x1", "x1"]}),
        ("1,2", "float32", {"keep": ["y"]}),
        ("1,2", "float32", {"keep": ["no"]}),
    ],
)
def test_what_is_refused_is_refused_in_the_same_words(row, dtype, settings):
    Path("in.csv").write_text(f"x1,x2\n1,2\n{row}\n")
    Path("link.csv").symlink_to("in.csv")
    Path("folder.csv").mkdir()
    model = LinearModel(weight=np.array([[2, 2]], dtype), bias=np.zeros(1, dtype))
    engine = OrtEngine(onnx_graph.write(model))
    predictor = Predictor(engine, model.features, model.targets)
    path, keep = settings.get("output", "out.csv"), settings.get("keep", ())
    said = []
    for table in (open_table("in.csv"), through_polars()):
        with pytest.raises((DataError, ConfigError)) as caught:
            predict_into(table, predictor, path, keep=keep)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert not Path("out.csv").exists()


def test_an_output_that_cannot_be_written_leaves_the_old_one(monkeypatch):
    Path("in.csv").write_text("x1,x2\n1,2\n")
    Path("out.csv").write_text("old")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(DataError, match=r"^out.csv: It cannot be written: .*No space left"):
        predict_into(open_table("in.csv"), make_predictor(), "out.csv")
    assert Path("out.csv").read_text() == "old"
    assert {path.name for path in Path().iterdir()} == {"in.csv", "out.csv"}


def test_a_reader_that_has_gone_is_nobodys_mistake(monkeypatch):
    class Gone(io.BytesIO):
        def write(self, *_):
            raise BrokenPipeError

    Path("in.csv").write_text("x1,x2\n1,2\n")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Gone()))
    with pytest.raises(BrokenPipeError):
        predict_into(open_table("in.csv"), make_predictor(), "-")


COMMAND = """
import sys
from linexport.pipeline import predict_table
arguments = dict(table=sys.argv[2], output="-", **eval(sys.argv[3]))
print(predict_table(sys.argv[1], **arguments), "polars" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("table", "options", "loads_polars"),
    [
        ("plain.csv", {}, False),
        ("plain.csv", {"missing": "nan"}, False),
        ("plain.csv", {"check_range": "warn"}, False),
        ("plain.csv", {"keep": ["x1"]}, False),
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
    kept = ("x1,", "1,") if "keep" in options else ("", "")
    assert done.stdout == f"{kept[0]}y\n{kept[1]}-0.75\n", done.stderr
    assert done.stderr.split()[-1] == str(loads_polars)
