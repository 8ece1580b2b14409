"""Notes which modules of linexport a process calls functions of; copied to be its sitecustomize.

Each process writes to a file of its own in the folder CALLS, a line for each module: the mark that
was there when it was first called, and its path. Whoever watches changes the mark, a file, to have
what is called from then on told apart.
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
    """Take a call, as sys.setprofile has it; the body of a module or a class is no function."""
    path, is_function = frame.f_code.co_filename, frame.f_code.co_flags & inspect.CO_OPTIMIZED
    if event != "call" or "/linexport/" not in path or not is_function:
        return
    mark = (FOLDER / "mark").read_text()
    line = f"{mark} {path.rpartition('/linexport/')[2]}\n"
    if line not in _seen:
        _seen.add(line)
        with (FOLDER / f"{os.getpid()}.calls").open("a") as file:
            file.write(line)


threading.setprofile(note)
sys.setprofile(note)
