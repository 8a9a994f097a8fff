"""A client session's life, with a server that says anything at any time (layer 2).

Hypothesis opens, loses and refuses links, welcomes and sends away, answers publishes rightly and
wrongly, shows credentials whenever it likes, exports and restores. What must hold at every step:

- I18: between two welcomes credentials are refreshed at most once;
- P6: every published message ends in exactly one of the four ways, across export and restore;
- I20: after `Closed` there is no timer, no question and no event;
- I21: nothing a peer says raises.
"""

import json
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gapless.core.closing import CloseClass, Code, Ending, Endings
from gapless.core.config import Config
from gapless.core.errors import InvalidState
from gapless.core.events import Closed, CloseLink, CredentialsWanted, OpenLink
from gapless.core.export import Export
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Frame,
    Goaway,
    Gone,
    Offered,
    Ping,
    Refused,
    Welcome,
)
from gapless.core.outbox import OfferPhase
from gapless.core.states import SessionState

from .by_hand import ClientByHand
from .parts import LOST

CHANNELS: tuple[str, ...] = ("a", "b")
ENDINGS = (
    LOST,
    LOST,
    LOST,
    Ending(Code.LOST, "", status=401),
    Ending(Code.TRY_LATER, "", retry_after=1.0, status=503),
    Ending(4700, "not here"),
)
TABLE = Endings().changed({4700: CloseClass.NEW_SESSION})
CONFIG = Config(history_messages=4, backoff_base=0.1, backoff_cap=1.0, endings=TABLE)

channels = st.sampled_from(CHANNELS)
epochs = st.sampled_from(["P1", "P1", "P2"])
ids = st.integers(1, 4)
seqs = st.integers(0, 6)
words: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Offered, ids, st.sampled_from(["known", "new"]), epochs, seqs, st.just(1 << 30)),
    st.builds(Offered, ids, st.just("new"), epochs, st.just(0), st.sampled_from([0, 1, 1 << 30])),
    st.builds(Ack, ids, seqs, st.just(1 << 30)),
    st.builds(Refused, ids, seqs, seqs, st.just("full"), st.sampled_from([None, 500])),
    st.builds(Goaway, st.just(5000), st.just(0)),
    st.builds(
        Close,
        st.sampled_from([Code.UNAUTHORIZED, Code.RESTART, Code.FENCED, 4700, Code.DONE]),
        st.just(""),
        st.none(),
    ),
    st.just(Ping(1, 0)),
    st.just(Gone(1, 1, 2, "rotated")),
    st.just(Data(1, 1, [b"x"], False)),
)


class Life(RuleBasedStateMachine):
    """One session after the other; each may inherit from the one before."""

    @initialize(asks=st.booleans(), seed=st.integers(0, 2**16))
    def begin(self, asks: bool, seed: int) -> None:
        self.asks, self.seed = asks, seed
        self.published = dict.fromkeys(CHANNELS, 0)
        self.outcomes: dict[str, dict[int, str]] = {name: {} for name in CHANNELS}
        self.be_born(None)

    def be_born(self, exported: Export | None) -> None:
        self.desk = ClientByHand(config=CONFIG, asks=self.asks, seed=self.seed)
        self.client = self.desk.client
        self.links: list[int] = []
        self.refreshes, self.welcomes = 0, 0
        self.is_closed = False
        if exported is None:
            self.published = dict.fromkeys(CHANNELS, 0)
            self.outcomes = {name: {} for name in CHANNELS}
        else:
            self.client.restore(exported, now=self.desk.now)
        self.client.start(now=self.desk.now)

    # the network and the server

    @rule(after=st.sampled_from([0.0, 0.05, 1.0, 35.0]))
    def time_passes(self, after: float) -> None:
        self.desk.now += after
        self.client.handle_timeout(now=self.desk.now)

    @rule(which=st.integers(0, 2))
    def a_link_opens(self, which: int) -> None:
        self.carry_out()
        if self.links:
            self.client.handle_link_opened(self.pick(which), now=self.desk.now)

    @rule(which=st.integers(0, 2), ending=st.sampled_from(ENDINGS))
    def a_link_is_lost(self, which: int, ending: Ending) -> None:
        if self.links:
            link = self.pick(which)
            self.links.remove(link)
            self.client.handle_link_lost(link, ending, now=self.desk.now)

    @rule(which=st.integers(0, 2), resumed=st.booleans())
    def the_server_welcomes(self, which: int, resumed: bool) -> None:
        token = f"t{self.desk.now}"
        self.say(which, Welcome("@s", token, resumed, 30_000, 120_000, 1 << 20, 8))

    @rule(which=st.integers(0, 2), frame=words)
    def the_server_says(self, which: int, frame: Frame) -> None:
        self.say(which, frame)

    @rule(resumed=st.booleans(), key=st.sampled_from(["key", "refused"]))
    def a_connect_goes_as_it_should(self, resumed: bool, key: str) -> None:
        """Which it rarely does by chance: dialled, opened, shown, and judged."""
        if self.client.state is SessionState.CLOSED:
            return
        deadline = self.client.next_deadline()
        self.desk.now = max(self.desk.now, deadline or 0.0)
        self.client.handle_timeout(now=self.desk.now)
        self.carry_out()
        if not self.links or self.links[-1] == self.client.link:
            return
        self.client.handle_link_opened(self.links[-1], now=self.desk.now)
        if self.client.wants_credentials:
            self.it_shows_credentials(key)
        self.look()
        if key == "refused":
            self.say(-1, Close(Code.UNAUTHORIZED, "", None))
        else:
            self.the_server_welcomes(-1, resumed)

    @rule(channel=channels, is_known=st.booleans(), taken=st.integers(0, 3))
    def a_publish_goes_as_it_should(self, channel: str, is_known: bool, taken: int) -> None:
        """The server answers the offer, and takes so much of what is sent."""
        self.it_publishes(channel, 2)
        self.look()
        for box in self.client.outboxes:
            if box.channel == channel and box.phase is OfferPhase.ASKED:
                held = box.export()
                if is_known and box.epoch is not None:
                    self.say(-1, Offered(box.id, "known", box.epoch, held.seq - 1, 1 << 30))
                else:
                    self.say(-1, Offered(box.id, "new", f"P{self.desk.now:g}", 0, 1 << 30))
            self.look()
            if box.channel == channel and box.phase is OfferPhase.OPEN:
                held = box.export()
                seq = held.seq - 1 + min(taken, held.sent)
                self.say(-1, Ack(box.id, seq, 1 << 30))

    # the application

    @rule(key=st.sampled_from(["key", None]))
    def it_shows_credentials(self, key: str | None) -> None:
        refused = self.client.refused_credentials
        if not self.client.wants_credentials:
            with suppress(InvalidState):
                self.client.show_credentials(key, now=self.desk.now)
                raise AssertionError("taken, though none were wanted")
            return
        self.refreshes += refused is not None
        self.client.show_credentials(key, now=self.desk.now)

    @rule()
    def it_has_no_credentials(self) -> None:
        if self.client.wants_credentials:
            self.client.withhold_credentials("none", now=self.desk.now)

    @rule(channel=channels, many=st.integers(1, 3))
    def it_publishes(self, channel: str, many: int) -> None:
        for _ in range(many):
            with suppress(InvalidState):
                number = self.client.publish(channel, b"m", False, now=self.desk.now)
                if number is not None:
                    self.published[channel] += 1
                    assert number == self.published[channel], "numbers go on"

    @rule(timeout=st.sampled_from([0.0, 5.0, 5.0, None]))
    def it_leaves(self, timeout: float | None) -> None:
        if timeout is None:
            self.client.suspend(now=self.desk.now)
        else:
            self.client.close(now=self.desk.now, timeout=timeout)

    @rule(is_busy=st.booleans(), taken=st.integers(0, 2), is_told=st.booleans())
    def it_exports_and_another_restores(self, is_busy: bool, taken: int, is_told: bool) -> None:
        if is_busy:
            self.a_connect_goes_as_it_should(True, "key")
            self.a_publish_goes_as_it_should("a", False, taken)
        if self.client.state is SessionState.CLOSED:
            return
        if is_told:
            self.look()
        self.hand_on()
        if not is_told:
            self.hand_on()

    @rule()
    def a_new_session_follows_one_that_is_over(self) -> None:
        if self.client.state is SessionState.CLOSED:
            self.check_over()
            self.be_born(None)

    # what must hold

    @invariant()
    def look(self) -> None:
        if not hasattr(self, "desk"):
            return
        self.carry_out()
        for link in self.links:
            while self.client.next_frame(link, now=self.desk.now) is not None:
                pass
        for event in self.desk.events():
            assert not self.is_closed, f"{event} after Closed (I20)"
            self.is_closed = isinstance(event, Closed)
            wanted = isinstance(event, CredentialsWanted)
            assert not wanted or self.client.wants_credentials, "a question without an answer"
        if self.client.links > self.welcomes:
            self.welcomes, self.refreshes = self.client.links, 0
        assert self.refreshes <= 1, "I18"
        for name in CHANNELS:
            self.settle(name)
        if self.client.state is SessionState.CLOSED:
            assert self.client.next_deadline() is None, "I20"
            assert not self.client.wants_credentials, "I20"

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.client.close(now=self.desk.now, timeout=0.0)
            self.check_over()

    # internals

    def hand_on(self) -> None:
        """Export, and restore; what was brought and not told yet goes along as well."""
        exported = self.client.export(now=self.desk.now)
        self.look()
        along = {
            (box.channel, number)
            for box in exported.outboxes
            for first, last in [
                (box.first, box.first + len(box.messages) - 1),
                *((word.first, word.last) for word in box.ended),
            ]
            for number in range(first, last + 1)
        }
        assert along == self.without_outcome(), "what wasn't told goes along, and nothing else"
        self.be_born(Export.from_dict(json.loads(json.dumps(exported.to_dict()))))

    def check_over(self) -> None:
        self.look()
        assert self.without_outcome() == set(), "P6"
        failed = [one for one in self.client.unsettled() if one.outcome == "accepted"]
        assert failed == []

    def without_outcome(self) -> set[tuple[str, int]]:
        return {
            (name, number)
            for name, count in self.published.items()
            for number in range(1, count + 1)
            if number not in self.outcomes[name]
        }

    def settle(self, name: str) -> None:
        while (told := self.client.next_settled(name)) is not None:
            for number in range(told.first, told.last + 1):
                assert number not in self.outcomes[name], f"P6: {name} {number} ends twice"
                assert number <= self.published[name], f"P6: {name} {number} was never published"
                self.outcomes[name][number] = told.outcome

    def carry_out(self) -> None:
        for command in self.desk.polled():
            if isinstance(command, OpenLink):
                self.links.append(command.link)
            elif isinstance(command, CloseLink) and command.link in self.links:
                self.links.remove(command.link)

    def pick(self, which: int) -> int:
        return self.links[which % len(self.links)]

    def say(self, which: int, frame: Frame) -> None:
        self.carry_out()
        if self.links:
            link = self.pick(which)
            self.client.receive_bytes(link, now=self.desk.now)
            self.client.receive_frame(link, frame, size=50, now=self.desk.now)


TestLife = Life.TestCase
