"""The blocking driver: dial, read, write, timer. All decisions are the endpoint's.

Its loop runs only while some thread drives it; everything here happens under the loop's lock.
"""

import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

from gapless.adapters.driving import Pump
from gapless.adapters.waiting import Waiting
from gapless.core.closing import Ending
from gapless.transports.endpoint import Endpoint, M
from gapless.transports.wire import Wire

from .links import LinkSocket
from .loop import Job, Loop, Signal

Question = TypeVar("Question")
Answer = TypeVar("Answer")


Dial = Callable[[Loop], Coroutine[Any, Any, socket.socket | Ending]]
"""Makes a connection for a client, or says why there is none."""


class Driver(Pump[M, LinkSocket]):
    """Drives an endpoint on a loop.

    Args:
        endpoint: what is driven.
        loop: turns while somebody calls.
        dial: for a client.
    """

    def __init__(self, endpoint: Endpoint[M], loop: Loop, dial: Dial | None = None) -> None:
        super().__init__(endpoint)
        self.loop = loop
        self.deadline: float | None = None
        self.is_due = False
        self._dial = dial
        self._dials: dict[int, Job] = {}
        self._gone: Waiting[None] = Waiting(Signal)
        loop.owner = self

    def now(self) -> float:
        """The time, as the endpoint is told it."""
        return self.loop.now()

    def new_signal(self) -> Signal:
        """Make what the running call can await."""
        return Signal()

    def open(self, link: int) -> None:
        """Dial for a link of a client's."""
        self._dials[link] = self.loop.spawn(self._dialled(link))

    def give_up(self, link: int) -> None:
        """Stop dialling for a link."""
        if (dial := self._dials.pop(link, None)) is not None:
            dial.cancel()

    async def accept_stream(self, stream: socket.socket, wire: Wire) -> None:
        """Take a connected socket as a link of a server's, which speaks `wire`."""
        if self.is_shut:
            stream.close()
            return
        stream.setblocking(False)
        self.loop.post(lambda: self.adopt(stream, wire=wire))
        await self.rest()

    def adopt(self, stream: socket.socket, link: int = 0, wire: Wire | None = None) -> None:
        """Take a connected socket as a link: a client's by its number, else a new one."""
        LinkSocket(self, self.loop, stream, link, wire)

    def wake(self) -> None:
        """Pump soon, once: many changes in one call go out together."""
        self.is_due = True
        self.loop.nudge()

    def pump(self) -> None:
        """Carry out commands, write, tell the owner, set the timer."""
        self.is_due = False
        super().pump()

    def set_timer(self) -> None:
        """Have the loop wake up at the endpoint's deadline."""
        self.deadline = None if self.is_shut else self.endpoint.next_deadline()
        self.loop.nudge_by(self.deadline)

    def all_closed(self) -> None:
        """No socket is open any more."""
        self._gone.wake(None)

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Run something beside; `shut` cancels it."""
        self.loop.spawn(job)

    async def call(
        self, function: Callable[[Question], Awaitable[Answer] | Answer], question: Question
    ) -> Answer:
        """Call a plain function of the application's in a thread: it may take its time."""
        return cast(Answer, await self.loop.aside(lambda: function(question)))

    async def rest(self) -> None:
        """Let what others posted, and what has come, have its turn."""
        await self.loop.rest()

    async def shut(self, timeout: float) -> None:  # noqa: ASYNC109  # then it drops what is left
        """Stop: wait until every socket is closed, then drop what is left. No timer remains."""
        for job in self.loop.jobs:
            job.cancel()
        self.loop.alarm(timeout, self.drop_all)
        try:
            while self.sockets:
                await self._gone.wait(None)
        finally:
            self.drop_all()

    async def _dialled(self, link: int) -> None:
        assert self._dial is not None
        found = await self._dial(self.loop)
        is_wanted = self._dials.pop(link, None) is not None
        if isinstance(found, Ending):
            if is_wanted:
                self.link_failed(link, found)
        elif is_wanted:
            self.adopt(found, link)
        else:
            found.close()
