"""What the targets of the client's session and of the hub share."""

from typing import Protocol

from gapless.core.closing import Code, Ending

STEPS = 150
"""Most choices of one run."""

MOMENTS = (0.0, 0.1, 1.0, 5.0, 11.0, 31.0, 130.0, 1e6, None, None)
"""Seconds to wait; None: until the next deadline."""

LOST = Ending(Code.LOST, "connection reset")


class Timed(Protocol):
    """A machine with a deadline."""

    def next_deadline(self) -> float | None: ...

    def handle_timeout(self, *, now: float) -> None: ...


def check_deadline(machine: Timed, now: float) -> None:
    """Hold that no deadline stays in the past, and that one that is now is soon over (I12)."""
    for _ in range(20):
        deadline = machine.next_deadline()
        assert deadline is None or deadline >= now, f"a deadline {deadline} before {now} (I12)"
        if deadline is None or deadline > now:
            return
        machine.handle_timeout(now=now)
    raise AssertionError(f"the deadline {now} is never over (I12)")
