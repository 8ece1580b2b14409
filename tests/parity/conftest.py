"""Models that show every fault, and the check as the pipeline runs it."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from linexport.columns import Column
from linexport.formats import FORMATS
from linexport.formats._format import Runtime
from linexport.formats.onnx import graph as onnx_graph
from linexport.model import LinearModel
from linexport.parity._canaries import canaries
from linexport.parity._certificate import Certificate
from linexport.parity._check import OpenedCanary, check
from linexport.parity._exact import DoubleReference
from linexport.parity._statements import compare_statement
from linexport.pipeline._verify import planted


@pytest.fixture(scope="session")
def make_model() -> Callable[..., LinearModel]:
    """Ordinary numbers of which none is a round one, with the training data's columns."""

    def make(
        dtype="float32", *, accumulate=None, centred=False, num_targets=1, num_features=4, seed=0
    ):
        inside = accumulate or dtype
        random = np.random.default_rng(seed)
        mean, deviation = random.uniform(50, 60, num_features), random.uniform(2, 3, num_features)
        columns = tuple(
            Column(
                name=f"x{number}",
                mean=float(centre),
                standard_deviation=float(spread),
                minimum=float(centre - 3 * spread),
                maximum=float(centre + 3 * spread),
            )
            for number, (centre, spread) in enumerate(zip(mean, deviation, strict=True))
        )
        signs = random.choice([-1, 1], (num_targets, num_features))
        return LinearModel(
            weight=(signs * random.uniform(1, 4, signs.shape)).astype(inside),
            bias=random.uniform(1, 9, num_targets).astype(inside),
            features=columns,
            targets=tuple(Column(name=f"y{k}", unit="kg") for k in range(num_targets)),
            dtype=dtype,
            mean=mean.astype(inside) if centred else None,
        )

    return make


@pytest.fixture(scope="session")
def judge() -> Callable[..., Certificate]:
    """Check runtimes against a model, without canaries."""

    def run(model: LinearModel, *runtimes: Runtime, **options) -> Certificate:
        return check(DoubleReference(model), runtimes, **{"probe_rows": 64, **options})

    return run


@pytest.fixture(scope="session")
def open_canaries() -> Callable[[LinearModel], list[OpenedCanary]]:
    def opened(model: LinearModel) -> list[OpenedCanary]:
        compare = partial(compare_statement, model=model)
        faults = canaries(onnx_graph.write(model), model)
        return list(planted(faults, FORMATS["onnx"], model, compare))

    return opened
