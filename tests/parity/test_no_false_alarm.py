"""Right runtimes are never called wrong, whatever the model."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from linexport.columns import Column
from linexport.formats import eager
from linexport.formats.onnx import Onnx, graph as onnx_graph
from linexport.formats.onnx._runtime import OrtRuntime
from linexport.model import LinearModel
from linexport.parity._check import check
from linexport.parity._exact import DoubleReference

CASES = [(dtype, kept) for dtype in ("float32", "float64") for kept in (False, True)]
every_case = pytest.mark.parametrize(("dtype", "centred"), CASES)

SCALES = {
    "all over": lambda random, shape: random.uniform(-30, 30, shape),
    "alike": lambda random, shape: np.full(shape, random.uniform(-30, 30)),
    "ordinary": lambda random, shape: random.uniform(-1, 1, shape),
}
"""Powers of ten of a model's numbers."""


def random_model(dtype, *, centred, scales, num_targets, num_features, seed) -> LinearModel:
    random = np.random.default_rng(seed)

    def array(*shape):
        values = random.standard_normal(shape) * 10.0 ** SCALES[scales](random, shape)
        values[random.random(shape) < 0.1] = 0
        return values.astype(dtype)

    mean = array(num_features) if centred else None
    deviations = (10.0 ** random.uniform(-6, 6, num_features)).tolist()
    return LinearModel(
        weight=array(num_targets, num_features),
        bias=array(num_targets),
        mean=mean,
        features=tuple(
            Column(name=f"x{number}", standard_deviation=deviation)
            for number, deviation in enumerate(deviations)
        ),
    )


def runtimes(model: LinearModel) -> list:
    data = onnx_graph.write(model)
    return [*Onnx().open(data, model, ours=True), eager(model)]


@every_case
@given(
    scales=st.sampled_from(sorted(SCALES)),
    num_targets=st.integers(1, 5),
    num_features=st.one_of(st.integers(1, 5), st.integers(6, 150)),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=20)
def test_no_runtime_leaves_the_bound_and_no_fault_goes_unnoticed(
    open_canaries, dtype, centred, scales, num_targets, num_features, seed
):
    model = random_model(
        dtype,
        centred=centred,
        scales=scales,
        num_targets=num_targets,
        num_features=num_features,
        seed=seed,
    )
    report = check(
        DoubleReference(model),
        runtimes(model),
        open_canaries(model),
        probe_rows=100,
        probe_seed=seed,
    )
    assert report.failures == ()
    assert report.verdict == "proven"
    assert report.worst_fraction <= 1
    assert {runtime.subnormals for runtime in report.runtimes} == {"kept"}


@pytest.mark.parametrize(
    ("dtype", "centred", "num_features"),
    [*((*case, 1000) for case in CASES), ("float32", False, 10_000), ("float64", True, 10_000)],
)
def test_no_runtime_leaves_the_bound_with_many_features(dtype, centred, num_features):
    model = random_model(
        dtype,
        centred=centred,
        scales="ordinary",
        num_targets=1,
        num_features=num_features,
        seed=num_features,
    )
    engines = [OrtRuntime.start(onnx_graph.write(model), model), eager(model)]
    report = check(DoubleReference(model), engines, probe_rows=16)
    assert report.failures == ()
    assert report.verdict == "proven"
