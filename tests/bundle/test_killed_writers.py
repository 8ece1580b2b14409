"""Whoever reads a bundle's path finds the old bundle or the new one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import linexport
from linexport.bundle import _reader
from linexport.bundle._reader import read_bundle

SCRIPT = Path(__file__).with_name("killed_writers.py")


def test_writers_that_are_killed_leave_the_old_bundle_or_the_new_one(bundle):
    # With one thread per process, forking is safe.
    modules = [str(SCRIPT.parent), str(Path(linexport.__file__).parents[1])]
    settings = {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(modules)}
    command = [sys.executable, "-W", "error", str(SCRIPT), str(bundle.parent)]
    numbers = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | settings) as writers:
        while writers.poll() is None:
            numbers.append(int(read_bundle(bundle).read("model.onnx").removeprefix(b"onnx ")))
        counts = json.loads(writers.stdout.read())
    assert writers.returncode == 0
    assert numbers == sorted(numbers)
    assert counts["step old"] > 10
    assert counts["step new"] > 5
    assert counts["fresh nothing"] > 10
    assert counts["random old"] > 0


@pytest.mark.parametrize("times", [1, 3])
def test_a_reader_whose_bundle_is_replaced_meanwhile_reads_the_new_one(
    bundle, draft, monkeypatch, times
):
    read_manifest = _reader.read_manifest
    numbers = iter(range(2, 2 + times))

    def replace_after(descriptor):
        manifest = read_manifest(descriptor)
        for number in numbers:
            draft(number).write(bundle, overwrite=True)  # removes the one that is being read
            break
        return manifest

    monkeypatch.setattr(_reader, "read_manifest", replace_after)
    assert read_bundle(bundle).read("model.onnx") == b"onnx %d" % (1 + times)


def test_a_reader_keeps_what_it_has_read(bundle, draft):
    first = read_bundle(bundle)
    draft(2).write(bundle, overwrite=True)
    assert first.read("model.onnx") == b"onnx 1"
    assert read_bundle(bundle).read("model.onnx") == b"onnx 2"
