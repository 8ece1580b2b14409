"""Files by their suffix: state_dicts that run nothing, and what would run."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

import linexport
from linexport.errors import ArtifactError, BundleError


class Planted:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_a_state_dict_is_read_from_a_file(tmp_path, suffix, legacy):
    module = nn.Linear(3, 2)
    path = tmp_path / f"model{suffix}"
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    found = linexport.read_model(str(path))
    assert found.source == "PyTorch state_dict"
    assert found.model.same_numbers(linexport.read_model(module).model)


def test_nothing_in_a_file_is_run(tmp_path):
    planted = tmp_path / "planted"
    torch.save({"weight": torch.ones(1, 2), "note": Planted(planted)}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Planted(planted)))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ArtifactError, match="not a file of tensors and plain values alone"):
            linexport.read_model(tmp_path / name)
    assert not planted.exists()


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib", ".skops"])
def test_pickles_are_not_opened(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"  # not even there
    with pytest.raises(ArtifactError, match=r"model\.\w+: loading a pickled object runs the code"):
        linexport.read_model(path)


@pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
def test_programs_are_not_opened(tiny, tmp_path, name):
    config = linexport.ExportConfig(formats=("torchscript", "pt2"), probe_rows=8)
    bundle = linexport.export(tiny, tmp_path / "bundle", config=config).path
    with pytest.raises(ArtifactError, match="archive is a program"):
        linexport.read_model(bundle / name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (nn.Linear(2, 1), "not a file of tensors and plain values alone"),
        ({"weights": nn.Linear(2, 1).state_dict()}, "it holds 'weights', of which none is"),
        (
            {"model": nn.Linear(2, 1).state_dict(), "state_dict": {"weight": torch.ones(1, 2)}},
            "of which 'state_dict', 'model' is a state_dict",
        ),
        ([torch.ones(2)], "it holds a list"),
        ({}, "missing required field|Found nothing"),
    ],
)
def test_other_things_that_torch_saves_are_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ArtifactError, match=said):
        linexport.read_model(tmp_path / "model.pt")


def test_damaged_files_are_refused(tmp_path):
    whole = tmp_path / "whole.pt"
    torch.save(nn.Linear(3, 2).state_dict(), whole)
    data = whole.read_bytes()
    damaged = tmp_path / "damaged.pt"
    for content in (b"", b"text", data[: len(data) // 2], b"PK\x03\x04" + bytes(100)):
        damaged.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"damaged\.pt: "):
            linexport.read_model(damaged)
    with zipfile.ZipFile(damaged, "w") as archive:
        archive.writestr("archive/nothing", b"")
    with pytest.raises(ArtifactError, match=r"damaged\.pt: "):
        linexport.read_model(damaged)


@pytest.mark.parametrize("name", ["model.txt", "model", "model.h5", "fit.json", "model.onnx"])
def test_what_is_not_there_or_not_known_is_refused_by_name(tmp_path, name):
    with pytest.raises(ArtifactError, match=name):
        linexport.read_model(tmp_path / name)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fit.json")
    with pytest.raises(ArtifactError, match="not a plain file"):
        linexport.read_model(tmp_path / "fit.json")


def test_a_bundle_is_exported_again_in_other_formats(tiny, tmp_path):
    first = linexport.export(tiny, tmp_path / "first", ranges={"x1": [0, 9], "x2": [-1, 1]})
    config = linexport.ExportConfig(formats=("onnx",), dtype="float64")
    second = linexport.export(tmp_path / "first", tmp_path / "second", config=config)
    assert second.record == first.record  # it is the same model, however often it is exported
    assert second.model.features == first.model.features
    assert np.array_equal(second.model.weight, first.model.weight)
    with pytest.raises(BundleError, match="name one that is in it: 'first', 'second'"):
        linexport.read_model(tmp_path)


def test_the_manifest_says_where_a_model_came_from_and_no_path(tmp_path):
    path = tmp_path / "secret-name.json"
    path.write_text('{"intercept": 1, "coefficients": {"a": 2}}')
    bundle = linexport.export(path, tmp_path / "bundle").path
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["record"]["solver"] == "imported"
    assert manifest["record"]["settings"] == {"source": "named coefficients"}
    for file in bundle.iterdir():
        assert b"secret-name" not in file.read_bytes()
