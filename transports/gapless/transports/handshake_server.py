"""The server's part of the WebSocket handshake (RFC 6455 section 4.2): answer, or refuse in words.

The checks, in this order: HTTP, method, body, upgrade, version, key, Host, Origin, subprotocol.
Every request is answered; a refused one gets a line of text and the connection closes. Extensions
are never negotiated: their header is not even read. wsproto computes the answer, from headers that
were checked here.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import AcceptConnection

from gapless.core.closing import Code, Ending

from .codec import Codec
from .contain import Failure, contained
from .handshake import MAX_HEADERS, Accepted, Declined, HeadFault, HeadReader
from .origin import OriginPolicy

_PHRASES = {
    400: "Bad Request",
    403: "Forbidden",
    405: "Method Not Allowed",
    408: "Request Timeout",
    421: "Misdirected Request",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
}
_SINGLE = ("host", "origin", "sec-websocket-key", "sec-websocket-version")

_Headers = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class _Refusal:
    """`line` is for the peer, `seen` for our side only."""

    status: int
    line: str
    seen: str = ""


@dataclass(frozen=True, slots=True)
class _Upgrade:
    """A request that passed."""

    target: str
    host: str
    key: str
    codec: Codec


class ServerHandshake:
    """Judge one request."""

    is_refused = False

    def __init__(self, codecs: tuple[Codec, ...], policy: OriginPolicy) -> None:
        """Speak one of `codecs`, whichever the client names first."""
        self._codecs = {codec.subprotocol: codec for codec in codecs}
        self._policy = policy
        self._reader = HeadReader(_opening_fault)

    @property
    def held(self) -> int:
        return self._reader.held

    def start(self) -> bytes:
        return b""

    def receive(self, data: bytes) -> Accepted | Declined | None:
        read = self._reader.receive(data)
        if read is None:
            return None
        if isinstance(read, HeadFault):
            return _decline(_Refusal(read.status, f"this request is refused: {read.reason}"))
        verdict = self._judge(read.head)
        if isinstance(verdict, _Refusal):
            return _decline(verdict)
        answer = contained(_accept, verdict)
        if isinstance(answer, Failure):
            return _decline(_Refusal(400, "this request is refused: its handshake is malformed"))
        output, connection = answer
        return Accepted(connection, verdict.codec, verdict.target, output, read.rest)

    def end_of_stream(self) -> Declined:
        return Declined(Ending(Code.LOST, "the client hung up during the handshake"), b"")

    def expire(self, seconds: float) -> Declined:
        refusal = _Refusal(408, f"no complete handshake came within {seconds:g} s")
        return _decline(refusal, Code.TIMEOUT)

    def _judge(self, head: bytes) -> _Upgrade | _Refusal:
        request = contained(_parse, head)
        if isinstance(request, Failure) or request is None:
            return _Refusal(400, "this request is refused: it is malformed")
        if len(request.headers) > MAX_HEADERS:
            return _Refusal(431, f"this request is refused: it has more than {MAX_HEADERS} headers")
        headers: dict[str, list[str]] = {}
        for name, value in request.headers:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        if request.method != b"GET":
            return _Refusal(405, "a WebSocket is opened with GET")
        target = request.target.decode("latin-1")
        fault = _http_fault(request.http_version, target, headers) or _upgrade_fault(headers)
        return fault or self._admit(target, headers)

    def _admit(self, target: str, headers: _Headers) -> _Upgrade | _Refusal:
        host = headers["host"][0]
        if not self._policy.allows_host(host):
            return _Refusal(421, "this server does not answer to the name in the Host header", host)
        for origin in headers.get("origin", ()):
            if not self._policy.allows_origin(origin, host):
                line = "pages of this origin may not connect; the server is told which may"
                return _Refusal(403, line, origin)
        for name in _tokens(headers, "sec-websocket-protocol"):
            if name in self._codecs:
                key = headers["sec-websocket-key"][0]
                return _Upgrade(target, host, key, self._codecs[name])
        names = " or ".join(self._codecs)
        return _Refusal(400, f"gapless speaks {names}; offer one of them as WebSocket subprotocol")


def _opening_fault(begin: bytes) -> str | None:
    if begin[:1] == b"\x16":
        return "it is TLS, and this port speaks plain ws://"
    return None if begin[:1].isupper() or not begin else "it is not HTTP"


def _parse(head: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    event = connection.next_event()
    return event if isinstance(event, h11.Request) else None


def _http_fault(version: bytes, target: str, headers: _Headers) -> _Refusal | None:
    if version != b"1.1":
        return _Refusal(400, "this request is refused: a WebSocket needs HTTP/1.1")
    if not target.startswith("/"):
        return _Refusal(400, "this request is refused: its target must begin with a slash")
    if "content-length" in headers or "transfer-encoding" in headers:
        return _Refusal(400, "this request is refused: it announces a body")
    for name in _SINGLE:
        if len(headers.get(name, ())) > 1:
            return _Refusal(400, f"this request is refused: it has two {name} headers")
    return None


def _upgrade_fault(headers: _Headers) -> _Refusal | None:
    upgrade = {token.lower() for token in _tokens(headers, "upgrade")}
    connection = {token.lower() for token in _tokens(headers, "connection")}
    if "websocket" not in upgrade or "upgrade" not in connection:
        return _Refusal(426, "this is a gapless server; connect with WebSocket")
    if headers.get("sec-websocket-version") != ["13"]:
        return _Refusal(426, "this server speaks WebSocket version 13")
    if not _is_key(headers.get("sec-websocket-key", [""])[0]):
        return _Refusal(400, "this request is refused: Sec-WebSocket-Key is not 16 bytes in base64")
    return None


def _tokens(headers: _Headers, name: str) -> list[str]:
    """The members of a comma-separated header, all its lines together."""
    return [token.strip(" \t") for line in headers.get(name, ()) for token in line.split(",")]


def _is_key(key: str) -> bool:
    try:
        return len(key) == 24 and len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except ValueError:
        return False


def _accept(upgrade: _Upgrade) -> tuple[bytes, Connection]:
    """Let wsproto make the answer, from nothing but checked headers."""
    websocket = WSConnection(ConnectionType.SERVER)
    headers = [
        (b"Host", upgrade.host.encode("ascii")),
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Key", upgrade.key.encode("ascii")),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Protocol", upgrade.codec.subprotocol.encode("ascii")),
    ]
    websocket.initiate_upgrade_connection(headers, upgrade.target)
    output = websocket.send(AcceptConnection(subprotocol=upgrade.codec.subprotocol))
    assert websocket.connection is not None
    return output, websocket.connection


def _decline(refusal: _Refusal, code: Code = Code.REJECTED) -> Declined:
    """Answer in HTTP: one line of text, and the end of the connection."""
    body = f"{refusal.line}\n".encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    if refusal.status == 426:
        headers += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    if refusal.status == 405:
        headers += [("Allow", "GET")]
    connection = h11.Connection(h11.SERVER)
    reason = _PHRASES[refusal.status].encode()
    response = h11.Response(status_code=refusal.status, reason=reason, headers=headers)
    output = connection.send(response) or b""
    output += connection.send(h11.Data(data=body)) or b""
    seen = f": {refusal.seen[:100]!r}" if refusal.seen else ""
    return Declined(Ending(code, refusal.line + seen, status=refusal.status), output)
