"""What docs/serving.md shows is what a server says."""

import os
import re
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from readme_examples import run_examples

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "serving.md"
CURL_OPTIONS = 'silent\nshow-error\nwrite-out = "\\n"\n'
"""No progress, as on a terminal, and a line's end after an answer."""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Where the page's commands run; whatever they start is stopped."""
    shutil.copytree(ROOT / "models", tmp_path / "models")
    (tmp_path / ".curlrc").write_text(CURL_OPTIONS)
    monkeypatch.setenv("CURL_HOME", str(tmp_path))
    yield tmp_path
    for started in tmp_path.glob("*.pid"):  # one that has ended may have left its number to another
        process = int(started.read_text())
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"linexport" in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(process, signal.SIGKILL)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def settled(text):
    """Without what differs from day to day, and predictions to the digits that do not."""
    text = re.sub(r'"(time|version|model_version)":"[^"]*"', r'"\1":"#"', text)
    text = re.sub(r'"[0-9a-f]{16}"', '"#"', text)
    return re.sub(r"-?\d+\.\d{6,}", lambda found: f"{float(found[0]):.5g}", text)


@pytest.mark.skipif(not shutil.which("curl"), reason="the page asks with curl")
def test_every_example_runs_and_prints_what_is_shown(directory):
    text = PAGE.read_text().replace("/srv", str(directory))
    for shown in ("8000", "8001"):
        text = text.replace(shown, free_port())
    examples = list(run_examples(text, directory))
    assert len(examples) >= 12
    for example in examples:
        assert not example.failed, example.printed
        assert settled(example.shown) == settled(example.printed)
