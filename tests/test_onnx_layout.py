"""The graphs that a batch is evaluated in, as it lies in memory."""

import numpy as np
import onnx
import pytest

from linexport import onnx_graph, onnx_layout
from linexport.model import LinearModel

every_layout = pytest.mark.parametrize("layout", ["rows", "columns"])
every_form = pytest.mark.parametrize(
    "form", [(dtype, kept) for dtype in ("float32", "float64") for kept in (False, True)]
)


def make_model(form, num_targets=2) -> LinearModel:
    dtype, standardized = form
    arrays = {"weight": np.arange(1, 1 + 3 * num_targets).reshape(num_targets, 3)}
    arrays["bias"] = np.arange(num_targets)
    if standardized:
        arrays |= {"mean": np.array([4, 5, 6]), "scale": np.array([0.5, 2, 1])}
    return LinearModel.from_arrays({name: array.astype(dtype) for name, array in arrays.items()})


@every_layout
@every_form
@pytest.mark.parametrize("num_targets", [1, 2])
def test_what_is_written_is_valid_and_states_its_model(layout, form, num_targets):
    model = make_model(form, num_targets)
    data = onnx_layout.write(model, layout)
    onnx.checker.check_model(data, full_check=True)
    assert onnx_layout.read(data, layout).same_numbers(model)
    assert onnx_layout.write(model, layout) == data


@every_form
def test_batches_lie_as_the_layout_says(form):
    model = make_model(form)
    graphs = {
        layout: onnx.ModelProto.FromString(onnx_layout.write(model, layout)).graph
        for layout in ("rows", "columns")
    }
    shapes = {
        layout: [
            [size.dim_value or size.dim_param for size in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.output)
        ]
        for layout, graph in graphs.items()
    }
    assert shapes == {"rows": [["batch", 3], [2, "batch"]], "columns": [[3, "batch"], [2, "batch"]]}


@every_layout
@every_form
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_changed_number_is_stated_as_it_is(layout, form, name):
    model = make_model(form)
    proto = onnx.ModelProto.FromString(onnx_layout.write(model, layout))
    for tensor in proto.graph.initializer:
        if tensor.name == name:
            changed = onnx.numpy_helper.to_array(tensor) * 2
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, name))
    stated = onnx_layout.read(proto.SerializeToString(), layout)
    assert not stated.same_numbers(model)
    assert np.array_equal(getattr(stated, name), 2 * getattr(model, name))


@every_layout
def test_another_graph_states_nothing(layout):
    model = make_model(("float32", True))
    other = "columns" if layout == "rows" else "rows"
    assert onnx_layout.read(onnx_layout.write(model, other), layout) is None
    assert onnx_layout.read(onnx_graph.write(model), layout) is None
    proto = onnx.ModelProto.FromString(onnx_layout.write(model, layout))
    proto.graph.node[0].op_type = "Add"
    assert onnx_layout.read(proto.SerializeToString(), layout) is None
