"""The wires of the suite: memory, WebSocket, and WebSocket over TLS."""

import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CERTIFICATES = Path(__file__).parents[1] / "adapters" / "certificates"


@dataclass(frozen=True, slots=True)
class Wire:
    """How bytes go.

    Attributes:
        name: as results and docs call it.
        scheme: of its URLs; "" for frames over a connected stream.
    """

    name: str
    scheme: str

    @property
    def is_memory(self) -> bool:
        """Whether it goes over a pair of connected sockets."""
        return not self.scheme

    @property
    def is_secure(self) -> bool:
        """Whether TLS comes first."""
        return self.scheme == "wss"


MEMORY = Wire("memory", "")
WEBSOCKET = Wire("WebSocket", "ws")
SECURE = Wire("WebSocket+TLS", "wss")
WIRES = (MEMORY, WEBSOCKET, SECURE)


@cache
def server_tls() -> ssl.SSLContext:
    """A server's settings: a certificate for localhost and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    return context


@cache
def client_tls() -> ssl.SSLContext:
    """A client's settings: it trusts who signed that certificate."""
    return ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")
