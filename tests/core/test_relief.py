"""Relief: who lets go when memory is short, in which order, and that each is told (P2, P3)."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.authorize import Grant
from gapless.core.batches import Batches
from gapless.core.budget import Level, Shed
from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.events import Lost
from gapless.core.frames import Ack, Data, Gone, Offer, Offered, Refused, Subscribe, Subscribed
from gapless.core.greeting import GREETING_BYTES
from gapless.core.hub import Hub
from gapless.core.local import LocalReader
from gapless.core.relief import AT_ONCE, SPARE, Buffers
from gapless.testing.holdings import check_memory

from .by_hand import HubByHand, numbered
from .parts import counted, inside, lines

CROWDED = Config(
    memory_limit=200_000,
    memory_warning=50_000,
    memory_cleanup=100_000,
    max_message=20_000,
    history_bytes=80_000,
    history_messages=8,
    lease=1000.0,
)
FAR = 10_000


class Desk(HubByHand):
    """A hub with little memory; what wires hold is the pressure on it."""

    def __init__(self, **changes: object) -> None:
        crowded = replace(CROWDED, **changes)  # type: ignore[arg-type]  # checked by Config itself
        super().__init__(config=crowded, verify=lambda _: Grant("anyone", may_pin=False))
        self.check()

    def check(self) -> None:
        check_memory("hub", self.hub)

    def press(self, held: int, link: int = FAR) -> None:
        """Have a link's wire hold what is missing until the hub holds so much."""
        more = held - self.hub.memory().held
        self.hub.hold_bytes(link, self.pressure(link) + more, now=self.now)
        self.check()

    def pressure(self, link: int = FAR) -> int:
        sizes: dict[int, int] = inside(inside(inside(self.hub, "_relief"), "buffers"), "_sizes")
        return sizes.get(link, 0)

    def release(self) -> None:
        self.hub.hold_bytes(FAR, 0, now=self.now)
        self.check()

    def held(self, kind: Shed) -> int:
        return self.hub.memory().kinds[kind].held

    def holders(self, kind: Shed) -> int:
        return self.hub.memory().kinds[kind].holders

    def victims(self) -> list[int]:
        return [report.victims for report in self.hub.memory().kinds.values()]

    def history(self, name: str, count: int = 8, size: int = 1000) -> None:
        for payload in numbered(1, count, size):
            assert self.hub.publish(name, payload, now=self.now) is not None

    def pinned(self, name: str, count: int = 8, size: int = 1000) -> LocalReader:
        """A history full of what one reader has not taken."""
        reader = self.hub.subscribe(name, "earliest", now=self.now)
        assert reader is not None
        self.history(name, count, size)
        return reader

    def queue(self, link: int, name: str, count: int = 4) -> None:
        """A client whose publishes wait behind a pin."""
        self.greet(link)
        self.say(link, Offer(1, name, None, 1))
        assert any(isinstance(frame, Offered) for frame in self.hear(link))
        self.say(link, Data(1, 1, numbered(1, count, 1000), False))
        assert not any(isinstance(frame, Ack) and frame.seq for frame in self.hear(link))

    def read(self, link: int, name: str) -> list[object]:
        self.greet(link)
        self.say(link, Subscribe(1, name, "earliest", 1_000_000))
        return list(self.hear(link))


class TestOrder:
    def test_frames_go_before_history_and_history_only_above_cleanup(self) -> None:
        desk = Desk()
        desk.read(1, "news")
        desk.history("news")
        desk.hear(1)
        frames, history = desk.held(Shed.FRAME), desk.held(Shed.HISTORY)
        assert frames > 8000
        assert history > 8000
        desk.press(100_000)
        assert (desk.held(Shed.FRAME), desk.held(Shed.HISTORY)) == (frames, history)
        desk.press(100_001)
        assert (desk.held(Shed.FRAME), desk.held(Shed.HISTORY)) == (0, history)
        desk.press(100_001)
        assert desk.held(Shed.HISTORY) < 5000
        assert desk.hub.memory().level is Level.NORMAL or desk.hub.memory().held <= 100_000

    def test_what_a_live_pin_needs_never_goes_nor_a_queue_before_the_limit(self) -> None:
        desk = Desk()
        desk.pinned("kept")
        desk.queue(1, "kept")
        queue = desk.held(Shed.INBOX)
        desk.press(200_000)
        assert desk.held(Shed.INBOX) == queue > 4000
        assert len(desk.entries("kept")) == 8

    def test_a_queue_goes_before_a_session_without_a_link_and_that_before_a_stalled_pin(
        self,
    ) -> None:
        desk = Desk()
        desk.pinned("kept")
        desk.queue(1, "kept")
        desk.greet(2)
        desk.lose(2)
        desk.now += 5.0
        assert (desk.holders(Shed.SESSION), len(desk.hub.sessions)) == (1, 2)
        # What is below nine tenths once the queue is gone leaves the others in peace.
        desk.hub.hold_bytes(FAR, desk.pressure() + 200_001 - desk.hub.memory().held, now=desk.now)
        desk.check()
        assert desk.held(Shed.INBOX) < 4000
        assert desk.holders(Shed.SESSION) == 0, "nine tenths were not reached without"
        assert len(desk.entries("kept")) == 0
        order = [kind for kind, found in desk.hub.memory().kinds.items() if found.victims]
        assert order == [Shed.HISTORY, Shed.INBOX, Shed.SESSION, Shed.PIN]


class TestTold:
    def test_p2_a_reader_of_shed_history_is_told_what_it_lost(self) -> None:
        desk = Desk()
        answer = [one for one in desk.read(1, "news") if isinstance(one, Subscribed)]
        desk.history("news")
        desk.press(150_000)
        assert desk.entries("news") == []
        told = [frame for frame in desk.hear(1) if not isinstance(frame, Subscribed)]
        assert told == [Gone(answer[0].id, 1, 8, "shed")]

    def test_p2_a_local_reader_whose_pin_had_stalled_is_told(self) -> None:
        desk = Desk()
        reader = desk.pinned("kept")
        desk.hub.next_message(reader, now=desk.now)
        desk.now += 2.0
        desk.press(200_001)
        event = desk.hub.next_message(reader, now=desk.now)
        assert isinstance(event, Lost)
        assert (event.first, event.last, event.reason) == (1, 8, "shed")

    def test_p6_a_publisher_is_asked_to_send_again_and_nothing_is_lost(self) -> None:
        desk = Desk()
        reader = desk.pinned("kept")
        desk.queue(1, "kept")
        desk.press(200_001)
        refused = [frame for frame in desk.hear(1) if isinstance(frame, Refused)]
        assert refused == [Refused(1, 1, 4, "busy", 1000)]
        desk.release()
        while desk.hub.next_message(reader, now=desk.now) is not None:
            pass
        desk.say(1, Data(1, 1, numbered(1, 4, 1000), False))
        assert [frame.seq for frame in desk.hear(1) if isinstance(frame, Ack)] == [4]

    def test_p6_what_the_publisher_had_skipped_is_not_asked_for_again(self) -> None:
        """Else the refusal names what is settled, is no news, and both ends wait for ever (P4)."""
        desk = Desk()
        desk.greet(1)
        desk.say(1, Offer(1, "news", None, 1))
        desk.hear(1)
        desk.press(199_990)
        desk.say(1, Gone(1, 1, 3, "skipped"), Data(1, 4, numbered(4, 4, 10), False))
        assert Refused(1, 4, 4, "busy", 1000) in desk.hear(1)

    def test_who_finds_its_session_shed_gets_a_new_one(self) -> None:
        desk = Desk()
        welcome = desk.greet(1)
        desk.lose(1)
        desk.press(200_001)
        assert desk.hub.sessions == []
        desk.release()
        again = desk.greet(2, welcome.token)
        assert not again.resumed
        assert again.session != welcome.session


class TestLinks:
    def test_p3_where_unfinished_frames_alone_are_too_much_the_largest_is_closed(self) -> None:
        desk = Desk()
        for link in (1, 2, 3):
            desk.greet(link)
        for link, size in ((1, 50_000), (2, 90_000), (3, 60_000)):
            desk.hub.hold_bytes(link, size, now=desk.now)
            desk.check()
        endings = desk.endings()
        assert list(endings) == [2]
        assert (endings[2].code, endings[2].retry_after) == (Code.TRY_LATER, 1.0)

    def test_p3_then_links_that_wait_for_a_verdict_and_then_those_with_most_behind_them(
        self,
    ) -> None:
        desk = Desk(max_channels=1000)
        desk.greet(1)
        desk.greet(2)
        for number in range(30):
            desk.say(2, Subscribe(number + 1, f"c{number}", "latest", 1000))
        desk.open(3)
        desk.press(190_000)
        # FAR is no link of this hub: what it held is released, and the others are what is left.
        for number in range(30, 200):
            desk.say(2, Subscribe(number + 1, f"c{number}", "latest", 1000))
            desk.check()
        assert list(desk.endings()) == [3, 2]

    def test_i9_what_it_costs_to_close_the_largest_does_not_grow_with_the_others(self) -> None:
        def cost(links: int) -> list[int]:
            desk = Desk(memory_limit=10_000_000, memory_warning=None, memory_cleanup=None)
            for link in range(1, links + 1):
                desk.greet(link)
            for number in range(10):
                desk.say(7, Subscribe(number + 1, f"c{number}", "latest", 1000))
            relief, made = inside(desk.hub, "_relief"), list[int]()
            for size in (1, 0):
                for link in range(1, links + 1):
                    desk.hub.hold_bytes(FAR + link, size * link, now=desk.now)
                desk.hub.books.settle(now=desk.now)
                made.append(lines(lambda: relief._cut_one(desk.now)))
            assert list(desk.endings()) == [7], "the session with most behind it"
            assert inside(relief.buffers, "_sizes") == {}
            return made

        few, many = cost(10), cost(300)
        assert many[0] <= few[0] + 3 * SPARE
        assert many[1] <= few[1] + 3 * SPARE

    def test_p3_a_link_too_many_is_turned_away_without_a_word(self) -> None:
        desk = Desk(memory_limit=170_000, memory_warning=None, memory_cleanup=None)
        links = range(1, 170_000 // GREETING_BYTES + 3)
        for link in links:
            desk.open(link)
            desk.check()
        turned_away = desk.endings()
        assert list(turned_away) == [links[-2], links[-1]]
        assert turned_away[links[-1]].code == Code.TRY_LATER
        assert desk.hear(links[-1]) == []
        for link in links:
            desk.lose(link)
        assert desk.hub.memory().held == 0

    def test_what_a_lost_link_held_is_held_no_more(self) -> None:
        desk = Desk()
        desk.hub.hold_bytes(7, 500, now=desk.now)
        desk.hub.hold_bytes(8, 500, now=desk.now)
        desk.hub.hold_bytes(7, 100, now=desk.now)
        assert desk.hub.memory().held == 600
        desk.lose(8)
        desk.lose(7)
        assert desk.hub.memory().held == 0
        assert desk.hub.next_deadline() is None, "I12"

    def test_buffers_know_the_largest(self) -> None:
        buffers = Buffers()
        assert not buffers.memory
        assert [buffers.note(1, 50), buffers.note(2, 70), buffers.note(1, 80)] == [50, 70, 30]
        assert (buffers.pop_largest(), buffers.memory) == (1, 70)
        assert buffers.note(3, 75) == 75
        assert buffers.note(3, 60) == -15
        assert (buffers.pop_largest(), buffers.memory) == (2, 60)
        assert (buffers.pop_largest(), buffers.pop_largest(), buffers.memory) == (3, None, 0)

    @given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9)), max_size=300))
    def test_p3_they_are_right_and_small_whatever_is_noted(
        self, notes: list[tuple[int, int]]
    ) -> None:
        buffers, sizes = Buffers(), dict[int, int]()
        for link, size in notes:
            buffers.note(link, size)
            sizes[link] = size
            assert len(inside(buffers, "_heap")) <= SPARE + 4 * 5
        while buffers.memory:
            assert buffers.memory == sum(sizes.values())
            largest = buffers.pop_largest()
            assert largest is not None
            assert sizes[largest] == max(sizes.values())
            del sizes[largest]
        assert buffers.pop_largest() is None


class TestGoingOn:
    def test_p4_who_waits_for_memory_goes_on_within_a_second_of_its_being_there(self) -> None:
        """Not at the next clean-up, 45 s later."""
        desk = Desk()
        desk.history("open", 1)
        reader = desk.pinned("kept")
        desk.press(200_000)
        assert desk.hub.publish("open", b"x" * 2000, now=desk.now) is None
        assert desk.hub.publish("other", b"x" * 500, now=desk.now) is None
        assert "other" not in list(iter(desk.hub.next_ready, None))
        for _ in range(9):
            desk.hub.next_message(reader, now=desk.now)
        desk.now += 1.0
        desk.hub.handle_timeout(now=desk.now)
        ready = list(iter(desk.hub.next_ready, None))
        assert {"open", "other"} <= set(ready)
        assert desk.hub.publish("other", b"x" * 500, now=desk.now) is not None
        assert desk.entries("kept") == [], "nobody needs it any more"
        desk.check()

    def test_p4_a_client_that_there_was_no_memory_for_sends_again_and_is_served(self) -> None:
        desk = Desk()
        reader = desk.pinned("kept")
        desk.greet(1)
        desk.say(1, Offer(1, "other", None, 1))
        desk.hear(1)
        desk.press(199_990)
        desk.say(1, Data(1, 1, numbered(1, 2, 10), False))
        assert Refused(1, 1, 2, "busy", 1000) in desk.hear(1)
        for _ in range(9):
            desk.hub.next_message(reader, now=desk.now)
        desk.say(1, Data(1, 1, numbered(1, 2, 10), False))
        assert [frame.seq for frame in desk.hear(1) if isinstance(frame, Ack)] == [2]

    def test_a_pin_that_had_not_stalled_is_asked_again_a_second_later(self) -> None:
        desk = Desk(patience=10.0)
        desk.pinned("kept")
        desk.press(200_001 + GREETING_BYTES)
        assert len(desk.entries("kept")) == 8
        desk.now += 10.5
        desk.press(200_001)
        assert desk.entries("kept") == []

    def test_who_is_woken_by_what_is_shed_waits_until_all_is(self) -> None:
        """A session that goes lets go of its pins, and who waited for those is served."""
        desk = Desk(patience=1000.0)
        desk.hub = Hub(
            desk.hub.config,
            rng=Random(1),
            new_token=counted("token-"),
            verify=lambda name: Grant(name or "", may_pin=name == "pins"),
        )
        desk.greet(1, None, Subscribe(1, "kept", "earliest", 0), credentials="pins")
        desk.hear(1)
        desk.history("kept")
        desk.queue(2, "kept")
        desk.lose(1)
        desk.press(200_001)
        refused = [frame for frame in desk.hear(2) if isinstance(frame, Refused)]
        assert refused == [Refused(1, 1, 4, "busy", 1000)], "queues go before sessions"
        assert len(desk.hub.sessions) == 1
        desk.release()
        desk.say(2, Data(1, 1, numbered(1, 4, 1000), False))
        assert [frame.seq for frame in desk.hear(2) if isinstance(frame, Ack)] == [4]

    def test_a_publish_to_a_session_that_had_to_go_is_told_that_it_is_gone(self) -> None:
        """P4: it waited for ever for the room of a channel that is no more."""
        desk = Desk()
        mine = desk.greet(1).session
        desk.hub.publish(mine, b"x", now=desk.now)
        desk.lose(1)
        desk.hub.hold_bytes(FAR, 182_000, now=desk.now)
        assert desk.hub.publish(mine, b"x" * 15_000, now=desk.now) is None
        assert desk.hub.sessions == []
        desk.hub.next_ready()
        desk.now += 1.0
        desk.hub.handle_timeout(now=desk.now)
        assert mine in list(iter(desk.hub.next_ready, None))


class Stranger:
    """A holding that a hub doesn't know how to shed."""

    memory = 1000


class Asking(Batches):
    """Frames of a channel that want memory themselves as they are shed."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.answers: list[bool] = []

    @property
    def memory(self) -> int:
        return 0 if self.answers else 5000

    def clear(self) -> None:
        self.answers.append(self.desk.hub.books.make_room(100_000, now=self.desk.now))


class TestFaults:
    def test_who_wants_memory_in_the_midst_of_it_has_none_made_for_it(self) -> None:
        desk = Desk()
        asking = Asking(desk)
        desk.hub.books.open(asking, Shed.FRAME, now=desk.now)
        desk.hub.hold_bytes(FAR, 150_000, now=desk.now)
        assert asking.answers == [False]
        desk.check()

    def test_where_no_session_is_linked_none_is_closed(self) -> None:
        desk = Desk()
        reader = desk.hub.subscribe("news", now=desk.now)
        assert reader is not None
        desk.press(199_999)
        desk.press(200_001)
        assert desk.pressure() == 0, "the wire was all there was"
        assert inside(desk.hub, "_relief")._cut_one(desk.now) is False

    def test_p3_a_fault_while_shedding_ends_that_run_and_not_all_that_follow(self) -> None:
        """From then on nothing was shed any more."""
        desk = Desk()
        desk.history("news")
        stranger = Stranger()
        desk.hub.books.open(stranger, Shed.FRAME, now=desk.now)
        more = 200_001 - desk.hub.memory().held
        with pytest.raises(AssertionError):
            desk.hub.hold_bytes(FAR, more, now=desk.now)
        desk.hub.books.close(stranger)
        desk.hub.hold_bytes(FAR, more + 1000, now=desk.now)
        assert desk.entries("news") == []
        desk.check()

    def test_p3_the_peak_is_what_was_held_between_steps(self) -> None:
        """It told of more than the limit, which was there for a moment, and then shed."""
        desk = Desk()
        desk.history("news", size=9000)
        desk.press(199_000)
        assert desk.hub.memory().peak == 199_000
        desk.hub.hold_bytes(FAR, desk.pressure() + 20_000, now=desk.now)
        report = desk.hub.memory()
        assert report.held < report.peak == 199_000
        desk.check()


class TestCleanUps:
    def test_i12_one_is_due_every_interval_while_anything_is_held(self) -> None:
        desk = Desk()
        assert desk.hub.next_deadline() is None
        desk.history("news", 1)
        desk.hub.configure("news", now=desk.now, patience=2.0)
        due = desk.now + 45.0
        assert desk.hub.next_deadline() == due
        desk.hub.handle_timeout(now=due)
        later = desk.hub.next_deadline()
        assert later is not None
        assert later > due

    def test_stale_frames_go_and_stale_history_stays_unless_memory_is_short(self) -> None:
        desk = Desk()
        desk.read(1, "news")
        desk.history("news")
        desk.hear(1)
        for _ in range(10):
            desk.now += 45.0
            desk.hub.handle_timeout(now=desk.now)
        assert desk.held(Shed.FRAME) == 0
        assert len(desk.entries("news")) == 8
        desk.check()

    def test_a_channel_nobody_would_miss_is_forgotten_in_one(self) -> None:
        desk = Desk(history_age=1.0)
        desk.history("news", 1)
        desk.now += 2.0
        desk.hub.next_ready()
        desk.hub.handle_timeout(now=desk.now)
        assert desk.hub.channels.find("news") is not None
        for _ in range(10):
            desk.now += 45.0
            desk.hub.handle_timeout(now=desk.now)
        assert desk.hub.channels.find("news") is None
        assert desk.hub.memory().held == 0

    def test_one_with_many_victims_goes_on_soon(self) -> None:
        desk = Desk(memory_limit=10_000_000, memory_warning=None, memory_cleanup=None)
        for number in range(AT_ONCE + 10):
            desk.history(f"c{number}", 1)
            desk.hub.channels.named[f"c{number}"].history.drop_through(1)
        for _ in range(7):
            desk.now += 45.0
            desk.hub.handle_timeout(now=desk.now)
        assert len(desk.hub.channels) == 10
        soon = desk.hub.next_deadline()
        assert soon is not None
        assert soon <= desk.now + 0.05
        desk.hub.handle_timeout(now=soon)
        assert len(desk.hub.channels) == 0
