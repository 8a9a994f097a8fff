"""Accounts: booked as late as may be, never less than is held, exact when settled (P3)."""

from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gapless.core.accounts import Accounts, limits
from gapless.core.budget import Level, Shed
from gapless.core.config import KIB, Config

LIMIT = 64 * KIB
SMALL = Config(
    memory_limit=LIMIT, max_message=KIB, memory_warning=16 * KIB, memory_cleanup=32 * KIB
)


@dataclass(eq=False)
class Thing:
    """Something that takes as many bytes as it is told."""

    memory: int = 0


@dataclass
class Books:
    """Accounts of some things at time 0."""

    accounts: Accounts = field(default_factory=lambda: Accounts(SMALL))

    @property
    def is_due(self) -> object:
        return self.accounts.is_due

    def open(self, size: int, kind: Shed = Shed.INBOX) -> Thing:
        thing = Thing(size)
        self.accounts.open(thing, kind, now=0.0)
        return thing

    def grow(self, thing: Thing, size: int) -> None:
        self.accounts.grow(size)
        thing.memory += size
        self.accounts.stir(thing)


class TestThresholds:
    def test_they_are_the_configs(self) -> None:
        found = limits(replace(SMALL, stale_age=200.0, aggressive_age=100.0, cleanup_interval=7.0))
        assert (found.warning, found.cleanup, found.limit) == (16 * KIB, 32 * KIB, LIMIT)
        assert (found.interval, found.stale_age, found.aggressive_age) == (7.0, 200.0, 100.0)

    def test_p3_nobody_need_look_while_no_threshold_can_have_been_crossed(self) -> None:
        books = Books()
        thing = books.open(0)
        books.grow(thing, 32 * KIB)
        assert not books.is_due, "cleanup is not crossed by what reaches it"
        assert not books.accounts.fits(1)
        books.grow(thing, 1)
        assert books.is_due
        books.accounts.settle(now=0.0)
        assert books.accounts.is_pressed

    def test_p3_above_cleanup_it_is_looked_at_each_sixteenth_and_at_the_limit_each_byte(
        self,
    ) -> None:
        books = Books()
        thing = books.open(40 * KIB)
        books.accounts.settle(now=0.0)
        assert books.accounts.fits(2 * KIB)
        assert not books.accounts.fits(2 * KIB + 1)
        books.grow(thing, LIMIT - 40 * KIB)
        books.accounts.settle(now=0.0)
        assert books.accounts.fits(0)
        assert not books.accounts.fits(1)

    def test_p3_room_is_exact_where_it_matters(self) -> None:
        books = Books()
        thing = books.open(10 * KIB)
        assert books.accounts.has_room(LIMIT - 10 * KIB, now=0.0), "what was opened counts once"
        books.grow(thing, 10 * KIB)
        thing.memory -= 5 * KIB
        assert books.accounts.has_room(LIMIT - 15 * KIB, now=0.0)
        assert not books.accounts.has_room(LIMIT - 15 * KIB + 1, now=0.0)

    def test_what_has_no_room_is_asked_of_who_can_shed(self) -> None:
        books = Books()
        thing = books.open(LIMIT)
        assert not books.accounts.make_room(10, now=0.0), "nobody can"

        def relieve(size: int, now: float) -> bool:
            thing.memory -= size
            books.accounts.stir(thing)
            return books.accounts.has_room(size, now=now)

        books.accounts.relieve = relieve
        assert books.accounts.make_room(10, now=0.0)
        assert thing.memory == LIMIT - 10
        assert books.accounts.make_room(10, now=0.0)
        assert thing.memory == LIMIT - 10, "there was room"

    def test_the_fullest_come_first_as_they_are_booked(self) -> None:
        books = Books()
        small, large = books.open(10, Shed.NEVER), books.open(100, Shed.NEVER)
        assert list(books.accounts.fullest(Shed.NEVER)) == [large, small]
        books.grow(small, 1000)
        books.accounts.settle(now=0.0)
        assert list(books.accounts.fullest(Shed.NEVER)) == [small, large]
        assert list(books.accounts.fullest(Shed.INBOX)) == []

    def test_excess_is_what_is_above_nine_tenths(self) -> None:
        books = Books()
        books.open(LIMIT)
        assert books.accounts.excess == LIMIT - LIMIT * 9 // 10


class TestCredit:
    def test_below_warning_everybody_gets_it(self) -> None:
        books = Books()
        thing = books.open(16 * KIB)
        books.accounts.settle(now=0.0)
        assert books.accounts.may_credit(thing)

    def test_above_warning_only_who_holds_no_more_than_a_share(self) -> None:
        books = Books()
        large, small = books.open(33 * KIB), books.open(32 * KIB)
        books.open(30 * KIB, Shed.NEVER)
        assert not books.accounts.may_credit(large)
        assert books.accounts.may_credit(small)


class TestVictims:
    def test_one_that_could_shed_nothing_is_asked_again_once_it_has_grown(self) -> None:
        """P3: it was asked again at the next clean-up only; until then nobody kept the limit."""
        books = Books()
        books.open(60 * KIB, Shed.NEVER)
        inbox = books.open(2 * KIB)
        assert books.accounts.next_victim(4 * KIB, now=0.0) is not None
        assert books.accounts.next_victim(4 * KIB, now=0.0) is None
        books.grow(inbox, 3 * KIB)
        victim = books.accounts.next_victim(now=0.0)
        assert victim is not None
        assert (victim.holder, victim.size) == (inbox, 5 * KIB)

    def test_one_that_may_shed_now_is_asked_again(self) -> None:
        """P4: a history that was pinned, and isn't any more."""
        books = Books()
        books.open(60 * KIB, Shed.NEVER)
        history = books.open(4 * KIB, Shed.HISTORY)
        books.accounts.renew(history, now=0.0)
        assert books.accounts.next_victim(1, now=0.0) is not None
        assert books.accounts.next_victim(1, now=0.0) is None
        books.accounts.renew(history, now=0.0)
        assert books.accounts.next_victim(1, now=0.0) is not None

    def test_one_that_shed_some_is_named_again(self) -> None:
        books = Books()
        inbox = books.open(LIMIT + 10)
        assert books.accounts.next_victim(now=0.0) is not None
        inbox.memory = LIMIT
        books.accounts.stir(inbox)
        assert books.accounts.next_victim(now=0.0) is not None
        inbox.memory = LIMIT // 2
        books.accounts.stir(inbox)
        assert books.accounts.next_victim(now=0.0) is None

    def test_who_moves_or_goes_is_not_asked_again_as_what_it_was(self) -> None:
        books = Books()
        books.open(60 * KIB, Shed.NEVER)
        one, other = books.open(4 * KIB), books.open(4 * KIB)
        while books.accounts.next_victim(now=0.0) is not None:
            pass
        books.accounts.move(one, Shed.NEVER, now=0.0)
        books.accounts.close(other)
        books.accounts.renew(one, now=0.0)
        books.accounts.renew(other, now=0.0)
        assert books.accounts.next_victim(1, now=0.0) is None

    def test_the_longest_unused_goes_first(self) -> None:
        books = Books()
        first, second = books.open(33 * KIB, Shed.FRAME), books.open(1 * KIB, Shed.FRAME)
        books.accounts.touch(first, now=1.0)
        victim = books.accounts.next_victim(now=1.0)
        assert victim is not None
        assert victim.holder is second


class TestTime:
    def test_i12_nothing_is_due_while_nothing_is_counted(self) -> None:
        books = Books()
        assert books.accounts.next_deadline() is None
        assert books.accounts.held == 0
        assert not books.accounts.handle_timeout(now=1000.0)
        thing = Thing(5)
        books.accounts.open(thing, Shed.INBOX, now=2000.0)
        assert books.accounts.is_any
        assert books.accounts.next_deadline() == 2045.0
        books.accounts.close(thing)
        assert books.accounts.next_deadline() is None

    def test_i12_a_clean_up_is_due_once_an_interval_and_never_in_the_past(self) -> None:
        books = Books()
        thing = books.open(5)
        assert not books.accounts.handle_timeout(now=44.9)
        assert books.accounts.handle_timeout(now=45.0)
        assert books.accounts.next_deadline() == 90.0
        books.accounts.close(thing)
        books.accounts.open(thing, Shed.INBOX, now=500.0)
        assert books.accounts.next_deadline() == 545.0

    def test_a_clean_up_forgets_who_was_named(self) -> None:
        books = Books()
        books.open(60 * KIB, Shed.NEVER)
        inbox = books.open(8 * KIB)
        assert books.accounts.next_victim(now=0.0) is not None
        assert books.accounts.handle_timeout(now=45.0)
        victim = books.accounts.next_victim(now=45.0)
        assert victim is not None
        assert victim.holder is inbox


class TestStrangers:
    def test_who_is_not_counted_changes_nothing(self) -> None:
        books = Books()
        stranger = Thing(100)
        books.accounts.stir(stranger)
        books.accounts.touch(stranger, now=0.0)
        books.accounts.renew(stranger, now=0.0)
        books.accounts.close(stranger)
        assert not books.accounts.is_open(stranger)
        assert books.accounts.held == books.accounts.report().held == 0


class AccountsMachine(RuleBasedStateMachine):
    """Against a sum: booked or not, it is never less, and what is said is exact."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts = Accounts(SMALL)
        self.things: dict[Thing, Shed] = {}
        self.now = 0.0

    @property
    def held(self) -> int:
        return sum(thing.memory for thing in self.things)

    def pick(self, at: int) -> Thing:
        return list(self.things)[at % len(self.things)]

    @rule(size=st.integers(0, 20 * KIB), kind=st.sampled_from(Shed))
    def open(self, size: int, kind: Shed) -> None:
        thing = Thing(size)
        self.accounts.open(thing, kind, now=self.now)
        self.things[thing] = kind

    @precondition(lambda self: self.things)
    @rule(at=st.integers(0, 9))
    def close(self, at: int) -> None:
        thing = self.pick(at)
        self.accounts.close(thing)
        del self.things[thing]

    @precondition(lambda self: self.things)
    @rule(at=st.integers(0, 9), kind=st.sampled_from(Shed))
    def move(self, at: int, kind: Shed) -> None:
        thing = self.pick(at)
        self.accounts.move(thing, kind, now=self.now)
        self.things[thing] = kind

    @precondition(lambda self: self.things)
    @rule(at=st.integers(0, 9), size=st.integers(0, 9 * KIB), spare=st.sampled_from([0, 100]))
    def grow(self, at: int, size: int, spare: int) -> None:
        self.accounts.grow(size + spare)
        self.pick(at).memory += size
        self.accounts.stir(self.pick(at))

    @precondition(lambda self: self.things)
    @rule(at=st.integers(0, 9), share=st.integers(0, 4))
    def shrink(self, at: int, share: int) -> None:
        thing = self.pick(at)
        thing.memory = thing.memory * share // 4
        self.accounts.stir(thing)

    @rule()
    def settle(self) -> None:
        self.accounts.settle(now=self.now)
        assert self.accounts.fits(0)

    @rule(wanted=st.sampled_from([0, 0, 5 * KIB]), half=st.booleans())
    def shed(self, wanted: int, half: bool) -> None:
        """P4: a plan ends; and P3: after it only what never goes is above the limit."""
        for _ in range(1000):
            victim = self.accounts.next_victim(wanted, now=self.now)
            if victim is None:
                break
            assert isinstance(victim.holder, Thing)
            assert self.things[victim.holder] is victim.kind is not Shed.NEVER
            assert victim.size == victim.holder.memory
            victim.holder.memory = victim.size // 2 if half else 0
            self.accounts.stir(victim.holder)
        else:
            raise AssertionError("P4: a plan without an end")
        kept = sum(thing.memory for thing, kind in self.things.items() if kind is Shed.NEVER)
        assert self.held <= max(LIMIT, kept)

    @rule(seconds=st.sampled_from([1.0, 50.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.accounts.handle_timeout(now=self.now)
        deadline = self.accounts.next_deadline()
        assert (deadline is None) is (not self.things)
        assert deadline is None or deadline > self.now

    @invariant()
    def what_is_said_is_exact(self) -> None:
        report = self.accounts.report()
        assert self.accounts.held == report.held == self.held
        assert report.peak >= report.held
        assert report.level == limits(SMALL).level(self.held)
        for kind in Shed:
            members = [thing for thing, of in self.things.items() if of is kind]
            assert report.kinds[kind].holders == len(members)
            assert report.kinds[kind].held == sum(thing.memory for thing in members)

    @invariant()
    def no_threshold_is_crossed_unseen(self) -> None:
        assert self.held <= LIMIT or self.accounts.is_due or not self.accounts.fits(1)

    @rule(size=st.sampled_from([0, KIB, LIMIT]))
    def ask_for_room(self, size: int) -> None:
        assert self.accounts.has_room(size, now=self.now) is (self.held + size <= LIMIT)


TestAgainstASum = AccountsMachine.TestCase
TestAgainstASum.settings = settings(max_examples=40)


def test_the_peak_is_the_most_that_was_found_within_the_limit() -> None:
    books = Books()
    thing = books.open(2 * KIB)
    books.accounts.close(thing)
    assert books.accounts.report().peak == 2 * KIB, "though nobody looked meanwhile"
    other = books.open(LIMIT)
    books.grow(other, 1)
    books.accounts.settle(now=0.0)
    other.memory = KIB
    books.accounts.stir(other)
    assert books.accounts.report().peak == LIMIT, "what was above it went within the step"


def test_levels_are_told_of_what_is_not_booked_yet() -> None:
    books = Books()
    thing = books.open(1)
    books.grow(thing, 17 * KIB)
    assert books.accounts.report().level is Level.WARNING
