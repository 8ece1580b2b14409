"""torch.export files, against torch.export as the witness."""

import io
import json
import pickletools
import zipfile

import pytest
import torch

from linexport.formats import FORMATS
from linexport.formats._pytorch import to_module


def export(model, metadata=None):
    return FORMATS["pt2"].write(model, metadata or {})


def load(data, **options):
    return torch.export.load(io.BytesIO(data), **options)


def records(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name.removeprefix("archive/"): archive.read(name) for name in archive.namelist()}


def test_batches_of_none_one_and_many_rows_are_predicted_exactly(model, exact_batches):
    module = load(export(model)).module()
    for features, expected in exact_batches(model):
        predicted = module(torch.tensor(features)).numpy()
        assert predicted.dtype == model.dtype
        assert predicted.shape == expected.shape
        assert predicted.tolist() == expected.tolist()


@pytest.mark.parametrize("centred", [False, True])
def test_the_graph_is_what_torch_export_makes_of_the_module(make_model, centred):
    model = make_model(3, 5, centred=centred)
    batch = torch.export.Dim("rows")
    witness = torch.export.export(
        to_module(model), (torch.ones(4, 5),), dynamic_shapes={"features": {0: batch}}
    )
    ours = load(export(model))
    assert ours.graph_module.code == witness.graph_module.code
    assert str(ours.graph_signature) == str(witness.graph_signature)
    assert ours.state_dict.keys() == witness.state_dict.keys()
    for name, tensor in witness.state_dict.items():
        assert torch.equal(ours.state_dict[name], tensor)


def test_metadata_come_back_as_an_extra_file(make_model):
    extra_files = {"linexport.json": ""}
    load(export(make_model(), {"b": "é", "a": "1"}), extra_files=extra_files)
    assert json.loads(extra_files["linexport.json"]) == {"a": "1", "b": "é"}


def test_nothing_in_the_file_is_a_pickle(make_model):
    for content in records(export(make_model(3, 5, centred=True))).values():
        with pytest.raises(ValueError, match=r"opcode|newline|pickle"):
            list(pickletools.genops(content))
        assert not zipfile.is_zipfile(io.BytesIO(content))


def test_example_inputs_are_not_saved(make_model):
    content = records(export(make_model()))
    assert content["data/sample_inputs/model.pt"] == b""
    assert load(export(make_model())).example_inputs is None


def test_where_the_code_stood_and_the_build_of_torch_are_left_out(make_model):
    program = json.loads(records(export(make_model(centred=True)))["models/model.json"])
    nodes = program["graph_module"]["graph"]["nodes"]
    assert [node["target"].rpartition("aten.")[2] for node in nodes] == [
        "sub.Tensor",
        "linear.default",
    ]
    assert all(node["metadata"] == {} for node in nodes)
    assert program["torch_version"] == torch.__version__.partition("+")[0]


def test_a_default_device_of_the_caller_does_not_matter(make_model):
    model = make_model()
    expected = export(model)
    with torch.device("meta"):
        assert export(model) == expected


def test_a_batch_may_have_any_size(make_model):
    """Loading does not check it, but torch.compile and AOTInductor build on it."""
    program = json.loads(records(export(make_model()))["models/model.json"])
    assert list(program["range_constraints"].values()) == [{"min_val": 0, "max_val": None}]
