"""How a server is started: its settings, its limits, its port, its certificate, its files."""

import os
import re
import resource
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from linexport._asked import asked
from linexport._settings import setting, settings
from linexport.errors import ConfigError, UnavailableError, shortened
from linexport.predicting import CheckRange, Missing

FILES_OF_ITS_OWN = 64
"""That a process may have open beside its connections: 30 once it serves, and those of bundles
while they are loaded."""

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/\s]+")
"""As browsers send it: a scheme, a host, a port; null from a page that is a file."""


@settings
class ServeConfig:
    """Where and how bundles are served."""

    host: str = setting(
        default="127.0.0.1", help="Address to listen at; who reaches it may ask for predictions."
    )
    port: int = setting(
        default=8000, minimum=0, maximum=65535, help="TCP port, 0 for any that is free."
    )
    workers: int = setting(
        default=1, minimum=1, help="Processes that answer, each within the limits below."
    )
    tls_cert: str | None = setting(
        default=None, metavar="FILE", help="Certificate of the server, in PEM: speak HTTPS."
    )
    tls_key: str | None = setting(default=None, metavar="FILE", help="Its private key.")
    tls_client_ca: str | None = setting(
        default=None, metavar="FILE", help="Let in only clients that this authority vouches for."
    )
    unix_socket: str | None = setting(
        default=None, metavar="FILE", help="Listen at a socket in the file system, not at a port."
    )
    token_file: str | None = setting(
        default=None,
        metavar="FILE",
        help="Answer only requests with the token in this file (Authorization: Bearer TOKEN); "
        "liveness is there for everybody.",
    )
    cors_origin: str | None = setting(
        default=None,
        metavar="ORIGIN[,ORIGIN...]",
        help="Let web pages of these origins ask, as https://example.org; * for all.",
    )
    allow_signature_change: bool = setting(
        default=False,
        help="Load a bundle anew also if its columns, targets or dtype have changed.",
    )
    watch: bool = setting(default=False, help="Load a bundle anew when its files change.")
    missing: Missing = setting(
        default="error",
        help="What to do with a row that lacks a value: refuse it, or predict it as NaN.",
    )
    check_range: CheckRange = setting(
        default="off",
        help="What to do with a row outside the training range: nothing, count it in the metrics, "
        "or refuse it.",
    )
    access_log: bool = setting(default=True, help="Log each request on standard error.")

    def __post_init__(self) -> None:
        if self.unix_socket is not None and (self.workers > 1 or self.tls_cert is not None):
            raise ConfigError("A socket in the file system is for one worker, and without TLS.")
        if self.workers > 1 and sys.platform != "linux":
            raise ConfigError("Several workers share one port, which takes Linux; leave it at 1.")
        if (self.tls_cert is None) != (self.tls_key is None) or (
            self.tls_client_ca is not None and self.tls_cert is None
        ):
            both = asked(tls_cert="cert.pem", tls_key="key.pem")
            raise ConfigError(f"HTTPS takes a certificate and its key: {both}.")
        for origin in () if self.cors_origin is None else self.cors_origin.split(","):
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    "An origin is a scheme and a host, without a path, as https://example.org, got "
                    f"{shortened(repr(origin))}."
                )
        if self.tls_cert is not None:
            self._require_certificate(self.tls_cert)

    def _require_certificate(self, certificate: str) -> None:
        """Say before anything is loaded what is wrong with the files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files = [file for file in (certificate, self.tls_key, self.tls_client_ca) if file]
        for file in files:
            if not Path(file).is_file():
                raise ConfigError(f"{file}: There is no such file.")
        try:
            context.load_cert_chain(certificate, self.tls_key, password="")
            if self.tls_client_ca is not None:
                context.load_verify_locations(self.tls_client_ca)
        except OSError as error:  # as which ssl's errors count too
            told = f"{error.strerror}"
            if isinstance(error, ssl.SSLError):
                is_other = error.reason == "KEY_VALUES_MISMATCH"
                told = "the key is another certificate's" if is_other else "they are not in PEM"
            raise ConfigError(
                f"{', '.join(files)}: these are no certificate and its key ({told})."
            ) from error


@settings
class Limits:
    """The bounds of a server. docs/serving.md gives the reason for each default."""

    # Parsing this much JSON takes some 50 ms, during which other requests get little of the
    # interpreter; it holds 100,000 rows of ten float32 features.
    body_bytes: int = setting(
        default=4 * 2**20, minimum=1, flag="--max-body", help="Bytes of one request; past it 413."
    )
    rows: int = setting(
        default=100_000, minimum=1, flag="--max-rows", help="Rows of one request; past it 413."
    )
    # As JSON so many are 5 MB, and take some 50 ms to write, as long as the largest body to read.
    values: int = setting(
        default=250_000,
        minimum=1,
        flag="--max-values",
        help="Predictions in one answer, rows times targets; past it 413.",
    )
    # With body_bytes it bounds what unanswered requests occupy: 512 MiB.
    requests: int = setting(
        default=128,
        minimum=1,
        flag="--max-requests",
        help="Requests answered at the same time; past it 429.",
    )
    # With the server's own, as many files as a process may usually open, 1,024. Each takes 10 KB
    # while it is idle, and all 90 MB if they leave 80 KiB of headers unfinished.
    connections: int = setting(
        default=960,
        minimum=1,
        flag="--max-connections",
        help="Connections open at the same time; past it they wait.",
    )
    client_seconds: float = setting(
        default=10.0,
        above=0,
        flag="--client-timeout",
        help="Seconds to send a body once the headers are there; past it 408.",
    )
    # Shutting down takes at most this and twice client_seconds, 25 s: less than the 30 s that
    # Kubernetes grants.
    answer_seconds: float = setting(
        default=5.0,
        above=0,
        flag="--answer-timeout",
        help="Seconds to compute an answer once the request is there, its wait for a processor "
        "included; past it 503.",
    )
    # Longer than common load balancers keep theirs (60 s), or they would send a request into a
    # connection that is being closed.
    idle_seconds: float = setting(
        default=75.0,
        above=0,
        flag="--idle-timeout",
        help="Seconds that a connection is kept in which it brings no request's headers.",
    )

    @property
    def shutdown_seconds(self) -> float:
        """The longest that a request can take from its first byte to its answer's last."""
        return 2 * self.client_seconds + self.answer_seconds


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    """By number."""
    port: int
    path: str | None = None
    """In the file system, instead of both."""

    def url(self, *, secure: bool) -> str:
        """Return where to ask."""
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if secure else 'http'}://{host}:{self.port}"


@contextmanager
def holding_socket(path: str) -> Iterator[Address]:
    """Hold a socket in the file system, and leave nothing there in the end.

    Raises:
        UnavailableError: If another server listens there, or there is something else.
    """
    place = Path(path)
    if place.exists() and not place.is_socket():
        raise UnavailableError(f"{path}: this is no socket; name another file.")
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(path)
        except FileNotFoundError:
            if not os.access(place.parent, os.W_OK):
                raise UnavailableError(
                    f"{path}: {place.parent} is no directory that this user may write to."
                ) from None
        except ConnectionRefusedError:  # a server that is gone left it
            place.unlink(missing_ok=True)
        except OSError as error:
            raise UnavailableError(f"{path}: {_reason(error)}.") from error
        else:
            raise UnavailableError(f"{path}: another server listens here.")
    try:
        yield Address("", 0, path)
    finally:
        place.unlink(missing_ok=True)


@contextmanager
def holding(host: str, port: int) -> Iterator[Address]:
    """Hold a port for the processes that are to listen at it.

    Each of them listens for itself, and the system shares connections out (SO_REUSEPORT). It would
    let another server join in as well, so it is first made sure that there is none.

    Raises:
        UnavailableError: If it cannot be had.
    """
    try:
        (family, *_, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        socket.create_server(address, family=family).close()
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(
            f"{host}, port {port}: {_reason(error)}; choose another host or port."
        ) from error
    with held:
        yield Address(*held.getsockname()[:2])


def _reason(error: OSError | UnicodeError) -> str:
    """Return the system's own words, without what Python adds to them."""
    if isinstance(error, UnicodeError):  # raised where Python encodes a name for the system
        return "this can be no host's name"
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def allow_files(limits: Limits) -> None:
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
            f"{most}; allow for fewer connections, or raise the limit (ulimit -n)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
