"""Logs: the plain lists that the hubs' channels must be, written down as they grow.

A history rotates; these lists don't. They outlive hubs, so that what a restarted server says can be
held against what it said before. A message that came and went between two looks is missing here;
`missing` says so, and then nothing is concluded from its absence.
"""

from collections.abc import Callable

from gapless.core.channel import Channel

from .host import Host
from .promise import hold

Appended = Callable[[str, bytes, str | None], None]
"""(channel, payload, publisher)"""


class Logs:
    """All that was appended to the channels of all servers.

    Args:
        hosts: the servers; the pair's own list.
        on_appended: told of every message once, in the channel's order.
    """

    def __init__(self, hosts: list[Host], on_appended: Appended) -> None:
        self.names: dict[str, None] = {}
        self.contents: dict[str, dict[int, bytes]] = {}
        self.missing: set[str] = set()
        self._hosts = hosts
        self._on_appended = on_appended
        self._seen: dict[Channel, tuple[str, int]] = {}

    def channels(self) -> list[Channel]:
        """The channels known here that a hub has open."""
        found = [host.hub.channels.find(name) for host in self._hosts for name in self.names]
        return [channel for channel in found if channel is not None]

    def look(self) -> None:
        """Write down what is new."""
        for channel in self.channels():
            epoch, last = self._seen.get(channel, (channel.epoch, 0))
            if epoch != channel.epoch:
                last = 0
            if last != channel.head or epoch != channel.epoch:
                self._write(channel, last)
                self._seen[channel] = channel.epoch, channel.head

    def find(self, epoch: str, seq: int) -> bytes | None:
        """The message of that number, if it was seen."""
        return self.contents.get(epoch, {}).get(seq)

    def _write(self, channel: Channel, last: int) -> None:
        history, written = channel.history, self.contents.setdefault(channel.epoch, {})
        if any(seq not in written for seq in range(last + 1, history.first)):
            self.missing.add(channel.name)
        for seq in range(max(last + 1, history.first), channel.head + 1):
            payload, _, publisher, _ = history.entry(seq)
            if seq in written:
                same = written[seq] == payload
                hold(same, "I15", f"{channel.name} {channel.epoch}:{seq} has two contents")
                continue
            written[seq] = payload
            self._on_appended(channel.name, payload, publisher)
