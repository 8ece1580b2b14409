"""Requests that schemathesis makes of /openapi.json, good and bad: every answer is as it says."""

import subprocess
import sys

import pytest
from running_server import TEXTBOOK, serving

TOKEN = "0123456789abcdef"
NOT_CHECKED = "positive_data_acceptance"
"""A schema cannot say that numbers together overflow float32, or that a header counts the bytes of
this very body."""


def textbook(_):
    return TEXTBOOK


def encoded(directory):
    """Train on text, dates and what is missing; the model knows its uncertainty."""
    table = directory / "table.csv"
    lines = [
        f"{50 + 7 * day % 30},{'house' if day % 3 else 'flat'},2024-01-{day:02},"
        f"{day if day % 4 else ''},{100 + day * day}"
        for day in range(1, 29)
    ]
    table.write_text("\n".join(["area,kind,day,age,price", *lines]) + "\n")
    command = [sys.executable, "-m", "linexport", "train-and-export", "--data", table]
    columns = [
        "--categorical",
        "kind",
        "--date",
        "day=days-since:2024-01-01",
        "--missing",
        "median",
    ]
    output = ["--target", "price", "--format", "onnx", "--quiet", "-o", directory / "flats"]
    subprocess.run([*command, *columns, *output], check=True)
    return directory / "flats"


@pytest.mark.parametrize("bundle", [textbook, encoded])
def test_every_answer_is_as_it_is_described(bundle, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with serving(bundle(tmp_path), "--token-file", token) as server:
        url = f"http://127.0.0.1:{server.port}/openapi.json"
        command = [sys.executable, "-m", "schemathesis.cli", "run", url, "--no-color"]
        drawn = ["--generation-deterministic", "--max-examples", "3", "--continue-on-failure"]
        known = ["--header", f"Authorization: Bearer {TOKEN}", "--exclude-checks", NOT_CHECKED]
        done = subprocess.run(
            [*command, *drawn, *known],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "Tested: 24" in done.stdout
        assert server.stop() == 0
