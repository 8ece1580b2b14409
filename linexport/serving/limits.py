"""What one server takes on; past each limit a request is refused at once."""

from dataclasses import dataclass, fields

from linexport.errors import ConfigError

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The bounds of a server. docs/serving.md gives the reason for each default."""

    body_bytes: int = 4 * 2**20
    """Of one request; past it 413. Parsing this much JSON takes some 50 ms, during which other
    requests get little of the interpreter; it holds 100,000 rows of ten float32 features."""
    rows: int = 100_000
    """Of one request; past it 413."""
    values: int = 250_000
    """Of one answer, rows times targets; past it 413. As JSON so many are 5 MB, and take some 50 ms
    to write, as long as the largest body takes to read."""
    requests: int = 128
    """Being answered at the same time; past it 429. With body_bytes it bounds what unanswered
    requests occupy: 512 MiB."""
    connections: int = 960
    """Open at the same time; past it 503. With the server's own, as many files as a process may
    usually open, 1,024. Each takes 10 KB while it is idle, and all 90 MB if they leave 80 KiB of
    headers unfinished."""
    client_seconds: float = 10.0
    """For a client to send a whole request (else 408), and to take a whole answer."""
    answer_seconds: float = 5.0
    """For computing an answer once the request is there, its wait for a processor included; past
    it 503. Shutting down takes at most this and twice client_seconds, 25 s: less than the 30 s that
    Kubernetes grants."""
    idle_seconds: float = 75.0
    """For which a connection without a request is kept: longer than common load balancers keep
    theirs (60 s), or they would send a request into a connection that is being closed."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:  # written so that NaN fails too
                raise ConfigError(f"{field.name} must be positive, got {value}.")

    @property
    def shutdown_seconds(self) -> float:
        """The longest that a request can take from its first byte to its answer's last."""
        return 2 * self.client_seconds + self.answer_seconds
