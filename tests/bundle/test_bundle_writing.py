"""Where bundles may be written, what is then there, and what never gets lost."""

import fcntl
import hashlib
import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file

from linexport.bundle._manifest import ErrorBudget
from linexport.bundle._reader import read_bundle
from linexport.bundle._writer import check_destination
from linexport.errors import BundleError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("centred", [False, True])
def test_what_was_written_is_read_back(tmp_path, draft, dtype, centred):
    written = draft(7, dtype, centred)
    manifest = written.write(tmp_path / "b")
    bundle = read_bundle(tmp_path / "b")
    assert bundle.manifest == manifest
    assert bundle.model.same_numbers(written.model)
    assert bundle.model.features == written.model.features
    assert bundle.model.targets == written.model.targets
    assert {name: bundle.read(name) for name in written.files} == written.files
    assert (manifest.dtype, manifest.form == "centred") == (dtype, centred)
    assert manifest.record == written.manifest().record


def test_the_manifest_lists_every_file_with_its_size_and_digest(bundle):
    listed = json.loads((bundle / "manifest.json").read_bytes())["files"]
    assert listed.keys() | {"manifest.json"} == {path.name for path in bundle.iterdir()}
    for name, record in listed.items():
        data = (bundle / name).read_bytes()
        assert record["bytes"] == len(data)
        assert record["sha256"] == hashlib.sha256(data).hexdigest()


def test_the_weights_are_what_safetensors_reads(tmp_path, draft):
    written = draft(centred=True)
    written.write(tmp_path / "b")
    arrays = load_file(tmp_path / "b" / "weights.safetensors")
    assert arrays.keys() == {"weight", "bias", "mean"}
    for name, array in written.model.arrays().items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)


def test_the_same_model_gives_the_same_bytes(tmp_path, draft, snapshot):
    draft().write(tmp_path / "b")
    draft().write(tmp_path / "c")
    assert snapshot(tmp_path / "b") == snapshot(tmp_path / "c")


def test_nothing_is_left_beside_the_bundle(bundle, draft):
    draft(2).write(bundle, overwrite=True)
    assert list(bundle.parent.iterdir()) == [bundle]


def test_missing_parents_are_made(tmp_path, draft):
    draft().write(tmp_path / "models" / "today" / "b")
    assert read_bundle(tmp_path / "models" / "today" / "b").read("parity.json") == b"{}"


def test_a_relative_path_is_taken_from_the_current_directory(tmp_path, draft, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draft().write("b/")
    assert read_bundle("b").model.num_features == 2


def test_an_empty_directory_is_filled(tmp_path, draft):
    (tmp_path / "b").mkdir()
    check_destination(tmp_path / "b")
    draft().write(tmp_path / "b")
    assert read_bundle(tmp_path / "b").path == tmp_path / "b"


def test_modes_follow_the_umask(tmp_path, draft):
    before = os.umask(0o027)
    try:
        draft().write(tmp_path / "b")
    finally:
        os.umask(before)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "b" / "manifest.json").stat().st_mode & 0o777 == 0o640


def test_a_bundle_is_replaced_when_asked_for(bundle, draft):
    check_destination(bundle, overwrite=True)
    draft(2).write(bundle, overwrite=True)
    assert read_bundle(bundle).read("model.onnx") == b"onnx 2"


def refuses(path, draft, message, **options):
    with pytest.raises(BundleError, match=message) as checked:
        check_destination(path, **options)
    with pytest.raises(BundleError, match=message) as written:
        draft(2).write(path, **options)
    assert str(checked.value) == str(written.value)
    assert "\n" not in str(written.value)


def test_a_bundle_is_not_replaced_unless_asked_for(bundle, draft, snapshot):
    before = snapshot(bundle.parent)
    refuses(bundle, draft, "there is a bundle already; overwrite=True replaces it")
    assert snapshot(bundle.parent) == before


@pytest.mark.parametrize(
    "content",
    [
        {"notes.txt": b"mine"},
        {"manifest.json": b"{}"},
        {"manifest.json": b'{"format": "linexport-bundle", "format_version": 2}'},
        {"manifest.json": b'{"manifest_version": 3, "name": "a browser extension"}'},
    ],
    ids=["notes", "empty", "newer", "foreign"],
)
def test_a_directory_that_is_not_a_bundle_is_never_replaced(tmp_path, draft, snapshot, content):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    before = snapshot(tmp_path)
    refuses(tmp_path, draft, "neither empty nor a bundle", overwrite=True)
    assert snapshot(tmp_path) == before


def test_a_bundle_with_somebody_elses_file_is_never_replaced(bundle, draft, snapshot):
    (bundle / "notes.txt").write_bytes(b"mine")
    before = snapshot(bundle)
    refuses(bundle, draft, "'notes.txt' is not part of the bundle", overwrite=True)
    assert snapshot(bundle) == before


def test_a_file_is_never_replaced(tmp_path, draft):
    (tmp_path / "b").write_bytes(b"mine")
    refuses(tmp_path / "b", draft, "this is a file", overwrite=True)
    assert (tmp_path / "b").read_bytes() == b"mine"


@pytest.mark.parametrize("target", ["bundle", "nowhere"])
def test_a_symbolic_link_is_never_replaced(bundle, draft, target):
    link = bundle.with_name("link")
    link.symlink_to(target)
    refuses(link, draft, "symbolic link; name the directory", overwrite=True)
    assert link.is_symlink()


def test_a_file_for_a_parent_is_named(tmp_path, draft):
    (tmp_path / "file").write_bytes(b"mine")
    refuses(tmp_path / "file" / "b", draft, "Not a directory")


def test_a_parent_that_cannot_be_written_to_is_named_beforehand(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)  # for root all are writable
    with pytest.raises(BundleError, match=f"{tmp_path} is read-only"):
        check_destination(tmp_path / "models" / "b")
    assert list(tmp_path.iterdir()) == []


def test_weights_are_not_taken_from_the_caller(tmp_path, draft):
    with pytest.raises(BundleError, match="written from the model"):
        draft().write(tmp_path / "b", files={"weights.safetensors": b""})


@pytest.mark.parametrize("name", ["notes.txt", "../escape", "manifest.json", "", "a/b"])
def test_files_that_a_bundle_does_not_have_are_refused(tmp_path, draft, name):
    with pytest.raises(BundleError, match="not a file of a bundle"):
        draft().write(tmp_path / "b", files={name: b""})
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_json_does_not_have_are_refused(tmp_path, draft):
    budget = ErrorBudget(fit=None, export=0.0, runtime=float("inf"), total=0.0)
    with pytest.raises(BundleError, match=r"error_budget\.price\.runtime is not finite"):
        draft().write(tmp_path / "b", error_budget={"price": budget})


def test_what_a_killed_writer_left_is_removed(bundle, draft):
    for suffix in ("linexport-new", "linexport-old"):
        abandoned = bundle.with_name(f".bundle.{'0f' * 8}.{suffix}")
        abandoned.mkdir()
        (abandoned / "model.onnx").write_bytes(b"half")
    draft(2).write(bundle, overwrite=True)
    assert list(bundle.parent.iterdir()) == [bundle]


def test_what_a_live_writer_holds_is_not_removed(bundle, draft):
    held = bundle.with_name(f".bundle.{'0f' * 8}.linexport-new")
    held.mkdir()
    descriptor = os.open(held, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    draft(2).write(bundle, overwrite=True)
    assert held.is_dir()
    os.close(descriptor)
    draft(3).write(bundle, overwrite=True)
    assert not held.exists()


@pytest.mark.parametrize(
    "name",
    [
        ".bundle.linexport-new",
        ".other.0123456789abcdef.linexport-new",
        ".bundle.0123456789abcdeg.linexport-new",
        "xbundle.0123456789abcdef.linexport-new",
    ],
)
def test_neighbours_with_similar_names_are_not_touched(bundle, draft, name):
    bundle.with_name(name).mkdir()
    draft(2).write(bundle, overwrite=True)
    assert bundle.with_name(name).is_dir()


def test_somebody_elses_file_in_an_abandoned_directory_is_not_touched(bundle, draft):
    abandoned = bundle.with_name(f".bundle.{'0f' * 8}.linexport-new")
    abandoned.mkdir()
    (abandoned / "notes.txt").write_bytes(b"mine")
    draft(2).write(bundle, overwrite=True)
    assert (abandoned / "notes.txt").read_bytes() == b"mine"


def test_what_was_set_aside_is_kept_until_there_is_a_bundle_again(tmp_path, draft):
    """Where the system cannot exchange, a writer may be killed between its two renames."""
    aside = tmp_path / f".b.{'0f' * 8}.linexport-old"
    draft(1).write(aside)
    draft(2).write(tmp_path / "b")
    assert read_bundle(aside).read("model.onnx") == b"onnx 1"
    draft(3).write(tmp_path / "b", overwrite=True)
    assert not aside.exists()


def test_bundles_are_written_and_read_without_torch(fresh_python):
    code = "import sys, linexport.bundle; print('torch' in sys.modules)"
    assert fresh_python(code) == "False"
