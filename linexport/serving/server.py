"""The process: a socket, signals, and uvicorn in between."""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
import uvloop

from linexport.errors import ConfigError, UnavailableError
from linexport.serving._connections import Connection, sweep
from linexport.serving._reloading import Reloader
from linexport.serving.application import Application
from linexport.serving.limits import Limits
from linexport.serving.log import Log
from linexport.serving.models import ModelSource

__all__ = ["run"]

FILES_OF_ITS_OWN = 64
"""That the process may have open beside its connections: 14 once it serves, and those of bundles
while they are loaded."""
LOG_SECONDS = 0.1
"""For which lines of requests are collected: a reader notices no delay, a crash loses few."""


def run(
    sources: Sequence[ModelSource],
    *,
    host: str,
    port: int,
    version: str,
    limits: Limits,
    watch: bool,
    log: Log,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that are being answered.

    SIGHUP has every model loaded anew. To be called in the main thread.

    Args:
        sources: Of the models; all must load at first.
        host: Address or name to listen at.
        port: TCP port, 0 for any that is free.
        version: Of the server, for its metadata.
        limits: What it takes on.
        watch: Whether to load a model anew when its files change.
        log: Where to note requests and events.

    Raises:
        LinexportError: If a model must not be served.
        UnavailableError: If the port cannot be had.
        ConfigError: If the system allows fewer open files than there may be connections.
        SystemExit: With status 0, if it is to stop before it serves.
    """
    signal.signal(signal.SIGTERM, _stop_before_serving)
    reloader = Reloader(sources)
    signal.signal(signal.SIGHUP, reloader.ask)
    application = Application(reloader.load_all(), version=version, limits=limits, log=log)
    _allow_files(limits)
    listener = _listen(host, port, limits)
    logging.getLogger().addHandler(log.handler())
    gc.collect()
    gc.freeze()  # what is here stays: later collections need not walk it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(application, reloader, listener, watch=watch))
    log.event("stopped")


def _stop_before_serving(*_: object) -> None:
    """Obey SIGTERM until uvicorn does: there is no request to finish."""
    sys.exit(0)


async def _serve(
    application: Application, reloader: Reloader, listener: socket.socket, *, watch: bool
) -> None:
    server = _Server(_config(application), application)
    application.log.collect(partial(asyncio.get_running_loop().call_later, LOG_SECONDS))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.ask)
    async with asyncio.TaskGroup() as tasks:
        background = [
            tasks.create_task(sweep(server.server_state.connections)),
            tasks.create_task(reloader.reload_when_asked(application)),
        ]
        if watch:
            background.append(tasks.create_task(reloader.watch(application)))
        await server.serve(sockets=[listener])
        for task in background:
            task.cancel()


def _config(application: Application) -> uvicorn.Config:
    limits = application.limits
    protocol = partial(Connection, application=application)
    return uvicorn.Config(
        application,
        http=cast(Any, protocol),  # uvicorn calls it, but says that it is a class
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=limits.connections,
        timeout_keep_alive=cast(int, limits.idle_seconds),  # any number will do
        timeout_graceful_shutdown=cast(int, limits.shutdown_seconds),
    )


class _Server(uvicorn.Server):
    """uvicorn, but a signal that asks it to stop is obeyed, not raised again at the end."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        urls = [_url(listener) for listener in sockets or ()]
        self._application.log.event("serving", urls=urls, models=self._application.versions)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        self.force_exit = self.should_exit  # the second time, it does not wait for anybody
        self.should_exit = True
        self._application.ready = False
        self._application.log.event("stopping", signal=signal.Signals(sig).name)


def _allow_files(limits: Limits) -> None:
    """Have the system grant a descriptor for each connection, where it may be asked to.

    Raises:
        ConfigError: If it grants fewer.
    """
    needed = limits.connections + FILES_OF_ITS_OWN
    granted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if granted == resource.RLIM_INFINITY or granted >= needed:
        return
    if most != resource.RLIM_INFINITY and most < needed:
        raise ConfigError(
            f"{limits.connections} connections need {needed} open files, and the system grants "
            f"{most}; lower --max-connections, or raise the limit (ulimit -n)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))


def _listen(host: str, port: int, limits: Limits) -> socket.socket:
    try:
        (family, *_, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        return socket.create_server(address, family=family, backlog=limits.connections)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(
            f"{host}, port {port}: {_reason(error)}; choose another with --host or --port."
        ) from error


def _reason(error: OSError | UnicodeError) -> str:
    """Return the system's own words, without what Python adds to them."""
    if isinstance(error, UnicodeError):  # raised where Python encodes a name for the system
        return "this can be no host's name"
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
