"""Virtual time: seconds that pass only when a test says so."""


class Clock:
    """A clock that never runs by itself.

    Args:
        now: where it starts, in seconds.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += max(0.0, seconds)

    def advance_to(self, when: float) -> None:
        """Let time pass until `when`, if that is still to come."""
        self.now = max(self.now, when)
