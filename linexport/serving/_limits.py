"""What one server takes on; past each limit a request is refused at once."""

from linexport._settings import setting, settings


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
