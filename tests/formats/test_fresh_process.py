"""What another process writes: the same bytes, and nothing of where or by whom."""

import getpass
import io
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import linexport
from linexport.formats import FORMATS, export

SCRIPT = """
import pathlib, sys, threading
import numpy as np
import torch
from linexport.formats import FORMATS, export
from linexport.model import LinearModel

model = LinearModel(
    weight=np.array([[1, 2, 3], [4, 5, 6]], np.float32), bias=np.array([7, 8], np.float32),
    mean=np.array([1, 2, 3], np.float32),
)
sys.setswitchinterval(1e-6)
written = []
def compile():
    written.append(export(model, ["torchscript"], metadata={"b": "2", "a": "1"})["model.pt"])
threads = [threading.Thread(target=compile) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(written) == 8 and len(set(written)) == 1, "threads write different bytes"
for name, data in export(model, list(FORMATS)[::-1], metadata={"a": "1", "b": "2"}).items():
    pathlib.Path(name).write_bytes(data)
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Artifacts of a process with its own hash seed, directory, home and user."""
    directory = tmp_path_factory.mktemp("markedcwd")
    environment = os.environ | {
        "HOME": str(directory / "markedhome"),
        "LOGNAME": "markeduser",
        "USER": "markeduser",
        "PYTHONHASHSEED": "12345",
        "PYTHONPATH": str(Path(linexport.__file__).parents[1]),
        "TMPDIR": str(directory),
    }
    subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], check=True, cwd=directory, env=environment
    )
    return {path.name: path.read_bytes() for path in directory.glob("model*")}


def test_another_process_writes_the_same_bytes(elsewhere):
    scope = {}
    setup, _, _ = SCRIPT.partition("sys.setswitchinterval")
    exec(setup, scope)  # the model, stated once
    ours = export(scope["model"], FORMATS, metadata={"a": "1", "b": "2"})
    assert ours.keys() == elsewhere.keys() == {kind.file_name for kind in FORMATS.values()}
    assert {name for name in ours if ours[name] != elsewhere[name]} == set()


@pytest.mark.parametrize("file_name", [kind.file_name for kind in FORMATS.values()])
def test_no_path_user_or_host_is_in_an_artifact(elsewhere, file_name):
    data = elsewhere[file_name]
    content = [data]
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            content += [archive.read(name) for name in archive.namelist()]
    package = Path(linexport.__file__).parent
    traces = [
        "marked",
        "site-packages",
        '.py"',
        "/tmp",
        str(package),
        str(Path.home()),
        sys.prefix,
    ]
    # A user or a host may be called 'a' or 'model': a user's name has a neighbour in paths, and a
    # short host name proves nothing.
    traces += [name for name in [socket.gethostname()] if len(name) > 7]
    traces += [f"{getpass.getuser()}/", f"{getpass.getuser()}@"]
    for trace in traces:
        assert not any(trace.encode() in part for part in content), trace
