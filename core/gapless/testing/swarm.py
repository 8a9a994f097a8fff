"""Swarm: which faults a seed's run has. Each seed switches every one of them on or off.

A run in which everything fails at once reaches less than runs in which a few things fail a lot:
what is off in a run can't get in the way of what is on.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from random import Random

from gapless.core.config import KIB, Config

from .network import CALM, Weather

FLAGS = (
    "tiny buffers",
    "small chunks",
    "cuts",
    "refused connections",
    "stalls",
    "silence",
    "unreachable",
    "middlebox",
    "clock jumps",
    "restarts",
)
"""What a run can have; `docs/howto/testing.md` says what each does."""


@dataclass(frozen=True, slots=True)
class Swarm:
    """The faults of one run.

    Attributes:
        seed: what they were drawn from.
        flags: those of `FLAGS` that are on.

    Raises:
        KeyError: one of them is none of `FLAGS`.
    """

    seed: int
    flags: frozenset[str]

    def __post_init__(self) -> None:
        for flag in sorted(self.flags):
            self.has(flag)

    @classmethod
    def draw(cls, seed: int, flags: Collection[str] = FLAGS) -> "Swarm":
        """Draw a run: few faults in some seeds, many in others.

        Args:
            seed: the same one, the same faults.
            flags: those to choose from, where an application isn't meant to survive all of them.
        """
        dice = Random(f"swarm {seed}")
        share = dice.choice([0.1, 0.3, 0.6])
        return cls(seed, frozenset(flag for flag in flags if dice.random() < share))

    def has(self, flag: str) -> bool:
        """Whether a flag is on.

        Raises:
            KeyError: there is no such flag.
        """
        if flag not in FLAGS:
            raise KeyError(flag)
        return flag in self.flags

    def weather(self, *, chunk: int | None = None) -> Weather:
        """Make the network of the run: chunks, cuts, refusals and stalls.

        Args:
            chunk: bytes of a small chunk; None: drawn from the seed, from a byte at a time on.
        """
        weather = CALM
        if self.has("small chunks"):
            size = chunk or Random(f"chunk {self.seed}").choice([1, 7, 30, 200])
            weather = replace(weather, chunk=size, buffer=100 * size, latency=(0.0, 0.001))
        if self.has("stalls"):
            weather = replace(weather, latency=(0.001, 0.3), stalls=0.02, stall=3.0)
        if self.has("cuts"):
            weather = replace(weather, cuts=0.004 if self.has("small chunks") else 0.02)
        if self.has("refused connections"):
            weather = replace(weather, refusals=0.3)
        return weather

    def config(self, config: Config) -> Config:
        """Make an end's settings from its usual ones: with tiny buffers, hardly any room."""
        if not self.has("tiny buffers"):
            return config
        return replace(config, history_messages=6, window=KIB)
