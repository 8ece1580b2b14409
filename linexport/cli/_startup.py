"""Loading heavy packages in a process that runs one command."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Import without garbage collections, and leave what was imported out of later ones.

    Importing torch makes half a million objects that live as long as the process. Each full
    collection would walk them all: a tenth of a second, several times over.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def collector_patient() -> Iterator[None]:
    """Let a command import and work with a hundredth of the garbage collections.

    Importing polars, onnx and onnxruntime takes a quarter less time so. Unlike a pause, this lasts
    for a command of any length. What is there at its end is left out of later collections: the
    next one would walk it all, and the process is about to end.
    """
    before = gc.get_threshold()
    gc.set_threshold(100 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*before)


def without_blas_threads() -> None:
    """Have NumPy's BLAS start no threads where nothing needs them: they spin for 30 ms."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
