"""The origin's service, on a pool of sessions: campaigns by callback, from asyncio or from threads.

Example::

    with WebSocketService("ws://127.0.0.1:8765/") as service:
        clean_up = service.connect_to_campaign("42", print, print)

Its camelCase names exist as aliases: docs/topics/service.md has both, row by row.
"""

import asyncio
import ssl as tls
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

from gapless.adapters.asking import Ask
from gapless.adapters.errors import ConnectError, MessagesLost, StreamReset, SubscribeRefused
from gapless.core.config import Config
from gapless.core.errors import (
    ConfigError,
    GaplessError,
    InvalidChannel,
    InvalidState,
    PoolExhausted,
)
from gapless.core.events import Message
from gapless.core.position import check_channel

from .calling import CallbackCancelled
from .figures import ConnectionHealth, HealthStatus, MemoryUsage, PerformanceMetrics, Report
from .hosts import Done, LoopHost, ThreadHost
from .subscribers import OnError, OnMessage
from .target import Target

__all__ = [
    "Ask",
    "CallbackCancelled",
    "Config",
    "ConfigError",
    "ConnectError",
    "ConnectionHealth",
    "GaplessError",
    "HealthStatus",
    "InvalidChannel",
    "InvalidState",
    "MemoryUsage",
    "Message",
    "MessagesLost",
    "PerformanceMetrics",
    "PoolExhausted",
    "StreamReset",
    "SubscribeRefused",
    "WebSocketService",
]

_PROFILES: dict[str, Callable[[], Config]] = {
    "development": Config.development,
    "production": Config.production,
    "high performance": Config.high_performance,
    "high_performance": Config.high_performance,
}
Profile = Literal["development", "production", "high performance", "high_performance"]
Runtime = Literal["asyncio", "thread"]


class WebSocketService:
    """Campaigns of one server, told to callbacks. Connects when there is one, and stays connected.

    Every method may be called from any thread, and inside any callback.

    Args:
        url: `ws://HOST:PORT/PATH` or `wss://…`.
        profile: "development", "production" or "high performance": the settings.
        runtime: "asyncio": in the running event loop; callbacks, plain or async, run there.
            "thread": in an event loop of its own, in a background thread, for plain blocking code;
            callbacks run in worker threads, so that one that blocks delays its own campaign alone.
            None: asyncio where an event loop is running, else thread.
        token: shown to the server as credentials, or a function that gives them, as in `connect`;
            with "thread" a plain one may block.
        ssl: TLS settings for `wss://`; default: the platform's, which verify the certificate.
        config: settings instead of a profile's.

    Raises:
        ConfigError: an argument can't be.
        InvalidState: runtime "asyncio" and no event loop is running.
    """

    def __init__(
        self,
        url: str,
        *,
        profile: Profile = "production",
        runtime: Runtime | None = None,
        token: str | Ask | None = None,
        ssl: tls.SSLContext | None = None,
        config: Config | None = None,
    ) -> None:
        if profile not in _PROFILES:
            raise ConfigError(f"profile is {profile!r}; it must be one of {', '.join(_PROFILES)}")
        if runtime not in ("asyncio", "thread", None):
            raise ConfigError(f"runtime is {runtime!r}; it must be 'asyncio' or 'thread'")
        settings = _PROFILES[profile]() if config is None else config
        target = Target(url, settings, token, ssl)
        self._config = settings
        self._thread: ThreadHost | None = None
        if runtime == "thread" or (runtime is None and not _has_loop()):
            self._thread = ThreadHost(target.build_in_thread)
            self._host = self._thread.host
        elif _has_loop():
            self._host = LoopHost(target.build_in_loop)
        else:
            raise InvalidState("no event loop is running; use runtime='thread', or a coroutine")

    def connect_to_campaign(
        self, campaign_id: str, on_message: OnMessage, on_error: OnError
    ) -> Callable[[], None]:
        """Have a campaign's messages told from now on: those of the channel `campaign/{id}`.

        Who joins others is told also what still waits for them.

        Args:
            campaign_id: which.
            on_message: is called with each `Message`, in order, one at a time.
            on_error: is called with an exception. Messages go on behind a loss (`MessagesLost`,
                `StreamReset`), behind a try to connect that failed (`ConnectError`), and behind
                what `on_message` raised. They don't behind `SubscribeRefused`, nor behind a
                `ConnectError` whose `ending.close_class` leaves nothing to be tried.

        Returns:
            A function that cleans up: no callback begins after it was called (called from another
            thread: one that was just beginning still may). Calling it again is harmless.

        Raises:
            InvalidChannel: there can be no such channel.
            TypeError: a callback can't be called here.
            PoolExhausted: there is no room for another campaign.
            InvalidState: the service is closed.
        """
        channel = f"campaign/{campaign_id}"
        check_channel(channel)
        host = self._host
        host.caller.check(on_message, on_error)
        subscriber = host.ask(lambda: host.campaigns.join(channel, on_message, on_error))

        def clean_up() -> None:
            subscriber.is_over = True
            with suppress(InvalidState):
                host.tell(lambda: host.campaigns.leave(channel, subscriber))

        return clean_up

    def performance_metrics(self) -> PerformanceMetrics:
        """Say the figures of all connections together.

        Raises:
            InvalidState: the service's event loop is closed.
        """
        return self._report().performance()

    def health_status(self) -> HealthStatus:
        """Say how things stand: the worst of any connection, or of all together.

        Raises:
            InvalidState: the service's event loop is closed.
        """
        ground = self._host.ground
        return self._report().health(self._config, now=ground.now())

    def memory_usage(self) -> MemoryUsage:
        """Say what is held.

        Raises:
            InvalidState: the service's event loop is closed.
        """
        return self._report().memory()

    def close(self) -> Awaitable[None]:
        """End all connections, and wait for the callbacks that run. Harmless if repeated.

        On asyncio it has begun when this returns; await what it returns for its end. With "thread",
        and from another thread, it is over when this returns. Inside a callback it doesn't wait for
        that one. Others may take `config.close_timeout` seconds; then async ones are cancelled, and
        threads left to themselves.
        """
        where = self._host.caller.where()
        if self._thread is not None:
            self._thread.close(where)
            return Done()
        return self._host.close_from(where)

    connectToCampaign = connect_to_campaign
    getPerformanceMetrics = performance_metrics
    getHealthStatus = health_status
    getMemoryUsage = memory_usage

    def __enter__(self) -> Self:
        """Close behind the block.

        Raises:
            InvalidState: on asyncio; use `async with`.
        """
        if self._thread is None:
            raise InvalidState("on asyncio, use 'async with'")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        """Close behind the block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            await asyncio.to_thread(self.close)
        else:
            await self.close()

    def _report(self) -> Report:
        return self._host.ask(self._host.campaigns.report)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
