"""Notes which modules of linexport a process calls functions of; copied to be its sitecustomize.

Each process writes to a file of its own in the folder CALLS, a line for each module: the mark that
was there when it was first called, whether a function or a class's body ran, and its path. Whoever
watches changes the mark, a file, to have what is called from then on told apart.
"""

import inspect
import os
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

FOLDER = Path(os.environ["CALLS"])
_seen: set[str] = set()


def note(frame: FrameType, event: str, _: Any) -> None:
    """Take a call, as sys.setprofile has it; a module's own body is no function."""
    path = frame.f_code.co_filename
    if event != "call" or "/linexport/" not in path or frame.f_code.co_name == "<module>":
        return
    mark = (FOLDER / "mark").read_text()
    kind = "function" if frame.f_code.co_flags & inspect.CO_OPTIMIZED else "class"
    line = f"{mark} {kind} {path.rpartition('/linexport/')[2]}\n"
    if line not in _seen:
        _seen.add(line)
        with (FOLDER / f"{os.getpid()}.calls").open("a") as file:
            file.write(line)


threading.setprofile(note)
sys.setprofile(note)
