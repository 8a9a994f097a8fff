"""Asks the application for credentials, whenever core wants some.

One question at a time: what is answered too late for its connect serves the next one, unless those
shown since were refused; then the question is put again, with the refusal.
"""

from collections.abc import Awaitable, Callable

from gapless.core.client import ClientSession
from gapless.core.closing import Ending

from .driving import Driver

Ask = Callable[[Ending | None], "str | Awaitable[str | None] | None"]
"""Gives credentials for a connect, or an awaitable of them. It is told how those shown before were
refused, if they were; else None. Where it runs in an event loop it must not block."""


class AskFailed(Exception):
    """A function of the application gave no answer, in words that follow its name."""


class Asking:
    """Puts core's questions to a function of the application."""

    def __init__(self, core: ClientSession, driver: Driver, ask: Ask) -> None:
        self._core = core
        self._driver = driver
        self._ask = ask
        self._is_asking = False

    def look(self) -> None:
        """Begin to ask if core waits for credentials."""
        if self._core.wants_credentials and not self._is_asking:
            self._is_asking = True
            self._driver.start(self._answer())

    async def _answer(self) -> None:
        core, driver = self._core, self._driver
        try:
            while core.wants_credentials:
                refused = core.refused_credentials
                try:
                    credentials = await driver.call(self._ask, refused)
                    if self._still_wants(refused):
                        core.show_credentials(credentials, now=driver.now())
                except AskFailed as error:
                    self._withhold(refused, f"token= {error}")
                except Exception as error:
                    self._withhold(refused, _words(error))
                except (KeyboardInterrupt, SystemExit) as error:
                    self._withhold(refused, _words(error))
                    raise
        finally:
            self._is_asking = False
        driver.wake()

    def _withhold(self, refused: Ending | None, words: str) -> None:
        if self._still_wants(refused):
            self._core.withhold_credentials(words, now=self._driver.now())

    def _still_wants(self, refused: Ending | None) -> bool:
        """Whether a connect waits for the answer to this question."""
        return self._core.wants_credentials and self._core.refused_credentials is refused


def _words(error: BaseException) -> str:
    return f"token= failed with {type(error).__name__}: {error}"
