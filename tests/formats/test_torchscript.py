"""TorchScript files, against torch.jit as the witness."""

import io
import struct
import warnings
import zipfile

import pytest
import torch

from linexport.errors import ExportError
from linexport.formats import FORMATS
from linexport.formats._pytorch import to_module

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def export(model, metadata=None):
    return FORMATS["torchscript"].write(model, metadata or {})


def load(data, **options):
    return torch.jit.load(io.BytesIO(data), **options)


def records(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info: archive.read(info) for info in archive.infolist()}


def test_batches_of_none_one_and_many_rows_are_predicted_exactly(model, exact_batches):
    script = load(export(model))
    for features, expected in exact_batches(model):
        predicted = script(torch.tensor(features)).numpy()
        assert predicted.dtype == model.dtype
        assert predicted.shape == expected.shape
        assert predicted.tolist() == expected.tolist()


def test_the_code_is_what_torch_jit_script_makes_of_the_module(model):
    assert load(export(model)).code == torch.jit.script(to_module(model)).code


def test_the_class_keeps_its_name_whatever_was_compiled_before(make_model):
    torch.jit.script(to_module(make_model(2, 2)))
    for model in (make_model(), make_model(), make_model(4, 3, "float64")):
        script = load(export(model))
        assert script._c._type().qualified_name() == "__torch__.linexport.Folded"
    data = export(make_model(centred=True))
    assert b"__torch__.linexport\nCentred\n" in data
    assert b"torch_mangle" not in data


def test_metadata_come_back_as_an_extra_file(make_model):
    extra_files = {"linexport.json": ""}
    load(export(make_model(), {"b": "é", "a": '"1"'}), _extra_files=extra_files)
    assert extra_files["linexport.json"].decode() == '{"a":"\\"1\\"","b":"é"}'


def test_warning_filters_of_the_process_are_left_alone(make_model, monkeypatch):
    """catch_warnings would change them for every thread."""

    def never(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(warnings, "catch_warnings", never)
    export(make_model())


def test_records_are_stored_at_multiples_of_64_bytes_without_a_time(make_model):
    data = export(make_model(3, 5))
    for info in records(data):
        name_length, extra_length = struct.unpack_from("<HH", data, info.header_offset + 26)
        assert (info.header_offset + 30 + name_length + extra_length) % 64 == 0
        assert info.compress_type == zipfile.ZIP_STORED
        assert info.date_time == (1980, 1, 1, 0, 0, 0)


def test_records_that_no_loader_needs_are_left_out(make_model):
    names = [info.filename for info in records(export(make_model()))]
    assert names == [
        "archive/byteorder",
        "archive/code/__torch__/linexport.py",
        "archive/constants.pkl",
        "archive/data.pkl",
        "archive/data/0",
        "archive/data/1",
        "archive/extra/linexport.json",
        "archive/version",
    ]


def test_a_default_device_of_the_caller_does_not_matter(make_model):
    model = make_model()
    expected = export(model)
    with torch.device("meta"):
        assert export(model) == expected


def test_torchscript_that_is_switched_off_is_named(make_model, monkeypatch):
    monkeypatch.setattr(torch.jit._state, "_enabled", False)
    with pytest.raises(ExportError, match="PYTORCH_JIT=0"):
        export(make_model())
