"""What tests of all parts share."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import settings

# The same examples on every run, and no wall-clock limits.
settings.register_profile("linexport", deadline=None, derandomize=True, database=None)
settings.load_profile("linexport")


@pytest.fixture
def fresh_python() -> Callable[[str], str]:
    """Run code in an interpreter of its own and return what it prints."""

    def run(code: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()

    return run
