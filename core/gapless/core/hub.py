"""Hub: a server's channels and sessions, one machine with one deadline.

Links come in, show `hello`, get a verdict and are attached to a session, new or resumed; from then
on the session speaks for itself. Newest link wins a session at the verdict, and a verdict for an
older link never fences a younger one (rule 8, I13). What the server itself publishes and reads goes
through the same channels as everybody's.
"""

from collections.abc import Callable
from random import Random

from .accounts import Accounts
from .authorize import Grant, Verifier
from .batches import Encodings
from .budget import MemoryReport, Shed
from .channel import Channel
from .channels import Channels
from .closing import Code, Ending
from .config import Config, check_seconds
from .courier import Courier
from .errors import InvalidChannel, InvalidState, too_large
from .events import Authorize, ChannelEvent, Command
from .figures import HubStats, hub_gauges, hub_stats
from .frames import Frame
from .greeting import Greeting, Reception
from .local import LocalReader
from .local_readers import LocalReaders
from .monitor import Alert, Gauges, Health, Metrics
from .news import Ticket
from .position import Position, Since, check_channel, check_since, check_text
from .readership import Readership
from .relief import Relief
from .roster import Roster
from .server import SESSION_BYTES, ServerSession
from .store import Appended, AppendRefused, HistoryRead
from .timers import Timers
from .tokens import epoch_name
from .watch import Watch


class Hub:
    """A server's half of the protocol, for any number of links.

    Args:
        config: see `Config`; one of the hub profiles.
        rng: jitter of heartbeats, and nothing else.
        new_token: a source of unguessable strings, 128 random bits or more, never repeated.
        verify: judges credentials at once; None: the driver answers the command `Authorize`.
        durable: the driver carries out `Append` and `ReadHistory`; else memory does, at once.

    Raises:
        ConfigError: `memory_limit` is too small for a hub; the message says how much it needs.
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
        config.check_hub()
        self.config = config
        self._rng = rng
        self._new_token = new_token
        self._verify = verify
        self._now = float("-inf")
        self.commands: list[Command] = []
        self.writable: dict[int, None] = {}
        self._timers: Timers[ServerSession | Channel | str] = Timers()
        self.books = Accounts(config)
        self.watch = Watch(config, self._figures)
        self._encodings = Encodings(self.books)
        self._reception = Reception(
            config, rng=rng, commands=self.commands, writable=self.writable, books=self.books
        )
        self._roster = Roster(config, new_token=new_token, new_session=self._new_session)
        self._links, self._sessions = self._roster.links, self._roster.sessions
        self.readership: Readership[ServerSession] = Readership()
        self._ready: dict[object, None] = {}
        self._draining: Ending | None = None
        self._leave_at = self._cut_at = float("inf")
        self.channels = Channels(
            config, self.books, new_epoch=self.new_epoch, durable=durable, commands=self.commands
        )
        refuse = self._reception.refuse_largest
        self._relief = Relief(
            self.books, self.channels, self.session_over, cut=self._cut, refuse=refuse
        )
        self._local_readers = LocalReaders(
            self.channels, self.readership, books=self.books, ready=self._ready
        )
        self._courier = Courier(
            self.channels,
            self.readership,
            self._sessions,
            books=self.books,
            timers=self._timers,
            ready=self._ready,
            follow_up=self._follow_up,
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
        return bool(self.writable) or self.channels.news.is_any

    def stats(self, *, now: float) -> HubStats:
        """Count what there is, and what has gone through."""
        return hub_stats(self.metrics(now=now), links=self.links)

    def memory(self) -> MemoryReport:
        """Say what is held, by kind, and what had to go."""
        return self.books.report()

    def metrics(self, *, now: float) -> Metrics:
        """Say all figures, and how things stand; rates and latency are of late."""
        return self.watch.metrics(now=now)

    def health(self, *, now: float) -> Health:
        """Say how things stand, and why."""
        return self.watch.health(now=now)

    # inputs

    def handle_link_opened(self, link: int, *, now: float) -> None:
        """Note that a client has connected; it has `connect_timeout` to be welcomed."""
        now = self._clamp(now)
        self.watch.start(now=now)
        away = Ending(Code.GOING_AWAY, "the server is draining", 1.0)
        self._reception.open_link(link, away if self._draining is not None else None, now=now)

    def receive_bytes(self, link: int, *, now: float) -> None:
        """Note that bytes came on a link: a sign of life, whatever they are."""
        now = self._clamp(now)
        session = self._links.get(link)
        if session is not None:
            session.receive_bytes(link, now=now)

    def hold_bytes(self, link: int, size: int, *, now: float) -> None:
        """Note that a link's wire holds so many bytes: unfinished frames in, unsent bytes out.

        Where they alone exceed the memory limit, the link that holds most is closed.
        """
        self._relief.hold_bytes(link, size, now=self._clamp(now))

    def receive_frame(self, link: int, frame: Frame, *, size: int = 0, now: float) -> None:
        """Take a frame from a client, `size` bytes on the wire."""
        now = self._clamp(now)
        session = self._links.get(link)
        if session is not None:
            session.receive_frame(link, frame, size=size, now=now)
            self._follow_up(session)
            return
        greeting = self._reception.receive_frame(link, frame, size, now=now)
        self._relief.keep(now=now)
        if greeting is None or greeting.hello is None or self._reception.find(link) is None:
            return
        if self._verify is None:
            self.commands.append(Authorize(link, greeting.hello.credentials))
        else:
            self._take_verdict(greeting, self._verify(greeting.hello.credentials), now)

    def handle_link_lost(self, link: int, ending: Ending, *, now: float) -> None:
        """Note that the transport of a link is gone."""
        now = self._clamp(now)
        self.writable.pop(link, None)
        self._relief.hold_bytes(link, 0, now=now)
        self._reception.handle_link_lost(link)
        if ending.status is not None:  # its HTTP handshake was refused
            self.watch.start(now=now)
        self.watch.handle_errors(link in self._links or ending.status is not None, now=now)
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
        self._courier.pass_on_restarts()
        self._relief.keep(now=self._now)

    def handle_history(self, answer: HistoryRead, *, now: float) -> None:
        """Take the store's answer to `ReadHistory`."""
        self.channels.handle_history(answer, now=self._clamp(now))
        self._courier.pass_on_restarts()
        self._relief.keep(now=self._now)

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass. Early, late and spurious calls are harmless."""
        now = self._clamp(now)
        self._reception.handle_timeout(now=now)
        self._relief.handle_timeout(now=now)
        self.watch.handle_timeout(now=now)
        for key in self._timers.pop_due(now):
            if isinstance(key, ServerSession):
                key.handle_timeout(now=now)
                self._follow_up(key)
            elif isinstance(key, Channel):
                key.expire(now=now)
                self.channels.wake(key, now=now)
                self._courier.watch(key, now=now)
            elif key == "homeless":
                self.channels.rehouse(now=now)
            elif key == "leave":
                self.writable |= dict.fromkeys(self._links)
            elif self._draining is not None and now >= self._cut_at:
                self._roster.close_all(self._draining, now)
            else:
                self._timers.set("drain", self._cut_at)

    def next_deadline(self) -> float | None:
        """When `handle_timeout` next has something to do; None if never."""
        times = (
            self._timers.next_deadline(),
            self._reception.next_deadline(),
            self._relief.next_deadline(),
            self.watch.next_deadline(is_idle=not self.books.is_any),
        )
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
        self.channels.catalog.configure(channel, **fields)
        opened = self.channels.find(channel)
        if opened is not None:
            self.channels.wake(opened, now=now)
            self._courier.watch(opened, now=now)

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
        reader = self._local_readers.open(channel, since, now=now)
        self._relief.keep(now=now)
        return reader

    def unsubscribe(self, reader: LocalReader, *, now: float) -> None:
        """Stop reading. Harmless if called twice."""
        self._local_readers.close(reader, now=self._clamp(now))

    def next_message(self, reader: LocalReader, *, now: float) -> ChannelEvent | None:
        """Take the next message or marker of a local reader; None if there is none."""
        return self._local_readers.next_message(reader, now=self._clamp(now))

    def drain(self, *, now: float, timeout: float | None = None, spread: float = 0.0) -> None:
        """Send everybody away: `goaway`, then `close` once caught up or after `timeout` seconds.

        Nothing new is accepted. `is_drained` says when it is over.

        Args:
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
            self._reception.refuse_all(self._draining, now=now)
            spread = min(spread, seconds)
            for session in self._links.values():
                session.go_away(seconds, spread or seconds)
            self._leave_at = now + spread
            self._timers.set("leave", self._leave_at)
        self._cut_at = now + seconds
        self._timers.set("drain", self._cut_at)
        if not seconds > 0:
            self._roster.close_all(self._draining, now)

    # outputs

    def next_alert(self) -> Alert | None:
        """Take the next alert: a verdict that has changed; see `Monitor`."""
        return self.watch.next_alert()

    def poll_command(self) -> Command | None:
        """Take the next thing the driver must do."""
        return self.commands.pop(0) if self.commands else None

    def next_ready(self) -> object | None:
        """Take the next `Ticket` settled, `LocalReader` with news, or channel name with room."""
        self._courier.pass_on(now=self._now)
        for thing in self._ready:
            del self._ready[thing]
            return thing
        return None

    def next_writable(self) -> int | None:
        """Take the next link that has come to have something to send; see `Session`."""
        self._encodings.look()
        self._courier.pass_on(now=self._now)
        for link in self.writable:
            del self.writable[link]
            return link
        return None

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        """Build the next frame for a link; None if it has nothing to say now."""
        now = self._clamp(now)
        self._encodings.look()
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
            self._encodings.hand_out(frame)
            return frame
        return self._reception.next_frame(link, now=now)

    # for ServerSession

    def new_epoch(self) -> str:
        """Make the name of an epoch: 16 hex digits."""
        return epoch_name(self._new_token())

    def link_over(self, link: int, *, has_last_word: bool) -> None:
        """Nothing more will be heard on a link, nor said but a last word."""
        self._roster.part(link, has_last_word=has_last_word)

    def session_over(self, session: ServerSession, now: float) -> None:
        """Forget a session with its pins, cursors and private channel."""
        session.end(now)
        self.books.close(session)
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
        claim = self._roster.claim(link.id, hello, grant, now=now)
        if isinstance(claim, Ending):
            self._reception.refuse(greeting, claim, now=now)
            return
        session, welcome = claim
        self._reception.release(greeting)
        session.attach(link, hello, welcome, now=now)
        for frame in greeting.waiting:
            session.receive_frame(link.id, frame, now=now)
        self._follow_up(session)

    def _new_session(self, number: str, grant: Grant, now: float) -> ServerSession | None:
        if not self.books.make_room(SESSION_BYTES, now=now):
            return None
        session = ServerSession(number, grant, self, self.config, rng=self._rng)
        self.books.open(session, Shed.NEVER, now=now)
        return session

    def _follow_up(self, session: ServerSession) -> None:
        """After anything that touched a session: note its deadline."""
        deadline = session.next_deadline()
        if deadline is not None:
            self._timers.set(session, deadline)
        self.books.stir(session)
        self._relief.keep(now=self._now)
        session.note_encoding()

    def _cut(self, link: int, ending: Ending, now: float) -> None:
        """Close a link, whatever it carries."""
        greeting = self._reception.find(link)
        if greeting is not None:
            self._reception.refuse(greeting, ending, now=now)
        else:
            self._roster.close(link, ending, now)

    def _figures(self, now: float) -> Gauges:
        channels = self.channels.named.values()
        return hub_gauges(self._sessions.values(), channels, held=self.books.held, now=now)
