"""The short forms of `make soak`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECONDS = 1800
"""After which one of them hangs; each takes one to three minutes on idle cores."""


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="faults.c is for Linux, with cc"
)
def test_writers_hold_whatever_goes_wrong():
    done = subprocess.run(
        [sys.executable, HERE / "soak_writers.py", "--short"],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["kills"] > 50
    assert counts["interrupts"] > 30
    assert counts["faults of calls"] > 100
    assert counts["vanished directories"] > 10
    assert counts["limits"] > 20
    assert counts["commands unread"] > 20


def test_every_row_of_a_stream_is_predicted():
    subprocess.run([sys.executable, HERE / "many_rows.py", "--short"], check=True, timeout=SECONDS)
