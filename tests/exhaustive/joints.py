"""What joins the machines of a world: a connection, tokens, and no jitter."""

from collections import deque
from random import Random

from gapless.core.frames import Frame


class Steady(Random):
    """No jitter: the upper bound, always. It has no state."""

    def uniform(self, a: float, b: float) -> float:
        """Draw the upper bound."""
        return b

    def getstate(self) -> tuple[()]:
        """Nothing to tell."""
        return ()

    def __reduce__(self) -> tuple[type["Steady"], tuple[int]]:
        return Steady, (0,)


class Counted:
    """A source of tokens: 1, 2, 3 …

    Args:
        word: what stands before the number.
    """

    def __init__(self, word: str) -> None:
        self.made = 0
        self._word = word

    def __call__(self) -> str:
        """Make a token."""
        self.made += 1
        return f"{self._word}-{self.made}"


class Line:
    """A connection: what is on its way, and which ends are still open.

    An end that has closed hears nothing more; the other still gets what is on its way, until it
    notices.
    """

    def __init__(self, link: int) -> None:
        self.link = link
        self.to_hub: deque[Frame] = deque()
        self.to_client: deque[Frame] = deque()
        self.client_open = True
        self.hub_open = True
