"""Parts and small joins for the tests of core: real objects, frames moved by hand, virtual time."""

import sys
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from types import FrameType
from typing import Any

from gapless.core.authorize import Verifier, allow_anyone
from gapless.core.channel import Channel, ChannelSettings
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import KIB, Config
from gapless.core.events import CloseLink, Command, OpenLink
from gapless.core.frames import Frame
from gapless.core.hub import Hub

LOST = Ending(Code.LOST, "connection reset")


class Highest(Random):
    """Jitter that always draws the upper bound: shows the ceiling."""

    def uniform(self, a: float, b: float) -> float:
        return b


EVERYTHING = 1 << 60
"""More bytes than any inbox holds."""


def inside(thing: object, name: str) -> Any:
    """Look at a private part, where a bound on it is what the test is about."""
    return getattr(thing, name)


def counted(prefix: str) -> Callable[[], str]:
    """Names that never repeat: prefix1, prefix2, …"""
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers)}"


def ids(first: int = 1) -> Iterator[int]:
    return count(first)


def small(**changes: object) -> Config:
    """A config with bounds small enough to be met in a test."""
    fields: dict[str, object] = {
        "window": KIB,
        "max_message": 4 * KIB,
        "history_messages": 8,
        "history_bytes": 64 * KIB,
    }
    return Config(**{**fields, **changes})  # type: ignore[arg-type]  # checked by Config itself


def settings(**changes: object) -> ChannelSettings:
    """Settings of a channel: eight messages, no age, waits, patience 1 s."""
    return ChannelSettings(8, 64 * KIB, None, "wait", 1.0).changed(**changes)


def a_channel(**changes: object) -> Channel:
    return Channel("news", 7, "E1", settings(**changes))


def fill(channel: Channel, count: int, *, now: float = 0.0, text: bool = False) -> None:
    """Append `count` messages, each its own number as text; nothing may be in the way."""
    for _ in range(count):
        payload = str(channel.head + 1).encode()
        assert channel.admit(len(payload), now=now).value == "room"
        channel.append([payload], text, None, now=now)


def calls(work: Callable[[], object]) -> int:
    """Count the calls of our functions: work, without a clock (I9)."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_globals["__name__"].startswith("gapless.")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def lines(work: Callable[[], object]) -> int:
    """Count the lines of ours that are run: as `calls`, and sees what a loop costs."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        nonlocal count
        if not frame.f_globals["__name__"].startswith("gapless."):
            return None
        count += event == "line"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


class Joined:
    """A client session and a hub, joined by nothing but frames handed over in order.

    What was built and not yet delivered is lost with the link, as on a cut connection.
    """

    def __init__(
        self,
        *,
        config: Config | None = None,
        hub_config: Config | None = None,
        verify: Verifier | None = allow_anyone,
        seed: int = 1,
        durable: bool = False,
        token: str | None = None,
    ) -> None:
        self.now = 100.0
        self.client = ClientSession(config or Config(), rng=Random(seed), wait=3600.0, token=token)
        self.new_token = counted("token-")
        self.hub = Hub(
            hub_config or Config.production("hub"),
            rng=Random(seed + 1),
            new_token=self.new_token,
            verify=verify,
            durable=durable,
        )
        self.client_commands: list[Command] = []
        self.hub_commands: list[Command] = []
        self.up: list[Frame] = []
        self.down: list[Frame] = []
        self.server_link = 0
        self.client_link = 0

    def connect(self) -> None:
        """Start, or dial again as soon as the client asks for it; then exchange all there is."""
        if self.client.state.value == "new":
            self.client.start(now=self.now)
        for _ in range(100):
            self.poll()
            dials = [command for command in self.client_commands if isinstance(command, OpenLink)]
            if dials:
                break
            deadline = self.client.next_deadline()
            assert deadline is not None, "the client doesn't dial"
            self.now = max(self.now, deadline)
            self.client.handle_timeout(now=self.now)
        else:
            raise AssertionError("the client doesn't dial")
        self.client_commands.clear()
        self.client_link = dials[-1].link
        self.server_link += 1
        self.hub.handle_link_opened(self.server_link, now=self.now)
        self.client.handle_link_opened(self.client_link, now=self.now)
        self.exchange()

    def poll(self) -> None:
        """Collect commands."""
        while (command := self.client.poll_command()) is not None:
            self.client_commands.append(command)
        while (command := self.hub.poll_command()) is not None:
            self.hub_commands.append(command)

    def build_up(self) -> list[Frame]:
        """Let the client say all it has to say; it is on the way now."""
        built: list[Frame] = []
        while (frame := self.client.next_frame(self.client_link, now=self.now)) is not None:
            built.append(frame)
        self.up += built
        return built

    def build_down(self) -> list[Frame]:
        """Let the hub say all it has to say; it is on the way now."""
        self.hub.next_writable()
        built: list[Frame] = []
        while (frame := self.hub.next_frame(self.server_link, now=self.now)) is not None:
            built.append(frame)
        self.down += built
        return built

    def deliver_up(self) -> None:
        while self.up:
            frame = self.up.pop(0)
            self.hub.receive_bytes(self.server_link, now=self.now)
            self.hub.receive_frame(self.server_link, frame, size=50, now=self.now)

    def deliver_down(self) -> None:
        while self.down:
            frame = self.down.pop(0)
            self.client.receive_bytes(self.client_link, now=self.now)
            self.client.receive_frame(self.client_link, frame, size=50, now=self.now)

    def exchange(self) -> None:
        """Deliver everything both ways until nobody has anything to say."""
        for _ in range(1000):
            self.build_up()
            self.deliver_up()
            self.build_down()
            if not self.up and not self.down:
                self.poll()
                return
            self.deliver_down()
        raise AssertionError("the two ends never fall silent")

    def cut(self) -> None:
        """Lose the link and all that is on the way; both ends notice."""
        self.up.clear()
        self.down.clear()
        self.client.handle_link_lost(self.client_link, LOST, now=self.now)
        self.hub.handle_link_lost(self.server_link, LOST, now=self.now)
        self.poll()

    def advance(self, seconds: float) -> None:
        """Let time pass for both, and exchange what it brings."""
        end = self.now + seconds
        while True:
            deadlines = [self.client.next_deadline(), self.hub.next_deadline()]
            due = min((at for at in deadlines if at is not None and at <= end), default=None)
            if due is None:
                break
            self.now = max(self.now, due)
            self.client.handle_timeout(now=self.now)
            self.hub.handle_timeout(now=self.now)
            self.exchange()
        self.now = end
        self.exchange()

    def closed_for(self) -> list[Ending]:
        """Why links were closed by either end so far."""
        self.poll()
        commands = [*self.client_commands, *self.hub_commands]
        return [command.ending for command in commands if isinstance(command, CloseLink)]
