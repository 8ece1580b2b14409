"""The command line: one thin module per command, loaded when it is called."""

from linexport.cli._main import linexport, main

__all__ = ["linexport", "main"]
