"""gapless on anyio, which is trio or asyncio: `connect` and `serve`.

Needs the extra `anyio` (`pip install 'gapless[anyio]'`); trio is the application's.

Example::

    async with connect("ws://127.0.0.1:8765/") as session:
        async with session.subscribe("campaign/42", since="earliest") as messages:
            async for message in messages:
                print(message.text)
"""

import ssl as tls
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gapless.adapters.asking import Ask
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
from gapless.adapters.opening import OpenStream, opened, plan_client, plan_server, serving
from gapless.adapters.reading import OnLost
from gapless.adapters.server import Server, ServerPublisher, ServerSubscription
from gapless.adapters.session import Publisher, Session, Subscription
from gapless.adapters.sockets import Listener
from gapless.core.budget import Level, MemoryReport, Shed
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
    ChannelEvent,
    Closed,
    Goodbye,
    LinkDown,
    LinkUp,
    Lost,
    Message,
    Reset,
    SessionEvent,
    Settled,
)
from gapless.core.export import Export, ExportedOutbox
from gapless.core.figures import HubStats, SessionStats
from gapless.core.monitor import Alert, Health, Metrics
from gapless.core.position import Position, Since

try:
    import anyio
except ModuleNotFoundError as missing:
    if missing.name != "anyio":
        raise
    raise ImportError("gapless on anyio needs anyio: pip install 'gapless[anyio]'") from None

from .driver import Driver

if TYPE_CHECKING:
    from gapless.testing import Recorder

__all__ = [
    "Alert",
    "Ask",
    "Busy",
    "CaughtUp",
    "ChannelEvent",
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
    "OnLost",
    "OpenStream",
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
    "SessionEvent",
    "SessionStats",
    "Settled",
    "Shed",
    "Since",
    "StreamReset",
    "SubscribeRefused",
    "Subscription",
    "TooManyChannels",
    "connect",
    "serve",
]


@asynccontextmanager
async def connect(
    url: str | OpenStream,
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
        url: `ws://HOST:PORT/PATH` or `wss://…`. Or a function, plain or async, that is called for
            each connect and gives a connected socket; its other end goes to `Server.accept`, and
            the bytes between are length-prefixed msgpack frames, without a handshake.
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
    plan = plan_client(
        url,
        now=anyio.current_time(),
        config=config,
        token=token,
        wait=wait,
        ssl=ssl,
        resume=resume,
        restore=restore,
        recorder=recorder,
    )
    driver = Driver(plan.endpoint, plan.route)
    session = Session(plan.endpoint.machine, driver, plan.ask)
    async with driver.running(), opened(session, plan.route):
        yield session


@asynccontextmanager
async def serve(
    host: str | None = "127.0.0.1",
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
        host: the address to listen on; None: none, `Server.accept` takes streams.
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
    endpoint = plan_server(
        host, port, config=config, token=token, ssl=ssl, origins=origins, recorder=recorder
    )
    driver = Driver(endpoint)
    server = Server(endpoint.machine, driver)
    async with driver.running(), serving(server):
        if host is not None:
            listener = Listener(driver)
            server.listen(listener, host, secure=ssl is not None)
            await listener.open(host, port, ssl, endpoint.machine.config.connect_timeout)
        yield server
