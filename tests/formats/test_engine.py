"""The engine behind a predictor: one file, a session in each process, any number of threads."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from artifacts import FOREIGN, true_predictions, whole_model, whole_rows

from linexport.errors import ArtifactError, UnavailableError
from linexport.formats.onnx import OrtEngine, graph as onnx_graph
from linexport.formats.onnx._runtime import OrtRuntime


@pytest.fixture
def model():
    return whole_model()


@pytest.fixture
def engine(model):
    return OrtEngine(onnx_graph.write(model), num_threads=2)


def test_it_predicts_and_says_what_it_is_as_its_session_does(engine, model):
    runtime = OrtRuntime.start(onnx_graph.write(model), model, num_threads=2)
    rows = whole_rows(model)
    assert engine.predict(rows).tolist() == true_predictions(model, rows)
    for name in ("name", "version", "provider", "num_threads", "dtype"):
        assert getattr(engine, name) == getattr(runtime, name)
    assert engine.structure.same_numbers(model)


@pytest.mark.parametrize("num_targets", [1, 2])
@pytest.mark.parametrize("centred", [False, True])
def test_a_batch_is_evaluated_as_it_lies_in_memory(num_targets, centred):
    model = whole_model(num_targets=num_targets, centred=centred)
    engine = OrtEngine(onnx_graph.write(model))
    asked = {}

    def listen(runtime):
        def run(names, feeds):
            (asked[runtime.layout],) = feeds.values()
            return runtime.session.run(names, feeds)

        return replace(runtime, session=SimpleNamespace(run=run))

    by_rows, by_columns = engine._opened
    engine._opened = listen(by_rows), listen(by_columns)
    rows = whole_rows(model)
    columns = np.ascontiguousarray(rows.T)
    for batch in (rows, columns.T, np.repeat(rows, 2, axis=0)[::2]):
        assert engine.predict(batch).tolist() == true_predictions(model, rows)
    assert asked.keys() == {"rows" if num_targets == 1 else None, "columns"}
    assert np.shares_memory(asked["columns"], columns)
    assert asked["columns"].shape == columns.shape


def test_predictions_by_columns_lie_by_target(engine, model):
    rows = np.asfortranarray(whole_rows(model))
    assert engine.predict(rows).flags.f_contiguous
    assert engine.predict(np.ascontiguousarray(rows)).flags.c_contiguous


def test_a_graph_that_nothing_is_known_of_predicts_all_batches():
    model, write = FOREIGN[next(iter(FOREIGN))]
    engine, rows = OrtEngine(write(model)), whole_rows(model)
    for batch in (rows, np.asfortranarray(rows)):
        assert engine.predict(batch).tolist() == true_predictions(model, rows)
    assert engine.structure is None


def test_a_foreign_file_is_checked_once(monkeypatch):
    model, write = FOREIGN[next(iter(FOREIGN))]
    checked, check = [], onnx_graph.check
    monkeypatch.setattr(onnx_graph, "check", lambda data: checked.append(data) or check(data))
    OrtEngine(write(model))
    assert checked == [write(model)]


def test_a_file_of_ours_is_opened_without_the_onnx_package(model, tmp_path):
    (tmp_path / "model.onnx").write_bytes(onnx_graph.write(model))
    code = (
        "import pathlib, sys; from linexport.formats.onnx import OrtEngine;"
        "OrtEngine(pathlib.Path(sys.argv[1]).read_bytes()); print('onnx' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.onnx"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("num_targets", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory_for_one_row_is_evaluated_as_often_as_asked(num_targets, dtype):
    model = whole_model(dtype, num_targets=num_targets)
    row = OrtEngine(onnx_graph.write(model)).bind()
    rows = whole_rows(model)
    for features, expected in zip(rows, true_predictions(model, rows), strict=True):
        row.features[0] = features.tolist()
        row.run()
        assert row.prediction.tolist() == [expected]
    assert (row.features.dtype, row.prediction.dtype) == (model.dtype, model.dtype)


def test_memory_is_not_bound_where_it_might_be_read_too_early():
    """Another provider copies a row when it is bound; a foreign graph may take other shapes."""
    model, write = FOREIGN[next(iter(FOREIGN))]
    with pytest.raises(UnavailableError, match="bound on the CPU, for graphs that linexport"):
        OrtEngine(write(model)).bind()


def test_rows_one_by_one_are_answered_in_arrays_of_their_own(engine, model):
    rows = whole_rows(model)
    answers = [engine.predict(row[None]) for row in rows]
    assert np.concatenate(answers).tolist() == true_predictions(model, rows)


def test_it_comes_out_of_a_pickle_with_its_settings(engine, model):
    rows = whole_rows(model)
    copy = pickle.loads(pickle.dumps(engine))
    assert copy.predict(rows).tolist() == true_predictions(model, rows)
    assert (copy.name, copy.num_threads) == (engine.name, 2)


def test_what_comes_out_of_a_pickle_is_checked_like_any_file():
    class Forged:
        def __reduce__(self):
            return OrtEngine, (b"not a model",)

    with pytest.raises(ArtifactError, match="not an ONNX file"):
        pickle.loads(pickle.dumps(Forged()))


def test_another_process_opens_it_anew(engine, model):
    rows = whole_rows(model)
    code = (
        "import pickle, sys; engine, rows = pickle.load(sys.stdin.buffer);"
        "print(engine.predict(rows).tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps((engine, rows)), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().strip() == str(true_predictions(model, rows))


FORK = """
import os, signal, sys
import numpy as np
from linexport.formats.onnx import graph as onnx_graph
from linexport.model import LinearModel
from linexport.formats.onnx import OrtEngine

model = LinearModel(weight=np.ones((2, 3), np.float32), bias=np.zeros(2, np.float32))
engines = [OrtEngine(onnx_graph.write(model), num_threads=4) for _ in range(4)]
# So large that it is shared between threads, which do not live in the child.
batches = [np.ones((200_000, 3), np.float32), np.ones((3, 200_000), np.float32).T]
parents = [engine._here()[0].session for engine in engines]
for engine in engines:
    assert all((engine.predict(batch) == 3).all() for batch in batches)
if child := os.fork():
    assert all((engine.predict(batch) == 3).all() for engine in engines for batch in batches)
    assert parents == [engine._here()[0].session for engine in engines]
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
signal.alarm(60)  # a child that hangs is killed
unused = engines.pop()
for engine in engines:
    assert all((engine.predict(batch) == 3).all() for batch in batches)
    assert engine._here()[0].session not in parents
del parents, engine, engines, unused  # also the sessions whose threads are not here
"""


def test_a_forked_child_predicts_in_sessions_of_its_own_and_ends():
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_threads_share_one_engine(engine, model):
    batches = [whole_rows(model, num_rows)[: num_rows % 3 or None] for num_rows in range(1, 65)] * 8
    with ThreadPoolExecutor(8) as pool:
        predictions = list(pool.map(engine.predict, batches))
    for batch, prediction in zip(batches, predictions, strict=True):
        assert prediction.tolist() == true_predictions(model, batch)


def test_what_cannot_be_opened_is_refused_at_once(model):
    with pytest.raises(ArtifactError, match="not an ONNX file"):
        OrtEngine(b"not a model")
    with pytest.raises(UnavailableError, match="has no warp here"):
        OrtEngine(onnx_graph.write(model), provider="warp")
