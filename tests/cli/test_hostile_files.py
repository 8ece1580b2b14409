"""Whatever the bytes: one line that names the file, exit status 3, and nothing is written."""

import io
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

import linexport


def _saved(value):
    torch.save(value, file := io.BytesIO())
    return file.getvalue()


def _repacked(data, compression, change=lambda _, record: record):
    """Return an archive of torch's written anew."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return file.getvalue()


def _deep_pickle(name, record):
    return b"\x80\x02" + b"(" * 4_000_000 if name.endswith("data.pkl") else record


def _nested(depth, opening, closing):
    return f'{{"intercept": 0, "coefficients": {opening * depth}1{closing * depth}}}'.encode()


STATE = _saved(nn.Linear(2, 1).state_dict())
JSON = {
    **{f"objects {n} deep": _nested(n, '{"a":', "}") for n in (5, 490, 980, 100_000)},
    **{f"lists {n} deep": _nested(n, "[", "]") for n in (5, 490, 980, 100_000)},
    "a lone surrogate as a name": b'{"intercept": 0, "coefficients": {"\\ud800": 1}}',
    "a lone surrogate as a field": b'{"\\ud800": 0, "coefficients": {"a": 1}}',
    "a lone surrogate as a number": b'{"intercept": 0, "coefficients": {"a": "\\ud800"}}',
    "a lone surrogate as a target": (
        b'{"targets": {"\\ud800": {"intercept": 0, "coefficients": {"a": 1}}}}'
    ),
    "a number without end": b'{"intercept": 0, "coefficients": {"a": 1' + b"0" * 5000 + b"}}",
    "Latin-1": '{"intercept": 0, "coefficients": {"é": 1}}'.encode("latin-1"),
}  # fmt: skip
TENSORS = {
    "a name that is not UTF-8": STATE.replace(b"/version", b"/vers\xff\xfen"),
    "compressed": _repacked(_saved({"weight": torch.zeros(1, 10**6)}), zipfile.ZIP_DEFLATED),
    "a compressed pickle": _repacked(STATE, zipfile.ZIP_DEFLATED, _deep_pickle),
    "one number seen a billion times": _saved({"weight": torch.zeros(1, 1).expand(1, 10**9)}),
    "a module": _saved(nn.Linear(2, 1)),
    "a function": _saved({"weight": print}),
    "cut short": STATE[:-40],
    "a header alone": b"PK\x03\x04",
    "no bytes": b"",
}
ONNX_TEXTS = [
    b"Gemm",
    b"batch",
    b"features",
    b"weight",
    b"prediction",
    b"linexport.features",
    b"x1",
]


def _assert_refused(outcome, path):
    assert outcome.status == 3
    assert outcome.errors.startswith(f"error: {path}: ")
    assert outcome.errors.count("\n") == 1
    assert len(outcome.errors) < 500
    for unwanted in ("weights_only", "\x1b", "\\x1b", "Traceback"):
        assert unwanted not in outcome.errors


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        *(pytest.param(".json", data, id=case) for case, data in JSON.items()),
        *(pytest.param(".pt", data, id=case) for case, data in TENSORS.items()),
    ],
)
def test_a_file_that_cannot_be_a_model_is_refused(run, tmp_path, suffix, data):
    path, bundle = tmp_path / f"model{suffix}", tmp_path / "bundle"
    path.write_bytes(data)
    _assert_refused(run("export", path, "--output", bundle), path)
    assert not bundle.exists()


@pytest.mark.parametrize("text", ONNX_TEXTS)
def test_onnx_whose_text_is_not_utf8_is_refused_at_every_door(run, tmp_path, textbook, text):
    written = (textbook / "model.onnx").read_bytes()
    path = tmp_path / "model.onnx"
    for times in (1, -1):  # where it is used and where it is defined apart from one another, or not
        path.write_bytes(written.replace(text, b"\xff" * len(text), times))
        for arguments in (
            ("export", path, "--output", tmp_path / "bundle"),
            ("inspect", path),
            ("verify", path, "--reference", textbook),
        ):
            outcome = run(*arguments)
            _assert_refused(outcome, path)
            assert "is not UTF-8." in outcome.errors


def test_nested_coefficients_are_refused_in_python_too():
    value = 1.0
    for _ in range(900):
        value = {"a": value}
    with pytest.raises(linexport.errors.ModelError, match="nested 6 deep"):
        linexport.read_model({"intercept": 0.0, "coefficients": value})


def test_tensors_that_torch_saved_are_read_as_ever(tmp_path):
    module = nn.Linear(2, 1)
    for number, options in enumerate(({}, {"_use_new_zipfile_serialization": False})):
        path = tmp_path / f"{number}.pt"
        torch.save(module.state_dict(), path, **options)
        read = linexport.read_model(path).model
        np.testing.assert_array_equal(read.weight, module.weight.detach().numpy())
