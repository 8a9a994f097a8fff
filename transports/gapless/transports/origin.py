"""Which web pages may open a WebSocket here (RFC 6455 section 10.2, RFC 6454).

A browser sends the page's origin and the user's cookies with any WebSocket a page opens, and a name
a page was loaded from may suddenly resolve to 127.0.0.1. So an `Origin` is refused unless it is

- in `allowed_origins`: the same scheme, host and port, nothing looser; or
- the very server that is asked: its host and port are the request's `Host`, and that host can't be
  pointed here by a stranger's DNS: it is an IP address, localhost, or in `allowed_hosts`.

What sends no `Origin` is no browser and passes. This is no authorization: it keeps strangers' pages
from speaking in a user's name.
"""

import re
from collections.abc import Iterable

from gapless.core.errors import ConfigError

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])"
_AUTHORITY = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?")
_ORIGIN = re.compile(rf"([A-Za-z][A-Za-z0-9+.-]{{0,31}})://({_HOST})(?::([0-9]{{1,5}}))?")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_authority(text: str) -> bool:
    """Say whether the text is `host` or `host:port`, as a Host header has it."""
    match = _AUTHORITY.fullmatch(text)
    return match is not None and _port(match[2]) != -1


def is_origin(text: str) -> bool:
    """Say whether the text is `scheme://host` or `scheme://host:port`, and nothing more."""
    return _origin(text) is not None


_Origin = tuple[str, str, int | None]
"""Scheme, host, port; the port a scheme implies is filled in."""


class OriginPolicy:
    """Who may connect, by the Host and Origin headers. Made once, shared by all wires."""

    __slots__ = ("_hosts", "_origins")

    def __init__(
        self, allowed_origins: Iterable[str] = (), allowed_hosts: Iterable[str] | None = None
    ) -> None:
        """Allow pages of `allowed_origins` (`https://example.com`, `http://localhost:3000`).

        With `allowed_hosts` (names without a port) a request for any other host is refused.

        Raises:
            ConfigError: an origin or a host can't be read.
        """
        self._origins = frozenset(_read_origin(text) for text in allowed_origins)
        self._hosts = (
            None if allowed_hosts is None else frozenset(_read_host(text) for text in allowed_hosts)
        )

    def allows_host(self, host: str) -> bool:
        """Say whether a request with this Host header is for this server."""
        match = _AUTHORITY.fullmatch(host)
        if match is None or _port(match[2]) == -1:
            return False
        return self._hosts is None or match[1].lower() in self._hosts

    def allows_origin(self, origin: str, host: str) -> bool:
        """Say whether a page of this Origin may connect to the server asked for as `host`."""
        seen = _origin(origin)
        if seen is None:
            return False
        if seen in self._origins:
            return True
        same = _origin(f"{seen[0]}://{host}") == seen
        scheme, name, _ = seen
        return same and scheme in _DEFAULT_PORTS and self._is_ours(name)

    def _is_ours(self, host: str) -> bool:
        if self._hosts is not None:
            return host in self._hosts
        return host == "localhost" or _ADDRESS.fullmatch(host) is not None


def _read_origin(text: str) -> _Origin:
    origin = _origin(text)
    if origin is None:
        raise ConfigError(f"{text!r} is not an origin; write https://host or https://host:port")
    return origin


def _read_host(text: str) -> str:
    if not re.fullmatch(_HOST, text):
        raise ConfigError(f"{text!r} is not a host; write a name or address without a port")
    return text.lower()


def _origin(text: str) -> _Origin | None:
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    scheme, port = match[1].lower(), _port(match[3])
    if port == -1:
        return None
    return (scheme, match[2].lower(), port or _DEFAULT_PORTS.get(scheme))


def _port(digits: str | None) -> int | None:
    """The port, None if there is none, -1 if it is none."""
    if digits is None:
        return None
    port = int(digits)
    return port if 1 <= port <= 65535 else -1
