"""The client's part of the WebSocket handshake (RFC 6455 section 4.1): ask, and judge the answer.

What a person reads when it fails is made here: a server that is none, one that refuses (with its
own words, if it says them as plain text), one that speaks WebSocket but not gapless. Redirects are
not followed. Data right behind a good answer belongs to the WebSocket.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Event, RejectConnection, RejectData, Request

from gapless.core.closing import Code, Ending
from gapless.core.errors import ConfigError

from .codec import Codec
from .contain import Failure, contained
from .handshake import MAX_HEADERS, Accepted, Declined, HeadFault, HeadReader
from .origin import is_authority, is_origin

MAX_RETRY_AFTER = 3600.0
"""Seconds; a server's longer Retry-After counts as this."""

_MAX_BODY = 512
_TARGET = re.compile(r"/[\x21\x22\x24-\x7e]{0,8191}")
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_STATUS_LINE = b"HTTP/1."
_SINGLE = (b"sec-websocket-accept", b"sec-websocket-protocol", b"upgrade")
_COME_BACK = frozenset({408, 425, 429})


class ClientHandshake:
    """Ask one server."""

    def __init__(
        self, host: str, target: str, codecs: tuple[Codec, ...], origin: str | None
    ) -> None:
        """Ask `host` (the Host header: `name` or `name:port`) for `target` (path and query).

        Raises:
            ConfigError: a value could not stand in a request.
        """
        _check(is_authority(host), "host", host, "a host name or address, and a port")
        _check(_TARGET.fullmatch(target) is not None, "target", target, "a path and query in ASCII")
        _check(origin is None or is_origin(origin), "origin", origin, "scheme://host")
        _check(bool(codecs), "codecs", codecs, "at least one")
        for codec in codecs:
            name = codec.subprotocol
            _check(_TOKEN.fullmatch(name) is not None, "subprotocol", name, "a token")
        self._codecs = {codec.subprotocol: codec for codec in codecs}
        self._target = target
        self._websocket = WSConnection(ConnectionType.CLIENT)
        extra = [] if origin is None else [(b"Origin", origin.encode("ascii"))]
        request = Request(
            host=host, target=target, subprotocols=list(self._codecs), extra_headers=extra
        )
        output = contained(self._websocket.send, request)
        if isinstance(output, Failure):
            raise ConfigError(f"the WebSocket request can't be made: {output.words}")
        self._request = output
        self._reader = HeadReader(_opening_fault)
        self._refusal: Ending | None = None
        self._body = bytearray()

    @property
    def held(self) -> int:
        return self._reader.held + len(self._body)

    @property
    def is_refused(self) -> bool:
        return self._refusal is not None

    def start(self) -> bytes:
        return self._request

    def receive(self, data: bytes) -> Accepted | Declined | None:
        if self._refusal is not None:
            return self._collect(data)
        read = self._reader.receive(data)
        if read is None:
            return None
        if isinstance(read, HeadFault):
            return _not_gapless(f"the server is not a WebSocket server: {read.reason}")
        fault = _head_fault(read.head)
        if fault is not None:
            return _not_gapless(f"the server's handshake is invalid: {fault}")
        events, failure = self._feed(read.head)
        match events:
            case [AcceptConnection() as event, *_]:
                return self._accept(event, read.rest)
            case [RejectConnection() as event, *more]:
                headers = _first_values(event)
                self._refusal = _ending(event.status_code, headers)
                if not headers.get(b"content-type", "").lower().startswith("text/plain"):
                    return self._declined()
                said = self._note(more, failure)
                return self._collect(read.rest) if said is None and read.rest else said
            case _:
                words = "it is no answer" if failure is None else failure.words
                return _not_gapless(f"the server's handshake is invalid: {words}")

    def end_of_stream(self) -> Declined:
        if self._refusal is not None:
            return self._declined()
        return Declined(Ending(Code.LOST, "the server hung up during the handshake"), b"")

    def expire(self, seconds: float) -> Declined:
        if self._refusal is not None:
            return self._declined()
        reason = f"the server did not answer the WebSocket handshake within {seconds:g} s"
        return Declined(Ending(Code.TIMEOUT, reason), b"")

    def _feed(self, data: bytes) -> tuple[list[Event], Failure | None]:
        """Hand bytes to wsproto; its events count even if it fails behind them."""
        outcome = contained(self._websocket.receive_data, data)
        events = contained(list, self._websocket.events())
        if isinstance(events, Failure):
            return [], events
        return events, outcome

    def _accept(self, event: AcceptConnection, rest: bytes) -> Accepted | Declined:
        connection = self._websocket.connection
        codec = self._codecs.get(event.subprotocol or "")
        if codec is None or connection is None:
            return _not_gapless("the server speaks WebSocket, but not gapless")
        return Accepted(connection, codec, self._target, b"", rest)

    def _collect(self, data: bytes) -> Declined | None:
        return self._note(*self._feed(data))

    def _note(self, events: Sequence[Event], failure: Failure | None) -> Declined | None:
        """Keep the first bytes of what a refusing server says."""
        done = failure is not None
        for event in events:
            if isinstance(event, RejectData):
                self._body += event.data[: _MAX_BODY - len(self._body)]
                done = done or event.body_finished
        return self._declined() if done or len(self._body) == _MAX_BODY else None

    def _declined(self) -> Declined:
        assert self._refusal is not None
        said = self._body.decode("utf-8", "replace").partition("\n")[0].strip()[:200]
        if not said or not said.isprintable():
            return Declined(self._refusal, b"")
        return Declined(replace(self._refusal, reason=f"{self._refusal.reason}: {said}"), b"")


def _opening_fault(begin: bytes) -> str | None:
    if begin[:1] == b"\x15":
        return "it answers in TLS; use wss://"
    return None if _STATUS_LINE.startswith(begin[:7]) else "it does not answer in HTTP"


def _head_fault(head: bytes) -> str | None:
    names = [line.partition(b":")[0].strip().lower() for line in head.split(b"\r\n")[1:-2]]
    if len(names) > MAX_HEADERS:
        return f"it has more than {MAX_HEADERS} headers"
    for name in _SINGLE:
        if names.count(name) > 1:
            return f"it has two {name.decode()} headers"
    return None


def _first_values(event: RejectConnection) -> dict[bytes, str]:
    return {name: value.decode("latin-1") for name, value in reversed(event.headers)}


def _ending(status: int, headers: Mapping[bytes, str]) -> Ending:
    """Say what a status other than 101 means."""
    retry_after = _retry_after(headers.get(b"retry-after", ""))
    if status in _COME_BACK or status >= 500:
        reason = f"the server can't take a connection now: HTTP {status}"
        return Ending(Code.TRY_LATER, reason, retry_after, status)
    if status >= 400:
        reason = f"the server refused the WebSocket handshake: HTTP {status}"
        return Ending(Code.REJECTED, reason, retry_after, status)
    if status >= 300:
        reason = f"the server redirects (HTTP {status}); connect to where it points"
        return Ending(Code.NOT_GAPLESS, reason, None, status)
    reason = f"the server is not a WebSocket server: it answered HTTP {status}"
    return Ending(Code.NOT_GAPLESS, reason, None, status)


def _retry_after(value: str) -> float | None:
    """Read Retry-After in seconds (RFC 9110 section 10.2.3); a date is ignored."""
    value = value.strip()
    if not (value.isascii() and value.isdigit()):
        return None
    digits = value.lstrip("0") or "0"
    return MAX_RETRY_AFTER if len(digits) > 4 else min(float(digits), MAX_RETRY_AFTER)


def _not_gapless(reason: str) -> Declined:
    return Declined(Ending(Code.NOT_GAPLESS, reason), b"")


def _check(good: bool, name: str, value: object, wanted: str) -> None:
    if not good:
        raise ConfigError(f"the WebSocket {name} is {value!r}; it must be {wanted}")
