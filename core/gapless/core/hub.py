"""Hub: a server's channels and sessions, one machine with one deadline.

Links come in, show `hello`, get a verdict and are attached to a session, new or resumed; from then
on the session speaks for itself. Newest link wins a session at the verdict, and a verdict for an
older link never fences a younger one (rule 8, I13). What the server itself publishes and reads goes
through the same channels as everybody's.
"""

from collections.abc import Callable
from random import Random

from .authorize import Grant, Verifier
from .channel import Channel
from .channels import Channels
from .closing import Code, Ending
from .config import Config, check_seconds
from .errors import InvalidChannel, InvalidState, too_large
from .events import Authorize, ChannelEvent, Command
from .frames import Frame
from .greeting import Greeting, Reception
from .local import LocalReader
from .news import Ticket
from .position import Position, Since, check_channel, check_since, check_text
from .reader import Reader
from .readership import Readership
from .roster import Roster
from .server import ServerSession
from .store import Appended, AppendRefused, HistoryRead
from .timers import Timers
from .tokens import epoch_name

REHOUSE_EVERY = 1.0
"""Seconds until a channel for which the hub had no place is tried again."""


class Hub:
    """A server's half of the protocol, for any number of links.

    Args:
        config: see `Config`; one of the hub profiles.
        rng: jitter of heartbeats, and nothing else.
        new_token: a source of unguessable strings, 128 random bits or more, never repeated.
        verify: judges credentials at once; None: the driver answers the command `Authorize`.
        durable: the driver carries out `Append` and `ReadHistory`; else memory does, at once.
    """

    def __init__(
        self,
        config: Config,
        *,
        rng: Random,
        new_token: Callable[[], str],
        verify: Verifier | None = None,
        durable: bool = False,
    ) -> None:
        self.config = config
        self._rng = rng
        self._new_token = new_token
        self._verify = verify
        self._now = float("-inf")
        self._commands: list[Command] = []
        self._writable: dict[int, None] = {}
        self._timers: Timers[ServerSession | Channel | str] = Timers()
        self._reception = Reception(
            config, rng=rng, commands=self._commands, writable=self._writable
        )
        self._roster = Roster(config, new_token=new_token, new_session=self._new_session)
        self._links = self._roster.links
        self._sessions = self._roster.sessions
        self.readership: Readership[ServerSession] = Readership()
        self._ready: dict[object, None] = {}
        self._draining: Ending | None = None
        self._leave_at = self._cut_at = float("inf")
        self.channels = Channels(
            config,
            new_epoch=self.new_epoch,
            durable=durable,
            commands=self._commands,
        )

    @property
    def sessions(self) -> list[str]:
        """The ids of all sessions, with a link or without."""
        return list(self._sessions)

    @property
    def links(self) -> int:
        """Links that carry a session or wait for their verdict."""
        return len(self._links) + len(self._reception)

    @property
    def is_drained(self) -> bool:
        """Whether a drain is over: no link is left."""
        return self._draining is not None and not self.links

    @property
    def has_output(self) -> bool:
        """Whether `next_writable` might name a link."""
        return bool(self._writable) or self.channels.news.is_any

    # inputs

    def handle_link_opened(self, link: int, *, now: float) -> None:
        """Note that a client has connected; it has `connect_timeout` to be welcomed."""
        now = self._clamp(now)
        away = Ending(Code.GOING_AWAY, "the server is draining", 1.0)
        self._reception.open_link(link, away if self._draining is not None else None, now=now)

    def receive_bytes(self, link: int, *, now: float) -> None:
        """Note that bytes came on a link: a sign of life, whatever they are."""
        now = self._clamp(now)
        session = self._links.get(link)
        if session is not None:
            session.receive_bytes(link, now=now)

    def receive_frame(self, link: int, frame: Frame, *, size: int = 0, now: float) -> None:
        """Take a frame from a client, `size` bytes on the wire."""
        now = self._clamp(now)
        session = self._links.get(link)
        if session is not None:
            session.receive_frame(link, frame, size=size, now=now)
            self._follow_up(session)
            return
        greeting = self._reception.receive_frame(link, frame, size, now=now)
        if greeting is None or greeting.hello is None:
            return
        if self._verify is None:
            self._commands.append(Authorize(link, greeting.hello.credentials))
        else:
            self._take_verdict(greeting, self._verify(greeting.hello.credentials), now)

    def handle_link_lost(self, link: int, ending: Ending, *, now: float) -> None:
        """Note that the transport of a link is gone."""
        now = self._clamp(now)
        self._writable.pop(link, None)
        self._reception.handle_link_lost(link)
        session = self._roster.part(link, has_last_word=False)
        if session is not None:
            session.handle_link_lost(link, ending, now=now)
            self._follow_up(session)

    def handle_authorized(self, link: int, grant: Grant | None, *, now: float) -> None:
        """Take the verdict that `Authorize` asked for; None: refused. A late one is ignored."""
        now = self._clamp(now)
        greeting = self._reception.find(link)
        if greeting is not None and greeting.hello is not None:
            self._take_verdict(greeting, grant, now)

    def handle_appended(self, answer: Appended | AppendRefused, *, now: float) -> None:
        """Take the store's answer to `Append`."""
        self.channels.handle_appended(answer, now=self._clamp(now))
        self._pass_on_restarts()

    def handle_history(self, answer: HistoryRead, *, now: float) -> None:
        """Take the store's answer to `ReadHistory`."""
        self.channels.handle_history(answer, now=self._clamp(now))
        self._pass_on_restarts()

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass. Early, late and spurious calls are harmless."""
        now = self._clamp(now)
        self._reception.handle_timeout(now=now)
        for key in self._timers.pop_due(now):
            if isinstance(key, ServerSession):
                key.handle_timeout(now=now)
                self._follow_up(key)
            elif isinstance(key, Channel):
                key.expire(now=now)
                self.room_made(key, now)
                self._watch(key)
            elif key == "homeless":
                self.channels.rehouse(now=now)
                self._watch_homeless()
            elif key == "leave":
                self._writable |= dict.fromkeys(self._links)
            elif self._draining is not None and now >= self._cut_at:
                self._cut_all(self._draining)
            else:
                self._timers.set("drain", self._cut_at)

    def next_deadline(self) -> float | None:
        """When `handle_timeout` next has something to do; None if never."""
        times = self._timers.next_deadline(), self._reception.next_deadline()
        return min((at for at in times if at is not None), default=None)

    # commands

    def publish(
        self, channel: str, payload: bytes, text: bool = False, *, now: float
    ) -> Ticket | None:
        """Append a message to a channel, or to a session's private one by the session's id.

        None: no room now; the channel's name shows in `next_ready` when that may have changed.
        Else the ticket has the position, or the refusal, or shows in `next_ready` once it has.

        Raises:
            InvalidChannel: the name can't be a channel, or names no session.
            InvalidState: the hub is draining.
            MessageTooLarge: the payload is above `config.max_message`.
            TooManyChannels: it would be one more channel than the hub may keep.
        """
        position = self.publish_now(channel, payload, text, now=now)
        if position is not None:
            return Ticket(channel, position.epoch, position.seq)
        return self.publish_many(channel, [payload], text, now=now)

    def publish_now(
        self, channel: str, payload: bytes, text: bool = False, *, now: float
    ) -> Position | None:
        """Append a message if nothing stands in the way, as it mostly does not; returns where.

        None: nothing was appended; `publish` opens the channel, waits its turn, or says why not.
        Raises as that does.
        """
        if now > self._now:
            self._now = now
        if len(payload) > self.config.max_message:
            raise too_large(channel, len(payload), self.config.max_message)
        if text:
            check_text(payload)
        opened = self.channels.named.get(channel)
        if opened is None or self._draining is not None:
            self._check_name(channel)
            return None
        return self.channels.publish_now(opened, payload, text, now=self._now)

    def publish_many(
        self, channel: str, payloads: list[bytes], text: bool = False, *, now: float
    ) -> Ticket | None:
        """Append a batch: all or, without room for all, nothing. See `publish`."""
        now = self._clamp(now)
        if not payloads:
            raise InvalidState("a batch has at least one message")
        sizes = list(map(len, payloads))
        if max(sizes) > self.config.max_message:
            raise too_large(channel, max(sizes), self.config.max_message)
        for payload in payloads if text else ():
            check_text(payload)
        opened = self.channels.named.get(channel)
        if opened is None or self._draining is not None:
            self._check_name(channel)
        return self.channels.publish(opened, channel, payloads, sum(sizes), text, now=now)

    def configure(self, channel: str, *, now: float, **fields: object) -> None:
        """Change how a channel keeps messages: fields of `ChannelSettings`.

        Raises:
            ConfigError: a value is out of range.
            InvalidChannel: the name can't be a channel.
        """
        now = self._clamp(now)
        self._check_name(channel)
        self.channels.configure(channel, **fields)
        opened = self.channels.find(channel)
        if opened is not None:
            self.room_made(opened, now)
            self._watch(opened)

    def subscribe(self, channel: str, since: Since = "latest", *, now: float) -> LocalReader | None:
        """Read a channel inside the server; None while the store opens it: ask again when ready.

        Raises:
            InvalidChannel: the name can't be a channel.
            InvalidPosition: `since` can't be a position.
            TooManyChannels: it would be one more channel than the hub may keep.
        """
        now = self._clamp(now)
        self._check_name(channel)
        check_since(since)
        opened = self.channels.open(channel, now=now)
        if opened is None:
            self.channels.waiting[channel] = None
            return None
        reader = LocalReader(opened, since, now=now)
        self.readership.add_local(reader)
        return reader

    def unsubscribe(self, reader: LocalReader, *, now: float) -> None:
        """Stop reading. Harmless if called twice."""
        now = self._clamp(now)
        if self.readership.remove_local(reader):
            reader.leave()
            self.room_made(reader.channel, now)

    def next_message(self, reader: LocalReader, *, now: float) -> ChannelEvent | None:
        """Take the next message or marker of a local reader; None if there is none."""
        now = self._clamp(now)
        event = reader.next_event(now=now)
        if event is not None:
            self.room_made(reader.channel, now)
        elif (after := reader.next_read()) is not None:
            self.channels.read(reader, after, self, now=now)
        return event

    def drain(self, *, now: float, timeout: float | None = None, spread: float = 0.0) -> None:
        """Send everybody away: `goaway`, then `close` once caught up or after `timeout` seconds.

        Nothing new is accepted. `is_drained` says when it is over.

        Args:
            now: seconds.
            timeout: seconds after which links are cut; default `config.close_timeout`.
            spread: seconds over which clients spread their move to another server. Until then
                their links stay, caught up or not (rule 9). 0: they close once caught up.

        Raises:
            ConfigError: one of them is no time.
        """
        now = self._clamp(now)
        seconds = self.config.close_timeout if timeout is None else timeout
        check_seconds("timeout", seconds)
        check_seconds("spread", spread)
        if self._draining is None:
            self._draining = Ending(Code.GOING_AWAY, "the server is going away")
            self._reception.refuse_all(self._draining)
            spread = min(spread, seconds)
            for session in self._links.values():
                session.go_away(seconds, spread or seconds)
            self._leave_at = now + spread
            self._timers.set("leave", self._leave_at)
        self._cut_at = now + seconds
        self._timers.set("drain", self._cut_at)
        if not seconds > 0:
            self._cut_all(self._draining)

    # outputs

    def poll_command(self) -> Command | None:
        """Take the next thing the driver must do."""
        return self._commands.pop(0) if self._commands else None

    def next_ready(self) -> object | None:
        """Take the next `Ticket` settled, `LocalReader` with news, or channel name with room."""
        self._pass_on()
        for thing in self._ready:
            del self._ready[thing]
            return thing
        return None

    def next_writable(self) -> int | None:
        """Take the next link that has come to have something to send; see `Session`."""
        self._pass_on()
        for link in self._writable:
            del self._writable[link]
            return link
        return None

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        """Build the next frame for a link; None if it has nothing to say now."""
        now = self._clamp(now)
        session = self._links.get(link) or self._roster.parting.get(link)
        if session is not None:
            frame = session.next_frame(link, now=now)
            if (
                frame is None
                and self._draining is not None
                and now >= self._leave_at
                and session.link == link
                and session.is_caught_up
            ):
                # Everything it had to say is said: now the last word.
                session.close_link(self._draining, now)
                frame = session.next_frame(link, now=now)
            self._follow_up(session)
            return frame
        return self._reception.next_frame(link, now=now)

    # for ServerSession

    def new_epoch(self) -> str:
        """Make the name of an epoch: 16 hex digits."""
        return epoch_name(self._new_token())

    def read_answered(self, reader: Reader | LocalReader) -> None:
        """The store has answered what was asked for one of the server's own readers."""
        self._ready[reader] = None

    def room_made(self, channel: Channel, now: float) -> None:
        """A pin moved or time passed: who waits for room is served."""
        self.channels.wake(channel, now=now)

    def link_over(self, link: int, *, has_last_word: bool) -> None:
        """Nothing more will be heard on a link, nor said but a last word."""
        self._roster.part(link, has_last_word=has_last_word)

    def session_over(self, session: ServerSession, now: float) -> None:
        """Forget a session with its pins, cursors and private channel."""
        session.end(now)
        self._roster.forget(session)
        self._timers.set(session, None)
        self.channels.forget(session.id)

    # internals

    def _clamp(self, now: float) -> float:
        self._now = max(self._now, now)
        return self._now

    def _check_name(self, channel: str) -> None:
        if self._draining is not None:
            raise InvalidState("the server is draining; nothing new is accepted")
        if channel in self._sessions:
            return
        check_channel(channel)
        if channel.startswith("@"):
            raise InvalidChannel(f"{channel!r} names no session of this server")

    def _take_verdict(self, greeting: Greeting, grant: Grant | None, now: float) -> None:
        link, hello = greeting.link, greeting.hello
        assert hello is not None
        claim = self._roster.claim(link.id, hello, grant)
        if isinstance(claim, Ending):
            self._reception.refuse(greeting, claim)
            return
        session, welcome = claim
        self._reception.release(greeting)
        session.attach(link, hello, welcome, now=now)
        for frame in greeting.waiting:
            session.receive_frame(link.id, frame, now=now)
        self._follow_up(session)

    def _new_session(self, number: str, grant: Grant) -> ServerSession:
        return ServerSession(
            number,
            grant,
            self,
            self.config,
            rng=self._rng,
            commands=self._commands,
            writable=self._writable,
        )

    def _follow_up(self, session: ServerSession) -> None:
        """After anything that touched a session: note its deadline."""
        deadline = session.next_deadline()
        if deadline is not None:
            self._timers.set(session, deadline)
        self._watch_homeless()

    def _watch(self, channel: Channel) -> None:
        """Come back when a pin that somebody waits for lapses, or a message is too old."""
        if self.channels.is_lapse_due(channel, now=self._now):
            self.room_made(channel, self._now)
        self._timers.set(channel, self.channels.next_lapse(channel, now=self._now))

    def _watch_homeless(self) -> None:
        """Try again now and then to find a place for channels that had none."""
        if self.channels.homeless:
            self._timers.set("homeless", self._now + REHOUSE_EVERY)

    def _pass_on(self) -> None:
        """Pass on what happened in the channels to those whom it concerns.

        Done when outputs are asked for, so that many publishes wake a reader once.
        """
        news = self.channels.news
        while news.blocked:
            # It may be due already: then who waits is served now, and may have news in turn.
            self._watch(news.blocked.popitem()[0])
        while news.opened:
            self._pass_on_opened(news.opened.popitem()[0])
        while news.moved:
            channel = news.moved.popitem()[0]
            for reader, session in self.readership.readers(channel).items():
                session.head_moved(reader)
            self._wake_locals(channel)
            if channel.settings.history_age is not None:
                self._watch(channel)
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

    def _pass_on_opened(self, name: str) -> None:
        for session in self.readership.take_parked(name):
            session.channel_opened(name, self._now)
            self._follow_up(session)

    def _pass_on_restarts(self) -> None:
        """At once: not a message of the new numbering may go out under the old one."""
        restarted = self.channels.news.restarted
        while restarted:
            channel, _ = restarted.popitem()
            for reader, session in list(self.readership.readers(channel).items()):
                session.start_over(reader)
            self._wake_locals(channel)

    def _wake_locals(self, channel: Channel) -> None:
        self._ready |= dict.fromkeys(self.readership.locals(channel))

    def _cut_all(self, ending: Ending) -> None:
        for session in self._sessions.values():
            session.close_link(ending, self._now)
