"""What goes over the wires: honest and monotone acks (P5, I4), credit, no silent skip."""

from collections.abc import Callable
from dataclasses import dataclass

from gapless.core.credit import charge
from gapless.core.frames import (
    Ack,
    Data,
    Denied,
    Frame,
    Gone,
    Offer,
    Offered,
    PinTerms,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Welcome,
)
from gapless.core.position import Position
from gapless.core.subscription import Phase

from .check_publishing import PublishingCheck
from .check_reading import ReadingCheck
from .logs import Logs
from .network import Line
from .pair import Pair
from .peer import Peer
from .promise import hold

TOLD_WITHIN = 0.1
"""Seconds after which a reader that pins has told what was taken, at most."""

_CARRIED = (Phase.LIVE, Phase.SET_BACK)
_EPSILON = 1e-6


@dataclass(slots=True)
class Flow:
    """One id on one line, one way: who sends what to whom."""

    name: str
    epoch: str
    channel: str
    start: int
    limit: int
    next_seq: int = 1
    sent: int = 0
    acked: int = 0
    pin: PinTerms | None = None
    request: int = 0
    untold_since: float | None = None


class WireCheck:
    """Follows every frame, as it is sent.

    Args:
        pair: whose.
        logs, reading, publishing: what was appended, taken and published.
        session_of: names the session that a line carries.
        meddled: something on the way repeats frames: a receiver may have got more than was sent.
    """

    def __init__(
        self,
        pair: Pair,
        logs: Logs,
        reading: ReadingCheck,
        publishing: PublishingCheck,
        *,
        session_of: Callable[[Line], str | None],
        meddled: bool,
    ) -> None:
        self._pair = pair
        self._session_of = session_of
        self._meddled = meddled
        self._current: dict[tuple[str, str], tuple[Line, Flow]] = {}
        self._logs = logs
        self._reading = reading
        self._publishing = publishing
        self._asked: dict[tuple[Line, int], Subscribe] = {}
        self._offers: dict[tuple[Line, int], Offer] = {}
        self._flows: dict[tuple[Line, bool, int], Flow] = {}

    def forget(self, line: Line) -> None:
        """A line is gone."""
        self._asked = {key: ask for key, ask in self._asked.items() if key[0] is not line}
        self._offers = {key: offer for key, offer in self._offers.items() if key[0] is not line}
        self._flows = {key: flow for key, flow in self._flows.items() if key[0] is not line}
        for key in [key for key, found in self._current.items() if found[0] is line]:
            del self._current[key]

    def frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        """Judge a frame."""
        if isinstance(frame, Subscribe):
            self._subscribe(line, frame)
        elif isinstance(frame, Unsubscribe):
            self._unsubscribe(line, frame)
        elif isinstance(frame, Subscribed):
            self._subscribed(line, frame)
        elif isinstance(frame, Offer):
            self._offers[line, frame.id] = frame
        elif isinstance(frame, Offered):
            self._offered(line, frame)
        elif isinstance(frame, Welcome):
            self._publishing.attached(frame.session, line.client)
        elif isinstance(frame, Data | Gone):
            self._data(line, to_client, frame)
        elif isinstance(frame, Ack):
            self._ack(line, to_client, frame)

    def taken(self, peer: Peer, channel: str, position: Position | None, *, now: float) -> None:
        """An application has taken something: a reader that pins must say so soon."""
        found = self._current.get((peer.name, channel))
        if found is None or position is None:
            return
        _, flow = found
        is_news = position.epoch == flow.epoch and position.seq > flow.acked
        if flow.pin is not None and is_news and flow.untold_since is None:
            flow.untold_since = now

    def step(self, peer: Peer, *, now: float, late: bool) -> None:
        """Judge whether a client's acks come in time (rule 4); `late`: its driver slept."""
        hears = {sub.channel for sub in peer.session.subscriptions if sub.phase in _CARRIED}
        for (name, channel), (line, flow) in self._current.items():
            if name != peer.name or flow.untold_since is None or flow.pin is None:
                continue
            carries = peer.session.link == line.client_link and not line.is_cut
            can_tell = carries and channel in hears and line.to_server.has_room
            if late or not can_tell:
                flow.untold_since = now
            within = min(TOLD_WITHIN, flow.pin.patience_ms / 4000)
            words = f"{flow.name}: taken for {now - flow.untold_since:.3f} s, and not acked"
            hold(now <= flow.untold_since + within + _EPSILON, "rule 4", words)

    def at_rest(self, peer: Peer) -> None:
        """Judge the credit of a client's channels when nothing is on the way or held (I17)."""
        if peer.endpoint.has_output:
            return  # an ack may be due that gives credit back
        config, hub_config = peer.session.config, self._pair.hub.config
        for (name, _), (_, flow) in self._current.items():
            if name == peer.name:
                self._check_left(flow, config.window)
        for outbox in peer.session.outboxes:
            for line in peer.lines.values():
                offered = self._flows.get((line, False, outbox.id))
                if offered is not None and line.client_link == peer.session.link:
                    self._check_left(offered, hub_config.window)

    def _check_left(self, flow: Flow, window: int) -> None:
        left = flow.limit - flow.sent
        words = f"{flow.name}: {left} of {window} bytes of credit are left, and nothing is held"
        hold(left >= window // 2, "I17", words)

    def _subscribe(self, line: Line, frame: Subscribe) -> None:
        self._asked[line, frame.request] = frame
        self._current.pop((line.client, frame.channel), None)
        peer = self._peer(line)
        for subscription in [] if peer is None else peer.session.subscriptions:
            if peer is not None and subscription.channel == frame.channel:
                most = max(0, peer.session.config.window - subscription.held_bytes)
                words = f"{line.client} {frame.channel}: limit {frame.limit}, {most} are left"
                hold(frame.limit <= most, "rule 3", words)

    def _unsubscribe(self, line: Line, frame: Unsubscribe) -> None:
        for key, (where, flow) in list(self._current.items()):
            if where is line and flow.request == frame.request:
                del self._current[key]

    def _peer(self, line: Line) -> Peer | None:
        return next((peer for peer in self._pair.peers if peer.name == line.client), None)

    def _subscribed(self, line: Line, frame: Subscribed) -> None:
        asked = self._asked.pop((line, frame.request), None)
        if asked is None or isinstance(frame.outcome, Denied):
            return
        self._reading.answered(line.client, self._session_of(line), asked, frame)
        flow = self._flows[line, True, frame.id] = Flow(
            f"{line.server}→{line.client} {asked.channel}",
            frame.epoch,
            asked.channel,
            frame.next_seq - 1,
            asked.limit,
            frame.next_seq,
            pin=frame.pin,
            request=asked.request,
        )
        self._current[line.client, asked.channel] = line, flow

    def _offered(self, line: Line, frame: Offered) -> None:
        offer = self._offers.pop((line, frame.id), None)
        words = f"{line.server}→{line.client}: offered {frame.id} answers no offer"
        hold(offer is not None, "rule 7", words)
        assert offer is not None
        if frame.kind == "known":
            same = frame.epoch == offer.epoch
            hold(same, "rule 7", f"offered knows {frame.epoch}, asked about {offer.epoch}")
        self._flows[line, False, frame.id] = Flow(
            f"{line.client}→{line.server} {offer.channel}",
            frame.epoch,
            offer.channel,
            frame.last,
            frame.limit,
            acked=frame.last,
        )

    def _data(self, line: Line, to_client: bool, frame: Data | Gone) -> None:
        flow = self._flows.get((line, to_client, frame.id))
        hold(flow, "rule 2", f"data or gone of id {frame.id}, which was never answered")
        assert flow is not None
        if to_client:
            where = f"{flow.name}: {frame.first} sent after {flow.next_seq - 1}"
            hold(frame.first == flow.next_seq, "P2", where)
        if isinstance(frame, Gone):
            flow.next_seq = frame.last + 1
            return
        flow.next_seq = frame.first + len(frame.payloads)
        credit = f"{flow.name}: sent {flow.sent} of {flow.limit}, and another batch"
        hold(flow.sent < flow.limit, "rule 3", credit)
        flow.sent += charge(frame.payloads)

    def _ack(self, line: Line, to_client: bool, frame: Ack) -> None:
        flow = self._flows.get((line, not to_client, frame.id))
        if flow is None:
            return
        what = f"{flow.name}: ack {frame.seq} limit {frame.limit}"
        hold(frame.seq >= flow.acked, "I4", f"{what} after {flow.acked}")
        hold(frame.limit >= flow.limit, "rule 3", f"{what} after limit {flow.limit}")
        hold(frame.seq < flow.next_seq or frame.seq <= flow.start, "P5", f"{what}: never sent")
        self._check_limit(line, to_client, flow, frame, what)
        flow.acked, flow.limit = frame.seq, frame.limit
        if not to_client:
            flow.untold_since = None
            self._check_taken(line, flow, frame.seq, what)

    def _check_limit(self, line: Line, to_client: bool, flow: Flow, ack: Ack, what: str) -> None:
        """A limit is what was received and the window, less what is held."""
        peer = self._peer(line)
        if peer is None or self._meddled:
            return
        session = peer.session
        window, held = session.config.window, 0
        if to_client:
            window = self._pair.hub.config.window
        else:
            found = [sub for sub in session.subscriptions if sub.channel == flow.channel]
            held = sum(subscription.held_bytes for subscription in found)
        most = max(flow.limit, flow.sent + window - held)
        words = f"{what}: {flow.sent} sent, {held} held, a window of {window}"
        hold(ack.limit <= most, "rule 3", words)

    def _check_taken(self, line: Line, flow: Flow, seq: int, what: str) -> None:
        """A reader's ack is what its application has taken, or where it began."""
        reading = self._reading.find(line.client, flow.channel)
        if reading is None or Position(flow.epoch, seq) in reading.resets:
            return
        taken = reading.position
        if taken is None:
            began = Position(flow.epoch, seq) in reading.starts
            hold(began, "P5", f"{what}, and nothing is taken")
        else:
            honest = taken.epoch == flow.epoch and seq <= taken.seq
            hold(honest, "P5", f"{what}, and taken is {taken}")
