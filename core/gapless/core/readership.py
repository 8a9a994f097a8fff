"""Readership: who reads which channel of a hub.

Two kinds: readers on links, each with the session it wakes, and the server's own `LocalReader`s. A
channel's `reader_count` is kept here, so that the hub knows which channel nobody would miss.
"""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from .channel import Channel
from .local import LocalReader
from .reader import Reader

SessionT = TypeVar("SessionT")


class Readership(Generic[SessionT]):
    """The readers of all channels of a hub."""

    def __init__(self) -> None:
        self._readers: dict[Channel, dict[Reader, SessionT]] = {}
        self._locals: dict[Channel, dict[LocalReader, None]] = {}

    def readers(self, channel: Channel) -> Mapping[Reader, SessionT]:
        """The readers of a channel on links, and the session of each."""
        return self._readers.get(channel, {})

    def locals(self, channel: Channel) -> Iterable[LocalReader]:
        """The server's own readers of a channel."""
        return self._locals.get(channel, ())

    def add(self, reader: Reader, session: SessionT) -> None:
        """A session reads a channel on its link."""
        reader.channel.reader_count += 1
        self._readers.setdefault(reader.channel, {})[reader] = session

    def remove(self, reader: Reader) -> None:
        """It reads no more. Harmless if called twice."""
        readers = self._readers.get(reader.channel, {})
        if reader in readers:
            del readers[reader]
            reader.channel.reader_count -= 1
            if not readers:
                del self._readers[reader.channel]

    def add_local(self, reader: LocalReader) -> None:
        """The server reads a channel."""
        reader.channel.reader_count += 1
        self._locals.setdefault(reader.channel, {})[reader] = None

    def remove_local(self, reader: LocalReader) -> bool:
        """It reads no more; False if it didn't."""
        readers = self._locals.get(reader.channel, {})
        if reader not in readers:
            return False
        del readers[reader]
        reader.channel.reader_count -= 1
        if not readers:
            del self._locals[reader.channel]
        return True
