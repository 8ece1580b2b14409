"""The unit and the Dockerfile, as their own linters see them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from linexport.serving import Limits

DEPLOY = Path(__file__).parents[2] / "examples" / "deploy"
UNIT = (DEPLOY / "linexport.service").read_text()


def test_systemd_takes_the_unit(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "linexport.service"  # the command need not be there to be checked
    unit.write_text(UNIT.replace("/opt/linexport/bin/linexport", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_hadolint_finds_nothing_in_the_dockerfile():
    beside = Path(sys.executable).parent  # where pip puts it
    hadolint = shutil.which("hadolint", path=f"{beside}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_unit_grants_the_time_that_stopping_takes():
    (seconds,) = re.findall(r"TimeoutStopSec=(\d+)", UNIT)
    assert int(seconds) > Limits().shutdown_seconds + 1
