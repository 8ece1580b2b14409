"""The short form of `benchmarks/serving_soak.py`, whose long form says whether memory is flat."""

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[2] / "benchmarks" / "serving_soak.py"


def test_under_mixed_load_reloads_and_crowds_no_answer_is_wrong_or_missing():
    """Until the last, while the server is stopped; the script fails at the first that is."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        SOAK,
        "--short",
        "--workers",
        "2",
        "--reload",
        "--attack",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counted = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines() if "  " in line)
    assert int(counted["models put in place"]) > 0
    assert int(counted["connections of crowds"].replace(",", "")) > 1000
