"""What a bad network does next: where it cuts and stalls, and how small its pieces are.

Everything is drawn from one seed and placed by bytes forwarded, so that a run can be repeated. No
I/O, no clock.
"""

import random
from dataclasses import dataclass

CUT_EVERY = 256 * 1024
STALL = 0.5
CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How bad a network is.

    Attributes:
        seed: draws everything.
        cuts: connections cut at most; None: without end.
        cut_every: bytes; cut k falls somewhere in bytes [k * cut_every, (k + 1) * cut_every).
        stall: seconds; the longest pause of a connection. One falls in every `cut_every` bytes.
        chunk: bytes written at once are 1 … chunk, small ones as often as large; 0: as read.
    """

    seed: int
    cuts: int | None = None
    cut_every: int = CUT_EVERY
    stall: float = STALL
    chunk: int = CHUNK

    @property
    def is_calm(self) -> bool:
        """Whether everything is forwarded untouched."""
        return self.cuts == 0 and self.stall == 0 and self.chunk == 0


class Weather:
    """A forecast on its way: ask it before forwarding, tell it what was forwarded."""

    def __init__(self, forecast: Forecast) -> None:
        self.forecast = forecast
        self.counted = 0
        self.cuts = 0
        self.stalls = 0
        self._cutting = random.Random(f"cuts {forecast.seed}")
        self._stalling = random.Random(f"stalls {forecast.seed}")
        self._pieces = random.Random(f"pieces {forecast.seed}")
        self._cut_at = self._place(0, self._cutting) if forecast.cuts != 0 else None
        self._stall_at = self._place(0, self._stalling) if forecast.stall else None

    @property
    def is_cut_due(self) -> bool:
        """Whether the next cut's place is reached."""
        return self._cut_at is not None and self.counted >= self._cut_at

    def bytes_to_cut(self) -> int | None:
        """Say how many bytes may still pass before the next cut; None: as many as there are."""
        return None if self._cut_at is None else max(self._cut_at - self.counted, 0)

    def receive_counted(self, count: int) -> None:
        """Take note of bytes forwarded."""
        self.counted += count

    def handle_cut(self) -> None:
        """Take note that a connection was cut, and place the next cut."""
        self.cuts += 1
        more = self.forecast.cuts is None or self.cuts < self.forecast.cuts
        self._cut_at = self._place(self.cuts, self._cutting) if more else None

    def next_piece(self, most: int) -> int:
        """Say how many of `most` bytes to write at once."""
        chunk = self.forecast.chunk
        return min(most, int((chunk + 1) ** self._pieces.random())) if chunk else most

    def next_stall(self) -> float:
        """Say how many seconds to pause now; 0 unless a stall's place is reached."""
        if self._stall_at is None or self.counted < self._stall_at:
            return 0.0
        self.stalls += 1
        self._stall_at = self._place(self.stalls, self._stalling)
        return self._stalling.uniform(0, self.forecast.stall)

    def _place(self, stretch: int, rng: random.Random) -> int:
        every = self.forecast.cut_every
        return stretch * every + rng.randrange(every)
