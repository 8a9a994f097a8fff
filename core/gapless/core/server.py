"""ServerSession: the hub's end of a session.

It keeps what outlives links — principal, publish cursors (`Intake`), pins (in the channels), lease
— and, for the present link, a `Reader` for each subscription. Positions are the client's (rule 1).
Without a link the session waits for its lease, then it is over.
"""

from random import Random
from typing import Protocol

from .accounts import Accounts
from .authorize import Grant
from .batches import Batches
from .budget import Shed
from .channel import Channel
from .channels import Channels
from .closing import Code, Ending
from .config import Config
from .events import Command
from .frames import (
    Ack,
    Denied,
    Frame,
    Goaway,
    Hello,
    Offer,
    Refused,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Welcome,
)
from .intake import Intake, IntakePhase
from .lane import Inbound, Lane, Outbound
from .link import Link
from .local import LocalReader
from .pins import PIN_BYTES
from .position import ME, channel_fault
from .reader import Reader, ReaderPhase
from .readership import Readership
from .session import Session
from .states import SessionState, SessionTrigger
from .violation import Violation
from .watch import Watch

SESSION_BYTES = 6144
"""Bytes a session takes beside its lanes, with or without a link."""

READER_BYTES = 1024
"""Bytes a reader takes beside what the store has read for it; a request that waits, too."""

ID_BYTES = 96
"""Bytes it takes to remember an id."""

REQUEST_BYTES = 4096
"""Bytes that a request of a client may take at most, apart from a batch."""


class Owner(Protocol):
    """What a server's session needs of its hub."""

    books: Accounts
    channels: Channels
    commands: list[Command]
    readership: "Readership[ServerSession]"
    watch: Watch
    writable: dict[int, None]

    def new_epoch(self) -> str:
        """Make the name of an epoch."""
        ...

    def link_over(self, link: int, *, has_last_word: bool) -> None:
        """Nothing more will be heard on a link, nor said but a last word."""
        ...

    def session_over(self, session: "ServerSession", now: float) -> None:
        """The session's lease ran out, or its client closed it."""
        ...


class ServerSession(Session):
    """A session as its hub drives it.

    Args:
        number: the session's public id; also the name of its private channel.
        grant: who it belongs to, by the newest verdict.
        hub: channels, epochs and the other sessions.
    """

    def __init__(
        self,
        number: str,
        grant: Grant,
        hub: Owner,
        config: Config,
        *,
        rng: Random,
    ) -> None:
        super().__init__(config, rng=rng, books=hub.books, watch=hub.watch)
        self.id = number
        self.grant = grant
        self._hub = hub
        self._commands = hub.commands
        self._writable = hub.writable
        self._welcome: Welcome | None = None
        self._goaway: Goaway | None = None
        self._peer_max_message = config.max_message
        self._readers: dict[str, Reader] = {}
        self._parked: dict[str, Subscribe] = {}
        self._denied: dict[int, Subscribed] = {}
        self._intakes: dict[str, Intake] = {}
        self._pinned: dict[Channel, None] = {}
        self._last_offer = 0
        self._reads = 0
        self._encoding: Batches | None = None

    @property
    def is_caught_up(self) -> bool:
        """Whether its readers have been sent all there is and its publishes are answered."""
        readers = all(reader.is_caught_up for reader in self._readers.values())
        waiting = self._parked or any(intake.held_bytes for intake in self._intakes.values())
        return readers and not waiting

    @property
    def memory(self) -> int:
        """Bytes it takes, but for its intakes."""
        lanes = READER_BYTES * (len(self._readers) + len(self._parked) + len(self._denied))
        fetched = sum(reader.held_bytes for reader in self._readers.values())
        ids = ID_BYTES * (len(self._inbound_given) + len(self._outbound_given))
        return SESSION_BYTES + lanes + fetched + ids

    # commands of the hub

    def attach(self, link: Link, hello: Hello, welcome: Welcome, *, now: float) -> None:
        """Carry on over a link that has its verdict; the link before it is fenced off."""
        now = self._clamp(now)
        if not self.grant.may_pin:
            self._let_go(now)
        if self._link is not None:
            self.close_link(Ending(Code.FENCED, "another connection took the session over"), now)
        link.attach(now=now)
        self._link = link
        self._arm(link)
        self._timers.set("lease", None)
        self._advance(SessionTrigger.ATTACH)
        self._passed_at = now
        self._books.move(self, Shed.NEVER, now=now)
        self._peer_max_message = hello.max_message
        self._welcome = welcome
        self._mark_writable(link)

    def close_link(self, ending: Ending, now: float) -> None:
        """Close the present link, if there is one; the session goes on."""
        if self._link is not None:
            self._end_link(self._link, ending, now)

    def go_away(self, within: float, spread: float) -> None:
        """Tell the client to move."""
        self._goaway = Goaway(int(within * 1000), int(spread * 1000))
        self._mark_writable(self._link)

    def head_moved(self, reader: Reader) -> None:
        """There is something new to read."""
        self._sending[reader] = None
        self._mark_writable(self._link)

    def channel_opened(self, name: str, now: float) -> None:
        """A channel that was waited for is open."""
        parked = self._parked.get(name)
        if parked is not None:
            self._receive_subscribe(parked, now)

    def read_answered(self, reader: Reader | LocalReader) -> None:
        """The store has answered: readers may send what came, or ask in their turn."""
        self._reads -= 1
        for waiting in self._readers.values():
            if waiting is reader or self._reads == self.config.max_channels - 1:
                self.head_moved(waiting)

    def start_over(self, reader: Reader) -> None:
        """The channel has a new epoch: the client subscribes again and is told.

        One that waits for its answer is told by that.
        """
        if reader.phase is not ReaderPhase.ASKED:
            self._end_reader(reader, "epoch", again=True)

    def intake_changed(self, intake: Intake) -> None:
        """The store has answered."""
        if self._link is not None:
            self._touch(intake)

    def note_encoding(self) -> None:
        """A wire is about to hang its encoded form on a batch: that is to be looked at."""
        if self._encoding is not None:
            self._books.stir(self._encoding)
            self._encoding = None

    def end(self, now: float) -> None:
        """Let go of pins, cursors, link and lease: the session is over."""
        self._advance(SessionTrigger.END)
        self.close_link(Ending(Code.DONE, "the session is over"), now)
        self._timers.set("lease", None)
        for intake in self._intakes.values():
            self._hub.channels.abandon(intake)
            self._books.close(intake)
        self._intakes.clear()
        self._let_go(now)

    # for Session

    def _next_announcement(self, now: float) -> Frame | None:
        if self._welcome is not None:
            welcome, self._welcome = self._welcome, None
            return welcome
        if self._goaway is not None:
            goaway, self._goaway = self._goaway, None
            return goaway
        if self._denied:
            return self._denied.pop(next(iter(self._denied)))
        return None

    def _receive_role_frame(self, link: Link, frame: Frame, now: float) -> None:
        self._check_attached(link, frame)
        self._books.grow(REQUEST_BYTES)
        if isinstance(frame, Subscribe):
            self._receive_subscribe(frame, now)
        elif isinstance(frame, Unsubscribe):
            self._receive_unsubscribe(frame, now)
        elif isinstance(frame, Offer):
            self._receive_offer(frame, now)
        else:
            super()._receive_role_frame(link, frame, now)
        # Making room has booked what was announced, and not yet what has come since.
        self._books.stir(self)
        self._books.grow(REQUEST_BYTES)

    def _receive_subscribe(self, frame: Subscribe, now: float) -> None:
        # What has no place here now, or no memory, may have later: only what never can is refused.
        code = self._subscribe_fault(frame.channel)
        if code is not None:
            self._deny(frame, code)
            return
        before = self._readers.get(frame.channel)
        if before is not None:
            self._drop_reader(before)
        name = self._channel_name(frame.channel)
        self._parked.pop(name, None)
        channel = self._hub.channels.openings.want(name, self, now=now)
        if channel is None:
            self._parked[name] = frame
            return
        reader = Reader(
            channel,
            self,
            frame,
            pins=self.grant.may_pin,
            max_message=self._peer_max_message,
        )
        self._readers[frame.channel] = reader
        self._hub.readership.add(reader, self)
        self._touch(reader)

    def _subscribe_fault(self, name: str) -> str | None:
        if channel_fault(name) is not None:
            return "invalid"
        if name.startswith("@") and name != ME:
            return "forbidden"
        is_new = name not in self._readers and self._channel_name(name) not in self._parked
        if is_new and len(self._readers) + len(self._parked) >= self.config.max_channels:
            return "too many channels"
        return None

    def _channel_name(self, name: str) -> str:
        """The hub's name of a channel that the client calls so."""
        return self.id if name == ME else name

    def _unpark(self, name: str) -> None:
        """Wait for a channel no more."""
        del self._parked[name]
        self._hub.channels.openings.unwant(name, self)

    def _deny(self, frame: Subscribe, code: str) -> None:
        if len(self._denied) >= self.config.max_channels:
            raise Violation("subscribes without reading the answers", Code.POLICY)
        self._denied[frame.request] = Subscribed(frame.request, 0, "-", 1, 0, None, Denied(code))
        self._mark_writable(self._link)

    def _receive_unsubscribe(self, frame: Unsubscribe, now: float) -> None:
        for name, parked in self._parked.items():
            if parked.request == frame.request:
                self._unpark(name)
                return
        for reader in self._readers.values():
            if reader.request == frame.request:
                self._end_reader(reader, "unsubscribed", again=False)
                reader.channel.unpin(self)
                self._pinned.pop(reader.channel, None)
                self._hub.channels.wake(reader.channel, now=now)
                return

    def _receive_offer(self, frame: Offer, now: float) -> None:
        if frame.id <= self._last_offer:
            raise Violation(f"offer {frame.id} is not newer than {self._last_offer}")
        self._last_offer = frame.id
        if channel_fault(frame.channel) is not None:
            raise Violation("offer of a channel name that can't be")
        intake = self._intakes.get(frame.channel)
        if intake is None:
            if len(self._intakes) >= self.config.max_channels and not self._forget_intake():
                raise Violation("publishes to too many channels", Code.POLICY)
            intake = Intake(
                frame.channel,
                self.id,
                window=self.config.window,
                new_epoch=self._hub.new_epoch,
                may_credit=self._books.may_credit,
            )
            self._books.open(intake, Shed.INBOX, now=now)
            if frame.channel.startswith("@"):
                intake.forbidden = "forbidden"
            self._intakes[frame.channel] = intake
        if self._inbound.get(intake.id) is intake:
            del self._inbound[intake.id]
        self._give(self._inbound, self._inbound_given, frame.id, intake)
        intake.receive_offer(frame, now=now)
        self._received(intake, now)

    def _received(self, lane: Inbound, now: float) -> None:
        assert isinstance(lane, Intake)
        self._books.stir(lane)
        self._hub.channels.serve(lane, now=now)

    def _acknowledged(self, lane: Outbound, frame: Ack, now: float) -> None:
        assert isinstance(lane, Reader)
        if lane.channel.ack(self, frame.seq, now=now):
            self._hub.channels.wake(lane.channel, now=now)

    def _sent(self, lane: Lane, now: float) -> None:
        assert isinstance(lane, Reader)
        batches = lane.channel.batches
        if batches.grown:
            self._books.grow(batches.grown)
            self._books.stir(batches)
            self._books.touch(batches, now=now)
            batches.grown = 0
        self._encoding = batches

    def _spoke(self, lane: Lane, frame: Frame) -> None:
        if isinstance(frame, Subscribed):
            assert isinstance(lane, Reader)
            self._give(self._outbound, self._outbound_given, frame.id, lane)
            if frame.pin is not None:
                self._pinned[lane.channel] = None
                self._books.grow(PIN_BYTES)
                self._books.stir(lane.channel.pins)
            # What was too old went with the answer.
            self._books.stir(lane.channel)
        elif isinstance(frame, Refused) and frame.retry_after_ms is None:
            self._watch.handle_errors(frame.last - frame.first + 1, now=self._now)

    def _rested(self, lane: Lane, now: float) -> None:
        if isinstance(lane, Reader) and self._reads < self.config.max_channels:
            after = lane.next_read()
            if after is not None:
                self._reads += 1
                self._hub.channels.read(lane, after, self, self)

    def _peer_closed(self, link: Link, ending: Ending, now: float) -> None:
        super()._peer_closed(link, ending, now)
        if ending.code == Code.DONE:
            self._hub.session_over(self, now)

    def _link_over(self, link: int, *, has_last_word: bool) -> None:
        self._hub.link_over(link, has_last_word=has_last_word)

    def _link_ended(self, link: Link, ending: Ending, now: float) -> None:
        for reader in list(self._readers.values()):
            self._drop_reader(reader)
        for intake in self._intakes.values():
            self._hub.channels.openings.unwant(intake.name, intake)
            self._books.stir(intake)
        for name in list(self._parked):
            self._unpark(name)
        self._books.stir(self)
        self._denied.clear()
        self._last_offer = 0
        self._welcome = self._goaway = None
        if self.state is SessionState.UP:
            self._advance(SessionTrigger.DETACH)
            self._books.move(self, Shed.SESSION, now=now)
            self._timers.set("lease", now + self.config.lease)

    def _handle_timer(self, name: str, now: float) -> None:
        # The lease: there is no other, and it only runs while there is no link.
        self._hub.session_over(self, now)

    def _lanes(self) -> list[Lane]:
        return list(self._intakes.values())

    # internals

    def _forget_intake(self) -> bool:
        """Forget a channel that this link doesn't publish to; False if there is none.

        A process that carries on another one's session knows nothing of what that one published.
        """
        for name, intake in self._intakes.items():
            if intake.phase is IntakePhase.IDLE and not intake.held_bytes:
                self._hub.channels.abandon(intake)
                self._books.close(intake)
                del self._intakes[name]
                return True
        return False

    def _let_go(self, now: float) -> None:
        """Hold back nothing any more."""
        while self._pinned:
            channel, _ = self._pinned.popitem()
            channel.unpin(self)
            self._hub.channels.wake(channel, now=now)

    def _end_reader(self, reader: Reader, reason: str, *, again: bool) -> None:
        self._drop_reader(reader)
        reader.end(reason, again)
        if reader.phase is ReaderPhase.ENDING:
            self._touch(reader)

    def _drop_reader(self, reader: Reader) -> None:
        del self._readers[reader.name]
        if self._outbound.get(reader.channel.id) is reader:
            del self._outbound[reader.channel.id]
        self._speaking.pop(reader, None)
        self._sending.pop(reader, None)
        self._hub.readership.remove(reader)
