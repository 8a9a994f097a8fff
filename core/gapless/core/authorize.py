"""Who may connect, and what a grant says.

A verifier that answers at once is a function here; one that needs I/O is the command `Authorize`
and its answer `Hub.handle_authorized`.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from .errors import ConfigError
from .position import MAX_CREDENTIALS, check_secret


@dataclass(frozen=True, slots=True)
class Grant:
    """The verdict that a client may connect.

    Attributes:
        principal: who it is. A session belongs to one principal for ever (I14).
        may_pin: whether its readers may hold back rotation (design 7).
    """

    principal: str
    may_pin: bool = False


Verifier = Callable[[str | None], Grant | None]
"""Judges the credentials of a `hello`; None: refused."""


def allow_anyone(credentials: str | None) -> Grant | None:
    """Accept everybody as one principal that may pin: for loopback and trusted networks."""
    return Grant("anyone", may_pin=True)


def allow_anyone_unpinned(credentials: str | None) -> Grant | None:
    """Accept everybody, and let nobody hold back rotation: for a public address."""
    return Grant("anyone", may_pin=False)


def shared_token(token: str) -> Verifier:
    """Accept those who show the token; nobody may pin. Compared in constant time.

    Raises:
        ConfigError: the token is empty, which is what those show who have none, or is nothing that
            a client can show.
    """
    check_secret("the token", token, MAX_CREDENTIALS)
    expected = token.encode()
    if not expected:
        raise ConfigError("the token is empty: it would let everybody in")

    def verify(credentials: str | None) -> Grant | None:
        shown = (credentials or "").encode("utf-8", "surrogatepass")
        return Grant("token") if hmac.compare_digest(shown, expected) else None

    return verify
