"""Core per message: a client session and a hub, frames handed over as objects, no bytes.

What is timed is all that core does for one message: publish it, number it, hold it, batch it, send
it as a frame, receive, account for it, take it, ack it. *Batched* is how it goes under load: many
messages are waiting when the wire can take a frame. *Alone* is the other end: each message is
published, carried and taken before the next. Times are the process' CPU time, so that what else the
machine does counts little.
"""

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from time import process_time

from gapless.core.authorize import allow_anyone
from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.events import Message
from gapless.core.hub import Hub
from gapless.core.outbox import BATCH_MESSAGES

PAYLOAD = bytes(100)
CHANNEL = "benchmark"
LINK = 1


@dataclass(frozen=True, slots=True)
class Cost:
    """The best of some runs.

    Attributes:
        microseconds: of CPU time per message.
        messages_per_second: the same, the other way round.
        arrived: messages of each run that reached the other end.
    """

    microseconds: float
    messages_per_second: int
    arrived: int


@dataclass(frozen=True, slots=True)
class CoreResult:
    """What a message costs a reader's way (hub to client) and a publisher's (client to hub)."""

    messages: int
    runs: int
    read_batched: Cost
    read_alone: Cost
    publish_batched: Cost
    publish_alone: Cost

    def line(self) -> str:
        """Say it in one line."""
        parts = [
            f"{way} {batched.microseconds:.2f} µs batched, {alone.microseconds:.2f} µs alone"
            for way, batched, alone in (
                ("read", self.read_batched, self.read_alone),
                ("publish", self.publish_batched, self.publish_alone),
            )
        ]
        return f"core   a message: {'; '.join(parts)} (best of {self.runs})"

    @property
    def is_complete(self) -> bool:
        """Whether every message arrived in every run."""
        costs = (self.read_batched, self.read_alone, self.publish_batched, self.publish_alone)
        return all(cost.arrived == self.messages for cost in costs)


def run_core(messages: int = 20_000, runs: int = 5) -> CoreResult:
    """Measure all four."""
    return CoreResult(
        messages,
        runs,
        _best(read, messages, BATCH_MESSAGES, runs),
        _best(read, messages, 1, runs),
        _best(publish, messages, BATCH_MESSAGES, runs),
        _best(publish, messages, 1, runs),
    )


class Joined:
    """A client and a hub on one link that loses nothing and takes no time."""

    def __init__(self) -> None:
        numbers = iter(range(1_000_000))
        self.client = ClientSession(Config(), rng=Random(1))
        self.hub = Hub(
            Config.production("hub"),
            rng=Random(2),
            new_token=lambda: f"token-{next(numbers)}",
            verify=allow_anyone,
        )
        self.client.start(now=0.0)
        self.client.poll_command()
        self.client.handle_link_opened(LINK, now=0.0)
        self.hub.handle_link_opened(LINK, now=0.0)
        self.carry()

    def carry(self) -> None:
        """Hand over frames until neither end has one."""
        client, hub = self.client, self.hub
        while client.has_output or hub.has_output:
            while client.next_writable() is not None:
                while (frame := client.next_frame(LINK, now=0.0)) is not None:
                    hub.receive_frame(LINK, frame, now=0.0)
            while hub.next_writable() is not None:
                while (frame := hub.next_frame(LINK, now=0.0)) is not None:
                    client.receive_frame(LINK, frame, now=0.0)


def read(messages: int, batch: int) -> tuple[float, int]:
    """Publish at the hub, take at the client; returns seconds and messages taken."""
    joined = Joined()
    client, hub = joined.client, joined.hub
    subscription = client.subscribe(CHANNEL, now=0.0)
    joined.carry()
    arrived = 0
    with _timed() as seconds:
        for begin in range(0, messages, batch):
            for _ in range(min(batch, messages - begin)):
                hub.publish(CHANNEL, PAYLOAD, now=0.0)
            joined.carry()
            while (event := client.next_message(subscription, now=0.0)) is not None:
                arrived += isinstance(event, Message)
    return seconds(), arrived


def publish(messages: int, batch: int) -> tuple[float, int]:
    """Publish at the client until accepted; returns seconds and messages accepted."""
    joined = Joined()
    client, accepted = joined.client, 0
    with _timed() as seconds:
        for begin in range(0, messages, batch):
            for _ in range(min(batch, messages - begin)):
                client.publish(CHANNEL, PAYLOAD, False, now=0.0)
            joined.carry()
            while (settled := client.next_settled(CHANNEL)) is not None:
                accepted += (settled.last - settled.first + 1) * (settled.outcome == "accepted")
    return seconds(), accepted


def _best(
    case: Callable[[int, int], tuple[float, int]], messages: int, batch: int, runs: int
) -> Cost:
    outcomes = [case(messages, batch) for _ in range(runs)]
    seconds = min(seconds for seconds, _ in outcomes)
    arrived = min(arrived for _, arrived in outcomes)
    return Cost(round(seconds / messages * 1e6, 3), round(messages / seconds), arrived)


@contextmanager
def _timed() -> Generator[Callable[[], float]]:
    """Time a block; what is yielded says how long it took. No garbage is collected meanwhile."""
    gc.collect()
    gc.disable()
    begin = process_time()
    try:
        yield lambda: end - begin
    finally:
        end = process_time()
        gc.enable()
