"""A row's answer, whatever other requests are answered together with it."""

import numpy as np
import pytest

from linexport import onnx_graph
from linexport.bounds import precision_of, rounding_error_bound
from linexport.forms import affine_of
from linexport.model import LinearModel
from linexport.runtimes import DoubleReference, OrtEngine
from linexport.serving import ServedModel


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("num_features", "num_targets"), [(1, 1), (7, 3), (1000, 1)])
def test_a_row_is_predicted_within_the_bound_alone_and_among_others(
    dtype, num_features, num_targets
):
    random = np.random.default_rng(num_features)
    model = LinearModel(
        weight=random.normal(size=(num_targets, num_features)).astype(dtype),
        bias=random.normal(size=num_targets).astype(dtype),
    )
    served = ServedModel(
        name="m",
        version="1",
        runtime=OrtEngine(onnx_graph.write(model), num_threads=1),
        features=model.features,
        targets=model.targets,
    )
    requests = [random.normal(size=(rows, num_features)).astype(dtype) for rows in (1, 3, 1, 0, 9)]
    for together in ([requests[0]], [requests[2]], requests, requests[::-1], requests * 20):
        for asked, prediction in zip(together, served.predict_each(together), strict=True):
            exact = DoubleReference(model).predict(asked)
            bound = rounding_error_bound(
                asked.astype(np.float64), affine_of(model), precision=precision_of(dtype)
            )
            distance = np.abs((prediction - exact.high) - exact.low)
            assert (distance <= bound + exact.error).all()
