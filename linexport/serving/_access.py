"""Who may ask, from where, and what a request is called in the log and in its answer."""

import hmac
import itertools
import re
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linexport.errors import ConfigError
from linexport.serving._http import HEADER_LENGTH, Answer, Header, Refusal

REQUEST_ID = "x-request-id"
_ID = re.compile(r"[\w.:/+=@-]{1,100}", re.ASCII)
"""What is taken over from a client: nothing that could be another line or field of a log."""
_SHORTEST_TOKEN = 16
"""Characters: of hexadecimal digits, 64 bits."""
_PREFLIGHT = (
    ("access-control-allow-methods", "GET, POST"),
    (
        "access-control-allow-headers",
        f"authorization, content-type, {HEADER_LENGTH}, {REQUEST_ID}",
    ),
    ("access-control-max-age", "600"),
)


class Access:
    """What is looked at before a request is read."""

    def __init__(self, token: str | None = None, origins: Sequence[str] = ()) -> None:
        """Take the token that every client must send, and the origins of pages that may ask."""
        self._expected = None if token is None else f"bearer {token}".encode()
        self._origins = frozenset(origins)
        self._prefix, self._numbers = secrets.token_hex(6), itertools.count(1)

    def name(self, headers: Any) -> str:
        """Return a request's id: its client's, if it has one that a log can hold, or a new one."""
        given = headers.get(REQUEST_ID)
        if given is not None and _ID.fullmatch(given):
            return str(given)
        return f"{self._prefix}-{next(self._numbers):x}"

    def check(self, scope: Any, *, is_open: bool) -> None:
        """Refuse a request that is not for this server, or whose client has no token.

        Args:
            scope: Of the request.
            is_open: Whether its address is there for everybody.

        Raises:
            Refusal: 400 or 401.
        """
        headers = scope.headers
        if len(headers.get_all("host")) != 1 and scope.http_version != "1":
            raise Refusal("A request has one Host header (RFC 9112, 3.2).")
        if self._expected is None or is_open:
            return
        given = headers.get_all("authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        sent = f"{scheme.lower()} {token}".encode()  # RFC 9110, 11.1: case does not matter
        if not hmac.compare_digest(sent, self._expected):
            raise Refusal(
                "This server wants a token: Authorization: Bearer TOKEN.",
                401,
                [("www-authenticate", "Bearer")],
            )

    def shared(self, headers: Any) -> Sequence[Header]:
        """Return the headers that let a page of an origin that may ask read the answer."""
        if not self._origins:
            return ()
        origin = headers.get("origin")
        if origin is None or not self._origins & {origin, "*"}:
            return ()
        return (("access-control-allow-origin", origin), ("vary", "Origin"))

    def preflight(self, headers: Any) -> Answer | None:
        """Return the answer to a browser that asks whether its page may ask; None if it may not."""
        allowed = bool(self.shared(headers)) and headers.get("access-control-request-method")
        return Answer(204, b"", headers=_PREFLIGHT) if allowed else None


def read_token(path: str) -> str:
    """Return the token that a file holds, alone on its first line.

    Raises:
        ConfigError: If there is none, or it is too short to be a secret.
    """
    how = f"make one with: openssl rand -hex 32 > {shlex.quote(path)}"
    try:
        text = Path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise ConfigError(f"{path}: the token cannot be read ({told}); {how}") from error
    if len(text) < _SHORTEST_TOKEN or not text.isprintable() or " " in text:
        raise ConfigError(
            f"{path}: a token is one line of at least {_SHORTEST_TOKEN} characters without blanks; "
            f"{how}"
        )
    return text
