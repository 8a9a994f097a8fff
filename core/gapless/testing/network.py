"""A seeded network without I/O: TCP as an application meets it on a bad day.

A `Line` is one connection, two `Pipe`s of bytes. Bytes arrive in order, in chunks of any size,
late, or — after a cut — never. What is cut is cut for both ends, and what was in flight is lost.
A held direction is a peer that has gone silent without the other end knowing. A pipe that is full
takes no more until something arrives, as a socket's buffer would.
"""

from collections import deque
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How bad the network is.

    Attributes:
        latency: seconds a chunk travels, at least and at most.
        chunk: bytes that arrive at once, at most; 1 is a byte at a time.
        stalls: the chance that a chunk is held up.
        stall: seconds it is then held up, at most.
        cuts: the chance that a chunk cuts its line in the middle.
        refusals: the chance that a connection is refused.
        buffer: bytes in flight one way above which the sender must wait.
    """

    latency: tuple[float, float] = (0.001, 0.002)
    chunk: int = 65536
    stalls: float = 0.0
    stall: float = 1.0
    cuts: float = 0.0
    refusals: float = 0.0
    buffer: int = 256 * 1024


CALM = Weather()
STORM = Weather(latency=(0.001, 0.2), chunk=200, stalls=0.02, stall=3.0, cuts=0.01, refusals=0.2)


class Pipe:
    """Bytes one way.

    Attributes:
        is_held: nothing arrives, and nobody is told.
        in_flight: bytes sent and not yet arrived.
        arrived: bytes that have arrived.
    """

    def __init__(self, weather: Weather, rng: Random) -> None:
        self.is_held = False
        self.in_flight = 0
        self.arrived = 0
        self._weather = weather
        self._rng = rng
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._last = 0.0
        self._allowed: int | None = None

    @property
    def has_room(self) -> bool:
        """Whether the sender can write now."""
        return self.in_flight < self._weather.buffer

    @property
    def is_worn_out(self) -> bool:
        """Whether all has arrived that `cut_after` allowed: the line is to be cut."""
        return self._allowed == 0

    def cut_after(self, size: int) -> None:
        """Let `size` more bytes arrive, those in flight included, and then none."""
        self._allowed = size

    def send(self, data: bytes, *, now: float) -> bool:
        """Put bytes on the way; False if they cut the line, and only a part will arrive."""
        weather, rng = self._weather, self._rng
        start = 0
        while start < len(data):
            size = rng.randint(1, weather.chunk) if weather.chunk > 1 else 1
            chunk = data[start : start + size]
            start += size
            if weather.cuts and rng.random() < weather.cuts:
                self._put(chunk[: rng.randrange(len(chunk))], now)
                return False
            self._put(chunk, now)
        return True

    def next_arrival(self) -> float | None:
        """When the next chunk arrives, or None."""
        return self._chunks[0][0] if self._chunks and not self.is_held else None

    def receive(self, *, now: float) -> bytes:
        """Take the next chunk that has arrived; b"" if none has."""
        arrival = self.next_arrival()
        if arrival is None or arrival > now or self.is_worn_out:
            return b""
        chunk = self._chunks.popleft()[1]
        self.in_flight -= len(chunk)
        if self._allowed is not None:
            chunk = chunk[: self._allowed]
            self._allowed -= len(chunk)
        self.arrived += len(chunk)
        return chunk

    def _put(self, chunk: bytes, now: float) -> None:
        if not chunk:
            return
        weather, rng = self._weather, self._rng
        delay = rng.uniform(*weather.latency)
        if weather.stalls and rng.random() < weather.stalls:
            delay += rng.uniform(0.0, weather.stall)
        self._last = max(self._last, now + delay)
        self._chunks.append((self._last, chunk))
        self.in_flight += len(chunk)


class Line:
    """One connection between a client's link and a server's.

    Attributes:
        client, server: the names of the two ends, `C1` and `S`.
        client_link, server_link: the ids by which they know it.
        is_cut: nothing more can be sent; both ends will notice.
        closed_by_client, closed_by_server: who has closed its socket, and will notice nothing.
    """

    def __init__(
        self,
        client: str,
        client_link: int,
        server: str,
        server_link: int,
        weather: Weather,
        rng: Random,
    ) -> None:
        self.client = client
        self.client_link = client_link
        self.server = server
        self.server_link = server_link
        self.is_cut = False
        self.closed_by_client = False
        self.closed_by_server = False
        self.to_server = Pipe(weather, rng)
        self.to_client = Pipe(weather, rng)

    @property
    def is_over(self) -> bool:
        """Whether the ends are to be told that the line is cut: nothing more will arrive."""
        if self.to_client.is_worn_out or self.to_server.is_worn_out:
            return True
        return self.is_cut and not self.to_client.in_flight and not self.to_server.in_flight


class Network:
    """Where lines are made, and fail.

    Args:
        rng: the source of all faults: the same seed, the same weather.
        weather: of every line made from now on.
    """

    def __init__(self, rng: Random, weather: Weather = CALM) -> None:
        self.weather = weather
        self.is_reachable = True
        self._rng = rng

    def connects(self) -> bool:
        """Whether a connection that is tried now comes about."""
        if not self.is_reachable:
            return False
        return not (self.weather.refusals and self._rng.random() < self.weather.refusals)

    def line(self, client: str, client_link: int, server: str, server_link: int) -> Line:
        """Make a connection."""
        return Line(client, client_link, server, server_link, self.weather, self._rng)
