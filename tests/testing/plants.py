"""Planted faults: what the tests of the checker break promises with.

The checker is fed through its observer's methods, or watches sessions and hubs that are broken on
purpose: subclasses of the real ones that lie in one place.
"""

from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from random import Random

import pytest

from gapless.core.authorize import allow_anyone
from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.events import CaughtUp, ChannelEvent, Lost, Message, Reset
from gapless.core.frames import Frame
from gapless.core.hub import Hub
from gapless.core.position import Position, Since
from gapless.core.subscription import Subscription
from gapless.testing import CALM, BrokenPromise, Checker, Host, Line, Pair, Peer
from gapless.transports import MemoryWire


@contextmanager
def caught(promise: str, words: str) -> Generator[None, None, None]:
    """Assert that the body breaks that promise, and that the checker says so in these words."""
    with pytest.raises(BrokenPromise) as fault:
        yield
    assert fault.value.promise == promise, str(fault.value)
    assert words in str(fault.value)


def message(seq: int, epoch: str = "E", payload: bytes = b"x") -> Message:
    return Message("a", epoch, seq, payload)


def a_line() -> Line:
    return Line("C1", 1, "S", 1, CALM, Random(0))


def joined(pair: Pair, session: ClientSession) -> Peer:
    """Put a client with this session into the place of a pair's own."""
    peer = Peer("C1", session, lambda now: MemoryWire(), clock=pair.clock, observers=pair.observers)
    pair.peers[:] = [peer]
    pair.peer, pair.client = peer, session
    return peer


def hosted(pair: Pair, kind: type[Hub]) -> Hub:
    """Put a hub of this kind into the place of a pair's own."""
    numbers = count(1)
    hub = kind(
        pair.hub_config,
        rng=pair.rng,
        new_token=lambda: f"planted-{next(numbers)}",
        verify=allow_anyone,
    )
    pair.hosts[-1] = Host("S", hub, lambda now: MemoryWire(from_client=True))
    return hub


class Told(Subscription):
    """A reader that stands where a test says."""

    def __init__(self, channel: str, since: Since) -> None:
        super().__init__(channel, since, window=1024, requests=count(1))
        self.told = since if isinstance(since, Position) else None
        self.told_bytes = 0

    @property
    def position(self) -> Position | None:
        return self.told

    @property
    def held_bytes(self) -> int:
        return self.told_bytes


class Reading:
    """An application that takes what a test says, of channel a, under a checker's eyes."""

    def __init__(self, since: Since = "earliest", *, lossless: tuple[str, ...] = ()) -> None:
        self.pair = Pair()
        self.checker = Checker(self.pair, lossless=lossless)
        self.reader = Told("a", since)
        self.checker.on_subscribed(self.pair.peer, self.reader)

    def take(self, event: ChannelEvent, position: Position | None = None) -> None:
        """Take an event; the reader then stands behind it, or where `position` says."""
        self.reader.told = position or _behind(event)
        self.checker.on_taken(self.pair.peer, self.reader, event)


def _behind(event: ChannelEvent) -> Position:
    match event:
        case Message() | Reset() | CaughtUp():
            return event.position
        case Lost():
            return Position(event.epoch, event.last)


class LyingSession(ClientSession):
    """A client that changes frames on their way out: one lie, told in `lie`."""

    def lie(self, frame: Frame) -> Frame:
        raise NotImplementedError

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        frame = super().next_frame(link, now=now)
        return None if frame is None else self.lie(frame)


def a_session(kind: type[ClientSession] = ClientSession) -> ClientSession:
    return kind(Config.production(), rng=Random(5), wait=3600.0)
