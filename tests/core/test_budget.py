"""The origin's memory manager, exact: an honest ledger, a plan that keeps its order (P3, I8)."""

import math
from dataclasses import FrozenInstanceError, asdict, fields
from itertools import pairwise

import pytest

from gapless.core.budget import Level, Limits, MemoryBudget, Shed, Victim
from gapless.core.errors import ConfigError, LocalProtocolError

from .budgets import SMALL, a_budget, refuse_all, shed_all

FRAME, HISTORY, INBOX, SESSION, PIN, NEVER = Shed
LATER = 1e9


class TestLedger:
    def test_what_is_charged_is_held_until_it_is_released(self) -> None:
        budget = a_budget(a=(INBOX, 10), b=(NEVER, 0))
        budget.charge("a", 5, now=1.0)
        budget.charge("b", 7, now=1.0)
        assert (budget.held, budget.held_by("a"), budget.held_by("b")) == (22, 15, 7)
        budget.release("a", 14)
        assert (budget.held, budget.held_by("a")) == (8, 1)
        budget.release("a", 1)
        assert (budget.held, budget.held_by("a")) == (7, 0)

    def test_to_forget_is_to_release_all(self) -> None:
        budget = a_budget(a=(INBOX, 10), b=(PIN, 5), c=(PIN, 0))
        assert (budget.forget("a"), budget.forget("c")) == (10, 0)
        assert budget.held == 5
        assert budget.report().kinds[INBOX].holders == 0
        budget.register("a", FRAME, 1, now=1.0)
        assert budget.held_by("a") == 1

    def test_moving_changes_the_kind_and_not_the_sum(self) -> None:
        budget = a_budget(a=(NEVER, 10), b=(NEVER, 0))
        budget.move("a", SESSION, now=1.0)
        budget.move("b", SESSION, now=1.0)
        kinds = budget.report().kinds
        assert (kinds[NEVER].holders, kinds[NEVER].held) == (0, 0)
        assert (kinds[SESSION].holders, kinds[SESSION].held) == (2, 10)
        assert (budget.held, budget.held_by("a")) == (10, 10)

    def test_anything_hashable_can_be_a_holder(self) -> None:
        budget = MemoryBudget[object](SMALL, now=0.0)
        for holder in (None, 0, "a", (1, "b"), object()):
            budget.register(holder, NEVER, 3, now=0.0)
            assert budget.held_by(holder) == 3
        assert budget.held == 15

    def test_the_peak_stays(self) -> None:
        budget = a_budget(a=(INBOX, 10))
        budget.charge("a", 5, now=0.0)
        budget.release("a", 15)
        budget.charge("a", 14, now=0.0)
        assert budget.report().peak == 15

    def test_misuse_raises_and_changes_nothing(self) -> None:
        budget = a_budget(a=(INBOX, 10))
        before = budget.report()
        for misuse, words in (
            (lambda: budget.release("a", 11), "'a' releases 11 bytes and holds 10"),
            (lambda: budget.release("a", -1), "-1 bytes; a size is not negative"),
            (lambda: budget.charge("a", -1, now=LATER), "not negative"),
            (lambda: budget.charge("b", 1, now=LATER), "'b' is not registered"),
            (lambda: budget.release("b", 0), "'b' is not registered"),
            (lambda: budget.touch("b", now=LATER), "'b' is not registered"),
            (lambda: budget.move("b", PIN, now=LATER), "'b' is not registered"),
            (lambda: budget.forget("b"), "'b' is not registered"),
            (lambda: budget.held_by("b"), "'b' is not registered"),
            (lambda: budget.may_credit("b"), "'b' is not registered"),
            (lambda: budget.register("a", PIN, 1, now=LATER), "'a' is registered already"),
            (lambda: budget.register("b", PIN, -1, now=LATER), "not negative"),
            (lambda: budget.next_victim(-1), "not negative"),
        ):
            with pytest.raises(LocalProtocolError, match=words):
                misuse()
        assert budget.report() == before
        budget.charge("a", 0, now=1.0)
        budget.release("a", 0)
        assert budget.next_victim(0) is None
        assert budget.report() == before
        budget.handle_timeout(now=44.9)
        assert budget.next_deadline() == 45.0, "the time of misuse is not taken"

    def test_all_that_is_held_can_be_released_at_once(self) -> None:
        budget = a_budget(a=(INBOX, 10))
        budget.release("a", 10)
        assert budget.held == 0


class TestThresholds:
    @pytest.mark.parametrize(
        ("held", "level"),
        [
            (0, Level.NORMAL),
            (100, Level.NORMAL),
            (101, Level.WARNING),
            (200, Level.WARNING),
            (201, Level.CLEANUP),
            (400, Level.CLEANUP),
            (401, Level.LIMIT),
        ],
    )
    def test_a_level_begins_above_its_threshold(self, held: int, level: Level) -> None:
        budget = a_budget(a=(NEVER, held))
        assert budget.level is level
        assert budget.report().level is level

    def test_there_is_room_up_to_the_limit(self) -> None:
        budget = a_budget(a=(INBOX, 300))
        assert budget.has_room(100)
        assert not budget.has_room(101)

    def test_above_warning_a_holder_above_its_share_gets_no_credit(self) -> None:
        budget = a_budget(a=(INBOX, 100), b=(INBOX, 0), c=(INBOX, 0), d=(INBOX, 0), x=(NEVER, 0))
        budget.charge("b", 0, now=0.0)
        assert budget.may_credit("a"), "at the share of 400 / 4, and at warning"
        budget.charge("a", 1, now=0.0)
        assert not budget.may_credit("a")
        assert budget.may_credit("b")
        assert budget.may_credit("x"), "another kind has other shares"
        budget.release("a", 1)
        budget.charge("x", 1, now=0.0)
        assert budget.may_credit("a"), "above warning, but not above the share"
        budget.register("e", INBOX, now=0.0)
        assert not budget.may_credit("a"), "with five, the share is 80"
        budget.release("x", 1)
        assert budget.may_credit("a"), "at warning there is credit for all"

    def test_the_share_is_not_rounded(self) -> None:
        budget = a_budget(a=(INBOX, 133), b=(INBOX, 134), c=(INBOX, 0))
        assert budget.may_credit("a")
        assert not budget.may_credit("b")

    def test_clients_and_hubs_have_the_defaults_of_the_design(self) -> None:
        client, hub = Limits(), Limits.hub()
        assert MemoryBudget[str](now=0.0).limits == client
        assert (client.warning, client.cleanup, client.limit) == (
            15_000_000,
            30_000_000,
            60_000_000,
        )
        assert (hub.warning, hub.cleanup, hub.limit) == (256_000_000, 512_000_000, 1_024_000_000)
        for limits in (client, hub):
            assert (limits.interval, limits.stale_age, limits.aggressive_age) == (
                45.0,
                300.0,
                120.0,
            )

    @pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
    @pytest.mark.parametrize("bad", [0, -1, True, "1", math.nan, math.inf, 2**50 + 1])
    def test_what_no_limit_can_be_is_refused_by_name(self, name: str, bad: object) -> None:
        with pytest.raises(ConfigError, match=rf"Limits\.{name} is "):
            Limits(**{name: bad})  # type: ignore[arg-type]  # that is the point

    @pytest.mark.parametrize("name", ["warning", "cleanup", "limit", "interval", "aggressive_age"])
    def test_none_is_no_limit(self, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"Limits\.{name} is None"):
            Limits(**{name: None})  # type: ignore[arg-type]  # that is the point

    @pytest.mark.parametrize("name", ["warning", "cleanup", "limit"])
    def test_bytes_are_whole(self, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"Limits\.{name} is 20000000\.0"):
            Limits(**{name: 2e7})  # type: ignore[arg-type]  # that is the point

    def test_thresholds_come_in_their_order(self) -> None:
        with pytest.raises(ConfigError, match=r"^Limits\.cleanup is below Limits\.warning$"):
            Limits(warning=10, cleanup=9, limit=20)
        with pytest.raises(ConfigError, match=r"^Limits\.limit is below Limits\.cleanup$"):
            Limits(warning=10, cleanup=20, limit=19)
        words = r"^Limits\.stale_age is below Limits\.aggressive_age$"
        with pytest.raises(ConfigError, match=words):
            Limits(stale_age=119.9)

    def test_the_extremes_are_legal(self) -> None:
        Limits(warning=1, cleanup=1, limit=1)
        Limits(warning=2**50, cleanup=2**50, limit=2**50)
        Limits(interval=0.1, stale_age=0.1, aggressive_age=0.1)
        Limits(interval=2_592_000, stale_age=2_592_000, aggressive_age=2_592_000)

    @pytest.mark.parametrize("name", ["interval", "stale_age", "aggressive_age"])
    @pytest.mark.parametrize("bad", [0.09, 2_592_000.1])
    def test_times_just_beyond_are_not(self, name: str, bad: float) -> None:
        with pytest.raises(ConfigError, match=rf"Limits\.{name} .* must be 0\.1 … 2,592,000 s"):
            Limits(**{name: bad})  # type: ignore[arg-type]  # that is the point

    def test_limits_of_bytes_end_at_2_to_the_50(self) -> None:
        with pytest.raises(ConfigError, match=r"1 … 1,125,899,906,842,624"):
            Limits(limit=2**50 + 1)


class TestPlan:
    def test_nothing_goes_up_to_the_threshold_of_a_clean_up(self) -> None:
        budget = a_budget(a=(FRAME, 100), b=(HISTORY, 100))
        assert budget.next_victim() is None
        assert budget.next_victim(1) is not None, "what is wanted counts"

    def test_above_it_frames_and_history_go_until_it_is_held(self) -> None:
        budget = a_budget(
            h1=(HISTORY, 50), h2=(HISTORY, 50), f1=(FRAME, 60), f2=(FRAME, 41), i=(INBOX, 100)
        )
        assert budget.held == 301
        assert budget.next_victim() == Victim("f1", FRAME, 60, "cleanup")
        budget.release("f1", 60)
        assert budget.next_victim() == Victim("f2", FRAME, 41, "cleanup")
        budget.release("f2", 41)
        assert budget.held == 200
        assert budget.next_victim() is None, "exactly at it is enough"

    def test_history_goes_only_when_no_frame_is_left(self) -> None:
        budget = a_budget(h1=(HISTORY, 150), h2=(HISTORY, 150), f1=(FRAME, 1), f2=(FRAME, 1))
        assert shed_all(budget) == ["f1", "f2", "h1"]

    def test_what_costs_more_does_not_go_below_the_limit(self) -> None:
        budget = a_budget(i=(INBOX, 200), s=(SESSION, 100), p=(PIN, 50), x=(NEVER, 50))
        assert budget.held == 400
        assert budget.next_victim() is None
        assert budget.next_victim(1) == Victim("i", INBOX, 200, "limit")

    def test_over_the_limit_all_kinds_go_in_their_order_but_never_an_outbox(self) -> None:
        budget = a_budget(
            x=(NEVER, 358), p=(PIN, 1), s=(SESSION, 1), i=(INBOX, 40), h=(HISTORY, 1), f=(FRAME, 1)
        )
        assert shed_all(budget) == ["f", "h", "i"], "down to 90 %"
        budget.charge("x", 41, now=0.0)
        assert budget.held == 401
        assert shed_all(budget) == ["s"], "90 % can't be reached: so not one more than needed"
        budget.charge("x", 5, now=0.0)
        assert shed_all(budget) == ["p"]
        assert (budget.held, budget.level) == (404, Level.LIMIT), "an outbox is never shed"

    @pytest.mark.parametrize(("held", "named"), [(400, 0), (401, 41), (441, 81)])
    def test_the_limit_is_held_by_going_down_to_nine_tenths(self, held: int, named: int) -> None:
        budget = MemoryBudget[int](SMALL, now=0.0)
        for holder in range(held):
            budget.register(holder, SESSION, 1, now=0.0)
        count = 0
        while (victim := budget.next_victim()) is not None:
            assert (victim.holder, victim.why) == (count, "limit")
            budget.forget(victim.holder)
            count += 1
        assert count == named
        assert budget.held in (360, 400)

    def test_a_plan_left_in_the_middle_goes_on_until_the_next_clean_up(self) -> None:
        budget = a_budget(i=(INBOX, 401))
        assert budget.next_victim() is not None
        budget.release("i", 39)
        assert budget.held == 362
        assert budget.next_victim() is not None
        budget.release("i", 1)
        budget.handle_timeout(now=45.0)
        assert budget.next_victim() is None, "361 is below the limit"

    def test_nine_tenths_are_rounded_down(self) -> None:
        budget = MemoryBudget[int](Limits(warning=1, cleanup=19, limit=19), now=0.0)
        for holder in range(20):
            budget.register(holder, PIN, 1, now=0.0)
        while (victim := budget.next_victim()) is not None:
            budget.forget(victim.holder)
        assert budget.held == 17

    def test_room_is_made_for_what_is_wanted(self) -> None:
        budget = a_budget(i1=(INBOX, 120), i2=(INBOX, 120), i3=(INBOX, 120))
        assert budget.has_room(40)
        assert budget.next_victim(40) is None
        assert shed_all(budget, 41) == ["i1"]
        assert budget.has_room(41)

    def test_a_large_wish_costs_only_what_it_needs(self) -> None:
        budget = a_budget(i1=(INBOX, 20), i2=(INBOX, 20), i3=(INBOX, 20), x=(NEVER, 1))
        assert shed_all(budget, 359) == ["i1", "i2", "i3"], "360, nine tenths, can be reached"
        budget = a_budget(i1=(INBOX, 20), i2=(INBOX, 20), i3=(INBOX, 20), x=(NEVER, 1))
        assert shed_all(budget, 360) == ["i1", "i2"], "361 can't: so it is the limit"

    def test_nobody_is_shed_for_what_cannot_fit(self) -> None:
        budget = a_budget(i=(INBOX, 50), x=(NEVER, 100))
        assert budget.next_victim(301) is None
        assert shed_all(budget, 300) == ["i"]
        assert budget.has_room(300)
        budget = a_budget(f=(FRAME, 100), x=(NEVER, 100))
        assert budget.next_victim(301) is None, "and not a byte of it counts"

    def test_by_age_the_longest_unused_goes_first(self) -> None:
        for kind in (FRAME, HISTORY, SESSION, PIN):
            budget = MemoryBudget[str](SMALL, now=0.0)
            for at, holder in enumerate("abcd"):
                budget.register(holder, kind, 101, now=float(at))
            budget.touch("a", now=5.0)
            budget.charge("b", 100, now=6.0)  # Bytes are no use.
            budget.move("c", NEVER, now=7.0)
            budget.move("c", kind, now=7.0)
            assert refuse_all(budget) == ["b", "d", "a", "c"]

    def test_by_size_the_fullest_goes_first_to_a_factor_of_two(self) -> None:
        budget = a_budget(
            a=(INBOX, 31), b=(INBOX, 200), c=(INBOX, 129), d=(INBOX, 32), e=(INBOX, 8)
        )
        budget.charge("e", 1, now=0.0)
        budget.touch("b", now=9.0)
        assert refuse_all(budget) == ["b", "c", "d", "a", "e"]

    def test_an_inbox_that_grows_or_shrinks_changes_its_place(self) -> None:
        budget = a_budget(a=(INBOX, 250), b=(INBOX, 100), c=(INBOX, 90))
        budget.release("a", 249)
        budget.charge("c", 250, now=0.0)
        assert refuse_all(budget) == ["c", "b", "a"]

    def test_since_says_how_long_ago_it_was_used(self) -> None:
        budget = MemoryBudget[str](SMALL, now=100.0)
        budget.register("old", SESSION, 200, now=100.0, since=10.0)
        budget.register("middle", NEVER, 200, now=100.0)
        budget.register("young", SESSION, 200, now=100.0, since=60.0)
        budget.register("future", SESSION, 200, now=100.0, since=1e9)
        budget.move("middle", SESSION, now=100.0, since=20.0)
        budget.touch("young", now=100.0)
        assert refuse_all(budget) == ["old", "future", "middle", "young"]

    def test_what_holds_nothing_is_not_named(self) -> None:
        budget = a_budget(a=(FRAME, 0), b=(INBOX, 0), c=(PIN, 5), x=(NEVER, 500))
        budget.touch("a", now=1.0)
        budget.release("c", 5)
        budget.move("a", HISTORY, now=2.0)
        assert budget.next_victim() is None

    def test_a_victim_is_plain_data(self) -> None:
        victim = a_budget(a=(FRAME, 201)).next_victim()
        assert victim is not None
        assert asdict(victim) == {"holder": "a", "kind": FRAME, "size": 201, "why": "cleanup"}
        with pytest.raises(FrozenInstanceError):
            victim.size = 1  # type: ignore[misc]  # that is the point


class TestCleanUp:
    def test_it_is_due_every_45_seconds(self) -> None:
        budget = MemoryBudget[str](now=10.0)
        assert budget.next_deadline() == 55.0
        budget.handle_timeout(now=54.9)
        assert budget.next_deadline() == 55.0
        budget.handle_timeout(now=55.0)
        assert budget.next_deadline() == 100.0
        budget.handle_timeout(now=10_000.0)
        assert budget.next_deadline() == 10_045.0, "once however late (I12)"
        budget.handle_timeout(now=20.0)
        assert budget.next_deadline() == 10_045.0

    def test_frames_and_history_older_than_the_stale_age_go(self) -> None:
        budget = MemoryBudget[str](SMALL, now=0.0)
        for at, kind in enumerate(Shed):
            budget.register(f"{kind.name} older", kind, 1, now=float(at))
        for kind in Shed:
            budget.register(f"{kind.name} at the age", kind, 1, now=15.0)
        budget.handle_timeout(now=315.0)
        victim = budget.next_victim()
        assert victim == Victim("FRAME older", FRAME, 1, "stale")
        budget.release("FRAME older", 1)
        assert shed_all(budget) == ["HISTORY older"]
        budget.register("old, but after it", FRAME, 1, now=316.0, since=15.0)
        assert budget.next_victim() is None, "a clean-up ends"
        budget.handle_timeout(now=359.9)
        assert budget.next_victim() is None, "not before it is due"
        budget.handle_timeout(now=360.0)
        assert len(shed_all(budget)) == 3

    def test_in_an_aggressive_clean_up_after_two_minutes(self) -> None:
        for held, named in ((200, []), (201, ["older"])):
            budget = MemoryBudget[str](SMALL, now=0.0)
            budget.register("x", NEVER, held - 2, now=0.0)
            budget.register("older", HISTORY, 1, now=0.0)
            budget.register("at the age", HISTORY, 1, now=1.0)
            budget.handle_timeout(now=121.0)
            assert shed_all(budget) == named

    def test_crossing_the_threshold_begins_an_aggressive_clean_up_at_once(self) -> None:
        budget = a_budget(f1=(FRAME, 10), f2=(FRAME, 10), h=(HISTORY, 10))
        budget.register("f3", FRAME, 10, now=1.0)
        budget.register("x", NEVER, 161, now=121.0)
        assert budget.held == 201
        assert budget.next_victim() == Victim("f1", FRAME, 10, "stale")
        budget.release("f1", 10)
        assert shed_all(budget) == ["f2", "h"], "though it is met, and not what is younger"

    def test_it_is_aggressive_once_a_crossing(self) -> None:
        budget = a_budget(x=(NEVER, 250), f=(FRAME, 1))
        assert shed_all(budget) == ["f"]
        budget.register("g", FRAME, 1, now=1.0)
        budget.charge("x", 0, now=200.0)
        assert budget.next_victim() == Victim("g", FRAME, 1, "cleanup")
        budget.release("x", 100)
        budget.release("g", 1)
        assert budget.next_victim() is None
        budget.register("h", HISTORY, 1, now=200.0, since=79.9)
        assert budget.next_victim() is None
        budget.charge("x", 51, now=200.0)
        assert shed_all(budget) == ["h"]

    def test_a_crossing_does_not_spare_what_a_clean_up_found(self) -> None:
        limits = Limits(warning=1, cleanup=200, limit=400, stale_age=120.0)
        budget = MemoryBudget[str](limits, now=0.0)
        budget.register("h", HISTORY, 1, now=0.0)
        budget.handle_timeout(now=120.5)
        budget.register("x", NEVER, 200, now=0.0)
        assert budget.next_victim() == Victim("h", HISTORY, 1, "stale")

    def test_without_a_stale_age_nothing_goes_for_its_age_alone(self) -> None:
        limits = Limits(warning=100, cleanup=200, limit=400, stale_age=None)
        budget = MemoryBudget[str](limits, now=0.0)
        budget.register("h", HISTORY, 200, now=0.0)
        budget.handle_timeout(now=LATER)
        assert budget.next_victim() is None
        budget.charge("h", 1, now=LATER)
        budget.handle_timeout(now=LATER + 45)
        assert budget.next_victim() == Victim("h", HISTORY, 201, "stale")

    def test_use_and_being_named_make_it_young(self) -> None:
        budget = a_budget(a=(FRAME, 1), b=(FRAME, 1), c=(FRAME, 1), d=(FRAME, 0))
        budget.touch("a", now=1.0)
        budget.charge("d", 1, now=290.0)
        budget.handle_timeout(now=300.5)
        assert refuse_all(budget) == ["b", "c"]
        budget.release("c", 1)
        budget.charge("c", 1, now=300.5)
        budget.handle_timeout(now=345.5)
        assert refuse_all(budget) == ["a"], "the age of what was empty begins with its first byte"
        budget.handle_timeout(now=590.5)
        assert refuse_all(budget) == ["d"]
        budget.handle_timeout(now=645.6)
        assert refuse_all(budget) == ["c", "b"]

    def test_moved_it_is_as_old_as_the_move_says(self) -> None:
        budget = a_budget(a=(NEVER, 1), b=(NEVER, 1))
        budget.move("a", FRAME, now=100.0)
        budget.move("b", HISTORY, now=100.0, since=99.0)
        budget.handle_timeout(now=400.0)
        assert shed_all(budget) == ["b"]

    def test_who_frees_a_part_is_as_good_as_just_used(self) -> None:
        budget = a_budget(a=(HISTORY, 2))
        budget.handle_timeout(now=301.0)
        assert budget.next_victim() == Victim("a", HISTORY, 2, "stale")
        budget.release("a", 1)
        budget.handle_timeout(now=601.0)
        assert budget.next_victim() is None
        budget.handle_timeout(now=646.0)
        assert budget.next_victim() == Victim("a", HISTORY, 1, "stale")

    def test_use_does_not_change_the_turn_of_who_was_named(self) -> None:
        budget = a_budget(a=(FRAME, 150), b=(FRAME, 150))
        assert refuse_all(budget) == ["a", "b"]
        budget.touch("a", now=1.0)
        budget.handle_timeout(now=45.0)
        assert refuse_all(budget) == ["a", "b"]

    def test_a_clock_that_runs_back_stands_still(self) -> None:
        budget = a_budget(a=(FRAME, 1))
        budget.charge("a", 1, now=100.0)
        budget.touch("a", now=50.0)
        budget.register("b", FRAME, 1, now=50.0)
        budget.handle_timeout(now=400.0)
        assert budget.next_victim() is None
        budget.handle_timeout(now=445.0)
        assert shed_all(budget) == ["a", "b"]


class TestReport:
    def test_it_says_who_holds_what_and_what_had_to_go(self) -> None:
        budget = a_budget(f=(FRAME, 100), h=(HISTORY, 50), i=(INBOX, 230), x=(NEVER, 30))
        victim = budget.next_victim()
        assert victim is not None
        budget.release("f", 60)
        budget.release("f", 20)  # By its own doing, so not freed by a victim.
        assert shed_all(budget) == ["f", "h"]
        report = budget.report()
        assert (report.held, report.peak, report.level) == (260, 410, Level.CLEANUP)
        assert report.limits is SMALL
        assert list(report.kinds) == list(Shed)
        frames = report.kinds[FRAME]
        assert (frames.holders, frames.held, frames.victims, frames.freed) == (1, 0, 2, 80)
        history, inbox = report.kinds[HISTORY], report.kinds[INBOX]
        assert (history.holders, history.held, history.victims, history.freed) == (1, 0, 1, 50)
        assert (inbox.holders, inbox.held, inbox.victims, inbox.freed) == (1, 230, 0, 0)
        for frozen, name in ((report, "held"), (frames, "held"), (SMALL, "limit")):
            with pytest.raises(FrozenInstanceError):
                setattr(frozen, name, 0)

    def test_kinds_and_levels_are_ordered(self) -> None:
        assert all(one < other for one, other in pairwise(Shed))
        assert all(one < other for one, other in pairwise(Level))


def test_who_never_goes_can_be_found_by_size_to_a_factor_of_two() -> None:
    budget = a_budget(a=(Shed.NEVER, 70), b=(Shed.NEVER, 100), c=(Shed.NEVER, 9), d=(Shed.FRAME, 5))
    assert list(budget.fullest(Shed.NEVER)) == ["a", "b", "c"]
    budget.release("a", 10)
    budget.charge("c", 250, now=1.0)
    assert list(budget.fullest(Shed.NEVER)) == ["c", "b", "a"]
