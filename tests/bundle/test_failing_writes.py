"""A full disk, a missing permission or a dying machine at any step of a write."""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from linexport.bundle import _staging
from linexport.bundle._reader import read_bundle
from linexport.errors import BundleError


@contextlib.contextmanager
def failing(monkeypatch, step, code, after):
    """Let one kind of system call fail, after so many that succeed."""
    calls = iter(range(after))

    def fail_late(function):
        def call(*args, **kwargs):
            if next(calls, None) is None:
                raise OSError(code, os.strerror(code))
            return function(*args, **kwargs)

        return call

    def open_for_writing(path, flags, *args, **kwargs):
        function = creating if flags & os.O_CREAT else real_open
        return function(path, flags, *args, **kwargs)

    def fdopen(descriptor, mode):
        file = real_fdopen(descriptor, mode)
        return Full(file) if mode == "wb" else file

    class Full:
        """A file whose writes may fail."""

        def __init__(self, file):
            self.file, self.write = file, fail_late(file.write)
            self.flush, self.fileno = file.flush, file.fileno

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

    real_open, real_fdopen = os.open, os.fdopen
    creating = fail_late(os.open)
    with monkeypatch.context() as patch:
        match step:
            case "mkdir":
                patch.setattr(Path, "mkdir", fail_late(Path.mkdir))
            case "open":
                patch.setattr(os, "open", open_for_writing)
            case "write":
                patch.setattr(os, "fdopen", fdopen)
            case "fsync":
                patch.setattr(os, "fsync", fail_late(os.fsync))
            case "rename":
                patch.setattr(Path, "rename", fail_late(Path.rename))
            case "exchange":
                exchange = fail_late(_staging._exchange_atomically)
                patch.setattr(_staging, "_exchange_atomically", exchange)
        yield


def attempt(draft, path, **options):
    """Write; return why it did not succeed, or None."""
    try:
        draft.write(path, **options)
    except BundleError as error:
        return str(error)
    return None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES], ids=["full", "forbidden"])
@pytest.mark.parametrize("step", ["mkdir", "open", "write", "fsync", "exchange"])
def test_a_step_that_fails_leaves_the_old_bundle(bundle, draft, snapshot, monkeypatch, step, code):
    before = snapshot(bundle.parent)
    failures = []
    while not failures or failures[-1]:
        with failing(monkeypatch, step, code, after=len(failures)):
            failures.append(attempt(draft(2), bundle, overwrite=True))
        if failures[-1] and "is in place" not in failures[-1]:
            assert failures[-1] == f"{bundle}: the bundle cannot be written: {os.strerror(code)}."
            assert snapshot(bundle.parent) == before
        else:
            assert read_bundle(bundle).read("model.onnx") == b"onnx 2"
            assert list(bundle.parent.iterdir()) == [bundle]
    assert len(failures) > 1


@pytest.mark.parametrize("step", ["mkdir", "open", "write", "fsync", "rename"])
def test_a_step_that_fails_leaves_nothing_where_nothing_was(tmp_path, draft, monkeypatch, step):
    failures = []
    while not failures or failures[-1]:
        path = tmp_path / str(len(failures)) / "b"
        path.parent.mkdir()
        with failing(monkeypatch, step, errno.ENOSPC, after=len(failures)):
            failures.append(attempt(draft(), path))
        in_place = not failures[-1] or "is in place" in failures[-1]
        assert [entry.name for entry in path.parent.iterdir()] == ["b"] * in_place
    assert len(failures) > 1


def test_everything_is_on_the_disk_before_it_is_in_place(bundle, draft, monkeypatch):
    """Otherwise a power cut could leave a bundle of empty files."""
    fsync, exchange = os.fsync, _staging._exchange_atomically
    synced, needed = [], []

    def note_sync(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def note_exchange(staged, path):
        needed.extend(entry.stat().st_ino for entry in (staged, *staged.iterdir()))
        assert set(needed) <= set(synced)
        synced.clear()
        exchange(staged, path)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(_staging, "_exchange_atomically", note_exchange)
    draft(2).write(bundle, overwrite=True)
    assert len(needed) == 1 + len(draft(2).files) + 2  # the directory, weights and manifest
    assert synced == [bundle.parent.stat().st_ino]


def test_a_place_that_cannot_be_opened_to_be_synced_is_named(bundle, draft, monkeypatch):
    really_open = os.open

    def open_none(path, *args, **kwargs):
        if Path(path) == bundle.parent:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return really_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", open_none)
    told = attempt(draft(2), bundle, overwrite=True)
    assert told == (
        f"{bundle}: the bundle is in place, but may not survive a power cut: Input/output error."
    )
    assert read_bundle(bundle).read("model.onnx") == b"onnx 2"


def test_an_interrupt_leaves_the_old_bundle(bundle, draft, snapshot, monkeypatch):
    before = snapshot(bundle.parent)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        draft(2).write(bundle, overwrite=True)
    assert snapshot(bundle.parent) == before


def test_a_file_that_the_system_really_cuts_off_leaves_the_old_bundle(bundle, draft, snapshot):
    before = snapshot(bundle.parent)
    code = (
        "import resource, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from conftest import Draft\n"
        "from linexport.errors import BundleError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    Draft(2).write(sys.argv[2], files={'model.pt': bytes(200_000)}, overwrite=True)\n"
        "except BundleError as error:\n"
        "    print(error)"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(bundle)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == f"{bundle}: the bundle cannot be written: File too large.\n"
    assert snapshot(bundle.parent) == before


@pytest.fixture
def no_exchange(monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(_staging, "_exchange_atomically", refuse)


def test_a_system_that_cannot_exchange_renames_twice(bundle, draft, no_exchange):
    draft(2).write(bundle, overwrite=True)
    assert read_bundle(bundle).read("model.onnx") == b"onnx 2"
    assert list(bundle.parent.iterdir()) == [bundle]


@pytest.mark.parametrize("after", [0, 1])
def test_a_rename_that_fails_there_puts_the_old_bundle_back(
    bundle, draft, snapshot, no_exchange, monkeypatch, after
):
    before = snapshot(bundle.parent)
    rename, calls = Path.rename, []

    def fail_once(self, target):
        calls.append(target)
        if len(calls) == after + 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(BundleError, match="Input/output error"):
        draft(2).write(bundle, overwrite=True)
    assert snapshot(bundle.parent) == before


def test_an_interrupt_between_the_renames_puts_the_old_bundle_back(
    bundle, draft, snapshot, no_exchange, monkeypatch
):
    before = snapshot(bundle.parent)
    rename = Path.rename

    def interrupt_second(self, target):
        if self.name.endswith("-new"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupt_second)
    with pytest.raises(KeyboardInterrupt):
        draft(2).write(bundle, overwrite=True)
    assert snapshot(bundle.parent) == before


def test_an_old_bundle_that_cannot_be_put_back_is_kept_aside(
    bundle, draft, snapshot, no_exchange, monkeypatch
):
    before = snapshot(bundle)
    rename, calls = Path.rename, []

    def fail_from_second_on(self, target):
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_from_second_on)
    with pytest.raises(BundleError, match="Input/output error"):
        draft(2).write(bundle, overwrite=True)
    (aside,) = bundle.parent.iterdir()
    assert aside.name.endswith(".linexport-old")
    assert snapshot(aside) == before


def test_a_bundle_that_appears_meanwhile_is_not_replaced(tmp_path, draft, monkeypatch):
    path = tmp_path / "b"
    rename = Path.rename

    def appear_first(self, target):
        monkeypatch.setattr(Path, "rename", rename)
        draft(1).write(path)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", appear_first)
    with pytest.raises(BundleError, match="there is a bundle already"):
        draft(2).write(path)
    assert read_bundle(path).read("model.onnx") == b"onnx 1"
    assert list(tmp_path.iterdir()) == [path]


def test_a_bundle_that_disappears_meanwhile_is_written_anew(bundle, draft, monkeypatch):
    exchange = _staging._exchange_atomically

    def disappear_first(staged, path):
        monkeypatch.setattr(_staging, "_exchange_atomically", exchange)
        path.rename(path.with_name("elsewhere"))
        exchange(staged, path)

    monkeypatch.setattr(_staging, "_exchange_atomically", disappear_first)
    draft(2).write(bundle, overwrite=True)
    assert read_bundle(bundle).read("model.onnx") == b"onnx 2"


def test_what_is_replaced_keeps_its_modes(bundle, draft):
    bundle.chmod(0o700)
    for path in bundle.iterdir():
        path.chmod(0o600)
    (bundle / "model.onnx").chmod(0o640)
    draft(2).write(bundle, files={**draft(2).files, "model.pt": b"new"}, overwrite=True)
    modes = {path.name: path.stat().st_mode & 0o777 for path in bundle.iterdir()}
    assert modes.pop("model.onnx") == 0o640
    assert set(modes.values()) == {0o600}
    assert bundle.stat().st_mode & 0o777 == 0o700
