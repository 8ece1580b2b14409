"""The process that answers, by granian, and the one that keeps several such."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

import uvloop
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from linexport._asked import asking_as_here
from linexport.errors import LinexportError, UnavailableError
from linexport.serving._access import Access, read_token
from linexport.serving._application import Application
from linexport.serving._log import Log, LogHandler, logging_to_stderr
from linexport.serving._metrics import Metrics
from linexport.serving._reloading import ModelSource, Reloader
from linexport.serving._settings import (
    Address,
    Limits,
    ServeConfig,
    allow_files,
    holding,
    holding_socket,
)

HEADER_BYTES = 2**16
"""Of a request's headers, past which it is 431; requests have a few hundred."""
GRACE_SECONDS = 1.0
"""For which a server that is to stop goes on answering, and tells each client with its answer that
it is the last on this connection: so that those who ask all the time are not cut off within a
request, and load balancers hear of it. The longest ways across the world and back take 0.3 s."""
STARTED_SECONDS = 0.01
"""Between two looks at whether the port is open, which takes a few milliseconds."""


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
    where = (
        holding(config.host, config.port)
        if config.unix_socket is None
        else holding_socket(config.unix_socket)
    )
    with where as address:
        serve = partial(_run_one, sources, config, limits, address, version=version)
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
        self._processes: list[BaseProcess] = []
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self._stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as it is for them too, until they load
        context = multiprocessing.get_context("spawn")
        self._keeping, theirs = context.Pipe()
        for number in range(1, config.workers + 1):
            process = context.Process(
                target=_work, args=(serve, asking_as_here(), config.access_log, number, theirs)
            )
            process.start()
            self._processes.append(process)
        theirs.close()
        if self._stopping:  # some had not started when the others were told
            self._stop()

    def run(self) -> None:
        """Hand signals on until all have ended."""
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
        if status == -signal.SIGKILL:
            return UnavailableError(
                "A worker was killed (SIGKILL), as the system does where memory runs out."
            )
        return UnavailableError(f"A worker ended with status {status}; its log says why.")

    def _stop(self, *_: object) -> None:
        self._stopping = True
        self._hand_on(signal.SIGTERM)

    def _hand_on(self, sig: int, _: FrameType | None = None) -> None:
        for process in self._processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, sig)


def _work(
    serve: Callable[..., None],
    asking: Callable[[], AbstractContextManager[None]],
    requests: bool,
    number: int,
    parent: Connection,
) -> None:
    """Be one of several processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; one hands it on
    try:
        with asking(), logging_to_stderr(requests=requests, worker=number) as log:
            serve(log, parent=parent.fileno())
    except LinexportError as error:
        parent.send(error)
        sys.exit(3)


def _run_one(
    sources: Sequence[ModelSource],
    config: ServeConfig,
    limits: Limits,
    address: Address,
    log: Log,
    *,
    version: str,
    shared: Path | None = None,
    parent: int | None = None,
) -> None:
    """Be the only process that answers, or one of several.

    These share what they count in a directory. `parent` is a file descriptor that can be read from
    once the process that started this one has ended: then it is to stop too.
    """
    signal.signal(signal.SIGTERM, _stop_before_serving)
    reloader = Reloader(sources)
    signal.signal(signal.SIGHUP, reloader.ask)
    allow_files(limits)
    token = None if config.token_file is None else read_token(config.token_file)
    origins = () if config.cors_origin is None else config.cors_origin.split(",")
    application = Application(
        reloader.load_all(),
        version=version,
        limits=limits,
        log=log,
        metrics=Metrics(shared),
        access=Access(token, origins),
        may_change=config.allow_signature_change,
    )
    server = _server(application, config, address)
    logging.getLogger().addHandler(LogHandler(log))
    gc.collect()
    gc.freeze()  # what is here stays: later collections need not walk it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(application, server, reloader, address, config, parent))
    log.event("stopped")


def _stop_before_serving(*_: object) -> None:
    """Obey SIGTERM until the event loop does: there is no request to finish.

    An exception would be swallowed where it interrupts what must not raise, as a weak reference's
    callback.
    """
    os._exit(0)


def _server(application: Application, config: ServeConfig, address: Address) -> Server:
    limits = application.limits
    files = config.tls_cert, config.tls_key, config.tls_client_ca
    certificate, key, client_ca = (None if file is None else Path(file) for file in files)
    return Server(
        application.handle,
        address=address.host,
        port=address.port,
        uds=None if address.path is None else Path(address.path),
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # in HTTP/2 neither slow headers nor silent clients would be bounded
        websockets=False,
        backlog=limits.connections,
        backpressure=limits.connections,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(1000 * limits.idle_seconds), max_buffer_size=HEADER_BYTES
        ),
        log_level=LogLevels.error,
        log_dictconfig={"loggers": {"_granian": {"propagate": True}}},
        ssl_cert=certificate,
        ssl_key=key,
        ssl_ca=client_ca,
        ssl_client_verify=client_ca is not None,
        ssl_protocol_min=SSLProtocols.tls12,
    )


async def _serve(
    application: Application,
    server: Server,
    reloader: Reloader,
    address: Address,
    config: ServeConfig,
    parent: int | None,
) -> None:
    """Serve, and do what is done beside it until that has ended."""
    loop = application.loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    beside = [reloader.reload_when_asked(application), application.metrics.share_for_ever()]
    if config.watch:
        beside.append(reloader.watch(application))
    async with asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(each) for each in beside]
        stopping = _stopping(application.log, parent)
        running = loop.create_task(server.serve())
        await _until_open(address, running)
        urls = [address.url(secure=config.tls_cert is not None)]
        application.log.event("serving", urls=urls, models=application.versions)
        told = loop.create_task(stopping.wait())
        await asyncio.wait((told, running), return_when=asyncio.FIRST_COMPLETED)
        await _stop(application, server, running)
        for task in (told, *background):
            task.cancel()
    if running.done():  # or else it waits for clients that do not take their answers
        running.result()


def _stopping(log: Log, parent: int | None) -> asyncio.Event:
    """Return what is set once the process is to stop."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def stop(sig: signal.Signals) -> None:
        stopping.set()
        log.event("stopping", signal=sig.name)
        for other in obeyed:
            loop.remove_signal_handler(other)  # the second ends the process at once

    # Among several workers, one process is told by the terminal, and hands it on.
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    obeyed = [signal.SIGTERM] if ignored else [signal.SIGTERM, signal.SIGINT]
    for sig in obeyed:
        loop.add_signal_handler(sig, stop, sig)
    if parent is not None:
        loop.add_reader(parent, stopping.set)
    return stopping


async def _stop(application: Application, server: Server, running: "asyncio.Task[None]") -> None:
    """Finish what is being answered, unless the server has ended by itself."""
    application.ready = False
    if not running.done():
        await asyncio.sleep(min(GRACE_SECONDS, application.limits.client_seconds))
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait((running,), timeout=application.limits.shutdown_seconds)


async def _until_open(address: Address, running: "asyncio.Task[None]") -> None:
    while not running.done():
        with suppress(OSError):
            if address.path is None:
                _, writer = await asyncio.open_connection(address.host, address.port)
            else:
                _, writer = await asyncio.open_unix_connection(address.path)
            writer.close()
            return
        await asyncio.sleep(STARTED_SECONDS)
