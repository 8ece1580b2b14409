"""The chapter as a script, run as its readers run it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import kernels
import pytest

SCRIPT = Path(__file__).parent.parent.parent / "examples" / "textbook.py"
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
PRINTED = """\
features: tensor([ 0.1257, -0.1321]) label: tensor([4.9048])
a minibatch: (10, 2) (10, 1)
epoch 1, loss, linexport: 0.000229
epoch 1, loss, PyTorch: 0.000229
epoch 2, loss, linexport: 0.000097
epoch 2, loss, PyTorch: 0.000097
epoch 3, loss, linexport: 0.000097
epoch 3, loss, PyTorch: 0.000097
error in w, linexport: 0.000373, 0.000848
error in w, PyTorch: 0.000373, 0.000848
error in b, linexport: 0.000562
error in b, PyTorch: 0.000562
gradients of minibatch 100 of epoch 3, 10 rows
gradient of w, linexport: 0.004986, -0.000336
gradient of w, PyTorch: 0.004986, -0.000336
gradient of b, linexport: 0.007210
gradient of b, PyTorch: 0.007210
predictions, linexport: 4.900120, 5.123294
predictions, PyTorch: 4.900120, 5.123294
exported, linexport: proven
verified again, linexport: proven
exported, PyTorch: proven
verified again, PyTorch: proven
predictions by onnxruntime, linexport: 4.900120, 5.123294
predictions by onnxruntime, PyTorch: 4.900120, 5.123294
"""


def tolerance(line):
    """What float32's last bits may move a printed number by, on another processor.

    A prediction sums three terms, of together 18 at most, with an error of 3 * 18 * 2**-24 = 3e-6;
    so a gradient, twice the mean of residuals times features, by some 1e-5; so parameters, which
    forget all but the last steps, by 0.03 * 1e-5 / 0.06 = 5e-6. A loss of 1e-4 has residuals of
    0.01, which move by 3e-6 + 5e-6 * 3, on average a few 1e-6 and to both sides: by 1e-7. Printing
    rounds by half a unit of the last digit, here and there.
    """
    return 1e-6 + (1e-7 if "loss" in line else 2e-5)


def numbers(line):
    return [float(found) for found in NUMBER.findall(line)]


@pytest.fixture(scope="module", params=["this processor", *kernels.KERNELS])
def lines(request, tmp_path_factory):
    """What the script prints, whatever kernels sum the numbers; a warning is an error."""
    name = request.param
    environment = {} if name == "this processor" else kernels.environment(name)
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, "bundles"],
        cwd=tmp_path_factory.mktemp("textbook"),
        env={**os.environ, **environment, "PYTHONPATH": str(SCRIPT.parent.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_every_line_and_number_is_the_one_expected(lines):
    expected = PRINTED.splitlines()
    assert [NUMBER.sub("#", line) for line in lines] == [NUMBER.sub("#", line) for line in expected]
    for line, other in zip(lines, expected, strict=True):
        assert numbers(line) == pytest.approx(numbers(other), rel=0, abs=tolerance(line)), line


def test_every_number_of_ours_is_that_of_plain_pytorch(lines):
    ours, theirs = (
        [line for line in lines if f", {who}: " in line] for who in ("linexport", "PyTorch")
    )
    assert len(ours) == len(theirs) == 11
    for line, other in zip(ours, theirs, strict=True):
        assert line.replace("linexport", "PyTorch").split(": ")[0] == other.split(": ")[0]
        assert numbers(line) == pytest.approx(numbers(other), rel=0, abs=tolerance(line)), line
