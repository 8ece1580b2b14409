"""One process that answers: granian, signals, and the models that are loaded anew."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from linexport.serving._application import Application
from linexport.serving._log import Log
from linexport.serving._metrics import Metrics
from linexport.serving._models import ModelSource, Reloader
from linexport.serving._settings import Address, Limits, ServeConfig, allow_files

HEADER_BYTES = 2**16
"""Of a request's headers, past which it is 431; requests have a few hundred."""
GRACE_SECONDS = 1.0
"""For which a server that is to stop goes on answering, and tells each client with its answer that
it is the last on this connection: so that those who ask all the time are not cut off within a
request, and load balancers hear of it. The longest ways across the world and back take 0.3 s."""
STARTED_SECONDS = 0.01
"""Between two looks at whether the port is open, which takes a few milliseconds."""


def run_one(
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
    """Serve until SIGTERM or SIGINT, then finish the requests that are being answered.

    SIGHUP has every model loaded anew. To be called in the main thread.

    Args:
        sources: Of the models; all must load at first.
        config: How to serve.
        limits: What to take on.
        address: Where to listen.
        log: Where to note requests and events.
        version: The server's, for its metadata.
        shared: A directory in which several processes share what they count.
        parent: A file descriptor that can be read from once the process that started this one has
            ended: then it is to stop too.

    Raises:
        LinexportError: If a model must not be served.
        ConfigError: If the system allows fewer open files than there may be connections.
        SystemExit: With status 0, if it is to stop before it serves.
    """
    signal.signal(signal.SIGTERM, _stop_before_serving)
    reloader = Reloader(sources)
    signal.signal(signal.SIGHUP, reloader.ask)
    allow_files(limits)
    application = Application(
        reloader.load_all(),
        version=version,
        limits=limits,
        log=log,
        metrics=Metrics(shared),
    )
    server = _server(application, config, address)
    logging.getLogger().addHandler(log.handler())
    gc.collect()
    gc.freeze()  # what is here stays: later collections need not walk it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stopping = asyncio.Event()
        if parent is not None:
            runner.get_loop().add_reader(parent, stopping.set)
        url = address.url(secure=config.tls_cert is not None)
        serving = _serve(application, server, stopping, address, url)
        runner.run(_beside(serving, application, reloader, watch=config.watch))
    log.event("stopped")


def _stop_before_serving(*_: object) -> None:
    """Obey SIGTERM until the event loop does: there is no request to finish."""
    sys.exit(0)


def _server(application: Application, config: ServeConfig, address: Address) -> Server:
    limits = application.limits
    files = config.tls_cert, config.tls_key, config.tls_client_ca
    certificate, key, client_ca = (None if file is None else Path(file) for file in files)
    return Server(
        application.handle,
        address=address.host,
        port=address.port,
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


async def _beside(
    serving: Coroutine[Any, Any, None], application: Application, reloader: Reloader, *, watch: bool
) -> None:
    """Serve, and do what is done beside it until that has ended."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    async with asyncio.TaskGroup() as tasks:
        background = [
            tasks.create_task(reloader.reload_when_asked(application)),
            tasks.create_task(application.metrics.share_for_ever()),
        ]
        if watch:
            background.append(tasks.create_task(reloader.watch(application)))
        try:
            await serving
        finally:
            for task in background:
                task.cancel()


async def _serve(
    application: Application, server: Server, stopping: asyncio.Event, address: Address, url: str
) -> None:
    loop, log, limits = asyncio.get_running_loop(), application.log, application.limits

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
    running = loop.create_task(server.serve())
    await _until_open(address, running)
    log.event("serving", urls=[url], models=application.versions)
    told = loop.create_task(stopping.wait())
    await asyncio.wait((told, running), return_when=asyncio.FIRST_COMPLETED)
    application.ready = False
    if not running.done():
        await asyncio.sleep(min(GRACE_SECONDS, limits.client_seconds))
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait((running,), timeout=limits.shutdown_seconds)
    told.cancel()
    if running.done():  # or else it waits for clients that do not take their answers
        running.result()


async def _until_open(address: Address, running: "asyncio.Task[None]") -> None:
    while not running.done():
        with suppress(OSError):
            _, writer = await asyncio.open_connection(*address)
            writer.close()
            return
        await asyncio.sleep(STARTED_SECONDS)
