"""Graphs as bytes: those of the onnx package, for every model, and no others recognised."""

import itertools

import hypothesis
import numpy as np
import onnx
import pytest
from hypothesis import given, strategies as st
from onnx import helper, numpy_helper

from linexport.errors import ArtifactError
from linexport.formats.onnx import Onnx, graph as onnx_graph, wire as onnx_wire
from linexport.formats.onnx.wire import fields
from linexport.model import LinearModel

LAYOUTS = (None, "rows", "columns")
every_layout = pytest.mark.parametrize("layout", LAYOUTS)
every_form = pytest.mark.parametrize(
    "form", [(dtype, kept) for dtype in ("float32", "float64") for kept in (False, True)]
)
VERSIONS = [
    (opset, ir)
    for opset in range(9, 24)
    for ir in range(helper.find_min_ir_version_for([helper.make_opsetid("", opset)]), 12)
]


def make_model(form, num_targets=2, num_features=3) -> LinearModel:
    dtype, centred = form
    random = np.random.default_rng(num_targets * num_features)
    shapes = {"weight": (num_targets, num_features), "bias": num_targets}
    if centred:
        shapes |= {"mean": num_features}
    return LinearModel.from_arrays(
        {name: random.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    )


def by_the_onnx_package(model, layout, *, opset, ir, metadata):
    """The same file, built with onnx's own helpers and serialized by protobuf."""
    element = helper.np_dtype_to_tensor_dtype(model.dtype)
    arrays, features = dict(model.arrays()), ["batch", model.num_features]
    prediction, name = ["batch", model.num_targets], "linexport"
    operand = "centred" if model.form == "centred" else "features"
    operands = [operand, "weight"] if layout is None else ["weight", operand]
    if layout is not None:
        arrays["bias"], prediction = model.bias[:, None], prediction[::-1]
        name = f"linexport by {layout}"
    if layout == "columns":
        features = features[::-1]
        arrays |= {"mean": arrays["mean"][:, None]} if "mean" in arrays else {}
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node(
            "Gemm", [*operands, "bias"], ["prediction"], transB=int(layout != "columns")
        ),
    ]
    proto = helper.make_model(
        helper.make_graph(
            nodes if model.form == "centred" else nodes[1:],
            name,
            [helper.make_tensor_value_info("features", element, features)],
            [helper.make_tensor_value_info("prediction", element, prediction)],
            [numpy_helper.from_array(array, key) for key, array in arrays.items()],
        ),
        producer_name="linexport",
        ir_version=ir,
        opset_imports=[helper.make_opsetid("", opset)],
    )
    for key, value in sorted(metadata.items()):
        proto.metadata_props.add(key="linexport." + key, value=value)
    return proto.SerializeToString(deterministic=True)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@hypothesis.settings(deadline=None, max_examples=300)
@given(
    form=st.tuples(st.sampled_from(["float32", "float64"]), st.booleans()),
    num_targets=st.integers(1, 40),
    num_features=st.integers(1, 300),
    layout=st.sampled_from(LAYOUTS),
    versions=st.sampled_from(VERSIONS),
    metadata=st.dictionaries(texts, texts, max_size=5),
)
def test_the_bytes_are_those_of_the_onnx_package(
    form, num_targets, num_features, layout, versions, metadata
):
    model, (opset, ir) = make_model(form, num_targets, num_features), versions
    data = onnx_wire.write(model, layout, opset_version=opset, ir_version=ir, metadata=metadata)
    assert data == by_the_onnx_package(model, layout, opset=opset, ir=ir, metadata=metadata)
    onnx.checker.check_model(data, full_check=True)
    assert onnx_graph.read(onnx_graph.check(data), layout).same_numbers(model)
    written = onnx_wire.read(data)
    if layout is None:
        assert written.model.same_numbers(model)
        assert written.metadata == metadata == onnx_graph.read_metadata(onnx_graph.parse(data))
    else:
        assert written is None


def test_the_bytes_of_large_numbers_are_those_of_the_onnx_package():
    """Lengths of one to four bytes, and negative zero, subnormal and extreme numbers."""
    for num_features in (1, 31, 32, 4_000, 600_000):
        model = make_model(("float32", True), 1, num_features)
        extreme = np.array([[-0.0, 1e-45, 3.4028235e38]], np.float32)
        weight = np.resize(extreme, (1, num_features))
        model = LinearModel.from_arrays(model.arrays() | {"weight": weight})
        data = onnx_wire.write(model)
        assert data == by_the_onnx_package(model, None, opset=13, ir=7, metadata={})
        assert onnx_wire.read(data).model.same_numbers(model)


@every_layout
@every_form
@pytest.mark.parametrize("num_targets", [1, 2])
def test_what_is_written_is_valid_and_states_its_model(layout, form, num_targets):
    model = make_model(form, num_targets)
    data = onnx_wire.write(model, layout)
    onnx.checker.check_model(data, full_check=True)
    assert onnx_graph.read(onnx_graph.parse(data), layout).same_numbers(model)
    assert onnx_wire.write(model, layout) == data


@every_form
def test_batches_lie_as_the_layout_says(form):
    model = make_model(form)
    graphs = {layout: onnx_graph.parse(onnx_wire.write(model, layout)).graph for layout in LAYOUTS}
    shapes = {
        layout: [
            [size.dim_value or size.dim_param for size in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.output)
        ]
        for layout, graph in graphs.items()
    }
    assert shapes == {
        None: [["batch", 3], ["batch", 2]],
        "rows": [["batch", 3], [2, "batch"]],
        "columns": [[3, "batch"], [2, "batch"]],
    }


@every_layout
@every_form
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_changed_number_is_stated_as_it_is(layout, form, name):
    model = make_model(form)
    proto = onnx_graph.parse(onnx_wire.write(model, layout))
    for tensor in proto.graph.initializer:
        if tensor.name == name:
            changed = numpy_helper.to_array(tensor) * 2
            tensor.CopyFrom(numpy_helper.from_array(changed, name))
    stated = onnx_graph.read(proto, layout)
    assert not stated.same_numbers(model)
    assert np.array_equal(getattr(stated, name), 2 * getattr(model, name))


@every_layout
def test_another_graph_states_nothing(layout):
    model = make_model(("float32", True))
    for other in LAYOUTS:
        proto = onnx_graph.parse(onnx_wire.write(model, other))
        assert (onnx_graph.read(proto, layout) is None) == (layout != other)
    proto = onnx_graph.parse(onnx_wire.write(model, layout))
    proto.graph.node[0].op_type = "Add"
    assert onnx_graph.read(proto, layout) is None


METADATA = {"features": '[{"name":"a"},{"name":"é"}]', "targets": '[{"name":"y"}]', "more": ""}


def verdict(read, *arguments):
    """What a way to read a file makes of it: numbers and names, nothing, or the refusal."""
    try:
        model = read(*arguments)
    except ArtifactError as error:
        return str(error)
    return model and (
        {name: array.tobytes() for name, array in model.arrays().items()},
        model.features,
        model.targets,
    )


@every_form
def test_every_byte_that_changes_is_judged_as_by_the_onnx_package(form):
    """Where the bytes are not recognised, the onnx package judges; where they are, it agrees."""
    data = onnx_graph.write(make_model(form, 1, 2), metadata=METADATA)
    num_recognised = 0
    for place in range(len(data)):
        for flipped in (0x01, 0x08, 0x40, 0x80, 0xFF):
            changed = data[:place] + bytes([data[place] ^ flipped]) + data[place + 1 :]
            if onnx_wire.read(changed) is None:
                continue
            num_recognised += 1
            assert verdict(Onnx().read, changed) == verdict(
                lambda mutated: onnx_graph.read_named(onnx_graph.check(mutated)), changed
            )
    assert num_recognised > len(make_model(form, 1, 2).weight.tobytes())


@pytest.mark.parametrize("num_bytes", [0, 1, 2, 9, 100, 200])
def test_a_file_that_ends_early_or_late_is_not_recognised(num_bytes):
    data = onnx_wire.write(make_model(("float32", False)), metadata=METADATA)
    assert onnx_wire.read(data[:num_bytes]) is None
    assert onnx_wire.read(data + bytes(max(num_bytes, 1))) is None


@hypothesis.settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_not_recognised(data):
    assert onnx_wire.read(data) is None


def metadata_doubled(proto):
    proto.metadata_props.append(proto.metadata_props[0])


def weight_not_finite(proto):
    proto.graph.initializer[0].raw_data = np.array([1, np.inf, 0], np.float32).tobytes()


@pytest.mark.parametrize(
    "change",
    [
        metadata_doubled,
        weight_not_finite,
        lambda proto: proto.metadata_props.add(key="author", value="somebody"),
        lambda proto: proto.metadata_props.reverse(),
        lambda proto: setattr(proto, "doc_string", "somebody's"),
        lambda proto: setattr(proto, "ir_version", 12),
        lambda proto: setattr(proto, "ir_version", 6),
        lambda proto: setattr(proto, "ir_version", -1),
        lambda proto: setattr(proto.opset_import[0], "version", 8),
        lambda proto: setattr(proto.opset_import[0], "version", 24),
        lambda proto: setattr(proto.opset_import[0], "domain", "ai.onnx.ml"),
        lambda proto: proto.opset_import.add(domain="ai.onnx.ml", version=1),
        lambda proto: proto.graph.initializer[0].dims.__setitem__(1, 2**62),
        lambda proto: proto.graph.initializer[0].dims.append(1),
        lambda proto: setattr(proto.graph.initializer[0], "data_type", 11),
        lambda proto: proto.graph.initializer.pop(),
        lambda proto: proto.functions.add(name="f"),
    ],
    ids=range(17),
)
def test_what_differs_in_one_thing_is_left_to_the_onnx_package(change):
    proto = onnx_graph.parse(onnx_wire.write(make_model(("float32", False), 1), metadata=METADATA))
    assert onnx_wire.read(proto.SerializeToString(deterministic=True)) is not None
    change(proto)
    assert onnx_wire.read(proto.SerializeToString(deterministic=True)) is None


def test_a_message_of_more_fields_than_ours_is_given_up_before_they_are_read():
    endless = fields(memoryview(b"\x08\x07" * 1_000))
    assert list(itertools.islice(endless, 100)) == [(1, 7)] * 100
    with pytest.raises(ValueError, match="no message of ours"):
        next(endless)
    assert onnx_wire.read(b"\x08\x07" * 1_000) is None


@pytest.mark.parametrize(
    "features", ["", "[", '[{"name":""}]', '[{"name":"a"}]', '[{"name":"a"},{"name":"a"}]']
)
def test_damaged_names_are_refused_with_the_same_words(features):
    metadata = METADATA | {"features": features}
    data = onnx_wire.write(make_model(("float32", False), 1, 2), metadata=metadata)
    assert onnx_wire.read(data) is not None
    said = verdict(Onnx().read, data)
    assert said == verdict(lambda proto: onnx_graph.read_named(onnx_graph.check(proto)), data)
    assert said.startswith("The file's names of columns are damaged")


def test_only_files_that_are_not_recognised_load_the_onnx_package(monkeypatch):
    def refuse(data):
        raise AssertionError

    data = onnx_wire.write(make_model(("float32", False)))
    monkeypatch.setattr(onnx_graph, "check", refuse)
    assert Onnx().read(data) is not None
    with pytest.raises(AssertionError):
        Onnx().read(data + b" ")
