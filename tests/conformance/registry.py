"""All cases, by feature, in the order of the docs' table."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from .world import Case, World

FEATURES: Final = (
    "connect",
    "publish",
    "subscribe",
    "resume",
    "gap",
    "loss and rotation",
    "reset",
    "slow reader",
    "backpressure",
    "drain",
    "takeover",
    "credentials refreshed",
    "cancellation at each await",
    "half-open peer",
    "server restart",
    "clock jump",
    "close in every state",
    "isolation",
    "figures and recording",
)

Play = Callable[[World], Coroutine[Any, Any, None]]
CASES: Final[list[Case]] = []


def case(feature: str, *, main: bool = False, needs_jumps: bool = False) -> Callable[[Play], Play]:
    """Have a coroutine `case_…` played in every cell."""
    assert feature in FEATURES

    def register(play: Play) -> Play:
        name = play.__name__.removeprefix("case_")
        assert all(one.name != name for one in CASES)
        CASES.append(Case(name, feature, play, main, needs_jumps))
        return play

    return register
