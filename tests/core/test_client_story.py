"""A client session's life, with a server that says anything at any time (layer 2).

Hypothesis opens, loses and refuses links, welcomes and sends away, answers publishes rightly and
wrongly, shows credentials whenever it likes, exports and restores. What must hold at every step:

- I18: between two welcomes credentials are refreshed at most once;
- P6: every published message ends in exactly one of the four ways, across export and restore;
- I20: after `Closed` there is no timer, no question and no event;
- I21: nothing a peer says raises.
"""

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

    @rule(channel=channels, kind=st.sampled_from(["known", "new"]), through=st.integers(-1, 6))
    def the_server_takes_what_is_sent(self, channel: str, kind: str, through: int) -> None:
        """An answer that fits, which random words rarely are."""
        for box in self.client.outboxes:
            if box.channel == channel and box.id:
                epoch = box.epoch or "P1"
                last = through if kind == "known" else 0
                if through < 0:
                    self.say(-1, Ack(box.id, box.published, 1 << 30))
                else:
                    answer = Offered(box.id, kind, epoch, last, 1 << 30)  # type: ignore[arg-type]  # a Literal
                    self.say(-1, answer)

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

    @rule(timeout=st.sampled_from([0.0, 5.0]))
    def it_closes(self, timeout: float) -> None:
        self.client.close(now=self.desk.now, timeout=timeout)

    @rule()
    def it_suspends(self) -> None:
        self.client.suspend(now=self.desk.now)

    @rule()
    def it_exports_and_another_restores(self) -> None:
        if self.client.state is SessionState.CLOSED:
            return
        self.look()
        exported = self.client.export(now=self.desk.now)
        held = {
            (box.channel, number)
            for box in exported.outboxes
            for number in range(box.first, box.first + len(box.messages))
        }
        assert held == self.without_outcome(), "what has no outcome goes along, and nothing else"
        self.look()
        self.be_born(Export.from_dict(exported.to_dict()))

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
