"""LocalReaders: the server's own readers of all channels of a hub, opened, counted and closed."""

from .accounts import Accounts
from .budget import Shed
from .channel import Channel
from .channels import Channels
from .events import ChannelEvent, Reset
from .local import LocalReader
from .pins import PIN_BYTES
from .position import Since
from .reader import Reader
from .readership import Readership
from .server import ServerSession


class LocalReaders:
    """What a hub has its own application read.

    Args:
        channels, readership, books: the hub's.
        ready: what the application is to look at.
    """

    def __init__(
        self,
        channels: Channels,
        readership: Readership[ServerSession],
        *,
        books: Accounts,
        ready: dict[object, None],
    ) -> None:
        self._channels = channels
        self._readership = readership
        self._books = books
        self._ready = ready

    def open(self, name: str, since: Since, *, now: float) -> LocalReader | None:
        """Read a channel; None while the store opens it.

        Raises:
            TooManyChannels: the hub can't keep one more.
        """
        channel = self._channels.open(name, now=now)
        if channel is None:
            self._channels.waiting[name] = None
            return None
        reader = LocalReader(channel, since, now=now)
        self._books.open(reader, Shed.NEVER, now=now)
        self._note_pin(channel)
        self._readership.add_local(reader)
        return reader

    def close(self, reader: LocalReader, *, now: float) -> None:
        """Stop reading. Harmless if called twice."""
        if self._readership.remove_local(reader):
            reader.leave()
            self._books.close(reader)
            self._channels.wake(reader.channel, now=now)

    def next_message(self, reader: LocalReader, *, now: float) -> ChannelEvent | None:
        """Take the next message or marker; None if there is none."""
        event = reader.next_event(now=now)
        if event is not None:
            self._books.stir(reader)
            if isinstance(event, Reset):
                self._note_pin(reader.channel)
            self._channels.wake(reader.channel, now=now)
        elif (after := reader.next_read()) is not None:
            self._channels.read(reader, after, self, reader)
        return event

    def read_answered(self, reader: Reader | LocalReader) -> None:
        """The store has answered what was asked for one of them."""
        self._ready[reader] = None

    def _note_pin(self, channel: Channel) -> None:
        """One of them holds a pin there, perhaps a new one."""
        self._books.grow(PIN_BYTES)
        self._books.stir(channel.pins)
