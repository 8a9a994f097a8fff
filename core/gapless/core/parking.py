"""Parking: clients that wait for a channel which is not open yet, by the channel's name.

For some of those channels the hub has no place, or no memory: they are *homeless*, and open in the
order in which they were first asked for. Whoever waits for one gets it when it opens, together with
all others that wait for the same.

Invariants: a name stands here only while somebody waits for it, and nobody stands here twice for
one; how many a client may wait for is its session's to bound (P3). Nothing here looks at all (I9).
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping


class Parking:
    """Who waits for which channel.

    Attributes:
        homeless: the channels that there is no place for, the longest wanted first; read only.
    """

    __slots__ = ("_homeless", "_waiting", "homeless")

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Hashable, None]] = {}
        # Unlike a plain one it finds its first in no time, though many before it have gone.
        self._homeless: OrderedDict[str, None] = OrderedDict()
        self.homeless: Mapping[str, None] = self._homeless

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    def add(self, name: str, who: Hashable, *, is_homeless: bool) -> None:
        """One waits for a channel; a name that stands among the homeless keeps its place."""
        self._waiting.setdefault(name, {})[who] = None
        if is_homeless:
            self._homeless[name] = None

    def drop(self, name: str, who: Hashable) -> None:
        """One waits no more. Harmless if it didn't."""
        waiting = self._waiting.get(name, {})
        waiting.pop(who, None)
        if not waiting:
            self._waiting.pop(name, None)
            self._homeless.pop(name, None)

    def opens(self, name: str) -> None:
        """There is a place for a channel: it is being opened."""
        self._homeless.pop(name, None)

    def take(self, name: str) -> Iterable[Hashable]:
        """A channel is open: who waited for it?"""
        return self._waiting.pop(name, ())
