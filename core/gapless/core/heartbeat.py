"""Is the peer alive? Any byte from it says so; nothing we send does.

A link is silent when nothing came for `interval`: then one ping is due. It is dead when `timeout`
seconds after that ping still nothing came. A verdict that comes up much too late was reached by a
host that slept (a suspended laptop, a stopped process): before it counts, one more ping goes out
(I19).
"""

from random import Random


class Heartbeat:
    """The life signs of one link.

    Args:
        interval: seconds of silence before a ping.
        timeout: seconds from the ping to the verdict.
        rng: jitters the first beat to U(1/2, 1) of the interval, so that a herd of links opened
            together doesn't ping together.
        now: when the link opened.
    """

    __slots__ = ("_dead", "_due", "_heard", "_interval", "_pinged", "_quiet", "_rtt", "_timeout")

    def __init__(self, *, interval: float, timeout: float, rng: Random, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._heard = now
        self._quiet = interval * rng.uniform(0.5, 1.0)
        self._pinged: float | None = None
        self._due = False
        self._dead = False
        self._rtt: float | None = None

    @property
    def is_dead(self) -> bool:
        """Whether the peer missed its deadline; the link should be dropped, not closed politely."""
        return self._dead

    @property
    def wants_ping(self) -> bool:
        """Whether a ping is to be sent now."""
        return self._due

    @property
    def round_trip(self) -> float | None:
        """Seconds from the last answered ping to its pong, or None."""
        return self._rtt

    def receive_bytes(self, *, now: float) -> None:
        """Note that something came: the peer lives."""
        self._heard = now
        self._quiet = self._interval
        self._pinged = None
        self._due = False

    def receive_pong(self, sent_at: float, *, now: float) -> None:
        """Note the answer to a ping sent at `sent_at`."""
        self._rtt = now - sent_at

    def next_deadline(self) -> float | None:
        """When `handle_timeout` has something to say, or None once dead."""
        if self._dead:
            return None
        if self._pinged is not None:
            return self._pinged + self._timeout
        return self._heard + self._quiet

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass; sets `wants_ping` or `is_dead` when due."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return
        slept = now - deadline > self._timeout
        if self._pinged is None or slept:
            self._due = True
            self._pinged = now
        else:
            self._dead = True
            self._due = False

    def ping_sent(self) -> None:
        """Note that the ping that was due is on its way."""
        self._due = False
