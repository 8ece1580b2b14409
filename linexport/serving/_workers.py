"""Several processes that serve the same models at the same port, and the one that keeps them."""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from linexport.errors import LinexportError, UnavailableError
from linexport.serving._log import logging_to_stderr
from linexport.serving._models import ModelSource
from linexport.serving._server import run_one
from linexport.serving._settings import Limits, ServeConfig, holding


def run(
    sources: Sequence[ModelSource], config: ServeConfig, limits: Limits, *, version: str
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that are being answered.

    SIGHUP has every model loaded anew. To be called in the main thread. With several workers, what
    is sent to this process reaches all of them; each loads and verifies the models for itself.

    Args:
        sources: Of the models; all must load at first.
        config: How to serve.
        limits: What each worker takes on.
        version: The server's, for its metadata.

    Raises:
        LinexportError: If a model must not be served.
        UnavailableError: If the port cannot be had, or a worker ends that was not asked to.
        ConfigError: If the system allows fewer open files than there may be connections.
        SystemExit: With status 0, if it is to stop before it serves.
    """
    with holding(config.host, config.port) as address:
        serve = partial(run_one, sources, config, limits, address, version=version)
        if config.workers == 1:
            with logging_to_stderr(requests=config.access_log) as log:
                serve(log)
        else:
            with tempfile.TemporaryDirectory() as shared:
                serve = partial(serve, shared=Path(shared))
                _Workers(serve, config).run()


class _Workers:
    """The processes, from their start to their end."""

    def __init__(self, serve: Callable[..., None], config: ServeConfig) -> None:
        self._stopping = False
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as it is for them too, until they load
        context = multiprocessing.get_context("spawn")
        self._keeping, theirs = context.Pipe()
        self._processes: list[BaseProcess] = [
            context.Process(target=_work, args=(serve, config.access_log, number, theirs))
            for number in range(1, config.workers + 1)
        ]
        for process in self._processes:
            process.start()
        theirs.close()

    def run(self) -> None:
        """Hand signals on until all have ended."""
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self._stop)
        signal.signal(signal.SIGHUP, self._hand_on)
        ended = wait([process.sentinel for process in self._processes])
        first = next(p for p in self._processes if p.sentinel in ended)
        unasked = not self._stopping
        if unasked:
            self._stop()
        for process in self._processes:
            process.join()
        if unasked:
            raise self._reason(first.exitcode)

    def _reason(self, status: int | None) -> LinexportError:
        with suppress(EOFError):
            if self._keeping.poll():
                error: LinexportError = self._keeping.recv()
                return error
        return UnavailableError(f"A worker ended with status {status}; its log says why.")

    def _stop(self, *_: object) -> None:
        self._stopping = True
        self._hand_on(signal.SIGTERM)

    def _hand_on(self, sig: int, _: FrameType | None = None) -> None:
        for process in self._processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, sig)


def _work(serve: Callable[..., None], requests: bool, number: int, parent: Connection) -> None:
    """Be one of several processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; one hands it on
    try:
        with logging_to_stderr(requests=requests, worker=number) as log:
            serve(log, parent=parent.fileno())
    except LinexportError as error:
        parent.send(error)
        sys.exit(3)
