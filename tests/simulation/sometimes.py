"""What must have happened in some run: a simulator that never gets there proves nothing there.

`Sometimes` counts interesting states as a run passes through them. A counter that stays at zero
over many seeds is a fault of the simulator, or of the library, and fails the whole.
"""

from collections import Counter

from gapless.core.closing import Code
from gapless.core.events import (
    ChannelEvent,
    Goodbye,
    LinkDown,
    LinkUp,
    Lost,
    Reset,
    SessionEvent,
    Settled,
)
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Frame,
    Gone,
    Offered,
    Partial,
    Recovered,
    Refused,
    StartedOver,
    Subscribed,
    Welcome,
)
from gapless.core.local import LocalReader
from gapless.core.subscription import Phase, Subscription
from gapless.testing import Pair, Peer
from gapless.testing.network import Line
from gapless.testing.observer import Observer

STATES = (
    "ack lost with its link",
    "answer to offer lost with its link",
    "backpressure at a client released",
    "backpressure at the server released",
    "data lost with its link",
    "duplicate dropped",
    "ends disagreed on the count of data frames",
    "gap repaired",
    "inbox shed",
    "link silent",
    "message expired",
    "message lost, and said",
    "message rotated away",
    "moved after goaway",
    "pin lapsed",
    "position ahead of the head",
    "position in another epoch",
    "private channel read",
    "publish accepted",
    "publish refused",
    "publish refused for a while",
    "publish unknown",
    "publish unsent",
    "replay cut",
    "replay complete",
    "reset, and said",
    "server read a loss",
    "session resumed",
    "session not resumed",
    "takeover",
    "welcome lost with its link",
)


class Sometimes(Observer):
    """Counts the states of `STATES` that one run has been in."""

    def __init__(self, pair: Pair) -> None:
        self.counts: Counter[str] = Counter()
        self.messages = 0
        self._pair = pair
        self._replays: dict[Line, dict[int, int]] = {}
        self._duplicates: dict[Subscription, int] = {}
        self._gaps: dict[Subscription, int] = {}
        self._shed: set[Subscription] = set()
        self._leaving: set[Peer] = set()

    def see(self, state: str) -> None:
        """Count a state."""
        if state not in STATES:
            raise KeyError(state)
        self.counts[state] += 1

    def on_frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        if isinstance(frame, Subscribed):
            self._see_answer(line, frame)
        elif isinstance(frame, Data) and to_client:
            replays = self._replays.get(line, {})
            head = replays.get(frame.id)
            if head is not None and frame.first + len(frame.payloads) > head:
                del replays[frame.id]
                self.see("replay complete")
        elif isinstance(frame, Gone):
            self._see_loss(frame.reason)
        elif isinstance(frame, Refused) and frame.retry_after_ms is not None:
            self.see("publish refused for a while")
        elif isinstance(frame, Close):
            if frame.code == Code.FENCED:
                self.see("takeover")
            elif frame.code == Code.DIVERGED:
                self.see("ends disagreed on the count of data frames")

    def on_lost(self, line: Line, lost: list[tuple[bool, Frame]]) -> None:
        for _ in self._replays.pop(line, {}):
            self.see("replay cut")
        for _, frame in lost:
            if isinstance(frame, Ack):
                self.see("ack lost with its link")
            elif isinstance(frame, Data):
                self.see("data lost with its link")
            elif isinstance(frame, Welcome):
                self.see("welcome lost with its link")
            elif isinstance(frame, Offered):
                self.see("answer to offer lost with its link")

    def on_taken(
        self, peer: Peer | None, reader: Subscription | LocalReader, event: ChannelEvent
    ) -> None:
        if isinstance(event, Lost):
            self.see("message lost, and said" if peer else "server read a loss")
        elif isinstance(event, Reset):
            self.see("reset, and said")
        else:
            self.messages += 1
            if reader in self._reading_me():
                self.see("private channel read")

    def on_settled(self, peer: Peer, settled: Settled) -> None:
        self.see(f"publish {settled.outcome}")

    def on_event(self, peer: Peer, event: SessionEvent) -> None:
        if isinstance(event, LinkUp):
            self.see("session resumed" if event.resumed else "session not resumed")
            if peer in self._leaving:
                self._leaving.discard(peer)
                self.see("moved after goaway")
        elif isinstance(event, Goodbye):
            self._leaving.add(peer)
        elif isinstance(event, LinkDown) and event.ending.code == Code.SILENT:
            self.see("link silent")

    def on_step(self) -> None:
        for peer in self._pair.peers:
            for subscription in peer.session.subscriptions:
                self._look(subscription)

    def _look(self, subscription: Subscription) -> None:
        duplicates = subscription.counts()["duplicates"]
        if duplicates > self._duplicates.get(subscription, 0):
            self._duplicates[subscription] = duplicates
            self.see("duplicate dropped")
        if subscription.phase is Phase.SET_BACK:
            if subscription not in self._shed:
                self._shed.add(subscription)
                self.see("inbox shed")
        else:
            self._shed.discard(subscription)
        if subscription.is_live and subscription.gaps > self._gaps.get(subscription, 0):
            self._gaps[subscription] = subscription.gaps
            self.see("gap repaired")

    def _see_answer(self, line: Line, frame: Subscribed) -> None:
        outcome = frame.outcome
        if frame.head >= frame.next_seq and isinstance(outcome, Recovered | Partial):
            self._replays.setdefault(line, {})[frame.id] = frame.head
        if isinstance(outcome, Partial):
            self._see_loss(outcome.reason)
        elif isinstance(outcome, StartedOver):
            ahead = outcome.reason == "ahead"
            self.see("position ahead of the head" if ahead else "position in another epoch")

    def _see_loss(self, reason: str) -> None:
        states = {
            "expired": "message expired",
            "rotated": "message rotated away",
            "stalled": "pin lapsed",
        }
        if reason in states:
            self.see(states[reason])

    def _reading_me(self) -> set[object]:
        sessions = [peer.session for peer in self._pair.peers]
        return {sub for one in sessions for sub in one.subscriptions if sub.channel == "@me"}
