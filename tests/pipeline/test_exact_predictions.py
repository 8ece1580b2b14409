"""float32 predictions of a sum in float64: the nearest to the exact number, through every door."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from exact_rows import MAKERS
from serving.asking import Client

import linexport
from linexport.model import LinearModel
from linexport.pipeline import ExportConfig
from linexport.serving import Limits, ServedModel
from linexport.serving._application import Application
from linexport.serving._log import Log
from linexport.serving._metrics import Metrics

# The model that is far from zero is too coarse for what it explains; its bits are asked for.
pytestmark = pytest.mark.filterwarnings("ignore::linexport.errors.CoarseWarning")


class Made:
    """A bundle, rows, and their only right predictions."""

    def __init__(self, make, directory) -> None:
        rows = make(np.random.default_rng(7))
        exponent = rows.exponent(10)
        model = LinearModel(**rows.numbers(exponent), dtype=np.dtype(np.float32))
        self.path = directory / make.__name__
        config = ExportConfig(
            dtype="float32", accumulate="float64", form=model.form, accept_coarse=True
        )
        linexport.export(model, self.path, config=config).certificate.require()
        self.rows, self.right = rows.float32(), rows.nearest(exponent)
        self.names = model.feature_names, model.target_names

    def frame(self, num_rows) -> pl.DataFrame:
        return pl.DataFrame(self.rows[:num_rows], schema=list(self.names[0]))


@pytest.fixture(scope="module", params=MAKERS, ids=lambda make: make.__name__)
def made(request, tmp_path_factory) -> Made:
    return Made(request.param, tmp_path_factory.mktemp("exact"))


def same(prediction, right) -> bool:
    return np.array_equal(
        np.ascontiguousarray(prediction).view(np.int32), (right + np.float32(0)).view(np.int32)
    )


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_million_rows_in_every_layout_are_the_nearest(made, num_threads):
    predict = linexport.load(made.path, num_threads=num_threads).predict
    assert same(predict(made.rows), made.right)
    assert same(predict(np.asfortranarray(made.rows)), made.right)
    wide = np.repeat(made.rows[:5001], 2, axis=1)
    assert same(predict(wide[::-3, ::2]), made.right[5000::-3])


def test_a_row_has_the_same_bits_in_batches_of_any_size(made):
    predictor = linexport.load(made.path)
    for size in (1, 2, 3, 7, 63, 64, 65, 129):
        for start in range(0, 130 - size, size):
            part = slice(start, start + size)
            assert same(predictor.predict(made.rows[part]), made.right[part])


def test_memory_that_is_bound_gives_the_same_bits(made):
    bound = linexport.load(made.path).bind()
    for row, right in zip(made.rows[:200], made.right, strict=False):
        bound.features[0] = row
        bound.run()
        assert same(bound.prediction[0], right)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_give_the_same_bits(made, suffix, tmp_path):
    source, output = tmp_path / f"rows{suffix}", tmp_path / "predicted.parquet"
    for num_rows in (10, 20_000):
        frame = made.frame(num_rows)
        frame.write_csv(source) if suffix == ".csv" else frame.write_parquet(source)
        linexport.predict_table(made.path, source, output)
        predicted = pl.read_parquet(output).select(made.names[1]).to_numpy()
        assert predicted.dtype == np.float32
        assert same(predicted, made.right[:num_rows])


def test_the_arrow_function_gives_the_same_bits(made):
    predict = linexport.record_batch_predictor(linexport.load(made.path))
    batch = pa.record_batch(made.frame(1000).to_dict(as_series=False), names=None)
    answer = predict(batch)
    assert same(np.stack([column.to_numpy() for column in answer.columns], 1), made.right[:1000])


def test_http_gives_the_same_bits(made):
    predictor = linexport.load(made.path)
    served = ServedModel(name="m", version="1", predictor=predictor, missing="error")
    log, told = Log(lambda _: None), Metrics()
    application = Application([served], version="1", limits=Limits(), log=log, metrics=told)
    tensor = {
        "name": "features",
        "shape": made.rows[:100].shape,
        "datatype": "FP32",
        "data": made.rows[:100].ravel().tolist(),
    }
    (answer,) = Client(application).post("/v2/models/m/infer", {"inputs": [tensor]}).json["outputs"]
    log.close()
    predicted = np.array(answer["data"], np.float32).reshape(answer["shape"])
    assert same(predicted, made.right[:100])
