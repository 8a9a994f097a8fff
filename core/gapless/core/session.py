"""Session: what survives links, the part that is the same at both ends.

It owns the present link and the lanes, fences off whatever comes from an older link (I13), routes
frames to lanes, and hands frames out when the wire can take one: the link's own first, then every
lane's control frames, then data, one batch a channel in turn, so that no channel stalls another.

The peer can't make a call raise: a lane raises `Violation`, which ends here as a closed link.
What differs between the ends is in the subclasses `ClientSession` and `ServerSession`: which other
frames they understand, and what they do when there is no link (`Reconnector`, a lease).
"""

from random import Random
from typing import TypeVar

from .accounts import Accounts
from .closing import Code, Ending
from .config import Config
from .events import CloseLink, Command, SessionEvent
from .frames import Ack, Close, Data, Frame, Gone, Ping, Pong
from .lane import Inbound, Lane, Outbound
from .link import Link
from .receiver import MESSAGE_BYTES, RUN_BYTES
from .states import SESSION, LinkState, SessionState, SessionTrigger, advance
from .timers import Timers
from .violation import Violation
from .watch import Watch

LaneT = TypeVar("LaneT", bound=Lane)

MAX_IDS = 4096
"""Ids remembered a link, to tell an ended one from one never given. Beyond, none is a fault."""


class Session:
    """The role-blind part of a session."""

    def __init__(self, config: Config, *, rng: Random, books: Accounts, watch: Watch) -> None:
        self.config = config
        self.state = SessionState.NEW
        self._rng = rng
        self._books = books
        self._watch = watch
        self._passed_at = float("inf")
        self._now = float("-inf")
        self._link: Link | None = None
        self._closing: dict[int, Link] = {}
        self._inbound: dict[int, Inbound] = {}
        self._outbound: dict[int, Outbound] = {}
        self._inbound_given: set[int] = set()
        self._outbound_given: set[int] = set()
        self._speaking: dict[Lane, None] = {}
        self._sending: dict[Lane, None] = {}
        self._timers: Timers[Lane | Link | str] = Timers()
        self._ready: dict[object, None] = {}
        self._events: dict[type[SessionEvent], SessionEvent] = {}
        self._commands: list[Command] = []
        self._writable: dict[int, None] = {}

    @property
    def link(self) -> int | None:
        """The link that carries the session, or None."""
        return None if self._link is None else self._link.id

    @property
    def round_trip(self) -> float | None:
        """Seconds a ping last took on the present link, or None."""
        return None if self._link is None else self._link.round_trip

    def is_stale(self, *, now: float) -> bool:
        """Whether a link carries it, and no application message has passed for `stale_age`."""
        return self._link is not None and now - self._passed_at > self.config.stale_age

    @property
    def has_output(self) -> bool:
        """Whether `next_writable` would name a link."""
        return bool(self._writable)

    @property
    def has_news(self) -> bool:
        """Whether `next_ready` would name something."""
        return bool(self._ready)

    # inputs

    def receive_bytes(self, link: int, *, now: float) -> None:
        """Note that bytes came on a link: a sign of life, whatever they are."""
        now = self._clamp(now)
        current = self._find_link(link)
        if current is not None:
            current.receive_bytes(now=now)

    def hold_bytes(self, link: int, size: int, *, now: float) -> None:
        """Note how many bytes a link's wire holds: of one link that is one frame, and no more."""

    def receive_frame(self, link: int, frame: Frame, *, size: int = 0, now: float) -> None:
        """Take a frame from the peer, `size` bytes on the wire.

        One of an older link changes nothing (I13).
        """
        now = self._clamp(now)
        current = self._find_link(link)
        if current is None or current.state not in (LinkState.GREETING, LinkState.ATTACHED):
            return
        try:
            self._dispatch(current, frame, now)
        except Violation as violation:
            self._watch.handle_errors(1, now=now)
            self._end_link(current, Ending(violation.code, violation.reason), now)

    def handle_link_lost(self, link: int, ending: Ending, *, now: float) -> None:
        """Note that the transport of a link is gone."""
        now = self._clamp(now)
        self._closing.pop(link, None)
        self._writable.pop(link, None)
        if ending.code == Code.DONE and ending.status is None:
            # Only the frame `close` can end a session; a middlebox's 1000 can't.
            ending = Ending(Code.LOST, ending.reason or "the connection was closed")
        current = self._find_link(link)
        if current is not None:
            current.end()
            self._drop_link(current, ending, now)

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass. Early, late and spurious calls are harmless."""
        now = self._clamp(now)
        for key in self._timers.pop_due(now):
            if isinstance(key, Link):
                ending = key.handle_timeout(now=now)
                if ending is not None:
                    self._end_link(key, ending, now)
                elif key.state not in (LinkState.CLOSING, LinkState.ENDED):
                    self._arm(key)
                    self._mark_writable(key)
            elif isinstance(key, str):
                self._handle_timer(key, now)
            else:
                key.handle_timeout(now=now)
                self._touch(key)

    def next_deadline(self) -> float | None:
        """When `handle_timeout` next has something to do; None if never."""
        return self._timers.next_deadline()

    # outputs

    def poll_command(self) -> Command | None:
        """Take the next thing the driver must do."""
        return self._commands.pop(0) if self._commands else None

    def next_event(self) -> SessionEvent | None:
        """Take the next session event: one is pending a kind, and `count` says for how many."""
        for kind in self._events:
            return self._events.pop(kind)
        return None

    def next_ready(self) -> object | None:
        """Take the next subscription or outbox whose application has something to do."""
        for thing in self._ready:
            del self._ready[thing]
            return thing
        return None

    def next_writable(self) -> int | None:
        """Take the next link that has come to have something to send.

        It is named once: from then on ask `next_frame` until it has none, again after the wire
        was blocked.
        """
        for link in self._writable:
            del self._writable[link]
            return link
        return None

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        """Build the next frame for a link; None if it has nothing to say now."""
        now = self._clamp(now)
        closing = self._closing.get(link)
        if closing is not None:
            del self._closing[link]
            self._link_over(link, has_last_word=False)
            return closing.next_control(now=now)
        current = self._find_link(link)
        if current is None:
            return None
        frame = current.next_control(now=now)
        if frame is not None:
            self._arm(current)
            return frame
        if current.state is LinkState.GREETING:
            return self._next_greeting(current, now)
        if current is not self._link:
            return None
        return self._next_lane_frame(current, now)

    # for subclasses

    def _receive_role_frame(self, link: Link, frame: Frame, now: float) -> None:
        """Take a frame that only one of the roles understands."""
        raise Violation(f"{type(frame).__name__.lower()} is not for this end")

    def _next_greeting(self, link: Link, now: float) -> Frame | None:
        """Build what goes out before the verdict."""
        return None

    def _next_announcement(self, now: float) -> Frame | None:
        """Build a frame of the session itself, once its link is attached."""
        return None

    def _find_link(self, link: int) -> Link | None:
        """The link of that id if it still counts."""
        return self._link if self._link is not None and self._link.id == link else None

    def _handle_timer(self, name: str, now: float) -> None:
        """Handle one of the role's own timers."""

    def _link_ended(self, link: Link, ending: Ending, now: float) -> None:
        """A link is over: the role decides what follows."""

    def _link_over(self, link: int, *, has_last_word: bool) -> None:
        """Nothing more will be heard on a link, nor said but a last word."""

    # internals

    def _mark_writable(self, link: Link | None) -> None:
        if link is not None:
            self._writable[link.id] = None

    def _clamp(self, now: float) -> float:
        self._now = max(self._now, now)
        return self._now

    def _advance(self, trigger: SessionTrigger) -> None:
        self.state = advance(SESSION, self.state, trigger)

    def _dispatch(self, link: Link, frame: Frame, now: float) -> None:
        if isinstance(frame, Data):
            link.receive_data_frame()
            self._check_attached(link, frame)
            self._note_received(frame, now)
            lane = self._lane(self._inbound, self._inbound_given, frame.id)
            if lane is not None:
                link.progressed = True
                lane.receive_data(frame, now=now)
                self._touch(lane)
                self._received(lane, now)
        elif isinstance(frame, Ack):
            self._check_attached(link, frame)
            sender = self._lane(self._outbound, self._outbound_given, frame.id)
            if sender is not None:
                link.progressed = True
                sender.receive_ack(frame, now=now)
                self._touch(sender)
                self._acknowledged(sender, frame, now)
        elif isinstance(frame, Gone):
            self._check_attached(link, frame)
            lane = self._lane(self._inbound, self._inbound_given, frame.id)
            if lane is not None:
                self._books.grow(2 * RUN_BYTES)
                lane.receive_gone(frame, now=now)
                self._touch(lane)
                self._received(lane, now)
        elif isinstance(frame, Ping):
            link.receive_ping(frame)
            self._mark_writable(link)
        elif isinstance(frame, Pong):
            if link.receive_pong(frame, now=now):
                self._watch.handle_latency(link.round_trip, now=now)
        elif isinstance(frame, Close):
            after = frame.retry_after_ms
            retry = None if after is None else after / 1000
            self._peer_closed(link, Ending(frame.code, frame.reason, retry), now)
        else:
            self._receive_role_frame(link, frame, now)

    def _received(self, lane: Inbound, now: float) -> None:
        """A lane has taken in messages or markers."""

    def _acknowledged(self, lane: Outbound, frame: Ack, now: float) -> None:
        """A lane has taken an ack."""

    def _check_attached(self, link: Link, frame: Frame) -> None:
        if link is not self._link:
            raise Violation(f"{type(frame).__name__.lower()} before the welcome")

    def _lane(self, lanes: dict[int, LaneT], given: set[int], number: int) -> LaneT | None:
        lane = lanes.get(number)
        if lane is None and number not in given and len(given) < MAX_IDS:
            raise Violation(f"id {number} was never given on this link")
        return lane

    def _give(self, lanes: dict[int, LaneT], given: set[int], number: int, lane: LaneT) -> None:
        """An id means this lane from now on. Only the first `MAX_IDS` are remembered (P3)."""
        lanes[number] = lane
        if len(given) < MAX_IDS:
            given.add(number)

    def _touch(self, lane: Lane) -> None:
        """A lane changed: it may have something to send, to be told, or a new deadline."""
        self._speaking[lane] = None
        self._sending[lane] = None
        deadline = lane.next_deadline()
        if deadline is not None:
            self._timers.set(lane, deadline)
        self._mark_writable(self._link)

    def _next_lane_frame(self, link: Link, now: float) -> Frame | None:
        frame = self._next_announcement(now)
        if frame is not None:
            return frame
        while self._speaking:
            lane = next(iter(self._speaking))
            frame = lane.next_control(now=now)
            if frame is not None:
                self._spoke(lane, frame)
                return frame
            del self._speaking[lane]
        while self._sending:
            lane = next(iter(self._sending))
            del self._sending[lane]
            frame = lane.next_data(now=now)
            if frame is None:
                self._rested(lane, now)
            else:
                self._sending[lane] = None
                if isinstance(frame, Data):
                    link.data_sent()
                    self._passed_at = now
                    self._watch.handle_sent(len(frame.payloads), frame.size, now=now)
                elif isinstance(frame, Gone) and frame.reason != "skipped":
                    # What a client skips was refused, and counted then.
                    self._watch.handle_errors(frame.last - frame.first + 1, now=now)
                self._sent(lane, now)
                return frame
        return None

    def _note_received(self, frame: Data, now: float) -> None:
        """A batch has come: what it may take is announced before a lane holds it."""
        self._passed_at = now
        count = len(frame.payloads)
        self._books.grow(frame.size + MESSAGE_BYTES * count + RUN_BYTES)
        self._watch.handle_received(count, frame.size, now=now)

    def _sent(self, lane: Lane, now: float) -> None:
        """A lane's batch, or what goes before it, is on its way."""

    def _spoke(self, lane: Lane, frame: Frame) -> None:
        """A lane's control frame is on its way."""

    def _rested(self, lane: Lane, now: float) -> None:
        """A lane has no data to send for now."""

    def _arm(self, link: Link) -> None:
        self._timers.set(link, link.next_deadline())

    def _peer_closed(self, link: Link, ending: Ending, now: float) -> None:
        link.end()
        self._link_over(link.id, has_last_word=False)
        self._commands.append(CloseLink(link.id, ending))
        self._drop_link(link, ending, now)

    def _end_link(self, link: Link, ending: Ending, now: float) -> None:
        """Close a link from this end; a dead one without a word."""
        if ending.code == Code.SILENT:
            link.end()
        else:
            link.close(ending)
        if link.state is LinkState.CLOSING:
            self._closing[link.id] = link
            self._mark_writable(link)
        self._link_over(link.id, has_last_word=link.state is LinkState.CLOSING)
        self._commands.append(CloseLink(link.id, ending))
        self._drop_link(link, ending, now)

    def _drop_link(self, link: Link, ending: Ending, now: float) -> None:
        """Forget all that belonged to a link, then let the role decide what follows."""
        self._timers.set(link, None)
        if link is self._link:
            self._link = None
        if self._link is None:
            self._detach_lanes(now)
        self._link_ended(link, ending, now)

    def _detach_lanes(self, now: float) -> None:
        self._speaking.clear()
        self._sending.clear()
        self._inbound.clear()
        self._outbound.clear()
        self._inbound_given.clear()
        self._outbound_given.clear()
        for lane in self._lanes():
            lane.handle_link_lost(now=now)
            self._timers.set(lane, None)

    def _lanes(self) -> list[Lane]:
        """All lanes that survive links."""
        return []

    def _tell(self, event: SessionEvent) -> None:
        kind = type(event)
        before = self._events.pop(kind, None)
        if before is not None:
            event.count += before.count
        self._events[kind] = event
