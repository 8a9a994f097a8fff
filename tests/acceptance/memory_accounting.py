"""The books against what `tracemalloc` sees: `python -m tests.acceptance.memory_accounting`.

Prints a table. Fails where the books say 15 % more or less than was allocated, or where an entry
costs more than 200 bytes beside its payload (a cached frame, which is a batch, 1,000 more); of what
is at rest, where they say less.
"""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from gapless.core.authorize import allow_anyone
from gapless.core.budget import Shed
from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.frames import Data, Frame, Hello, Live, Offer, Subscribe, Subscribed, Welcome
from gapless.core.hub import Hub
from gapless.transports import MsgpackCodec

SIZES = (16, 100, 4096, 65536)
DEVIATION = 0.15
OVERHEAD = 200.0
BATCH_COSTS = 1000.0
PLENTY = 1 << 40
ROOMY = Config(
    history_messages=1 << 20,
    history_bytes=PLENTY,
    memory_limit=PLENTY,
    window=1 << 30,
    max_channels=1 << 15,
    heartbeat=1e6,
)
WELCOME = Welcome("@s", "token", False, 30_000, 120_000, 1 << 20, 1 << 15)


@dataclass(frozen=True, slots=True)
class Measured:
    """One line of the table: bytes of so many entries of a size, or of so many objects."""

    what: str
    size: int
    entries: int
    accounted: int
    traced: int

    @property
    def deviation(self) -> float:
        """How much more the books say, as a share of what was traced."""
        return self.accounted / self.traced - 1

    @property
    def overhead(self) -> float:
        """Traced bytes an entry beside its payload."""
        return self.traced / self.entries - self.size


def measure(
    what: str, size: int, entries: int, held: Callable[[], int], act: Callable[[], object]
) -> Measured:
    """Do something, and see by how much what is held and what is allocated have grown."""
    gc.collect()
    before, already = held(), tracemalloc.get_traced_memory()[0]
    kept = act()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - already
    del kept
    return Measured(what, size, entries, held() - before, grown)


def payloads(size: int, amount: int) -> Iterator[bytes]:
    """Different objects, as a network brings them."""
    return (number.to_bytes(8, "big") * (size // 8) for number in range(amount))


def messages_of(size: int) -> int:
    """How many of a size a batch has."""
    return max(1, min(128, 65536 // size))


def amount_of(size: int) -> int:
    """How many entries make some megabytes."""
    return max(60, min(20_000, 4_000_000 // size))


class Ends:
    """A hub and a client, each with what the other says played by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        tokens = count(1)
        self.hub = Hub(
            ROOMY, rng=Random(1), new_token=lambda: f"token-{next(tokens)}", verify=allow_anyone
        )
        self.client = ClientSession(ROOMY, rng=Random(1))
        self.codec = MsgpackCodec()
        self.links = count(1)

    def connect(self) -> None:
        """Have the client welcomed on link 1."""
        self.client.start(now=self.now)
        self.client.handle_link_opened(1, now=self.now)
        self.hear()
        self.tell(WELCOME)

    def tell(self, frame: Frame) -> None:
        """Say a frame to the client as it comes from a wire: decoded, with objects of its own."""
        decoded = self.codec.decode(self.codec.encode(frame))
        self.client.receive_frame(1, decoded, now=self.now)

    def hear(self) -> list[Frame]:
        """What the client says."""
        return list(iter(lambda: self.client.next_frame(1, now=self.now), None))

    def greet(self) -> int:
        """Have one more client connect to the hub; returns its link."""
        link = next(self.links)
        self.hub.handle_link_opened(link, now=self.now)
        self.say(link, Hello(1, None, None, 1 << 20))
        self.drain(link)
        return link

    def say(self, link: int, frame: Frame) -> None:
        """Say a frame to the hub as it comes from a wire."""
        encoded = self.codec.encode(frame)
        self.hub.receive_frame(link, self.codec.decode(encoded), size=len(encoded), now=self.now)

    def drain(self, link: int) -> None:
        """Hear what the hub says on a link."""
        while self.hub.next_writable() is not None:
            pass
        while self.hub.next_frame(link, now=self.now) is not None:
            pass
        while self.hub.poll_command() is not None:
            pass


def history(size: int) -> Measured:
    """What the server's application publishes."""
    ends, amount = Ends(), amount_of(size)
    ends.hub.publish("news", b"first", now=ends.now)

    def act() -> None:
        for number, payload in enumerate(payloads(size, amount)):
            ends.hub.publish("news", payload, now=ends.now + number / 1000)

    return measure("history of a hub", size, amount, lambda: ends.hub.memory().held, act)


def inbox(size: int) -> Measured:
    """What a client has received, in batches as they come, and not taken."""
    ends, amount = Ends(), amount_of(size)
    ends.connect()
    ends.client.subscribe("news", "earliest", now=ends.now)
    ends.hear()
    ends.tell(Subscribed(1, 1, "E", 1, 0, None, Live()))
    ends.hear()

    def act() -> None:
        for first, batch in batches(size, amount):
            ends.tell(Data(1, first, batch, False))

    return measure("inbox of a client", size, amount, lambda: ends.client.memory().held, act)


def outbox(size: int) -> Measured:
    """What a client has published while it has no connection."""
    ends, amount = Ends(), amount_of(size)
    ends.client.publish("news", b"first", False, now=ends.now)

    def act() -> None:
        for number, payload in enumerate(payloads(size, amount)):
            assert ends.client.publish("news", payload, False, now=ends.now + number / 1000)

    return measure("outbox of a client", size, amount, lambda: ends.client.memory().held, act)


def intake(size: int) -> Measured:
    """What clients have published that waits behind a pin."""
    ends, amount = Ends(), amount_of(size)
    ends.hub.configure("news", now=ends.now, history_messages=1, patience=1e6)
    ends.hub.subscribe("news", "earliest", now=ends.now)
    ends.hub.publish("news", b"first", now=ends.now)
    link = ends.greet()
    ends.say(link, Offer(1, "news", None, 1))
    ends.drain(link)

    def act() -> None:
        for first, batch in batches(size, amount):
            ends.say(link, Data(1, first, batch, False))

    return measure("intake of a hub", size, amount, lambda: ends.hub.memory().held, act)


def frames(size: int) -> Measured:
    """What is kept encoded for the readers of many channels, beside their histories."""
    ends = Ends()
    each = messages_of(size)
    channels = max(8, min(500, 8_000_000 // (each * size)))
    link = ends.greet()
    for number in range(channels):
        ends.hub.publish_many(f"c{number}", list(payloads(size, each)), now=ends.now)
        ends.say(link, Subscribe(number + 1, f"c{number}", "earliest", 1 << 30))
    while not isinstance(ends.hub.next_frame(link, now=ends.now), Subscribed):
        pass
    for _ in range(channels - 1):
        assert isinstance(ends.hub.next_frame(link, now=ends.now), Subscribed)

    def held() -> int:
        return ends.hub.memory().kinds[Shed.FRAME].held

    def act() -> None:
        while (frame := ends.hub.next_frame(link, now=ends.now)) is not None:
            assert isinstance(frame, Data)
            # With the header of the wire before it, as it is written.
            frame.encoded = {"msgpack": b"".join((bytes(10), ends.codec.encode(frame)))}

    return measure("cached frames of a hub", size, channels * each, held, act)


def batches(size: int, amount: int) -> Iterator[tuple[int, list[bytes]]]:
    """Payloads in batches as a sender makes them, and the number each begins at."""
    each = messages_of(size)
    for first in range(1, amount + 1, each):
        numbers = range(first, min(first + each, amount + 1))
        yield first, [number.to_bytes(8, "big") * (size // 8) for number in numbers]


def at_rest(amount: int = 300) -> Iterator[Measured]:
    """Objects that hold no message: what each takes by being there."""
    ends = Ends()
    ends.connect()
    ends.greet()
    hub, client = lambda: ends.hub.memory().held, lambda: ends.client.memory().held

    def sessions() -> None:
        for _ in range(amount):
            ends.greet()

    def channels() -> None:
        for number in range(amount):
            assert ends.hub.channels.open(f"rest-{number}", now=ends.now)

    def readers() -> None:
        for number in range(amount):
            ends.say(1, Subscribe(number + 1, f"rest-{number}", "latest", 1000))
        ends.drain(1)

    def intakes() -> None:
        for number in range(amount):
            ends.say(1, Offer(number + 1, f"rest-{number}", None, 1))
        ends.drain(1)

    def subscriptions() -> None:
        for number in range(amount):
            ends.client.subscribe(f"rest-{number}", now=ends.now)
        ends.hear()

    def outboxes() -> None:
        for number in range(amount):
            ends.client.publish(f"rest-{number}", b"", False, now=ends.now)
        ends.hear()

    def local_readers() -> list[object]:
        return [ends.hub.subscribe(f"rest-{number}", now=ends.now) for number in range(amount)]

    def greetings() -> None:
        for _ in range(amount):
            ends.hub.handle_link_opened(next(ends.links), now=ends.now)

    yield measure("channel", 0, amount, hub, channels)
    yield measure("session with a link", 0, amount, hub, sessions)
    yield measure("reader, with its pin", 0, amount, hub, readers)
    yield measure("intake", 0, amount, hub, intakes)
    yield measure("local reader, with its pin", 0, amount, hub, local_readers)
    yield measure("link before its verdict", 0, amount, hub, greetings)
    yield measure("subscription", 0, amount, client, subscriptions)
    yield measure("outbox, with one message", 0, amount, client, outboxes)


def main() -> int:
    """Print the table; returns 1 if a line is out of bounds."""
    tracemalloc.start()
    is_fine = True
    print(f"{'':26} {'payload':>8} {'accounted':>12} {'traced':>12} {'off by':>8} {'an entry':>9}")
    for structure in (history, inbox, outbox, intake, frames):
        for size in SIZES:
            found = structure(size)
            # A frame is a batch: what it costs is spread over its messages, and 64 KiB are one.
            allowed = OVERHEAD + (BATCH_COSTS / messages_of(size) if structure is frames else 0)
            is_good = abs(found.deviation) <= DEVIATION and found.overhead <= allowed
            is_fine &= _show(found, is_good)
    for found in at_rest():
        is_fine &= _show(found, found.deviation >= 0)
    print("the accounting agrees" if is_fine else "the accounting does not agree")
    return 0 if is_fine else 1


def _show(found: Measured, is_good: bool) -> bool:
    per_entry = f"{found.overhead:9,.0f}"
    print(
        f"{found.what:26} {found.size:8,} {found.accounted:12,} {found.traced:12,}"
        f" {found.deviation:+8.1%} {per_entry}{'' if is_good else '  <- out of bounds'}"
    )
    return is_good


if __name__ == "__main__":
    sys.exit(main())
