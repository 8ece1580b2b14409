"""The engine behind a predictor: one file, a session in each process, any number of threads."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from artifacts import true_predictions, whole_model, whole_rows

from linexport import onnx_graph
from linexport.errors import ArtifactError, UnavailableError
from linexport.runtimes import OrtEngine, OrtRuntime


@pytest.fixture
def model():
    return whole_model()


@pytest.fixture
def engine(model):
    return OrtEngine(onnx_graph.write(model), num_threads=2)


def test_it_predicts_and_says_what_it_is_as_its_session_does(engine, model):
    runtime = OrtRuntime.open(onnx_graph.write(model), num_threads=2)
    rows = whole_rows(model)
    assert engine.predict(rows).tolist() == true_predictions(model, rows)
    for name in ("name", "version", "provider", "num_threads", "dtype"):
        assert getattr(engine, name) == getattr(runtime, name)
    assert engine.structure.same_numbers(model)


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


def test_a_forked_child_predicts_in_a_session_of_its_own():
    """Its parent's threads do not live there; a batch this large is shared between them."""
    model = whole_model()
    engine = OrtEngine(onnx_graph.write(model), num_threads=2)
    rows = np.tile(whole_rows(model), (20_000, 1))
    expected = engine.predict(rows)
    session = engine._opened.runtime.session
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child():
        prediction = engine.predict(rows)
        sender.send((prediction, engine._opened.process, engine._opened.runtime.session is session))

    with warnings.catch_warnings():
        # Python 3.12 warns of any fork beside threads; outliving one is what is tested here.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = context.Process(target=child)
        process.start()
    assert receiver.poll(60), "the child hangs"
    prediction, owner, same_session = receiver.recv()
    process.join(60)
    assert process.exitcode == 0
    assert (owner, same_session) == (process.pid, False)
    assert np.array_equal(prediction, expected)
    assert engine._opened.process == os.getpid()


def test_threads_share_one_engine(engine, model):
    batches = [whole_rows(model, num_rows) for num_rows in range(1, 65)] * 8
    with ThreadPoolExecutor(8) as pool:
        predictions = list(pool.map(engine.predict, batches))
    for batch, prediction in zip(batches, predictions, strict=True):
        assert prediction.tolist() == true_predictions(model, batch)


def test_what_cannot_be_opened_is_refused_at_once(model):
    with pytest.raises(ArtifactError, match="not an ONNX file"):
        OrtEngine(b"not a model")
    with pytest.raises(UnavailableError, match="has no warp here"):
        OrtEngine(onnx_graph.write(model), provider="warp")
