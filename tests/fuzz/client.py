"""Target: a `ClientSession`, its application, its clock and a server that says anything.

Every choice comes from the input. At each step: no call of the peer's raises (I21), no more is held
than may be (P3), an old link changes nothing (I13), what is taken has no hole that wasn't said (P1,
P2), acks and limits never go back (I4), no deadline stays in the past (I12). In the end the session
is closed, and each publish has ended in one way (P6).
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import KIB, Config
from gapless.core.errors import LocalProtocolError
from gapless.core.events import CaughtUp, ChannelEvent, Lost, Message, OpenLink, Reset
from gapless.core.frames import (
    Ack,
    Data,
    Frame,
    Live,
    Offer,
    Offered,
    Refused,
    Subscribe,
    Subscribed,
    Welcome,
)
from gapless.core.position import Position
from gapless.core.states import SessionState
from gapless.core.subscription import Subscription

from .drawing import Draw
from .frames import (
    CHANNELS,
    EPOCHS,
    MAX_MESSAGE,
    draw_data,
    draw_frame,
    draw_offered,
    draw_payload,
    draw_since,
    draw_subscribed,
    legal,
)
from .machines import LOST, play, wait

Make = Callable[[Config], ClientSession]

ROOMY = Config(history_messages=6, window=KIB, max_message=MAX_MESSAGE, max_channels=4)
CROWDED = replace(ROOMY, window=64 * KIB, memory_limit=64 * KIB)
"""Four windows are more than the memory: unread messages are dropped and asked for again."""


def a_session(config: Config) -> ClientSession:
    return ClientSession(config, rng=Random(1), wait=60.0)


class Taken:
    """What an application has taken of one subscription: no repeats, no silent hole (P1, P2)."""

    def __init__(self) -> None:
        self._at: Position | None = None

    def take(self, event: ChannelEvent) -> None:
        at = self._at
        match event:
            case Message():
                assert at in (None, Position(event.epoch, event.seq - 1)), f"{at}, then {event}"
                self._at = event.position
            case Lost():
                assert event.first <= event.last
                assert at in (None, Position(event.epoch, event.first - 1)), f"{at}, then {event}"
                self._at = Position(event.epoch, event.last)
            case Reset():
                self._at = event.position
            case CaughtUp():
                assert at in (None, event.position), f"{at}, then {event}"
                self._at = event.position


class Client:
    """One run."""

    def __init__(self, draw: Draw, make: Make) -> None:
        self.draw = draw
        self.now = 100.0
        head = draw.byte()
        self.session = make(CROWDED if head & 1 else ROOMY)
        self.link = 0
        self.gone: list[int] = []
        self.asked: list[Subscribe] = []
        self.offers: list[Offer] = []
        self.sent: dict[int, int] = {}
        self.expected: dict[int, int] = {}
        self.acked: dict[int, Ack] = {}
        self.taken: dict[Subscription, Taken] = {}
        self.published: dict[str, int] = {}
        self.settled: dict[str, set[int]] = {}
        self._is_over = False
        self._acts: tuple[Callable[[], None], ...] = (
            self._poll,
            self._drain,
            self._welcomed,
            self._answer_subscribe,
            self._answer_offer,
            self._data_in_order,
            self._any_frame,
            self._stale_frame,
            self._wait,
            self._subscribe,
            self._publish,
            self._read,
            self._unsubscribe,
            self._link_lost,
            self._hurry,
            self._settle,
            self._leave,
        )
        if head & 2:
            self.session.start(now=self.now)
            self._poll()
            self._subscribe()
            self._drain()
            self._welcomed()
            self._answer_subscribe()

    def run(self) -> None:
        play(self.draw, self._acts, self._check)
        self._end()

    # the driver

    def _poll(self) -> None:
        while (command := self.session.poll_command()) is not None:
            if isinstance(command, OpenLink):
                assert not self._is_over, "a closed session dials (I20)"
                assert command.link > self.link, "ids of links grow"
                self.link = command.link
                self.asked.clear()
                self.offers.clear()
                self.sent.clear()
                self.expected.clear()
                self.acked.clear()
                self.session.handle_link_opened(self.link, now=self.now)

    def _drain(self) -> None:
        while (link := self.session.next_writable()) is not None:
            for _ in range(64):
                frame = self.session.next_frame(link, now=self.now)
                if frame is None:
                    break
                if link == self.link:
                    self._said(frame)

    def _said(self, frame: Frame) -> None:
        assert legal(frame) == frame, f"no codec carries {frame}"
        if isinstance(frame, Subscribe):
            self.asked.append(frame)
            self.acked.clear()
        elif isinstance(frame, Offer):
            self.offers.append(frame)
        elif isinstance(frame, Data):
            self.sent[frame.id] = frame.first + len(frame.payloads) - 1
        elif isinstance(frame, Ack):
            before = self.acked.get(frame.id, Ack(frame.id, 0, 0))
            assert frame.seq >= before.seq, f"an ack went back: {before}, {frame}"
            assert frame.limit >= before.limit, f"a limit went back: {before}, {frame}"
            self.acked[frame.id] = frame

    def _wait(self) -> None:
        self.now = wait(self.draw, self.session, self.now)

    def _link_lost(self) -> None:
        code = self.draw.choice((Code.LOST, Code.TRY_LATER, Code.DONE, Code.FENCED, Code.SILENT))
        link = max(0, self.link - self.draw.below(2))
        after = self.draw.choice((None, 0.0, 5.0))
        self.session.handle_link_lost(link, Ending(code, "gone", after), now=self.now)
        self.gone.append(link)

    # the server

    def _hear(self, frame: Frame) -> None:
        self.session.receive_bytes(self.link, now=self.now)
        self.session.receive_frame(self.link, frame, size=100, now=self.now)

    def _welcomed(self) -> None:
        token = f"token-{self.link}"
        self._hear(Welcome("@s", token, self.draw.flag(), 30_000, 120_000, MAX_MESSAGE, 4))

    def _answer_subscribe(self) -> None:
        if not self.asked:
            return
        asked = self.asked[self.draw.below(len(self.asked))]
        if self.draw.flag():
            self._hear(legal(draw_subscribed(self.draw, asked.request)))
            return
        number, first = 1 + len(self.expected), 1 + self.draw.below(4)
        epoch = EPOCHS[0]
        if isinstance(asked.since, Position):
            epoch, first = asked.since.epoch, asked.since.seq + 1
        head = first - 1 + self.draw.below(4)
        self._hear(legal(Subscribed(asked.request, number, epoch, first, head, None, Live())))
        self.expected[number] = first

    def _answer_offer(self) -> None:
        """Answer an offer, or what was sent under one."""
        if not self.offers:
            return
        offer = self.draw.choice(self.offers)
        number, sent = offer.id, self.sent.get(offer.id, 0)
        frame: Frame
        match self.draw.below(6):
            case 0:
                frame = Offered(number, "new", f"P{number}", 0, 10_000)
            case 1:
                last = offer.first + self.draw.below(4) - 1
                frame = Offered(number, "known", offer.epoch or "P1", max(0, last), 10_000)
            case 2:
                frame = draw_offered(self.draw, number)
            case 3:
                after = self.draw.choice((None, 0, 100))
                frame = Refused(number, sent, sent, "busy", after)
            case _:
                seq = max(0, sent - self.draw.below(3))
                frame = Ack(number, seq, 10_000 + 1000 * sent)
        self._hear(legal(frame))

    def _data_in_order(self) -> None:
        if self.expected:
            number = self.draw.choice(list(self.expected))
            frame = legal(draw_data(self.draw, number, self.expected[number]))
            self._hear(frame)
            if isinstance(frame, Data):
                self.expected[number] += len(frame.payloads)

    def _any_frame(self) -> None:
        self._hear(draw_frame(self.draw))

    def _stale_frame(self) -> None:
        """A frame, and the end, of a link that was lost or never was (I13)."""
        link = self.draw.choice((0, 10**9, *self.gone[-4:]))
        before = self._state()
        self.session.receive_frame(link, draw_frame(self.draw), size=9, now=self.now)
        self.session.handle_link_lost(link, LOST, now=self.now)
        assert self._state() == before, "a link that isn't there changed something (I13)"

    def _state(self) -> tuple[object, ...]:
        session = self.session
        lanes = [(sub.channel, sub.phase, sub.position) for sub in session.subscriptions]
        counts = session.stats(), session.held_bytes, session.next_deadline(), session.token
        return session.state, session.link, session.has_output, lanes, counts

    # the application

    def _subscribe(self) -> None:
        channel, since = self.draw.choice(CHANNELS), draw_since(self.draw)
        try:
            subscription = self.session.subscribe(channel, since, now=self.now)
        except LocalProtocolError:
            return
        self.taken[subscription] = Taken()

    def _publish(self) -> None:
        channel, payload, text = (
            self.draw.choice(CHANNELS),
            draw_payload(self.draw),
            self.draw.flag(),
        )
        try:
            number = self.session.publish(channel, payload, text, now=self.now)
        except LocalProtocolError:
            return
        if number is not None:
            assert number == self.published.get(channel, 0) + 1
            self.published[channel] = number

    def _read(self) -> None:
        subscriptions = self.session.subscriptions
        if not subscriptions:
            return
        subscription = self.draw.choice(subscriptions)
        if self.draw.flag():
            for message in self.session.next_batch(subscription, now=self.now):
                self.taken[subscription].take(message)
        for _ in range(self.draw.below(16)):
            event = self.session.next_message(subscription, now=self.now)
            if event is None:
                break
            self.taken[subscription].take(event)

    def _unsubscribe(self) -> None:
        if self.taken:
            subscription = self.draw.choice(list(self.taken))
            self.session.unsubscribe(subscription, now=self.now)

    def _hurry(self) -> None:
        self.session.handle_network_back(now=self.now)

    def _settle(self) -> None:
        self.session.next_event()
        self.session.next_ready()
        for channel in self.published:
            while (settled := self.session.next_settled(channel)) is not None:
                numbers = set(range(settled.first, settled.last + 1))
                seen = self.settled.setdefault(channel, set())
                assert numbers, "a range without a message"
                assert not numbers & seen, f"settled twice: {settled}"
                assert settled.last <= self.published[channel]
                seen |= numbers

    def _leave(self) -> None:
        match self.draw.below(8):
            case 0:
                self.session.close(now=self.now)
            case 1:
                self.session.suspend(now=self.now)
            case 2:
                try:
                    self.session.start(now=self.now)
                except LocalProtocolError:
                    return
            case _:
                pass

    # what holds

    def _check(self) -> None:
        session = self.session
        limit = session.config.memory_limit
        assert session.held_bytes <= limit, f"{session.held_bytes} of {limit} bytes (P3)"
        if session.state is SessionState.CLOSED:
            self._is_over = True
            assert session.next_deadline() is None, "a closed session has a deadline (I20)"
        else:
            assert not self._is_over, "a closed session is open again (I20)"

    def _end(self) -> None:
        self.session.close(now=self.now, timeout=0.0)
        self._check()
        assert self._is_over
        self._poll()
        self._drain()
        self._settle()
        for channel, last in self.published.items():
            missing = set(range(1, last + 1)) - self.settled.get(channel, set())
            assert not missing, f"never settled (P6): {channel} {sorted(missing)}"


class ClientTarget:
    """One run with the input's choices."""

    def __init__(self, make: Make = a_session) -> None:
        self._make = make

    def __call__(self, data: bytes) -> None:
        Client(Draw(data), self._make).run()


session_target = ClientTarget()
