"""The commands, as the tests of the command line run them."""

from cli.conftest import run, textbook  # noqa: F401
