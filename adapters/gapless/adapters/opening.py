"""Opening: from what `connect` and `serve` are given to a machine that can be driven.

Nothing here does I/O, so that every runtime refuses the same arguments with the same words, and
makes the same sessions and hubs of the others.
"""

import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from ssl import SSLContext
from typing import TYPE_CHECKING

from gapless.core.authorize import Verifier, allow_anyone, allow_anyone_unpinned, shared_token
from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.errors import ConfigError
from gapless.core.export import Export
from gapless.core.hub import Hub
from gapless.transports.endpoint import Endpoint

from .asking import Ask
from .dialing import (
    Address,
    check_dialing,
    check_made,
    check_port,
    check_recorder,
    is_loopback,
    parse_url,
    tls_context,
)
from .errors import ConnectError
from .server import Server
from .session import Session
from .wires import accepted, dialled, given

if TYPE_CHECKING:
    from gapless.testing import Recorder

OpenStream = Callable[[], "socket.socket | Awaitable[socket.socket]"]
"""Gives a connected stream, or an awaitable of one; called for each connect."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a client reaches its server.

    Attributes:
        name: what it is called in an error.
        address: where to; None: `stream` says.
        tls: settings, if TLS comes first.
        stream: gives a connected socket.
    """

    name: str
    address: Address | None = None
    tls: SSLContext | None = None
    stream: OpenStream | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """What `connect` was asked for."""

    endpoint: Endpoint[ClientSession]
    route: Route
    ask: Ask | None


def plan_client(
    url: str | OpenStream,
    *,
    now: float,
    config: Config | None,
    token: str | Ask | None,
    wait: float,
    ssl: SSLContext | None,
    resume: str | None,
    restore: Export | None,
    recorder: "Recorder | None",
) -> Client:
    """Make the session that `connect` is asked for; its arguments, and the time.

    Raises:
        ConfigError: an argument can't be.
    """
    check_dialing(token, resume, wait)
    check_made("config", config, Config)
    check_made("ssl", ssl, SSLContext, "ssl.create_default_context() makes one")
    check_made("restore", restore, Export, "Export.from_dict(…) makes one")
    if resume is not None and restore is not None:
        raise ConfigError("resume= and restore= both carry a session on; leave one out")
    check_recorder(recorder)
    settings = Config.production() if config is None else config
    if callable(url):
        if ssl is not None:
            raise ConfigError("ssl= was given for a stream, which is taken as it is; leave it out")
        route, new_wire = Route("the stream", stream=url), given(settings)
    else:
        address = parse_url(url)
        route = Route(url, address, tls_context(address, ssl))
        new_wire = dialled(address, settings)
    ask = token if callable(token) else None
    new_session = ClientSession if recorder is None else recorder.client
    core = new_session(
        settings,
        rng=Random(),
        credentials=None if callable(token) else token,
        asks_credentials=ask is not None,
        token=resume,
        wait=wait,
    )
    if restore is not None:
        core.restore(restore, now=now)
    return Client(Endpoint(core, new_wire), route, ask)


@asynccontextmanager
async def opened(session: Session, route: Route) -> AsyncGenerator[Session, None]:
    """Connect a session, and end it behind the block.

    Raises:
        ConnectError: no connection came about.
    """
    try:
        refused = await session.open()
        if refused is not None:
            raise ConnectError(route.name, refused)
        yield session
    except BaseException:
        await session.close(timeout=0.0)
        raise
    await session.close()


@asynccontextmanager
async def started(session: Session) -> AsyncGenerator[Session, None]:
    """Start a session and don't wait for its first connection; end it behind the block."""
    try:
        session.core.start(now=session.driver.now())
        session.driver.pump()
        yield session
    except BaseException:
        await session.close(timeout=0.0)
        raise
    await session.close()


def plan_server(
    host: str | None,
    port: int,
    *,
    config: Config | None,
    token: str | None,
    ssl: SSLContext | None,
    origins: str | Iterable[str],
    recorder: "Recorder | None",
) -> Endpoint[Hub]:
    """Make the hub that `serve` is asked for.

    Raises:
        ConfigError: an argument can't be.
    """
    check_port(port)
    check_made("config", config, Config)
    check_made("ssl", ssl, SSLContext, "ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) makes one")
    check_recorder(recorder)
    settings = Config.production("hub") if config is None else config
    verify: Verifier
    if token is not None:
        verify = shared_token(token)
    else:
        verify = allow_anyone if host is None or is_loopback(host) else allow_anyone_unpinned
    new_hub = Hub if recorder is None else recorder.hub
    hub = new_hub(settings, rng=Random(), new_token=_new_token, verify=verify)
    return Endpoint(hub, accepted(settings, (origins,) if isinstance(origins, str) else origins))


@asynccontextmanager
async def serving(server: Server) -> AsyncGenerator[Server, None]:
    """End a server behind the block."""
    try:
        yield server
    except BaseException:
        await server.close(timeout=0.0)
        raise
    await server.close()


def _new_token() -> str:
    return secrets.token_urlsafe(32)
