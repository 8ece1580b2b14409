"""onnxruntime at work: what predicts for arrays and tables, in whichever process it is asked."""

import os
from functools import partial
from typing import Any, NamedTuple, final

from linexport._arrays import FloatArray, FloatDType
from linexport.model import LinearModel
from linexport.runtimes.onnxruntime import OrtRuntime

__all__ = ["OrtEngine"]


class _Opened(NamedTuple):
    """A session, and the process that it lives in."""

    process: int
    runtime: OrtRuntime


@final
class OrtEngine:
    """An ONNX file that can be sent to other processes, and predicts in each.

    A session cannot be pickled, and its threads do not survive a fork. So it is the file that
    travels, and every process opens a session of its own. Any number of threads may predict at
    once.
    """

    def __init__(
        self, data: bytes, *, num_threads: int | None = None, provider: str = "cpu"
    ) -> None:
        """Check the file and open it in this process; the arguments are those of OrtRuntime.open.

        Raises:
            ArtifactError: If the file is not a single linear ONNX graph, or the engine refuses it.
            UnavailableError: If the provider is not the one that really runs.
        """
        self._open = partial(OrtRuntime.open, data, num_threads=num_threads, provider=provider)
        self._opened = self._open_here()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the file and the settings: whoever loads it checks and opens it anew."""
        return partial(OrtEngine, *self._open.args, **self._open.keywords), ()

    @property
    def name(self) -> str:
        """The engine with its settings."""
        return self._here().name

    @property
    def version(self) -> str:
        """Of onnxruntime."""
        return self._here().version

    @property
    def provider(self) -> str:
        """The execution provider that really runs."""
        return self._here().provider

    @property
    def num_threads(self) -> int | None:
        """Threads within one operator."""
        return self._here().num_threads

    @property
    def dtype(self) -> FloatDType:
        """Of features and predictions."""
        return self._here().dtype

    @property
    def structure(self) -> LinearModel | None:
        """The model that the file's graph states; None where it is not known."""
        return self._here().structure

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the engine refuses the batch.
        """
        return self._here().predict(features)

    def _here(self) -> OrtRuntime:
        """Return this process's session. Two threads may open one each; the later one stays."""
        opened = self._opened
        if opened.process != os.getpid():
            opened = self._opened = self._open_here()
        return opened.runtime

    def _open_here(self) -> _Opened:
        return _Opened(os.getpid(), self._open())
