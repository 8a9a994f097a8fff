"""What a seed is about: which faults and habits its run has, and how its ends are set up.

Each seed switches every feature on or off (swarm testing): a run in which everything fails at once
reaches less than runs in which a few things fail a lot.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from gapless.core.config import KIB, Config
from gapless.core.credit import MESSAGE_CHARGE
from gapless.testing import FLAGS, Weather
from gapless.testing import Swarm as NetworkSwarm
from gapless.testing.check_reading import FOR_EVER

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

LATER = (
    "lossless",
    "even sizes",
    "slow store",
    "revolving doors",
    "thieves",
    "takeover races",
)
"""As well, drawn apart."""

BEFORE = frozenset({1193, 1223, 1316, 2142})
"""Seeds that broke a promise before there were `LATER` ones: their stories stay what they were."""

COMPANIONS = {
    "takeovers": "slow verdicts",
    "takeover races": "websocket",
    "store refuses": "store",
    "store falls back": "store",
    "slow store": "store",
    "moves": "websocket",
    "short sessions": "unreachable",
    "thieves": "cuts",
    "server reads": "short patience",
    "expiry": "short patience",
    "short patience": "expiry",
    "middlebox": "even sizes",
    "even sizes": "slow readers",
}
"""What reaches little alone, and with what it reaches more."""


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
        more = Random(f"later {seed}")
        later = {name for name in LATER if more.random() < share and seed not in BEFORE}
        for name in sorted(later | features) if seed not in BEFORE else ():
            if name in COMPANIONS and more.random() < 0.7:
                later.add(COMPANIONS[name])
        features |= later
        mode: Mode = "safety" if seed % 4 == 0 else "liveness"
        return cls(seed, mode, features, dice.randint(1, 3), dice.randint(30, 150))

    def has(self, feature: str) -> bool:
        """Whether a feature is on."""
        if feature not in FEATURES + LATER:
            raise KeyError(feature)
        return feature in self.features

    def client_config(self) -> Config:
        """The settings of every client."""
        config = Config(
            history_messages=6 if self.has("tiny buffers") else 100,
            window=KIB if self.has("tiny buffers") or self.has("even sizes") else 64 * KIB,
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
        elif self.has("rotating") and not self.has("lossless"):
            overflow = "rotate"
        return replace(
            self.client_config(),
            max_message=PICKY if self.has("picky servers") else 20_000,
            history_messages=Random(f"history {self.seed}").choice([2, 5])
            if self.has("tiny buffers")
            else 40,
            history_age=5.0 if self.has("expiry") else None,
            patience=self._patience(),
            overflow=overflow,
            lease=3.0 if self.has("short lease") else 120.0,
            memory_limit=256 * KIB if self.has("crowded hub") else 1_000_000_000,
        )

    def weather(self) -> Weather:
        """The network while it is bad."""
        chunk = 1500 if self.has("crowded memory") else 30
        return NetworkSwarm(self.seed, self.features.intersection(FLAGS)).weather(chunk=chunk)

    def _patience(self) -> float:
        if self.has("short patience"):
            return 0.3
        return 2 * FOR_EVER if self.has("lossless") else 60.0

    @property
    def ahead_share(self) -> float:
        """How often a place on a disk is beyond what a server ever gave."""
        return 0.1 if self.seed in BEFORE else 0.3

    @property
    def large_share(self) -> float:
        """How many messages are large ones."""
        return 1.0 if self.has("even sizes") else 0.3

    @property
    def payload_size(self) -> int:
        """Bytes of a large message; even sizes fill a tiny window to the last byte."""
        if self.has("even sizes"):
            return KIB // 2 - MESSAGE_CHARGE if self.has("crowded memory") else 32
        return 9_000 if self.has("crowded memory") else 60
