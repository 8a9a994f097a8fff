"""Issue 3: 24 virtual hours of a client that gets no link: the predicted tries, and no growth.

A real `ClientSession` behind the real `Endpoint`, with the production settings, in virtual time.
Each connect hangs for its 30 s timeout; or is refused at once; or is accepted and never answered;
or opens, or is even welcomed, and is cut at once. A try takes its time and then a wait of
U(0, min(cap, base * 2**n)): cap / 2 in the long run. Where tries are many, 6 hours are enough.

`python -m tests.acceptance.hanging_day` exits 1 if there are 5 % more or fewer tries than that, if
anything is larger in the last hour than in the first, or if a day takes longer than 10 s to run.
"""

import gc
import sys
import time
import tracemalloc
from collections.abc import Callable, Sized
from dataclasses import dataclass
from random import Random

from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import KIB, MIB, Config
from gapless.core.events import OpenLink
from gapless.core.frames import Frame, Welcome
from gapless.transports.endpoint import Endpoint
from gapless.transports.memory import MemoryWire
from tests.acceptance.tools import finish

HOUR = 3600.0
TOLERANCE = 0.05
LONGEST = 10.0
"""Seconds a day may take to run."""

GROWTH = 16 * KIB
"""Bytes by which the last hour's peak may exceed the first's: a table may have been resized."""


def encoded(frame: Frame) -> bytes:
    """What a memory wire makes of a frame."""
    wire = MemoryWire()
    wire.send_frame(frame, now=0.0)
    return wire.data_to_send()


CUT = Ending(Code.LOST, "connection reset")
WELCOME = encoded(Welcome("@session", "token", False, 30_000, 120_000, MIB, 128))
LIMITS = {"_timers": 4, "_commands": 1, "_events": 4, "_writable": 1, "_closing": 1, "_speaking": 2}
"""What a session may have pending between two steps, by the name of its table."""


class Client:
    """The session, its endpoint, and what a driver and an application do with them."""

    def __init__(self, config: Config) -> None:
        self.session = ClientSession(config, rng=Random(24), wait=float("inf"))
        self.endpoint = Endpoint(self.session, lambda now: MemoryWire())
        self.tries = 0
        self.most = dict.fromkeys(LIMITS, 0)
        self.session.subscribe("news", "earliest", now=0.0)
        self.session.publish("commands", b"start", False, now=0.0)
        self.session.start(now=0.0)

    def step(self, dialled: Callable[["Client", int, float], None], now: float) -> None:
        """Carry out all there is to do now, and count what is pending afterwards."""
        self.endpoint.handle_timeout(now=now)
        while (command := self.endpoint.poll_command(now=now)) is not None:
            if isinstance(command, OpenLink):
                self.tries += 1
                dialled(self, command.link, now)
            self.write(now)
        self.write(now)
        for name, table in vars(self.session).items():
            if name in LIMITS and isinstance(table, Sized):
                self.most[name] = max(self.most[name], len(table))
        while self.session.next_event() is not None:
            pass

    def write(self, now: float) -> bytes:
        """Take what is to be written."""
        written = b""
        while (link := self.endpoint.next_writable()) is not None:
            while data := self.endpoint.data_to_send(link, 65536, now=now):
                written += data
        return written


def hang(client: Client, link: int, now: float) -> None:
    """SYNs are dropped: nobody answers, until the timeout."""


def refuse(client: Client, link: int, now: float) -> None:
    """Nothing listens on the port."""
    client.endpoint.handle_link_lost(link, Ending(Code.LOST, "connection refused"), now=now)


def accept(client: Client, link: int, now: float) -> None:
    """Something listens, and never says a word."""
    client.endpoint.open_link(link, now=now)


def cut(client: Client, link: int, now: float) -> None:
    """A proxy takes the connection and drops it."""
    client.endpoint.open_link(link, now=now)
    client.write(now)
    client.endpoint.handle_link_lost(link, CUT, now=now)


def welcome(client: Client, link: int, now: float) -> None:
    """A server says welcome, and dies of it."""
    client.endpoint.open_link(link, now=now)
    client.write(now)
    client.endpoint.receive_data(link, WELCOME, now=now)
    assert client.session.link == link
    client.endpoint.handle_link_lost(link, CUT, now=now)


@dataclass(frozen=True)
class Day:
    """What each connect comes to, how many seconds that takes, and for how many hours it is so."""

    name: str
    dialled: Callable[[Client, int, float], None]
    takes: float
    hours: int


DAYS = (
    Day("every connect hangs", hang, 30.0, 24),
    Day("accepted, never answered", accept, 30.0, 24),
    Day("refused at once", refuse, 0.0, 6),
    Day("opened and cut at once", cut, 0.0, 6),
    Day("welcomed and cut at once", welcome, 0.0, 6),
)


def live(day: Day) -> list[str]:
    """Live through a day; says what was wrong with it."""
    config = Config.production()
    predicted = day.hours * HOUR / (day.takes + config.backoff_cap / 2)
    began = time.monotonic()
    tracemalloc.start()
    client, now, peaks = Client(config), 0.0, list[int]()
    while now < day.hours * HOUR:
        client.step(day.dialled, now)
        deadline = client.endpoint.next_deadline()
        assert deadline is not None
        assert deadline >= now, f"{deadline} is past at {now}"
        now = deadline
        if now >= HOUR * (len(peaks) + 1):
            peaks.append(tracemalloc.get_traced_memory()[1])
            # The interpreter keeps some of what is freed for later.
            gc.collect()
            tracemalloc.reset_peak()
    tracemalloc.stop()
    first, last = peaks[0], peaks[-1]
    seconds = time.monotonic() - began
    off = client.tries / predicted - 1
    most = client.most
    print(
        f"{day.name + ':':26} {client.tries:6,} tries, predicted {predicted:8,.1f} ({off:+.1%}); "
        f"peak {first:,} bytes in the 1st hour, {last:,} in the {len(peaks)}th; at most "
        f"{most['_timers']} timers, {most['_commands']} commands, {most['_events']} events; "
        f"{seconds:.1f} s"
    )
    faults = [
        f"{day.name}: {name} has {entries} entries"
        for name, entries in most.items()
        if entries > LIMITS[name]
    ]
    if abs(off) > TOLERANCE:
        faults.append(f"{day.name}: {off:+.1%} tries")
    if last > first + GROWTH:
        faults.append(f"{day.name}: grew by {last - first:,} bytes")
    if seconds > LONGEST:
        faults.append(f"{day.name}: took {seconds:.1f} s")
    return faults


def main() -> int:
    began = time.monotonic()
    faults = [fault for day in DAYS for fault in live(day)]
    seconds = time.monotonic() - began
    return finish(f"{len(DAYS)} days, {len(faults)} faults, {seconds:.1f} s", faults)


if __name__ == "__main__":
    sys.exit(main())
