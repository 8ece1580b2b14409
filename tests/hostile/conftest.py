"""The commands, as the tests of the command line run them."""

from cli.conftest import _signals_as_before, run, textbook  # noqa: F401
