"""What `publish` and `subscribe` share: opening a session, and following its connections."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from gapless.adapters.asyncio import ConnectError, LinkDown, LinkUp, Session, connect
from gapless.adapters.errors import advice
from gapless.core.closing import Ending

from .console import say
from .outcome import CommandError
from .running import Stop, Stopped


async def open_session(
    stop: Stop,
    stack: AsyncExitStack,
    url: str,
    *,
    token: str | None,
    wait: float,
    resume: str | None = None,
) -> Session:
    """Connect; the session ends with the stack.

    Raises:
        CommandError: no connection came about, and the line says what to do; or it was asked to
            stop before one did.
    """
    connection = connect(url, token=token, wait=wait, resume=resume)
    try:
        return await stop.interrupt(stack.enter_async_context(connection))
    except ConnectError as error:
        raise CommandError(f"{url}: {error.ending.reason}; {_advice(error.ending)}") from None
    except Stopped:
        line = f"{url}: stopped before there was a connection"
        raise CommandError(line, stop.unfinished_code) from None


def _advice(ending: Ending) -> str:
    trust = "name its certificate's authority in the environment variable SSL_CERT_FILE"
    return advice(ending, token="--token", wait="--wait", trust=trust)


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
