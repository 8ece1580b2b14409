"""What tests of all parts share."""

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# The same examples on every run, and no wall-clock limits: on no example, nor on drawing one.
settings.register_profile(
    "linexport",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("linexport")

# A script that starts the tests in its background has them ignore an interrupt, and so would every
# process that they start in order to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def fresh_python() -> Callable[[str], str]:
    """Run code in an interpreter of its own and return what it prints."""

    def run(code: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()

    return run
