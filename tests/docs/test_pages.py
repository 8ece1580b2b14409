"""What the tutorial and the how-tos show is what a reader gets."""

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
PAGES = [ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
NEEDED = {"signing": "openssl", "triton": "curl", "tutorial": "curl"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def settled(text):
    """Numbers to the digits that do not depend on a processor."""
    return re.sub(r"-?\d+\.\d{4,}", lambda found: f"{float(found[0]):.5g}", text)


@pytest.fixture
def directory(tmp_path):
    """Where the page's commands run; whatever they start is stopped."""
    yield tmp_path
    for started in tmp_path.glob("*.pid"):
        process = int(started.read_text())
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"linexport" in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_runs_and_prints_what_is_shown(page, directory):
    needed = NEEDED.get(page.stem)
    if needed and not shutil.which(needed):
        pytest.skip(f"the page asks with {needed}")
    text = page.read_text()
    for shown in ("8010", "8020"):
        text = text.replace(shown, free_port())
    for example in run_examples(text, directory):
        assert not example.failed, example.printed
        assert settled(example.shown) == settled(example.printed)
