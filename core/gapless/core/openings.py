"""Openings: how a hub's channels are opened, and who waits for one.

With a store behind the hub it must be asked first. And a hub may have no place for one more
channel, or no memory: then clients wait, and channels open for them in the order in which they were
first wanted (P4). Nobody overtakes those who wait but the server itself, which is told at once.

Invariant: a channel that clients wait for is being opened, or stands among the homeless, and only
such a one stands there. So none of those who wait is looked at before its turn (I9).
"""

from collections.abc import Callable, Hashable, Iterable
from itertools import count

from .accounts import Accounts
from .catalog import Catalog
from .channel import CHANNEL_BYTES, Channel
from .errors import NoMemory, TooManyChannels
from .events import Command, ReadHistory
from .parking import Parking
from .store import HistoryRead


class Openings:
    """The channels of a hub that are not open yet.

    Args:
        catalog, books: the hub's.
        new_epoch: makes the name of an epoch.
        requests: numbers of what the store is asked; None: there is no store.
        commands: where commands for the driver go.
        sweep: forgets channels that nobody would miss.
        opened: told of each channel that somebody waited for, and who did.

    Attributes:
        homeless: channels that clients wait for and there is no place, or no memory, for; the
            longest wanted first. Read only.
    """

    def __init__(
        self,
        catalog: Catalog,
        books: Accounts,
        *,
        new_epoch: Callable[[], str],
        requests: "count[int] | None",
        commands: list[Command],
        sweep: Callable[[], None],
        opened: Callable[[Channel, Iterable[Hashable], float], None],
    ) -> None:
        self._catalog = catalog
        self._books = books
        self._new_epoch = new_epoch
        self._requests = requests
        self._commands = commands
        self._sweep = sweep
        self._tell_opened = opened
        self._asked: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._parking = Parking()
        self.homeless = self._parking.homeless

    def open(self, name: str, *, now: float) -> Channel | None:
        """The channel; None while the store opens it: its name shows in the news then.

        Raises:
            TooManyChannels: the hub keeps as many as it may, or as there is memory for.
        """
        channel = self._catalog.named.get(name)
        if channel is not None or name in self._asked:
            return channel
        if self._catalog.is_sweep_due(len(self._asked), now=now):
            self._sweep()
        self._catalog.check_place(len(self._asked))
        if not self._books.make_room(CHANNEL_BYTES, now=now):
            raise NoMemory(f"there is no memory to open channel {name!r}")
        self._parking.opens(name)
        if self._requests is None:
            channel = self._catalog.add(name, self._new_epoch(), now=now)
            if name in self._parking:
                self._tell_opened(channel, self._parking.take(name), now)
            return channel
        request = self._asked[name] = next(self._requests)
        self._names[request] = name
        self._commands.append(ReadHistory(request, name, None, 0, 0))
        return None

    def want(self, name: str, who: Hashable, *, now: float) -> Channel | None:
        """The channel, for a client; None: it waits, and is served, or told, once that is open."""
        channel, is_homeless = self._catalog.named.get(name), False
        if channel is None and name not in self._asked:
            is_homeless = bool(self.homeless)
            try:
                channel = None if is_homeless else self.open(name, now=now)
            except TooManyChannels:
                is_homeless = True
        if channel is None:
            self._parking.add(name, who, is_homeless=is_homeless)
        return channel

    def unwant(self, name: str, who: Hashable) -> None:
        """A client waits for a channel no more. Harmless if it didn't."""
        self._parking.drop(name, who)

    def house(self, *, now: float) -> None:
        """Open the homeless channels, in turn, until there is no place for one, or no memory."""
        while self.homeless:
            try:
                self.open(next(iter(self.homeless)), now=now)
            except TooManyChannels:
                return

    def forget(self, name: str) -> None:
        """Don't open it any more, whatever the store answers."""
        request = self._asked.pop(name, None)
        if request is not None:
            del self._names[request]

    def handle_history(self, answer: HistoryRead, *, now: float) -> bool:
        """Take the store's answer, if it is to one of these; False: it isn't."""
        name = self._names.pop(answer.request, None)
        if name is None:
            return False
        del self._asked[name]
        channel = self._catalog.add(name, answer.epoch, answer.head, answer.first, now=now)
        self._tell_opened(channel, self._parking.take(name), now)
        return True
