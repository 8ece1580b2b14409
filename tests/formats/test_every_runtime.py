"""What every runtime owes, whichever engine it is."""

import numpy as np
import pytest
from artifacts import true_predictions, whole_model, whole_rows

from linexport.errors import DataError
from linexport.formats import FORMATS, eager
from linexport.formats.onnx import graph as onnx_graph, wire as onnx_wire
from linexport.formats.onnx._runtime import OrtRuntime


def written(name, which=0):
    """What a format writes, opened in one of its runtimes."""

    def opener(model):
        known = FORMATS[name]
        return list(known.open(known.write(model, {}), model, ours=True))[which]

    return opener


def laid_out(model, layout, **settings):
    return OrtRuntime.start(onnx_wire.write(model, layout), model, layout, **settings)


OPENERS = {
    "onnxruntime, 1 thread": lambda model: OrtRuntime.start(
        onnx_graph.write(model), model, num_threads=1
    ),
    "onnxruntime": lambda model: OrtRuntime.start(onnx_graph.write(model), model),
    "onnxruntime, 2 threads, not optimized": lambda model: OrtRuntime.start(
        onnx_graph.write(model), model, num_threads=2, optimization="off"
    ),
    "onnxruntime, by rows": lambda model: laid_out(model, "rows"),
    "onnxruntime, by columns, 1 thread": lambda model: laid_out(model, "columns", num_threads=1),
    "onnx reference": written("onnx", -1),
    "pytorch": eager,
    "torchscript": written("torchscript"),
    "torch.export": written("pt2"),
}


@pytest.fixture(
    scope="module",
    params=[(dtype, kept) for dtype in ("float32", "float64") for kept in (False, True)],
    ids=lambda case: f"{case[0]}-{'centred' if case[1] else 'folded'}",
)
def model(request):
    dtype, centred = request.param
    return whole_model(dtype, centred=centred)


@pytest.fixture(scope="module", params=OPENERS)
def runtime(request, model):
    return OPENERS[request.param](model)


@pytest.mark.parametrize("num_rows", [0, 1, 7])
def test_it_predicts_any_number_of_rows(runtime, model, num_rows):
    rows = whole_rows(model, num_rows)
    predictions = runtime.predict(rows)
    assert predictions.dtype == model.dtype
    assert predictions.shape == (num_rows, model.num_targets)
    assert predictions.tolist() == true_predictions(model, rows)


@pytest.mark.parametrize(
    "passed_as",
    [
        np.asfortranarray,
        lambda rows: np.repeat(rows, 3, axis=0)[::3],
        lambda rows: np.ascontiguousarray(rows[:, ::-1])[:, ::-1],
        lambda rows: rows.astype(np.float64),
        lambda rows: rows.astype(np.float16),
        lambda rows: rows.astype(np.int64),
        lambda rows: rows.astype(np.int8),
        lambda rows: rows.astype(rows.dtype.newbyteorder(">")),
    ],
    ids=["column-major", "every third", "reversed", "float64", "float16", "int64", "int8", ">"],
)
def test_it_takes_arrays_as_callers_have_them(runtime, model, passed_as):
    rows = whole_rows(model)
    assert runtime.predict(passed_as(rows)).tolist() == true_predictions(model, rows)


def test_it_takes_arrays_that_must_not_be_written_to(runtime, model):
    rows = whole_rows(model)
    rows.flags.writeable = False
    assert runtime.predict(rows).tolist() == true_predictions(model, rows)


def test_booleans_are_numbers(runtime, model):
    rows = np.array([[True, False, True]])
    assert runtime.predict(rows).tolist() == true_predictions(model, rows.astype(float))


@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 4), (2, 1, 3), ()])
def test_it_refuses_another_shape(runtime, shape):
    with pytest.raises(DataError, match=r"shape \(rows, 3\), got ") as refused:
        runtime.predict(np.zeros(shape))
    is_row = shape == (3,)
    assert ("a single row is values.reshape(1, -1)" in str(refused.value)) == is_row


@pytest.mark.parametrize("values", [[["1", "2", "3"]], [[None] * 3], [[1j, 2j, 3j]]])
def test_it_refuses_what_are_no_numbers(runtime, values):
    with pytest.raises(DataError, match="Features must be numbers"):
        runtime.predict(np.array(values))


def test_it_answers_nan_with_nan_in_that_row_alone(runtime, model):
    rows = whole_rows(model)
    expected = np.array(true_predictions(model, rows))
    rows[2, 1] = np.nan
    predictions = runtime.predict(rows)
    assert np.isnan(predictions[2]).all()
    assert np.delete(predictions, 2, axis=0).tolist() == np.delete(expected, 2, axis=0).tolist()


def test_it_says_what_it_is(runtime, model):
    assert runtime.name in OPENERS
    assert runtime.version[0].isdigit()
    assert runtime.provider in ("CPUExecutionProvider", "NumPy", "cpu")
    assert runtime.dtype == model.dtype
    assert runtime.structure.same_numbers(model)


@pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS.keys())
def test_numbers_beyond_float32_are_infinity_there(opener):
    """As IEEE 754 rounds them, and without a warning."""
    model = whole_model(num_targets=1)
    rows = np.array([[1e300, 0.0, 0.0]])
    assert opener(model).predict(rows).tolist() == [[np.copysign(np.inf, model.weight[0, 0])]]
