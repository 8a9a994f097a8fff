"""Where a URL leads, and what went wrong on the way: the part of dialling that needs no I/O."""

import ipaddress
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from gapless.core.closing import Code, Ending
from gapless.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Address:
    """What a `ws://` or `wss://` URL says.

    Attributes:
        host, port: what to connect to; an international name as its A-label.
        secure: whether TLS comes first.
        host_header: the Host of the request.
        target: path and query of the request.
    """

    host: str
    port: int
    secure: bool
    host_header: str
    target: str


def parse_url(url: str) -> Address:
    """Read a URL.

    Raises:
        ConfigError: it isn't a `ws://` or `wss://` URL with a host, or carries a user name.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise ConfigError(f"{url!r} is not a URL: {fault}") from None
    if parts.scheme not in ("ws", "wss") or not host:
        raise ConfigError(f"{url!r} is not a WebSocket URL; write ws://HOST:PORT/ or wss://…")
    if "@" in parts.netloc:
        raise ConfigError("credentials don't belong in a URL; pass token=")
    secure = parts.scheme == "wss"
    default = 443 if secure else 80
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError as fault:
        raise ConfigError(f"{host!r} is not a host name: {fault}") from None
    shown = f"[{name}]" if ":" in name else name
    header = shown if port in (None, default) else f"{shown}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(name, default if port is None else port, secure, header, target)


def tls_context(address: Address, context: ssl.SSLContext | None) -> ssl.SSLContext | None:
    """Choose the TLS settings: the given ones, or the platform's defaults, which verify.

    Raises:
        ConfigError: TLS settings for a URL without TLS.
    """
    if not address.secure:
        if context is not None:
            raise ConfigError("ssl= was given for a ws:// URL; write wss://")
        return None
    return context or ssl.create_default_context()


def dial_failure(error: BaseException, address: Address) -> Ending:
    """Say why a connection couldn't be made; a certificate that isn't trusted is final."""
    where = f"{address.host}:{address.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"the certificate of {where} is not trusted: {error.verify_message}"
        return Ending(Code.REJECTED, reason)
    if isinstance(error, ssl.SSLError):
        return Ending(Code.LOST, f"no TLS with {where}: {error.reason or error}")
    if isinstance(error, ConnectionRefusedError):
        return Ending(Code.LOST, f"nothing listens on {where}")
    if isinstance(error, TimeoutError):
        return Ending(Code.LOST, f"{where} doesn't answer")
    return Ending(Code.LOST, f"can't reach {where}: {getattr(error, 'strerror', None) or error}")


def socket_failure(error: BaseException | None) -> Ending:
    """Say how an open connection was lost."""
    if error is None:
        return Ending(Code.LOST, "the connection was lost")
    return Ending(Code.LOST, f"the connection was lost: {error}")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a name other than localhost is not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
