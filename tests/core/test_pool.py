"""Pool: a session is shared, never evicted in use; links are bounded; every waiter is answered."""

from dataclasses import astuple, dataclass, field
from typing import Any, cast

import pytest

from gapless.core.config import Config
from gapless.core.errors import ConfigError, InvalidState, LocalProtocolError, PoolExhausted
from gapless.core.pool import (
    Cancel,
    Close,
    Key,
    Lease,
    LeaseEnded,
    LeaseFailed,
    LeaseOpened,
    Open,
    Pool,
    PoolCommand,
    PoolEvent,
    PoolStats,
)

A, B, C, D = (Key(f"wss://{name}.example/", "secret") for name in "abcd")


@dataclass
class Link:
    """A session, as far as a pool cares; equal to others and so not hashable."""

    key: Key = field(compare=False)


class Desk:
    """A pool in virtual time and a driver that does at once what it is told."""

    def __init__(self, limit: int = 2, idle: float = 60.0) -> None:
        self.pool: Pool[Link] = Pool(max_connections=limit, idle=idle)
        self.now = 0.0

    def acquire(self, key: Key) -> Lease[Link]:
        return self.pool.acquire(key, now=self.now)

    def release(self, *leases: Lease[Link]) -> None:
        for lease in leases:
            self.pool.release(lease, now=self.now)

    def commands(self) -> list[PoolCommand[Link]]:
        return list(iter(self.pool.poll_command, None))

    def events(self) -> list[PoolEvent[Link]]:
        return list(iter(self.pool.next_event, None))

    def opened(self, key: Key) -> Link:
        link = Link(key)
        self.pool.handle_opened(key, link, now=self.now)
        return link

    def failed(self, key: Key, error: Exception) -> None:
        self.pool.handle_failed(key, error, now=self.now)

    def closed(self, link: Link, error: Exception | None = None) -> None:
        self.pool.handle_closed(link, error, now=self.now)

    def open(self, key: Key) -> Lease[Link]:
        """Acquire a key that needs a link, and open that."""
        lease = self.acquire(key)
        assert self.commands() == [Open(key)]
        self.opened(key)
        assert self.events() == [LeaseOpened(lease)]
        return lease

    def rest(self, key: Key) -> Link:
        """Leave an idle session behind."""
        lease = self.open(key)
        link = lease.session
        self.release(lease)
        return link

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.pool.handle_timeout(now=self.now)


class TestSharing:
    def test_one_session_serves_all_leases_on_its_key(self) -> None:
        desk = Desk()
        first, second = desk.acquire(A), desk.acquire(A)
        assert desk.commands() == [Open(A)]
        third = desk.acquire(A)
        assert (desk.commands(), desk.events(), first.is_ready) == ([], [], False)
        link = desk.opened(A)
        assert desk.events() == [LeaseOpened(first), LeaseOpened(second), LeaseOpened(third)]
        fourth = desk.acquire(A)
        assert all(lease.is_ready for lease in (first, second, third, fourth))
        assert all(lease.session is link for lease in (first, second, third, fourth))
        assert (desk.commands(), desk.events()) == ([], []), "who is served at once isn't told"
        assert astuple(desk.pool.stats()) == (1, 1, 0, 0, 0, 0, 1, 3)

    @pytest.mark.parametrize("other", [Key(A.url), Key(A.url, "other"), Key(B.url, "secret")])
    def test_other_credentials_are_another_session(self, other: Key) -> None:
        desk = Desk()
        assert [desk.acquire(key).key for key in (A, other)] == [A, other]
        assert desk.commands() == [Open(A), Open(other)]

    def test_p7_an_address_alone_is_no_key(self) -> None:
        desk, wrong = Desk(), cast("Key", "wss://a.example/")
        with pytest.raises(TypeError, match=r"a Key\(url, credentials\), not str"):
            desk.acquire(wrong)
        assert (desk.pool.stats(), desk.commands()) == (Desk().pool.stats(), [])

    def test_an_idle_session_is_used_again(self) -> None:
        desk = Desk()
        link = desk.rest(A)
        assert desk.pool.stats().idle == 1
        assert desk.acquire(A).session is link
        assert desk.pool.next_deadline() is None

    def test_a_release_counts_once(self) -> None:
        desk = Desk()
        first, second = desk.open(A), desk.acquire(A)
        desk.release(first, first)
        assert (first.is_over, second.is_ready, desk.pool.stats().active) == (True, True, 1)

    def test_who_gives_up_before_anybody_was_asked_costs_nothing(self) -> None:
        desk = Desk()
        desk.release(desk.acquire(A))
        assert desk.commands() == []
        assert astuple(desk.pool.stats()) == (0, 0, 0, 0, 0, 0, 0, 0)

    def test_what_nobody_waits_for_any_more_is_opened_all_the_same(self) -> None:
        desk = Desk()
        lease = desk.acquire(A)
        desk.commands()
        desk.release(lease)
        link = desk.opened(A)
        assert (desk.events(), desk.commands()) == ([], [])
        assert desk.pool.next_deadline() == 60.0
        assert desk.acquire(A).session is link

    def test_who_comes_back_while_it_opens_waits_on(self) -> None:
        desk = Desk(limit=1)
        lease = desk.acquire(A)
        desk.commands()
        desk.release(lease)
        again = desk.acquire(A)
        with pytest.raises(PoolExhausted):
            desk.acquire(B)
        desk.opened(A)
        assert desk.events() == [LeaseOpened(again)]

    def test_a_lease_that_was_released_hears_nothing(self) -> None:
        desk = Desk()
        first, second = desk.acquire(A), desk.acquire(A)
        desk.commands()
        desk.opened(A)
        desk.release(first)
        assert desk.events() == [LeaseOpened(second)]
        desk.closed(second.session)
        desk.release(second)
        assert desk.events() == []

    def test_a_session_is_only_there_while_the_lease_lasts(self) -> None:
        desk = Desk()
        lease = desk.acquire(A)
        with pytest.raises(InvalidState, match="no session yet"):
            _ = lease.session
        desk.release(lease)
        with pytest.raises(InvalidState, match="is over"):
            _ = lease.session


class TestIdle:
    def test_it_is_closed_when_its_time_has_come(self) -> None:
        desk = Desk()
        link = desk.rest(A)
        assert desk.pool.next_deadline() == 60.0
        desk.pass_time(59.9)
        assert desk.commands() == []
        desk.pass_time(0.1)
        assert desk.commands() == [Close(link)]
        assert desk.pool.next_deadline() is None
        assert desk.pool.stats().closing == 1
        desk.closed(link)
        assert desk.pool.stats().total == 0

    def test_the_time_begins_anew_with_each_use(self) -> None:
        desk = Desk()
        desk.rest(A)
        desk.pass_time(50.0)
        desk.release(desk.acquire(A))
        assert desk.pool.next_deadline() == 110.0

    def test_i12_one_late_timeout_closes_all_that_are_due(self) -> None:
        desk = Desk(limit=3)
        first = desk.rest(A)
        desk.now = 1.0
        second = desk.rest(B)
        desk.now = 50.0
        desk.rest(C)
        desk.pass_time(11.0)
        assert [each.session for each in desk.commands() if isinstance(each, Close)] == [
            first,
            second,
        ]
        assert desk.pool.next_deadline() == 110.0

    def test_a_clock_that_runs_back_moves_nothing(self) -> None:
        desk = Desk()
        desk.rest(A)
        desk.pass_time(10.0)
        desk.now = 5.0
        desk.rest(B)
        desk.pass_time(0.0)
        assert desk.commands() == []
        desk.pool.handle_timeout(now=60.0)
        assert len(desk.commands()) == 1
        assert desk.pool.next_deadline() == 70.0

    def test_none_is_kept_if_so_told(self) -> None:
        desk = Desk(idle=0)
        link = desk.rest(A)
        desk.pass_time(0.0)
        assert desk.commands() == [Close(link)]

    def test_a_key_has_one_link_at_a_time(self) -> None:
        """Invariant 4: what is closing isn't handed out again, and its successor waits."""
        desk = Desk()
        link = desk.rest(A)
        desk.pass_time(60.0)
        lease = desk.acquire(A)
        assert desk.commands() == [Close(link)]
        desk.closed(link)
        assert desk.commands() == [Open(A)]
        assert desk.opened(A) is not link
        assert desk.events() == [LeaseOpened(lease)]

    def test_a_successor_that_is_given_up_is_not_opened(self) -> None:
        desk = Desk()
        link = desk.rest(A)
        desk.pass_time(60.0)
        desk.release(desk.acquire(A))
        desk.closed(link)
        assert desk.commands() == [], "and no Close of what has ended by itself meanwhile"


class TestLimit:
    def test_with_all_in_use_the_next_is_turned_away(self) -> None:
        desk = Desk()
        kept = desk.open(A), desk.open(B)
        before = desk.pool.stats()
        with pytest.raises(PoolExhausted, match=r"all 2 connections .* release .* raise Pool\.max"):
            desk.acquire(C)
        assert (desk.pool.stats(), desk.commands()) == (before, [])
        assert all(lease.is_ready for lease in kept)
        assert desk.acquire(B).is_ready, "who needs no link of its own is always let in"

    def test_the_longest_idle_makes_room_and_the_newcomer_waits_for_it(self) -> None:
        desk = Desk(limit=3)
        desk.open(A)
        second, third = desk.rest(B), desk.rest(C)
        desk.release(desk.acquire(B))
        lease = desk.acquire(D)
        assert desk.commands() == [Close(third)]
        assert desk.pool.stats().total == 3
        assert desk.acquire(B).session is second
        desk.closed(third)
        assert desk.commands() == [Open(D)]
        desk.opened(D)
        assert desk.events() == [LeaseOpened(lease)]

    def test_no_more_are_let_in_than_room_is_being_made_for(self) -> None:
        """P4: who was let in is never turned away later."""
        desk = Desk()
        desk.open(A)
        link = desk.rest(B)
        lease = desk.acquire(C)
        for key in (B, D):
            with pytest.raises(PoolExhausted):
                desk.acquire(key)
        assert desk.commands() == [Close(link)]
        desk.closed(link)
        assert desk.commands() == [Open(C)]
        assert not lease.is_over

    def test_room_is_taken_in_the_order_of_asking_whoever_makes_it(self) -> None:
        desk = Desk()
        links = desk.rest(A), desk.rest(B)
        desk.acquire(C)
        desk.acquire(D)
        assert desk.commands() == [Close(links[0]), Close(links[1])]
        desk.closed(links[1])
        assert desk.commands() == [Open(C)]
        desk.closed(links[0])
        assert desk.commands() == [Open(D)]

    def test_room_that_is_being_made_serves_another_if_it_is_not_needed(self) -> None:
        desk = Desk(limit=1)
        link = desk.rest(A)
        desk.release(desk.acquire(B))
        desk.acquire(A)
        assert desk.commands() == [Close(link)]
        desk.closed(link)
        assert desk.commands() == [Open(A)]

    def test_an_opening_that_nobody_wants_is_cancelled_for_a_newcomer(self) -> None:
        desk = Desk()
        for key in (A, B):
            lease = desk.acquire(key)
            desk.commands()
            desk.release(lease)
        desk.acquire(C)
        assert desk.commands() == [Cancel(A)]
        assert astuple(desk.pool.stats()) == (2, 0, 0, 1, 1, 1, 0, 0)
        desk.failed(A, OSError("cancelled"))
        assert (desk.commands(), desk.events()) == ([Open(C)], [])

    def test_an_idle_session_goes_before_an_opening(self) -> None:
        desk = Desk()
        lease = desk.acquire(A)
        desk.commands()
        desk.release(lease)
        link = desk.rest(B)
        desk.acquire(C)
        assert desk.commands() == [Close(link)]

    @pytest.mark.parametrize("was_polled", [True, False])
    def test_a_driver_that_can_not_cancel_is_late_not_wrong(self, was_polled: bool) -> None:
        desk = Desk(limit=1)
        lease = desk.acquire(A)
        desk.commands()
        desk.release(lease)
        waiter = desk.acquire(B)
        if was_polled:
            assert desk.commands() == [Cancel(A)]
        link = desk.opened(A)
        assert (desk.commands(), desk.events()) == ([Close(link)], [])
        desk.closed(link)
        assert desk.commands() == [Open(B)]
        desk.opened(B)
        assert desk.events() == [LeaseOpened(waiter)]

    def test_who_wants_back_what_was_cancelled_gets_another(self) -> None:
        desk = Desk(limit=1)
        lease = desk.acquire(A)
        desk.commands()
        desk.release(lease)
        desk.release(desk.acquire(B))
        again = desk.acquire(A)
        desk.failed(A, OSError("cancelled"))
        assert (desk.commands(), desk.events()) == ([Open(A)], [])
        desk.opened(A)
        assert desk.events() == [LeaseOpened(again)]


class TestEnds:
    def test_a_failed_open_is_told_to_all_who_wait_and_forgotten(self) -> None:
        desk = Desk()
        leases = desk.acquire(A), desk.acquire(A)
        desk.commands()
        error = OSError("unreachable")
        desk.failed(A, error)
        assert desk.events() == [LeaseFailed(lease, error) for lease in leases]
        assert all(lease.is_over for lease in leases)
        assert astuple(desk.pool.stats()) == (0, 0, 0, 0, 0, 0, 0, 0)
        desk.acquire(A)
        assert desk.commands() == [Open(A)]

    def test_an_unwanted_open_may_fail_unheard(self) -> None:
        desk = Desk()
        lease = desk.acquire(A)
        desk.commands()
        desk.release(lease)
        desk.failed(A, OSError())
        assert (desk.events(), desk.pool.stats().total) == ([], 0)

    def test_a_session_that_ends_by_itself_is_told_to_its_leases(self) -> None:
        desk = Desk()
        leases = desk.open(A), desk.acquire(A)
        error = ConnectionResetError()
        link = leases[0].session
        desk.closed(link, error)
        desk.closed(link, error)
        assert desk.events() == [LeaseEnded(lease, error) for lease in leases]
        desk.release(*leases)
        again = desk.acquire(A)
        assert desk.commands() == [Open(A)]
        desk.closed(link)
        desk.opened(A)
        assert desk.events() == [LeaseOpened(again)], "the end of the old is no end of the new"

    def test_an_end_before_the_opening_was_heard_is_all_there_is_to_hear(self) -> None:
        desk = Desk()
        lease = desk.acquire(A)
        desk.commands()
        desk.closed(desk.opened(A))
        assert desk.events() == [LeaseEnded(lease, None)]

    def test_an_idle_session_that_ends_by_itself_is_gone(self) -> None:
        desk = Desk()
        desk.closed(desk.rest(A))
        assert (desk.events(), desk.commands()) == ([], [])
        assert desk.pool.next_deadline() is None
        assert desk.pool.stats().total == 0


class TestClosing:
    def test_all_is_ended_in_order_and_nothing_is_left(self) -> None:
        desk = Desk(limit=5)
        active, idle = desk.open(A), desk.rest(B)
        link = active.session
        opening = desk.acquire(C)
        assert desk.commands() == [Open(C)]
        waiting = desk.acquire(D)
        desk.pool.close(now=1.0)
        told = desk.events()
        assert [(type(event), event.lease) for event in told] == [
            (LeaseEnded, active),
            (LeaseFailed, opening),
            (LeaseFailed, waiting),
        ]
        assert all(
            not isinstance(event, LeaseOpened) and str(event.error) == "the pool is closed"
            for event in told
        )
        assert desk.commands() == [Close(link), Close(idle), Cancel(C)]
        assert (desk.pool.next_deadline(), desk.pool.is_closed) == (None, False)
        desk.closed(link)
        late = desk.opened(C)
        assert desk.commands() == [Close(late)]
        desk.closed(late)
        desk.closed(idle)
        assert desk.pool.is_closed
        assert desk.pool.stats() == PoolStats(
            total=0, active=0, idle=0, opening=0, closing=0, waiting=0, opened=3, reused=0
        )

    def test_it_ends_once_and_for_all(self) -> None:
        desk = Desk()
        link = desk.rest(A)
        assert not desk.pool.is_closed
        desk.pool.close(now=0.0)
        desk.pool.close(now=0.0)
        assert desk.commands() == [Close(link)]
        with pytest.raises(InvalidState, match="the pool is closed"):
            desk.acquire(A)


class TestMisuse:
    def test_an_answer_that_nobody_asked_for_is_refused_and_changes_nothing(self) -> None:
        desk = Desk()
        lease = desk.acquire(A)
        for key in (A, B):
            with pytest.raises(InvalidState, match="no Open of"):
                desk.opened(key)
        desk.commands()
        link = desk.opened(A)
        with pytest.raises(InvalidState, match="no Open of"):
            desk.failed(A, OSError())
        assert lease.session is link

    def test_a_session_that_is_there_already_is_refused(self) -> None:
        desk = Desk()
        lease = desk.open(A)
        desk.acquire(B)
        desk.commands()
        with pytest.raises(InvalidState, match="in the pool already"):
            desk.pool.handle_opened(B, lease.session, now=0.0)
        desk.opened(B)
        assert desk.pool.stats().active == 2

    def test_a_lease_of_another_pool_is_refused(self) -> None:
        desk, other = Desk(), Desk()
        lease, mine = desk.open(A), other.open(A)
        with pytest.raises(InvalidState, match="another pool"):
            other.release(lease)
        assert lease.is_ready
        assert mine.is_ready

    @pytest.mark.parametrize("value", [0, -1, 1.5, True, "15", None, 2**21, float("nan")])
    def test_a_limit_that_can_not_be_is_named(self, value: Any) -> None:
        with pytest.raises(ConfigError, match=r"Pool\.max_connections is "):
            Pool(max_connections=value)

    @pytest.mark.parametrize("value", [-0.1, True, "60", None, float("inf"), float("nan")])
    def test_a_time_that_can_not_be_is_named(self, value: Any) -> None:
        with pytest.raises(ConfigError, match=r"Pool\.idle is "):
            Pool(idle=value)

    def test_exhaustion_is_the_callers_to_handle(self) -> None:
        assert issubclass(PoolExhausted, LocalProtocolError)


def test_a_config_says_how_many_connections() -> None:
    pool = Pool[str].of(Config(max_connections=2))
    for number in (1, 2):
        pool.acquire(Key(f"ws://{number}/"), now=0.0)
    with pytest.raises(PoolExhausted):
        pool.acquire(Key("ws://3/"), now=0.0)
