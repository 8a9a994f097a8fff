"""Outbox and Intake, joined by a lossy link: model b.py over the real parts (rule 7, P6).

Hypothesis chooses what is published, sent, delivered, appended, refused, cut and restarted. The
oracle is the list of what was applied. In the end the faults stop, and all must settle (P4).
"""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gapless.core.config import KIB, Config
from gapless.core.events import Settled
from gapless.core.frames import Ack, Data, Frame, Gone, Offer, Offered, Refused
from gapless.core.intake import Intake
from gapless.core.outbox import Outbox

from .parts import counted, ids

MESSAGES = 12


class Publishing(RuleBasedStateMachine):
    """A client's outbox, a link, a hub's intake, and a store that answers late."""

    def __init__(self) -> None:
        super().__init__()
        config = Config(history_messages=6)
        self.outbox = Outbox("commands", config=config, ids=ids())
        self.new_epoch = counted("P")
        self.intake = self._new_intake()
        self.now = 0.0
        self.published = 0
        self.restarts = 0
        self.is_up = False
        self.in_flight: list[bytes] | None = None
        self.up: list[Frame] = []
        self.down: list[Frame] = []
        self.applied: list[int] = []
        self.refused: set[int] = set()
        self.settled: list[Settled] = []

    def _new_intake(self) -> Intake:
        return Intake("commands", "@s", window=KIB, new_epoch=self.new_epoch)

    # the client

    @precondition(lambda self: self.published < MESSAGES and self.outbox.has_room(600))
    @rule(size=st.sampled_from([3, 3, 600]))
    def publish(self, size: int) -> None:
        self.published += 1
        payload = str(self.published).zfill(size).encode()
        assert self.outbox.publish(payload, False, now=self.now) == self.published

    @precondition(lambda self: self.is_up)
    @rule()
    def client_sends(self) -> None:
        frame = self.outbox.next_control(now=self.now) or self.outbox.next_data(now=self.now)
        if frame is not None:
            self.up.append(frame)

    @precondition(lambda self: self.down)
    @rule()
    def client_receives(self) -> None:
        frame = self.down.pop(0)
        if isinstance(frame, Offered):
            self.outbox.receive_offered(frame, now=self.now)
        elif isinstance(frame, Refused):
            self.outbox.receive_refused(frame, now=self.now)
        else:
            assert isinstance(frame, Ack)
            self.outbox.receive_ack(frame, now=self.now)

    @rule()
    def time_passes(self) -> None:
        self.now += 1.0
        self.outbox.handle_timeout(now=self.now)

    @rule()
    def application_looks(self) -> None:
        while (word := self.outbox.next_settled()) is not None:
            self.settled.append(word)

    # the link

    @precondition(lambda self: not self.is_up)
    @rule()
    def connect(self) -> None:
        self.is_up = True

    @precondition(lambda self: self.is_up)
    @rule()
    def cut(self) -> None:
        self.is_up = False
        self.up.clear()
        self.down.clear()
        self.outbox.handle_link_lost(now=self.now)
        self.intake.handle_link_lost(now=self.now)

    # the hub

    @precondition(lambda self: self.up)
    @rule()
    def hub_receives(self) -> None:
        frame = self.up.pop(0)
        if isinstance(frame, Offer):
            self.intake.receive_offer(frame, now=self.now)
        elif isinstance(frame, Data) and frame.id == self.intake.id:
            self.intake.receive_data(frame, now=self.now)
        elif isinstance(frame, Gone) and frame.id == self.intake.id:
            self.intake.receive_gone(frame, now=self.now)

    @precondition(lambda self: self.is_up)
    @rule()
    def hub_sends(self) -> None:
        self.intake.prepare_answer(store_remembers=False)
        frame = self.intake.next_control(now=self.now)
        if frame is not None:
            self.down.append(frame)

    @precondition(lambda self: self.in_flight is None)
    @rule(most=st.integers(1, 4))
    def append_starts(self, most: int) -> None:
        chunk = self.intake.next_chunk(most, 10**6)
        if chunk is not None:
            self.intake.take_chunk(chunk)
            self.in_flight = chunk.payloads

    @precondition(lambda self: self.in_flight is not None)
    @rule(verdict=st.sampled_from(["accepted", "accepted", "for now", "for good"]))
    def append_is_answered(self, verdict: str) -> None:
        payloads, self.in_flight = self.in_flight, None
        assert payloads is not None
        if verdict == "accepted":
            self.applied += map(int, payloads)
            self.intake.handle_accepted()
        else:
            self.intake.handle_refused(verdict, 0.5 if verdict == "for now" else None)

    @precondition(lambda self: self.restarts < 2)
    @rule(was_applied=st.booleans())
    def restart_without_memory(self, was_applied: bool) -> None:
        """What was being appended is in or not; nobody will be told."""
        if self.is_up:
            self.cut()
        if self.in_flight is not None and was_applied:
            self.applied += map(int, self.in_flight)
        self.in_flight = None
        self.restarts += 1
        self.intake = self._new_intake()

    # what must hold

    @invariant()
    def applied_once_and_in_order(self) -> None:
        assert self.applied == sorted(set(self.applied))

    @invariant()
    def every_word_is_true(self) -> None:
        at = 0
        for word in self.settled:
            assert word.first == at + 1, "each message ends in exactly one way, in order"
            at = word.last
            numbers = set(range(word.first, word.last + 1))
            if word.outcome == "accepted":
                assert numbers <= set(self.applied)
            elif word.outcome == "refused":
                assert not numbers & set(self.applied)
            else:
                assert word.outcome == "unknown"
                assert self.restarts, "unknown though the hub forgot nothing"
        assert at <= self.published

    @invariant()
    def what_waits_is_bounded(self) -> None:
        """P3: the window and one batch."""
        assert self.intake.held_bytes <= 2 * KIB + 6 * (600 + 32)

    def teardown(self) -> None:
        """P4, I17: once the faults stop, all settles; and without a restart nothing is unknown."""
        for _ in range(60 + 20 * MESSAGES):
            if not self.is_up:
                self.connect()
            self.client_sends()
            while self.up:
                self.hub_receives()
            if self.in_flight is None:
                self.append_starts(4)
            if self.in_flight is not None:
                self.append_is_answered("accepted")
            self.hub_sends()
            while self.down:
                self.client_receives()
            self.time_passes()
            self.application_looks()
            self.applied_once_and_in_order()
        self.every_word_is_true()
        assert self.outbox.is_settled, "P4"
        assert sum(word.last - word.first + 1 for word in self.settled) == self.published
        accepted = [word for word in self.settled if word.outcome == "accepted"]
        assert self.outbox.accepted == sum(word.last - word.first + 1 for word in accepted)
        if not self.restarts:
            told = [seq for word in accepted for seq in range(word.first, word.last + 1)]
            assert told == self.applied, "I22: what was applied is what was told"


TestPublishing = Publishing.TestCase
