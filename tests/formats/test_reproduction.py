"""Trust by reproduction: what is recognised as ours, and that looking runs nothing."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from linexport.formats import FORMATS, export
from linexport.formats._archive import read_metadata
from linexport.model import LinearModel

FILES = {"torchscript": "model.pt", "pt2": "model.pt2"}
METADATA = {"dtype": "float32", "solver": "sgd"}

pytestmark = pytest.mark.parametrize("format_name", FILES)


@pytest.fixture
def model(make_model):
    return make_model(2, 3)


@pytest.fixture
def data(model, format_name):
    return export(model, [format_name], metadata=METADATA)[FILES[format_name]]


def rewritten(data, changes, compression=zipfile.ZIP_STORED):
    """Copy an archive, with records replaced or added."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(buffer, "w", compression=compression) as copy,
    ):
        content = {name: source.read(name) for name in source.namelist()}
        for name, record in (content | changes).items():
            copy.writestr(name, record)
    return buffer.getvalue()


def test_own_files_are_recognised(format_name, data, model):
    assert FORMATS[format_name].is_ours(data, model)


def test_names_of_columns_do_not_matter(format_name, data, model):
    plain = LinearModel(weight=model.weight, bias=model.bias)
    assert FORMATS[format_name].is_ours(data, plain)


def test_other_metadata_are_recognised_too(format_name, model):
    other = export(model, [format_name], metadata={"é": "1"})[FILES[format_name]]
    assert FORMATS[format_name].is_ours(other, model)


def test_another_models_file_is_not(format_name, data, model):
    weight = model.weight.copy()
    weight[1, 2] = np.nextafter(weight[1, 2], np.float32(9))
    assert not FORMATS[format_name].is_ours(data, LinearModel(weight=weight, bias=model.bias))


def test_a_file_with_any_byte_changed_is_not(format_name, data, model):
    for position in range(0, len(data), 97):
        changed = bytearray(data)
        changed[position] ^= 1
        assert not FORMATS[format_name].is_ours(bytes(changed), model)


def test_more_or_fewer_bytes_are_not(format_name, data, model):
    for changed in (b"", data[:-1], data + b"\0", b"\0" + data, data[: len(data) // 2]):
        assert not FORMATS[format_name].is_ours(changed, model)


def test_an_archive_with_another_record_is_not(format_name, data, model):
    assert not FORMATS[format_name].is_ours(rewritten(data, {"archive/extra/more": b""}), model)


def test_a_compressed_archive_is_not_even_unpacked(format_name, data, model):
    compressed = rewritten(data, {}, zipfile.ZIP_DEFLATED)
    assert read_metadata(data) == METADATA
    assert read_metadata(compressed) is None
    assert not FORMATS[format_name].is_ours(compressed, model)


@pytest.mark.parametrize(
    "metadata", [b"", b"[]", b'{"a": 1}', b"\xff", b"[" * 100_000, b'{"a":NaN}'], ids=range(6)
)
def test_metadata_that_are_not_strings_are_not(format_name, data, model, metadata):
    damaged = rewritten(data, {"archive/extra/linexport.json": metadata})
    assert not FORMATS[format_name].is_ours(damaged, model)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "record", ["archive/data.pkl", "archive/constants.pkl", "archive/data/sample_inputs/model.pt"]
)
def test_a_pickle_in_the_file_is_not_run(format_name, data, model, record, tmp_path):
    mark = tmp_path / "executed"
    payload = pickle.dumps(Payload(str(mark)), protocol=2)
    if record.endswith(".pt"):
        buffer = io.BytesIO()
        torch.save(Payload(str(mark)), buffer)
        payload = buffer.getvalue()
    hostile = rewritten(data, {record: payload})
    assert not FORMATS[format_name].is_ours(hostile, model)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Payload(str(mark))))
    assert mark.exists()  # the payload would have worked
