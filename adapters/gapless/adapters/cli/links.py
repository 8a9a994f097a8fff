"""Following a session's connections while a command works: what a person may want to know."""

import asyncio
from collections.abc import Callable

from gapless.adapters.asyncio import LinkDown, LinkUp, Session

from .console import say


class LinkWatch:
    """Tells of lost and new connections on standard error; the first one is no news."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ups = 0
        self.state = "connected"

    async def follow(self, on_up: Callable[[], None] | None = None) -> None:
        """Follow until the session is over; `on_up` is called at each connection."""
        async for event in self._session.events():
            if isinstance(event, LinkUp):
                self.state = "connected"
                self._ups += event.count
                if self._ups > 1:
                    say("connected again: " + ("resumed" if event.resumed else "a new session"))
                if on_up is not None:
                    on_up()
            elif isinstance(event, LinkDown):
                self.state = "not connected"
                wait = max(event.retry_at - asyncio.get_running_loop().time(), 0.0)
                say(f"not connected: {event.ending.reason}; next try in {wait:.1f} s")
