"""Nothing that tests expect depends on the last bits of one processor."""

import os
import subprocess
import sys
from pathlib import Path

import kernels
import pytest

TESTS = Path(__file__).parent
SENSITIVE = [
    "parity/test_canaries.py",
    "parity/test_check.py",
    "test_textbook_bundle.py",
]
"""What compares predictions and fits with bounds; also run as other processors compute."""
IN_FORCE = """
import numpy, threadpoolctl
blas = [library["architecture"] for library in threadpoolctl.threadpool_info()
        if library["internal_api"] == "openblas"]
import torch  # after NumPy's BLAS was looked at: it may bring another of its own
print(torch.backends.cpu.get_cpu_capability(), *blas)
"""


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_libraries_compute_with_the_kernels_that_are_named(name):
    done = run(["-c", IN_FORCE], name)
    capability, *blas = done.stdout.split()
    assert capability == kernels.KERNELS[name].capability
    assert set(blas) <= set(kernels.KERNELS[name].blas)


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_bounds_and_verdicts_hold_for_other_kernels(name, tmp_path):
    options = ["-n0", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}"]
    done = run(["-m", "pytest", *options, *(str(TESTS / path) for path in SENSITIVE)], name)
    assert done.returncode == 0, done.stdout


def run(arguments, name):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=TESTS.parent,
        env={**os.environ, **kernels.environment(name)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
