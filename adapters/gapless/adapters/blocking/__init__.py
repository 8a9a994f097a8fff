"""gapless for threads and scripts: `connect` and `serve` on plain sockets, without an event loop.

A session moves only while somebody calls it, or all the time with `connect(…, background=True)`.
Any number of threads may call one session. Every call that can wait takes `timeout=`.

Example::

    with connect("ws://127.0.0.1:8765/") as session:
        with session.subscribe("campaign/42", since="earliest") as messages:
            for message in messages:
                print(message.text)
"""

import inspect
import ssl as tls
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gapless.adapters.asking import Ask
from gapless.adapters.errors import (
    Busy,
    ConnectError,
    MessagesLost,
    NotDriven,
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
from gapless.adapters.server import Server as SharedServer
from gapless.adapters.session import Session as SharedSession
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

from .dialer import Dialer
from .driver import Driver
from .listening import Listener
from .runner import Runner
from .server import Server, ServerPublisher, ServerSubscription
from .session import Publisher, Session, Subscription

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
    "NotDriven",
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


@contextmanager
def connect(
    url: str | OpenStream,
    *,
    config: Config | None = None,
    token: str | Ask | None = None,
    wait: float = 0.0,
    ssl: tls.SSLContext | None = None,
    resume: str | None = None,
    restore: Export | None = None,
    recorder: "Recorder | None" = None,
    background: bool = False,
) -> Generator[Session, None, None]:
    """Connect, and stay connected until the block is left.

    Leaving it normally waits up to `config.close_timeout` seconds for everything published to be
    settled; leaving it by an exception doesn't wait. Both end the session. To carry it on later,
    `session.suspend()` first: then the server keeps it for its lease.

    Args:
        url: `ws://HOST:PORT/PATH` or `wss://…`. Or a function that is called for each connect, in a
            thread of its own, and gives a connected socket; its other end goes to `Server.accept`,
            and the bytes between are length-prefixed msgpack frames, without a handshake.
        config: settings; default `Config.production()`.
        token: shown to the server as credentials. Or a function that is called for each connect, in
            a thread of its own, and gives them; it takes one argument: how those shown before were
            refused, else None. Refused again, the session ends. If it raises, or doesn't return
            within `config.connect_timeout`, that connect has failed.
        wait: seconds to keep trying for the first connection; 0: one try. Later ones go on.
        ssl: TLS settings for `wss://`; default: the platform's, which verify the certificate.
        resume: `session_token` of a session that was suspended or cut off, to carry it on.
        restore: what `session.export()` gave, here or in another process: carries that session on
            and brings along what it had published. `session.restored()` says what became of it;
            read on since `restore.position(channel)`.
        recorder: writes down what the session is given, so that it can be replayed.
        background: whether a thread of its own drives the session while nobody calls. Without it,
            whoever lets `config.heartbeat` seconds pass between calls is told so: `NotDriven`.

    Raises:
        ConnectError: no connection came about; it says why and what to do.
        ConfigError: an argument can't be.
    """
    _check_plain("token", token)
    _check_plain("url", url)
    plan = plan_client(
        url,
        now=time.monotonic(),
        config=config,
        token=token,
        wait=wait,
        ssl=ssl,
        resume=resume,
        restore=restore,
        recorder=recorder,
    )
    core, runner = plan.endpoint.machine, Runner()
    driver = Driver(plan.endpoint, runner.loop, Dialer(plan.route))
    inner = SharedSession(core, driver, plan.ask)
    with (
        runner.running(driver, core.config.heartbeat, background=background),
        runner.entered(opened(inner, plan.route)),
    ):
        yield Session(inner, runner)


@contextmanager
def serve(
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    config: Config | None = None,
    token: str | None = None,
    ssl: tls.SSLContext | None = None,
    origins: str | Iterable[str] = (),
    recorder: "Recorder | None" = None,
    background: bool = True,
) -> Generator[Server, None, None]:
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
        background: whether a thread of its own serves. Without it, clients are served only while
            somebody calls, and `NotDriven` says if that was too seldom.

    Raises:
        OSError: the address can't be listened on.
        ConfigError: an argument can't be.
    """
    endpoint = plan_server(
        host, port, config=config, token=token, ssl=ssl, origins=origins, recorder=recorder
    )
    settings, runner = endpoint.machine.config, Runner()
    driver = Driver(endpoint, runner.loop)
    inner = SharedServer(endpoint.machine, driver)
    with (
        runner.running(driver, settings.heartbeat, background=background),
        runner.entered(serving(inner)),
    ):
        if host is not None:
            listener = Listener(driver, ssl, settings.connect_timeout)
            inner.listen(listener, host, secure=ssl is not None)
            runner.ask(lambda: listener.open(host, port))
        yield Server(inner, runner)


def _check_plain(name: str, function: object) -> None:
    """Refuse a function that nobody here can await.

    Raises:
        ConfigError: it is async.
    """
    call = getattr(function, "__call__", None)  # noqa: B004  # an object's own may be async
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call):
        raise ConfigError(f"{name}= is an async function; give a plain one, it may block")
