"""Catalog: the channels a hub has open, how each keeps messages, and that all of it is counted."""

from collections.abc import Mapping

from .accounts import Accounts
from .budget import Shed
from .channel import Channel, ChannelSettings
from .config import Config
from .errors import TooManyChannels
from .pins import Pins

SWEEP_EVERY = 1.0
"""Seconds from one search of a full hub for channels that nobody would miss to the next (I9)."""


class Catalog:
    """Channels by name.

    Args:
        config: what a channel keeps, unless `configure` says otherwise.
        books: what everything holds.

    Attributes:
        named: the open channels; read only.
    """

    def __init__(self, config: Config, books: Accounts) -> None:
        self._books = books
        self._defaults = ChannelSettings(
            config.history_messages,
            config.history_bytes,
            config.history_age,
            config.overflow,
            config.patience,
        )
        self._settings: dict[str, ChannelSettings] = {}
        self._channels: dict[str, Channel] = {}
        self._pinned: dict[Pins, Channel] = {}
        self._last_id = 0
        self._most = config.max_hub_channels
        self._swept_at = float("-inf")
        self.named: Mapping[str, Channel] = self._channels

    def __len__(self) -> int:
        return len(self._channels)

    @property
    def held_bytes(self) -> int:
        """Bytes of payload in all histories."""
        return sum(channel.history.size for channel in self._channels.values())

    def has(self, channel: Channel) -> bool:
        """Whether the channel is open still, not only one of that name."""
        return self._channels.get(channel.name) is channel

    def is_configured(self, name: str) -> bool:
        """Whether a channel has settings of its own."""
        return name in self._settings

    def owner(self, pins: Pins) -> Channel:
        """The channel whose pins these are."""
        return self._pinned[pins]

    def check_place(self, opening: int) -> None:
        """Refuse one more channel if those that are open and `opening` are as many as may be.

        Raises:
            TooManyChannels: they are.
        """
        if len(self._channels) + opening >= self._most:
            raise TooManyChannels(f"the hub keeps {self._most} channels already")

    def is_sweep_due(self, opening: int, *, now: float) -> bool:
        """Whether to look now for channels that nobody would miss: there is no place for one more.

        Now and then only: who asks for one more again and again must not have all looked at again.
        """
        is_full = len(self._channels) + opening >= self._most
        if not is_full or now < self._swept_at + SWEEP_EVERY:
            return False
        self._swept_at = now
        return True

    def configure(self, name: str, **fields: object) -> None:
        """Change how a channel keeps messages.

        Raises:
            ConfigError: a value is out of range.
        """
        settings = self._settings.get(name, self._defaults).changed(**fields)
        self._settings[name] = settings
        channel = self._channels.get(name)
        if channel is not None:
            channel.configure(settings)

    def add(
        self, name: str, epoch: str, head: int = 0, first: int | None = None, *, now: float
    ) -> Channel:
        """Open a channel: the last number given before now, and the oldest the store can read."""
        self._last_id += 1
        settings = self._settings.get(name, self._defaults)
        channel = Channel(name, self._last_id, epoch, settings, head=head, stored_first=first)
        self._channels[name] = channel
        self._books.open(channel, Shed.HISTORY, now=now)
        self._books.open(channel.pins, Shed.PIN, now=now)
        self._books.open(channel.batches, Shed.FRAME, now=now)
        self._pinned[channel.pins] = channel
        return channel

    def forget(self, name: str) -> Channel | None:
        """Drop a channel and its settings; returns it, or None if there was none."""
        self._settings.pop(name, None)
        channel = self._channels.pop(name, None)
        if channel is not None:
            for holding in (channel, channel.pins, channel.batches):
                self._books.close(holding)
            del self._pinned[channel.pins]
        return channel
