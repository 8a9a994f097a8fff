"""What a seed is about: which faults and habits its run has, and how its ends are set up.

Each seed switches every feature on or off (swarm testing): a run in which everything fails at once
reaches less than runs in which a few things fail a lot.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from gapless.core.config import KIB, Config
from gapless.testing import CALM, Weather

Mode = Literal["safety", "liveness"]

PICKY = 50
"""Bytes of the largest message that a picky server takes."""

FEATURES = (
    "tiny buffers",
    "crowded memory",
    "crowded hub",
    "slow readers",
    "picky servers",
    "rejecting",
    "rotating",
    "expiry",
    "short patience",
    "short lease",
    "websocket",
    "small chunks",
    "cuts",
    "refused connections",
    "stalls",
    "silence",
    "unreachable",
    "middlebox",
    "clock jumps",
    "slow verdicts",
    "store",
    "store refuses",
    "store falls back",
    "restarts",
    "moves",
    "crashes",
    "takeovers",
    "short sessions",
    "server reads",
)
"""What a run can have: few of them in some seeds, many in others."""


@dataclass(frozen=True, slots=True)
class Swarm:
    """The set-up of one run, all of it drawn from the seed.

    Attributes:
        seed: of everything.
        mode: `safety`: faults anywhere, to the end. `liveness`: they stop for a core of the
            system, which then must make progress.
        features: those of `FEATURES` that are on.
        clients: how many applications there are.
        steps: how many things happen.
    """

    seed: int
    mode: Mode
    features: frozenset[str]
    clients: int
    steps: int

    @classmethod
    def draw(cls, seed: int) -> "Swarm":
        """Draw a run."""
        dice = Random(f"swarm {seed}")
        share = dice.choice([0.05, 0.15, 0.33])
        features = frozenset(name for name in FEATURES if dice.random() < share)
        mode: Mode = "safety" if seed % 4 == 0 else "liveness"
        return cls(seed, mode, features, dice.randint(1, 3), dice.randint(30, 150))

    def has(self, feature: str) -> bool:
        """Whether a feature is on."""
        if feature not in FEATURES:
            raise KeyError(feature)
        return feature in self.features

    def client_config(self) -> Config:
        """The settings of every client."""
        config = Config(
            history_messages=6 if self.has("tiny buffers") else 100,
            window=KIB if self.has("tiny buffers") else 64 * KIB,
            max_message=20_000,
            heartbeat=4.0,
            heartbeat_timeout=2.0,
            backoff_cap=2.0,
        )
        if self.has("crowded memory"):
            # The windows together are more than the memory: unread messages are shed.
            config = replace(config, window=64 * KIB, memory_limit=64 * KIB)
        return config

    def hub_config(self) -> Config:
        """The settings of every server."""
        overflow: Literal["wait", "reject", "rotate"] = "wait"
        if self.has("rejecting"):
            overflow = "reject"
        elif self.has("rotating"):
            overflow = "rotate"
        return replace(
            self.client_config(),
            max_message=PICKY if self.has("picky servers") else 20_000,
            history_messages=Random(f"history {self.seed}").choice([2, 5])
            if self.has("tiny buffers")
            else 40,
            history_age=5.0 if self.has("expiry") else None,
            patience=0.3 if self.has("short patience") else 60.0,
            overflow=overflow,
            lease=3.0 if self.has("short lease") else 120.0,
            memory_limit=256 * KIB if self.has("crowded hub") else 1_000_000_000,
        )

    def weather(self) -> Weather:
        """The network while it is bad."""
        weather = CALM
        if self.has("small chunks"):
            size = 1500 if self.has("crowded memory") else 30
            weather = replace(weather, chunk=size, buffer=100 * size, latency=(0.0, 0.001))
        if self.has("stalls"):
            weather = replace(weather, latency=(0.001, 0.3), stalls=0.02, stall=3.0)
        if self.has("cuts"):
            weather = replace(weather, cuts=0.004 if self.has("small chunks") else 0.02)
        if self.has("refused connections"):
            weather = replace(weather, refusals=0.3)
        return weather

    @property
    def payload_size(self) -> int:
        """Bytes of a large message."""
        return 9_000 if self.has("crowded memory") else 60
