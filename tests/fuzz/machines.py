"""What the targets of the client's session and of the hub share."""

from collections.abc import Callable, Sequence
from typing import Protocol

from gapless.core.closing import Code, Ending

from .drawing import Draw

STEPS = 150
"""Most choices of one run."""

MOMENTS = (0.0, 0.1, 1.0, 5.0, 11.0, 31.0, 130.0, 1e6, None, None)
"""Seconds to wait; None: until the next deadline."""

LOST = Ending(Code.LOST, "connection reset")


class Timed(Protocol):
    """A machine with a deadline."""

    def next_deadline(self) -> float | None: ...

    def handle_timeout(self, *, now: float) -> None: ...


def play(draw: Draw, acts: Sequence[Callable[[], None]], check: Callable[[], None]) -> None:
    """Do what the input chooses, and check after each step, until it is over."""
    for _ in range(STEPS):
        if draw.is_over:
            return
        draw.choice(acts)()
        check()


def wait(draw: Draw, machine: Timed, now: float) -> float:
    """Let a chosen time pass; returns when it is then (I12)."""
    moment, deadline = draw.choice(MOMENTS), machine.next_deadline()
    if moment is not None:
        now += moment
    elif deadline is not None:
        now = max(now, deadline)
    machine.handle_timeout(now=now)
    check_deadline(machine, now)
    return now


def check_deadline(machine: Timed, now: float) -> None:
    """Hold that no deadline stays in the past, and that one that is now is soon over (I12)."""
    for _ in range(20):
        deadline = machine.next_deadline()
        assert deadline is None or deadline >= now, f"a deadline {deadline} before {now} (I12)"
        if deadline is None or deadline > now:
            return
        machine.handle_timeout(now=now)
    raise AssertionError(f"the deadline {now} is never over (I12)")
