"""ONNX Runtime: what predicts in whichever process it is asked, by rows or by columns."""

import ctypes
import os
import weakref
from functools import partial
from typing import Any, Unpack, final

import numpy as np

from linexport._arrays import FloatArray, FloatDType
from linexport.formats import BoundRow
from linexport.formats.onnx import wire as onnx_wire
from linexport.formats.onnx._format import written_in
from linexport.formats.onnx._runtime import OrtRuntime, Settings
from linexport.model import LinearModel

__all__ = ["OrtEngine"]


@final
class OrtEngine:
    """An ONNX file that can be sent to other processes, and predicts in each.

    A batch is evaluated by rows or by columns, as it lies in memory, without copying it.

    A session cannot be pickled, and its threads do not survive a fork. So it is the file that
    travels, and every process opens sessions of its own. Any number of threads may predict at
    once.
    """

    def __init__(self, data: bytes, **settings: Unpack[Settings]) -> None:
        """Check the file and open it in this process.

        Raises:
            ArtifactError: If the file is not a single linear ONNX graph, or the engine refuses it.
            UnavailableError: If the provider is not the one that really runs.
        """
        self._data, self._settings = data, settings
        self._opened: tuple[OrtRuntime, OrtRuntime] | None = self._open()
        _ENGINES.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the file and the settings: whoever loads it checks and opens it anew."""
        return partial(OrtEngine, self._data, **self._settings), ()

    @property
    def name(self) -> str:
        """The engine with its settings."""
        return self._here()[0].name

    @property
    def version(self) -> str:
        """Of onnxruntime."""
        return self._here()[0].version

    @property
    def provider(self) -> str:
        """The execution provider that really runs."""
        return self._here()[0].provider

    @property
    def num_threads(self) -> int | None:
        """Threads within one operator."""
        return self._here()[0].num_threads

    @property
    def dtype(self) -> FloatDType:
        """Of features and predictions."""
        return self._here()[0].dtype

    @property
    def structure(self) -> LinearModel | None:
        """The model that the file's graph states; None where it is not known."""
        return self._here()[0].structure

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Columns one after the other, as in a table, are the transpose of a (D, N) array, or an
        array in Fortran order; the predictions of the targets then lie one after the other too.

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the engine refuses the batch.
        """
        by_rows, by_columns = self._opened or self._here()
        flags = np.asarray(features).flags
        lies_by_rows = flags.c_contiguous or not flags.f_contiguous
        return (by_rows if lies_by_rows else by_columns).predict(features)

    def bind(self) -> BoundRow:
        """Return memory for one row, for this thread of this process alone.

        Raises:
            UnavailableError: If the provider is not the CPU, or nothing is known of the graph.
        """
        return self._here()[0].bind()

    def _here(self) -> tuple[OrtRuntime, OrtRuntime]:
        """Return this process's sessions. Two threads may open them both; the later ones stay."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> tuple[OrtRuntime, OrtRuntime]:
        """Open a session for batches that lie by rows, and one for those that lie by columns."""
        written = written_in(self._data)
        stated = None if written is None else written.model
        by_rows, by_columns = onnx_wire.layouts(stated)
        return self._start(stated, by_rows), self._start(stated, by_columns)

    def _start(self, stated: LinearModel | None, layout: onnx_wire.Layout | None) -> OrtRuntime:
        data = self._data
        if stated is not None and layout is not None:
            data = onnx_wire.write(stated, layout)
        return OrtRuntime.start(data, stated, layout, **self._settings)

    def _forget(self) -> None:
        """Leave the sessions of the parent process alone, and open others when they are needed.

        To free a session is to wait for its threads, which are not here: not even at exit.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._opened))
        self._opened = None


_ENGINES: weakref.WeakSet[OrtEngine] = weakref.WeakSet()


def _after_fork() -> None:
    for engine in _ENGINES:
        engine._forget()  # noqa: SLF001 - a friend: nobody else is to call it


os.register_at_fork(after_in_child=_after_fork)
