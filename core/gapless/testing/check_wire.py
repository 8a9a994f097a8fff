"""What goes over the wires: honest and monotone acks (P5, I4), credit, no silent skip."""

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
    Subscribe,
    Subscribed,
    Welcome,
)
from gapless.core.position import Position

from .check_publishing import PublishingCheck
from .check_reading import ReadingCheck
from .logs import Logs
from .network import Line
from .promise import hold


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


class WireCheck:
    """Follows every frame, as it is sent."""

    def __init__(self, logs: Logs, reading: ReadingCheck, publishing: PublishingCheck) -> None:
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

    def frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        """Judge a frame."""
        if isinstance(frame, Subscribe):
            self._asked[line, frame.request] = frame
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

    def _subscribed(self, line: Line, frame: Subscribed) -> None:
        asked = self._asked.pop((line, frame.request), None)
        if asked is None or isinstance(frame.outcome, Denied):
            return
        self._reading.answered(line.client, asked, frame)
        self._flows[line, True, frame.id] = Flow(
            f"{line.server}→{line.client} {asked.channel}",
            frame.epoch,
            asked.channel,
            frame.next_seq - 1,
            asked.limit,
            frame.next_seq,
        )

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
        flow.acked, flow.limit = frame.seq, frame.limit
        if not to_client:
            self._check_taken(line, flow, frame.seq, what)

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
