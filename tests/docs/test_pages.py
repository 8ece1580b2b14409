"""What the pages with examples show is what a reader gets."""

import os
import re
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from readme_examples import run_examples

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [DOCS / "serving.md", DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
NEEDED = {"serving": "curl", "signing": "openssl", "triton": "curl", "tutorial": "curl"}
CURL_OPTIONS = 'silent\nshow-error\nwrite-out = "\\n"\n'
"""No progress, as on a terminal, and a line's end after an answer."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def settled(text):
    """Without what differs from day to day, and numbers to the digits that no processor changes."""
    text = re.sub(r'"(time|version|model_version)":"[^"]*"', r'"\1":"#"', text)
    text = re.sub(r'"[0-9a-f]{16}"', '"#"', text)
    return re.sub(r"-?\d+\.\d{4,}", lambda found: f"{float(found[0]):.5g}", text)


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_runs_and_prints_what_is_shown(page, directory):
    needed = NEEDED.get(page.stem)
    if needed and not shutil.which(needed):
        pytest.skip(f"the page asks with {needed}")
    text = page.read_text().replace("/srv", str(directory))
    for shown in ("8000", "8001", "8010", "8020"):
        text = text.replace(shown, free_port())
    for example in run_examples(text, directory):
        assert not example.failed, example.printed
        assert settled(example.shown) == settled(example.printed)
