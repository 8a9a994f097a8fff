"""Scenarios: how much may happen in a search, small enough that all of it does."""

from dataclasses import dataclass

from gapless.core.config import KIB, Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The bounds of one search.

    Attributes:
        name: what it is called.
        reads: messages the server publishes, which the client reads.
        writes: messages the client publishes.
        cuts, restarts, refusals, sheds, leases, resubscribes, repeats: how often each fault may
            come.
        flight: frames that may be on the way at once, each way.
        history: messages the server keeps of what it publishes.
        durable: a store outlives the server; else a restart forgets everything.
        patience: seconds a reader holds back rotation; None: readers don't pin.
        size: bytes of a payload. A window is 1 KiB, and an outbox holds two messages.
        half_open: whether one end may notice a cut before the other, and go on meanwhile.
    """

    name: str
    reads: int = 0
    writes: int = 0
    cuts: int = 0
    restarts: int = 0
    refusals: int = 0
    sheds: int = 0
    leases: int = 0
    resubscribes: int = 0
    repeats: int = 0
    flight: int = 2
    history: int = 8
    durable: bool = False
    patience: float | None = None
    size: int = 500
    half_open: bool = False

    @property
    def keeps_sessions(self) -> bool:
        """Whether the server never forgets a session: then nothing is unknown (rule 7)."""
        return not self.restarts and not self.leases

    @property
    def is_lossless(self) -> bool:
        """Whether nothing may be lost or reset (I3)."""
        is_pinned = (self.patience or 0) >= PATIENT and not self.leases
        keeps = self.history >= self.reads or is_pinned
        return keeps and (self.durable or not self.restarts)


NEVER = 30 * 86_400.0
"""Seconds: as far away as a setting can be. Heartbeats are no part of a search."""

PATIENT = 86_400.0
"""Seconds: a pin with such patience never lapses."""

SOON = 1.0
"""Seconds: a timer that far away or further doesn't fire by itself. The others may at any time."""

DELAY = 0.1
"""Seconds of backoff, and until a refused message is sent again: as the ack timer of a reader."""


def configs(scenario: Scenario) -> tuple[Config, Config]:
    """The settings of client and server."""
    client = Config(
        window=KIB,
        heartbeat=NEVER,
        cleanup_interval=NEVER,
        metrics_interval=86_400.0,
        backoff_base=DELAY,
        backoff_cap=DELAY,
        history_messages=2,
    )
    server = Config(
        window=KIB,
        heartbeat=NEVER,
        cleanup_interval=NEVER,
        metrics_interval=86_400.0,
        history_messages=8,
        patience=scenario.patience or 0.0,
    )
    return client, server


SMALL = (
    Scenario(name="read-shed", reads=2, sheds=1, flight=1),
    Scenario(name="write-cut", writes=2, cuts=1),
)
"""What pytest runs."""

GATE = (
    *SMALL,
    Scenario(name="read-repeat", reads=2, repeats=1, size=20),
    Scenario(name="write-repeat", writes=2, repeats=1, size=20),
    Scenario(name="read-pinned", reads=3, history=2, patience=PATIENT),
    Scenario(name="read-rotated", reads=2, cuts=1, history=1, flight=1),
    Scenario(name="read-again", reads=1, resubscribes=1),
    Scenario(name="read-restart", reads=1, restarts=1),
    Scenario(name="write-refused", writes=2, cuts=1, refusals=1, durable=True),
    Scenario(name="write-restart", writes=2, cuts=1, restarts=1),
    Scenario(name="write-half-open", writes=1, cuts=2, half_open=True),
    Scenario(name="write-cuts", writes=3, cuts=2),
    Scenario(name="read-half-open", reads=1, cuts=1, half_open=True),
)
"""What the landing gate runs."""

FULL = (
    *GATE,
    Scenario(name="read-cut", reads=2, cuts=1),
    Scenario(name="read-again-2", reads=2, resubscribes=1),
    Scenario(name="read-shed-3", reads=3, sheds=1),
    Scenario(name="both-cut", reads=1, writes=1, cuts=1),
    Scenario(name="read-shed-cut", reads=2, cuts=1, sheds=1),
    Scenario(name="read-pinned-cut", reads=3, cuts=1, history=2, patience=PATIENT),
    Scenario(name="read-rotated-3", reads=3, cuts=1, history=2),
    Scenario(name="read-stored-rotated", reads=3, cuts=1, history=1, durable=True),
    Scenario(name="read-restart-stored", reads=2, restarts=1, durable=True),
    Scenario(name="read-lease", reads=2, cuts=1, leases=1),
    Scenario(name="read-cuts", reads=2, cuts=2),
    Scenario(name="read-restart-cut", reads=2, cuts=1, restarts=1, sheds=1),
    Scenario(name="write-restart-stored", writes=2, cuts=1, restarts=1, durable=True),
    Scenario(name="write-lease", writes=2, cuts=1, leases=1),
    Scenario(name="write-all", writes=3, cuts=2, restarts=1, refusals=1, leases=1, durable=True),
    Scenario(name="read-all", reads=3, cuts=2, restarts=1, sheds=1),
)
"""All that were searched by hand, the largest last."""
