"""A thousand TCP resets on each runtime while messages go both ways.

`python -m tests.acceptance.thousand_cuts [--runtime R]… [--cuts N]` prints, for each runtime, what
was taken and how long it took from each reset to the first message over the next connection, and
exits 1 if anything was lost, repeated or out of order. The relay resets both its sockets
(SO_LINGER 0).
"""

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import anyio

import gapless.adapters.anyio
import gapless.adapters.asyncio
import gapless.adapters.blocking
from gapless.core.config import Config
from gapless.core.events import LinkUp
from tests.acceptance.resets import Relay
from tests.acceptance.tools import finish

BASE, CAP = 0.01, 0.2
"""Seconds: the backoff of the client."""

HELD = 64
"""Messages a channel keeps: whoever publishes waits for its reader, so that both keep going."""

PATIENCE = 30.0
"""Seconds after which a run that stands still has failed."""

CLIENT = Config(backoff_base=BASE, backoff_cap=CAP)
SERVER = Config.production("hub")
END = b"end"


class Seen:
    """What has arrived, from all threads and tasks; numbers must come one after the other.

    Attributes:
        counts: messages taken, by channel.
        faults: what was wrong.
        links: connections the client had.
        is_over: no more is to be published.
    """

    def __init__(self) -> None:
        self.counts = {"up": 0, "down": 0}
        self.faults: list[str] = []
        self.links = 0
        self.is_over = False
        self.news = threading.Condition()
        self._first: tuple[int, float] | None = None

    def take(self, channel: str, payload: bytes) -> bool:
        """Note a message; False at the last one."""
        with self.news:
            if payload != END:
                expected = self.counts[channel] + 1
                if int(payload) != expected:
                    self.faults.append(f"{channel}: {int(payload)} instead of {expected}")
                self.counts[channel] = int(payload)
                if channel == "down" and (self._first is None or self._first[0] < self.links):
                    self._first = self.links, time.monotonic()
                self.news.notify_all()
        return payload != END

    def link_up(self, event: LinkUp) -> None:
        """Note a new connection of the client, or several."""
        with self.news:
            self.links += event.count
            self.news.notify_all()

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until something is true; after `PATIENCE` that is a fault."""
        with self.news:
            if not self.news.wait_for(condition, PATIENCE):
                raise TimeoutError(f"stands still: {self.counts}, {self.links} links")

    def has(self, goal: dict[str, int]) -> bool:
        """Whether so many messages were taken."""
        return all(self.counts[channel] >= count for channel, count in goal.items())

    def first_after(self, link: int) -> float | None:
        """When the first message came over a connection."""
        return self._first[1] if self._first is not None and self._first[0] >= link else None


def cut(relay: Relay, seen: Seen, cuts: int) -> list[float]:
    """Reset so many times, each once messages have gone both ways again; returns the delays."""
    dice = random.Random(7)
    delays: list[float] = []
    try:
        seen.wait(lambda: seen.links)
        while len(delays) < cuts:
            more = dice.randrange(1, 40)
            goal = {channel: count + more for channel, count in seen.counts.items()}
            seen.wait(partial(seen.has, goal))
            link, at = seen.links + 1, time.monotonic()
            if relay.reset():
                seen.wait(partial(seen.first_after, link))
                delays.append((seen.first_after(link) or at) - at)
    except TimeoutError as error:
        seen.faults.append(str(error))
    seen.is_over = True
    return delays


def numbers(seen: Seen) -> Any:
    """Number messages until it is over, and end with a last one."""
    number = 0
    while not seen.is_over:
        number += 1
        yield b"%d" % number
    yield END


async def play(adapter: ModuleType, seen: Seen, cuts: int) -> list[float]:
    """Run both ends on an async runtime, and the cuts in a thread beside."""

    async def publish(end: Any, channel: str) -> None:
        async with end.publisher(channel) as out:
            for payload in numbers(seen):
                await out.send(payload)

    async def read(end: Any, channel: str, begin: Callable[[], object]) -> None:
        async with end.subscribe(channel, "earliest") as messages:
            begin()
            async for message in messages:
                if not seen.take(channel, message.payload):
                    return

    async def follow(session: Any) -> None:
        async for event in session.events():
            if isinstance(event, LinkUp):
                seen.link_up(event)

    delays: list[float] = []
    async with adapter.serve(config=SERVER) as server:
        for channel in seen.counts:
            server.configure(channel, history_messages=HELD, patience=SERVER.lease)
        with Relay(server.port) as relay:
            url = f"ws://127.0.0.1:{relay.port}/"
            async with anyio.create_task_group() as group:
                group.start_soon(read, server, "up", lambda: None)
                async with adapter.connect(url, config=CLIENT) as session:
                    group.start_soon(follow, session)
                    async with anyio.create_task_group() as traffic:

                        def begin() -> None:
                            traffic.start_soon(publish, server, "down")

                        traffic.start_soon(read, session, "down", begin)
                        traffic.start_soon(publish, session, "up")
                        delays = await anyio.to_thread.run_sync(cut, relay, seen, cuts)
    return delays


def play_blocking(seen: Seen, cuts: int) -> list[float]:
    """Run both ends on blocking sockets, each task a thread."""
    adapter = gapless.adapters.blocking

    def publish(end: Any, channel: str) -> None:
        with end.publisher(channel) as out:
            for payload in numbers(seen):
                out.send(payload)

    def read(end: Any, channel: str, begin: Callable[[], object]) -> None:
        with end.subscribe(channel, "earliest") as messages:
            begin()
            for message in messages:
                if not seen.take(channel, message.payload):
                    return

    def follow(session: Any) -> None:
        for event in session.events():
            if isinstance(event, LinkUp):
                seen.link_up(event)

    def start(function: Any, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=function, args=arguments)
        thread.start()
        return thread

    with adapter.serve(config=SERVER) as server:
        for channel in seen.counts:
            server.configure(channel, history_messages=HELD, patience=SERVER.lease)
        with Relay(server.port) as relay:
            url = f"ws://127.0.0.1:{relay.port}/"
            threads = [start(read, server, "up", lambda: None)]
            with adapter.connect(url, config=CLIENT, background=True) as session:
                threads.append(start(follow, session))
                begin = partial(start, publish, server, "down")
                traffic = [start(read, session, "down", begin), start(publish, session, "up")]
                delays = cut(relay, seen, cuts)
                for thread in traffic:
                    thread.join()
            for thread in threads:
                thread.join()
    return delays


RUNTIMES: dict[str, Callable[[Seen, int], list[float]]] = {
    "asyncio": lambda seen, cuts: anyio.run(play, gapless.adapters.asyncio, seen, cuts),
    "trio": lambda seen, cuts: anyio.run(play, gapless.adapters.anyio, seen, cuts, backend="trio"),
    "blocking": play_blocking,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", action="append", choices=list(RUNTIMES))
    parser.add_argument("--cuts", type=int, default=1000)
    options = parser.parse_args()
    runtimes: list[str] = options.runtime or list(RUNTIMES)
    faults: list[str] = []
    print(f"backoff base {BASE} s, cap {CAP} s")
    for name in runtimes:
        seen, began = Seen(), time.monotonic()
        delays = sorted(RUNTIMES[name](seen, options.cuts))
        faults += [f"{name}: {fault}" for fault in seen.faults]
        if len(delays) < options.cuts:
            faults.append(f"{name}: {len(delays)} of {options.cuts} cuts")
        if delays:
            median, late = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
            print(
                f"{name}: {len(delays)} resets, {seen.counts['down']:,} messages down and"
                f" {seen.counts['up']:,} up in {time.monotonic() - began:.1f} s; from reset to the"
                f" next message {median * 1000:.1f} ms median, {late * 1000:.1f} ms p99"
            )
    return finish(f"{len(runtimes)} runtimes, {len(faults)} faults", faults)


if __name__ == "__main__":
    sys.exit(main())
