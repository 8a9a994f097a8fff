"""Which wire a link speaks, by how it was made."""

from collections.abc import Callable, Iterable

from gapless.core.config import Config
from gapless.transports import (
    Limits,
    OriginPolicy,
    WebSocketClient,
    WebSocketServer,
    default_codecs,
)
from gapless.transports.codec import MsgpackCodec
from gapless.transports.memory import MemoryWire
from gapless.transports.wire import Wire

from .dialing import Address

NewWire = Callable[[float], Wire]
"""Makes the wire of a new link; takes the time."""


def dialled(address: Address, config: Config) -> NewWire:
    """Speak WebSocket to an address.

    Raises:
        ConfigError: its host or path can't stand in a request.
    """
    limits = Limits(handshake_timeout=config.connect_timeout)
    codecs = default_codecs(config.max_message)

    def new_wire(now: float) -> Wire:
        return WebSocketClient(address.host_header, address.target, codecs, now=now, limits=limits)

    new_wire(0.0)  # refused here and now, not at the first connect
    return new_wire


def given(config: Config) -> NewWire:
    """Speak frames on the stream that a client was given."""
    codec = MsgpackCodec(config.max_message)
    return lambda now: MemoryWire(codec)


def accepted(config: Config, origins: Iterable[str]) -> NewWire:
    """Speak WebSocket to whoever connects.

    Raises:
        ConfigError: an origin is none.
    """
    limits = _server_limits(config)
    codecs = default_codecs(config.max_message)
    policy = OriginPolicy(origins)
    return lambda now: WebSocketServer(codecs, now=now, policy=policy, limits=limits)


def handed(config: Config) -> Wire:
    """Speak frames on a stream that a server was handed."""
    codec = MsgpackCodec(config.max_message)
    return MemoryWire(codec, from_client=True, limits=_server_limits(config))


def _server_limits(config: Config) -> Limits:
    return Limits(handshake_timeout=min(Limits().handshake_timeout, config.connect_timeout))
