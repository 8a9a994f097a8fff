"""gapless on asyncio: `connect` and `serve`.

Example::

    async with connect("ws://127.0.0.1:8765/") as session:
        async with session.subscribe("campaign/42", since="earliest") as messages:
            async for message in messages:
                print(message.text)
"""

import asyncio
import secrets
import ssl as tls
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

from gapless.adapters.dialing import (
    check_dialing,
    check_made,
    check_port,
    check_recorder,
    is_loopback,
    parse_url,
    tls_context,
)
from gapless.adapters.errors import (
    Busy,
    ConnectError,
    MessagesLost,
    NotSent,
    PublishFailed,
    PublishRefused,
    PublishUnknown,
    SessionClosed,
    StreamReset,
    SubscribeRefused,
)
from gapless.adapters.ledger import Receipt
from gapless.core.authorize import Verifier, allow_anyone, allow_anyone_unpinned, shared_token
from gapless.core.budget import Level, MemoryReport, Shed
from gapless.core.client import ClientSession
from gapless.core.closing import CloseClass, Ending, Endings
from gapless.core.config import Config
from gapless.core.errors import (
    ConfigError,
    GaplessError,
    InvalidChannel,
    InvalidPosition,
    InvalidState,
    MessageTooLarge,
    NotText,
    TooManyChannels,
)
from gapless.core.events import (
    CaughtUp,
    Closed,
    Goodbye,
    LinkDown,
    LinkUp,
    Lost,
    Message,
    Reset,
    Settled,
)
from gapless.core.export import Export, ExportedOutbox
from gapless.core.figures import HubStats, SessionStats
from gapless.core.hub import Hub
from gapless.core.monitor import Alert, Health, Metrics
from gapless.core.position import Position
from gapless.transports import (
    Limits,
    OriginPolicy,
    WebSocketClient,
    WebSocketServer,
    default_codecs,
)
from gapless.transports.wire import Wire

from .asking import Ask
from .server import Server, ServerPublisher, ServerSubscription
from .session import Publisher, Session, Subscription

if TYPE_CHECKING:
    from gapless.testing import Recorder

__all__ = [
    "Alert",
    "Ask",
    "Busy",
    "CaughtUp",
    "CloseClass",
    "Closed",
    "Config",
    "ConfigError",
    "ConnectError",
    "Ending",
    "Endings",
    "Export",
    "ExportedOutbox",
    "GaplessError",
    "Goodbye",
    "Health",
    "HubStats",
    "InvalidChannel",
    "InvalidPosition",
    "InvalidState",
    "Level",
    "LinkDown",
    "LinkUp",
    "Lost",
    "MemoryReport",
    "Message",
    "MessageTooLarge",
    "MessagesLost",
    "Metrics",
    "NotSent",
    "NotText",
    "Position",
    "PublishFailed",
    "PublishRefused",
    "PublishUnknown",
    "Publisher",
    "Receipt",
    "Reset",
    "Server",
    "ServerPublisher",
    "ServerSubscription",
    "Session",
    "SessionClosed",
    "SessionStats",
    "Settled",
    "Shed",
    "StreamReset",
    "SubscribeRefused",
    "Subscription",
    "TooManyChannels",
    "connect",
    "serve",
]


@asynccontextmanager
async def connect(
    url: str,
    *,
    config: Config | None = None,
    token: str | Ask | None = None,
    wait: float = 0.0,
    ssl: tls.SSLContext | None = None,
    resume: str | None = None,
    restore: Export | None = None,
    recorder: "Recorder | None" = None,
) -> AsyncGenerator[Session, None]:
    """Connect, and stay connected until the block is left.

    Leaving it normally waits up to `config.close_timeout` seconds for everything published to be
    settled; leaving it by an exception doesn't wait. Both end the session. To carry it on later,
    `await session.suspend()` first: then the server keeps it for its lease.

    Args:
        url: `ws://HOST:PORT/PATH` or `wss://…`.
        config: settings; default `Config.production()`.
        token: shown to the server as credentials. Or a function, plain or async, that is called for
            each connect and gives them; it takes one argument: how those shown before were refused,
            else None. Refused again, the session ends. If it raises, or doesn't return within
            `config.connect_timeout`, that connect has failed.
        wait: seconds to keep trying for the first connection; 0: one try. Later ones go on.
        ssl: TLS settings for `wss://`; default: the platform's, which verify the certificate.
        resume: `session_token` of a session that was suspended or cut off, to carry it on.
        restore: what `session.export()` gave, here or in another process: carries that session on
            and brings along what it had published. `session.restored()` says what became of it;
            read on since `restore.position(channel)`.
        recorder: writes down what the session is given, so that it can be replayed.

    Raises:
        ConnectError: no connection came about; it says why and what to do.
        ConfigError: an argument can't be.
    """
    check_dialing(token, resume, wait)
    check_made("config", config, Config)
    check_made("restore", restore, Export, "Export.from_dict(…) makes one")
    if resume is not None and restore is not None:
        raise ConfigError("resume= and restore= both carry a session on; leave one out")
    check_recorder(recorder)
    settings = Config.production() if config is None else config
    address = parse_url(url)
    limits = Limits(handshake_timeout=settings.connect_timeout)
    codecs = default_codecs(settings.max_message)

    def new_wire(now: float) -> Wire:
        host, target = address.host_header, address.target
        return WebSocketClient(host, target, codecs, now=now, limits=limits)

    new_wire(0.0)  # a host or a path that can't stand in a request is refused here and now
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
        core.restore(restore, now=asyncio.get_running_loop().time())
    session = Session(core, address, new_wire, tls_context(address, ssl), ask)
    try:
        refused = await session.open()
        if refused is not None:
            raise ConnectError(url, refused)
        yield session
    except BaseException:
        await session.close(timeout=0.0)
        raise
    await session.close()


@asynccontextmanager
async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    config: Config | None = None,
    token: str | None = None,
    ssl: tls.SSLContext | None = None,
    origins: str | Iterable[str] = (),
    recorder: "Recorder | None" = None,
) -> AsyncGenerator[Server, None]:
    """Serve until the block is left; then every client gets what it lacks, and is sent away.

    Readers may hold back rotation (design 7) where nobody but this machine can connect and no token
    is asked for.

    Args:
        host: the address to listen on.
        port: the port; 0: any, see `server.port`.
        config: settings; default `Config.production("hub")`.
        token: what clients must show; None: everybody may connect.
        ssl: TLS settings with a certificate, for `wss://`.
        origins: web origins whose pages may connect, such as "https://example.com".
        recorder: writes down what the server is given, so that it can be replayed.

    Raises:
        OSError: the address can't be listened on.
        ConfigError: an argument can't be.
    """
    check_port(port)
    check_made("config", config, Config)
    check_recorder(recorder)
    settings = Config.production("hub") if config is None else config
    handshake = min(Limits().handshake_timeout, settings.connect_timeout)
    limits = Limits(handshake_timeout=handshake)
    codecs = default_codecs(settings.max_message)
    policy = OriginPolicy((origins,) if isinstance(origins, str) else origins)

    def new_wire(now: float) -> Wire:
        return WebSocketServer(codecs, now=now, policy=policy, limits=limits)

    verify: Verifier
    if token is not None:
        verify = shared_token(token)
    else:
        verify = allow_anyone if is_loopback(host) else allow_anyone_unpinned
    new_hub = Hub if recorder is None else recorder.hub
    hub = new_hub(settings, rng=Random(), new_token=_new_token, verify=verify)
    server = Server(hub, new_wire)
    try:
        await server.open(host, port, ssl)
        yield server
    except BaseException:
        await server.close(timeout=0.0)
        raise
    await server.close()


def _new_token() -> str:
    return secrets.token_urlsafe(32)
