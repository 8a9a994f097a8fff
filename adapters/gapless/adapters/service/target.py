"""Target: where a service connects, and how its parts are made for either runtime."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gapless.adapters.asking import Ask
from gapless.adapters.asyncio.driver import Driver
from gapless.adapters.opening import Client, plan_client, started
from gapless.adapters.pooling import Connect
from gapless.adapters.session import Session
from gapless.core.config import Config
from gapless.core.pool import Key

from .calling import InLoop, InThreads, asking_in_threads
from .campaigns import Campaigns
from .hosts import Ground
from .subscribers import Caller

FOREVER = 2.0**40
"""Seconds to keep trying for the first connection: as long as somebody wants a campaign."""


class Target:
    """A server, and how to talk to it.

    Raises:
        ConfigError: an argument can't be.
    """

    def __init__(
        self, url: str, config: Config, token: str | Ask | None, tls: ssl.SSLContext | None
    ) -> None:
        self._url = url
        self._config = config
        self._token = token
        self._tls = tls
        # All is checked now, and the TLS settings are read once.
        self._tls = self._plan(0.0, token).route.tls

    def build_in_loop(self, ground: Ground) -> tuple[Campaigns, Caller]:
        """Make a service's parts, whose callbacks run in the event loop."""
        caller = InLoop(ground)
        return self._build(ground, caller, self._token), caller

    def build_in_thread(self, ground: Ground) -> tuple[Campaigns, Caller]:
        """Make a service's parts, whose callbacks run in threads."""
        caller, token = InThreads(ground), self._token
        if callable(token):
            token = asking_in_threads(caller, token)
        return self._build(ground, caller, token), caller

    def _build(self, ground: Ground, caller: Caller, token: str | Ask | None) -> Campaigns:
        return Campaigns(ground, caller, self._connecting(token), self._key, self._config)

    def _key(self, number: int) -> Key:
        shown = self._token if isinstance(self._token, str) else id(self._token)
        return Key(self._url, (shown, number))

    def _connecting(self, token: str | Ask | None) -> Connect:
        @asynccontextmanager
        async def connect(key: Key) -> AsyncGenerator[Session, None]:
            plan = self._plan(asyncio.get_running_loop().time(), token)
            driver = Driver(plan.endpoint, plan.route)
            async with started(Session(plan.endpoint.machine, driver, plan.ask)) as session:
                yield session

        return connect

    def _plan(self, now: float, token: str | Ask | None) -> Client:
        return plan_client(
            self._url,
            now=now,
            config=self._config,
            token=token,
            wait=FOREVER,
            ssl=self._tls,
            resume=None,
            restore=None,
            recorder=None,
        )
