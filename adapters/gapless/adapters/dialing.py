"""Where a URL leads, and what went wrong on the way: the part of dialling that needs no I/O."""

import errno
import ipaddress
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from gapless.core.closing import Code, Ending
from gapless.core.errors import ConfigError
from gapless.core.position import MAX_CREDENTIALS, MAX_TOKEN, check_secret

if TYPE_CHECKING:
    from gapless.testing import Recorder


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


def parse_url(url: object) -> Address:
    """Read a URL.

    Raises:
        ConfigError: it isn't a `ws://` or `wss://` URL with a host, or carries a user name or a
            fragment.
    """
    if not isinstance(url, str):
        raise ConfigError(f"the URL is {type(url).__name__}, not a str; write ws://HOST:PORT/")
    if "@" in re.split("[/?#]", url.partition("//")[2])[0]:
        raise ConfigError("credentials don't belong in a URL; pass token=")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise ConfigError(f"{url!r} is not a URL: {fault}") from None
    if parts.scheme not in ("ws", "wss") or not host:
        raise ConfigError(f"{url!r} is not a WebSocket URL; write ws://HOST:PORT/ or wss://…")
    if "#" in url:
        raise ConfigError(f"{url!r} has a fragment, which a server never sees; leave it out")
    secure = parts.scheme == "wss"
    default = 443 if secure else 80
    name = host if host.isascii() else _a_label(host)
    shown = f"[{name}]" if ":" in name else name
    header = shown if port in (None, default) else f"{shown}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(name, default if port is None else port, secure, header, target)


def check_made(name: str, value: object, kind: type, advice: str = "") -> None:
    """Refuse an argument that was left unmade, such as a plain dict.

    Raises:
        ConfigError: it is neither None nor of that kind; the message names it.
    """
    if value is not None and not isinstance(value, kind):
        words = f"{name}= is a {type(value).__name__}, not a {kind.__name__}"
        raise ConfigError(f"{words}; {advice}" if advice else words)


def check_port(port: object) -> None:
    """Refuse what can't be listened on.

    Raises:
        ConfigError: it is no port.
    """
    is_whole = isinstance(port, int) and not isinstance(port, bool)
    if not is_whole or not 0 <= cast("int", port) <= 65_535:
        raise ConfigError(f"port= is {port!r}; it must be 0 … 65535, 0 for any that is free")


def check_recorder(recorder: "Recorder | None") -> None:
    """Refuse a recorder that would say other things than it was made for.

    Raises:
        ConfigError: it is for the bytes of an endpoint of one's own.
    """
    if recorder is not None and recorder.level != "frames":
        raise ConfigError("recorder= writes down frames here; make it with level='frames'")


def check_dialing(token: object, resume: str | None, wait: object) -> None:
    """Refuse what could not be sent, or waited for.

    Raises:
        ConfigError: a token is none that can be sent, nor a function, or `wait` is no time.
    """
    if not callable(token):
        check_secret("token=", token, MAX_CREDENTIALS)
    check_secret("resume=", resume, MAX_TOKEN, least=1)
    if not isinstance(wait, int | float) or not 0 <= wait < float("inf"):
        raise ConfigError(f"wait= is {wait!r}; it must be a number of seconds, 0 for one try")


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
        fault = getattr(error, "verify_message", None) or _words(error)
        return Ending(Code.REJECTED, f"the certificate of {where} is not trusted: {fault}")
    if isinstance(error, ssl.SSLError):
        fault = getattr(error, "reason", None) or _words(error)
        if fault == "WRONG_VERSION_NUMBER":
            return Ending(Code.LOST, f"no TLS with {where}; a server without it is at ws://")
        return Ending(Code.LOST, f"no TLS with {where}: {fault}")
    if isinstance(error, ConnectionRefusedError) or _all_refused(error):
        return Ending(Code.LOST, f"nothing listens on {where}")
    if isinstance(error, TimeoutError):
        return Ending(Code.LOST, f"{where} doesn't answer")
    return Ending(Code.LOST, f"can't reach {where}: {_words(error)}")


def stream_failure(error: Exception) -> Ending:
    """Say why the function that `connect` was given had no stream."""
    return Ending(Code.LOST, f"no stream was given: {type(error).__name__}: {error}")


def socket_failure(error: BaseException | None) -> Ending:
    """Say how an open connection was lost."""
    if error is None:
        return Ending(Code.LOST, "the connection was lost")
    return Ending(Code.LOST, f"the connection was lost: {_words(error)}")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a name other than localhost is not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _all_refused(error: BaseException) -> bool:
    """Whether each of a host's addresses refused: asyncio makes one error of several, in words."""
    numbers = re.findall(r"\[Errno (\d+)\]", str(error))
    return bool(numbers) and set(numbers) == {str(errno.ECONNREFUSED)}


def _a_label(host: str) -> str:
    """Spell an international host name in ASCII.

    Raises:
        ConfigError: it is none, or one that the old rules (IDNA 2003), which Python knows, read as
            another name than today's.
    """
    try:
        name = host.encode("idna").decode()
        same = name.encode().decode("idna") == host
    except UnicodeError as fault:
        raise ConfigError(f"{host!r} is not a host name: {fault}") from None
    if not same:
        raise ConfigError(f"{host!r} can be read as another name; write it as its A-label, xn--…")
    return name
