"""What is affine is taken and means what its runtime computes; what is not is refused by name."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from random_graphs import grown

import linexport
from linexport.errors import ModelError
from linexport.numerics import FLOAT32, OwnForm
from linexport.sources._reading import exact_function, read_reference


@pytest.mark.parametrize("seed", range(150))
def test_an_affine_graph_is_taken_and_predicts_what_onnxruntime_does(seed):
    proto, graph, _ = grown(seed, curved=False)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    found = read_reference(proto)
    (predicted,) = session.run(None, {"x": graph.rows})
    rows = graph.rows.astype(np.float64)
    exact = exact_function(found).evaluate(rows).high
    bound = OwnForm(steps=found.values.steps, precision=FLOAT32).bound(rows)
    assert (np.abs(predicted - exact) <= bound).all()
    # And the comparison can fail: what a thousandth of the terms makes is seen.
    size = np.abs(rows) @ np.abs(found.model.weight).T + np.abs(found.model.bias)
    assert (bound <= 1e-3 * size.max() + 1e-3).all()


@pytest.mark.parametrize("seed", range(150))
def test_a_graph_with_one_step_that_is_not_linear_is_refused_by_its_name(seed):
    proto, _, bent = grown(1000 + seed, curved=True)
    with pytest.raises(ModelError, match=rf"'{bent}' .*(not linear|depends? on the input)"):
        linexport.read_model(proto)


@pytest.mark.parametrize("seed", [100, 101, 104, 110])
def test_such_a_file_is_held_to_what_it_computes(seed, tmp_path):
    """By every runtime and with every probe; one number off, and it is another model."""
    proto, _, _ = grown(seed, curved=False)
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    found = linexport.read_model(path)
    settings = {"probe_rows": 16, "accept_coarse": True}
    assert linexport.verify(path, reference=found, **settings).passed
    other = found.model.weight.copy()
    other[0, np.abs(other[0]).argmax()] *= 1.001
    changed = dataclasses.replace(found.model, weight=other)
    assert linexport.verify(path, reference=changed, **settings).verdict == "disagrees"
