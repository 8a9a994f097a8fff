"""Asks the application for credentials, whenever core wants some.

One question at a time: what is answered too late for its connect serves the next one, unless those
shown since were refused; then the question is put again, with the refusal.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from gapless.core.client import ClientSession
from gapless.core.closing import Ending

from .driver import Driver
from .waiting import goodbye

Ask = Callable[[Ending | None], "str | Awaitable[str | None] | None"]
"""Gives credentials for a connect, or an awaitable of them. It is told how those shown before were
refused, if they were; else None. It runs in the event loop: it must not block."""


class Asking:
    """Puts core's questions to a function of the application."""

    def __init__(self, core: ClientSession, driver: Driver[ClientSession], ask: Ask) -> None:
        self._core = core
        self._driver = driver
        self._ask = ask
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin to ask if core waits for credentials."""
        if self._core.wants_credentials and self._task is None:
            self._task = self._driver.loop.create_task(self._answer())

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=goodbye(0.0))

    async def _answer(self) -> None:
        core, driver = self._core, self._driver
        try:
            while core.wants_credentials:
                refused = core.refused_credentials
                try:
                    answer = self._ask(refused)
                    credentials = await answer if inspect.isawaitable(answer) else answer
                    if self._still_wants(refused):
                        core.show_credentials(credentials, now=driver.now())
                except asyncio.CancelledError:
                    if self._task is None or self._task.cancelling():
                        raise
                    # Not this task was cancelled, but what it waited for: an answer like another.
                    self._withhold(refused, "token= was cancelled")
                except Exception as error:
                    self._withhold(refused, f"token= failed with {type(error).__name__}: {error}")
        finally:
            self._task = None
        driver.wake()

    def _withhold(self, refused: Ending | None, words: str) -> None:
        if self._still_wants(refused):
            self._core.withhold_credentials(words, now=self._driver.now())

    def _still_wants(self, refused: Ending | None) -> bool:
        """Whether a connect waits for the answer to this question."""
        return self._core.wants_credentials and self._core.refused_credentials is refused
