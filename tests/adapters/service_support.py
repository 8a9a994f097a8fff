"""What the tests of the origin's service share: servers that count who reads, and boards.

Blocking code runs in a thread beside the loop of the test, and reaches the server through `Remote`.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from gapless.adapters.asyncio import Config, Message, Server

from .support import LIMIT, QUICK, until

Result = TypeVar("Result")

SERVICE = replace(QUICK, close_timeout=2.0)
"""A service that tries again almost at once."""


def readers(server: Server, campaign: str) -> int:
    """Count the sessions that read a campaign."""
    channel = server.hub.channels.find(f"campaign/{campaign}")
    return 0 if channel is None else channel.reader_count


async def read(server: Server, *campaigns: str) -> None:
    """Wait until all of these are read."""
    await until(lambda: all(readers(server, campaign) for campaign in campaigns))


async def publish(server: Server, campaign: str, *texts: str) -> None:
    """Publish to a campaign."""
    for text in texts:
        await server.publish(f"campaign/{campaign}", text)


@dataclass
class Board:
    """What a subscriber was told. Its methods are plain callbacks, for any runtime."""

    texts: list[str] = field(default_factory=list[str])
    errors: list[Exception] = field(default_factory=list[Exception])
    threads: set[int] = field(default_factory=set[int])
    came: threading.Condition = field(default_factory=threading.Condition)

    def on_message(self, message: Message) -> None:
        with self.came:
            self.texts.append(message.text)
            self.threads.add(threading.get_ident())
            self.came.notify_all()

    def on_error(self, error: Exception) -> None:
        with self.came:
            self.errors.append(error)
            self.came.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait in a thread until something is true of what was told."""
        with self.came:
            assert self.came.wait_for(condition, LIMIT)


class Remote:
    """A server in the loop of the test, used from a thread beside it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url
        self._loop = asyncio.get_running_loop()

    def do(self, job: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(LIMIT)

    def read(self, *campaigns: str) -> None:
        self.do(self._read(campaigns))

    def publish(self, campaign: str, *texts: str) -> None:
        self.do(publish(self.server, campaign, *texts))

    async def _read(self, campaigns: tuple[str, ...]) -> None:
        # Not at full speed: the service's thread has to come to its turn, too.
        while not all(readers(self.server, campaign) for campaign in campaigns):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def small(**changes: Any) -> Config:
    """A service's settings, with changes."""
    return replace(SERVICE, **changes)
