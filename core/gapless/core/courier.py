"""Courier: passes on what happened in a hub's channels to those whom it concerns.

News is collected while inputs are handled and passed on when outputs are asked for, so that many
publishes wake a reader once. Only a new epoch is passed on at once: not a message of the new
numbering may go out under the old one.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping

from .accounts import Accounts
from .channel import Channel
from .channels import Channels
from .readership import Readership
from .server import ServerSession
from .timers import Timers

REHOUSE_EVERY = 1.0
"""Seconds until who found no place, or no memory, is tried again."""


class Courier:
    """Between a hub's channels, its sessions and its application.

    Args:
        channels, readership, sessions: the hub's.
        books: where use of a channel is noted.
        timers: the hub's; its keys are channels and "homeless", too.
        ready: what the application is to look at.
        follow_up: called with each session that was touched.
    """

    def __init__(
        self,
        channels: Channels,
        readership: Readership[ServerSession],
        sessions: Mapping[str, ServerSession],
        *,
        books: Accounts,
        timers: "Timers[ServerSession | Channel | str]",
        ready: dict[object, None],
        follow_up: Callable[[ServerSession], None],
    ) -> None:
        self._channels = channels
        self._readership = readership
        self._sessions = sessions
        self._books = books
        self._timers = timers
        self._ready = ready
        self._follow_up = follow_up

    def pass_on(self, *, now: float) -> None:
        """Tell everybody what is new."""
        news = self._channels.news
        if news.forgotten:
            self._channels.openings.house(now=now)
        while news.blocked:
            # It may be due already: then who waits is served now, and may have news in turn.
            self.watch(news.blocked.popitem()[0], now=now)
        while news.opened:
            self._pass_on_opened(*news.opened.popitem(), now)
        while news.moved:
            channel = news.moved.popitem()[0]
            self._books.touch(channel, now=now)
            for reader, session in self._readership.readers(channel).items():
                session.head_moved(reader)
            self._wake_locals(channel)
            if channel.settings.history_age is not None:
                self.watch(channel, now=now)
        while news.fetched:
            fetched, asker = news.fetched.pop()
            asker.read_answered(fetched)
        while news.touched:
            intake = news.touched.popitem()[0]
            owner = self._sessions.get(intake.owner)
            if owner is not None:
                owner.intake_changed(intake)
        if news.settled:
            self._ready.update(news.settled)
            news.settled.clear()
        while news.forgotten:
            # No timer keeps what is not counted any more (P3).
            self._timers.set(news.forgotten.popitem()[0], None)
        self.watch_homeless(now=now)

    def pass_on_restarts(self) -> None:
        """Tell who reads a channel that its numbering began anew."""
        restarted = self._channels.news.restarted
        while restarted:
            channel, _ = restarted.popitem()
            for reader, session in list(self._readership.readers(channel).items()):
                session.start_over(reader)
            self._wake_locals(channel)

    def watch(self, channel: Channel, *, now: float) -> None:
        """Come back when a pin that somebody waits for lapses, or a message is too old."""
        if not self._channels.catalog.has(channel):
            return
        if self._channels.is_lapse_due(channel, now=now):
            self._channels.wake(channel, now=now)
        self._timers.set(channel, self._channels.next_lapse(channel, now=now))

    def watch_homeless(self, *, now: float) -> None:
        """Try again now and then to find a place for channels, and memory for messages."""
        if self._channels.openings.homeless or self._channels.starved:
            self._timers.set("homeless", now + REHOUSE_EVERY)

    def _pass_on_opened(self, name: str, sessions: Iterable[Hashable], now: float) -> None:
        for session in sessions:
            assert isinstance(session, ServerSession)
            session.channel_opened(name, now)
            self._follow_up(session)

    def _wake_locals(self, channel: Channel) -> None:
        self._ready |= dict.fromkeys(self._readership.locals(channel))
