"""A budget against a model that looks through all its holders each time; and what it costs (P3)."""

import sys
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gapless.core.budget import Level, MemoryBudget, Shed, Victim, Why
from gapless.core.errors import LocalProtocolError

from .budgets import SMALL, a_budget, refuse_all
from .footprint import footprint

CHEAP = (Shed.FRAME, Shed.HISTORY)
HOLDERS = st.sampled_from("abcdefghij")
SIZES = st.integers(0, 130)


@dataclass
class Item:
    """A holder of the model: `turn` grows each time it gets in line."""

    kind: Shed
    held: int = 0
    since: float = 0.0
    turn: int = 0
    named: int = 0


class Model:
    """What the docs say, without a thought for speed."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.now = 0.0
        self.peak = 0
        self.turns = 0
        self.stale_before = float("-inf")
        self.is_above = self.at_limit = False
        self.due = 45.0

    @property
    def held(self) -> int:
        return sum(item.held for item in self.items.values())

    def line(self, kind: Shed) -> list[str]:
        """Who can be named of a kind, in order."""
        able = [h for h, item in self.items.items() if item.kind is kind and self.can(item)]
        if kind is Shed.INBOX:
            return sorted(
                able, key=lambda h: (-self.items[h].held.bit_length(), self.items[h].turn)
            )
        return sorted(able, key=lambda h: self.items[h].turn)

    @staticmethod
    def can(item: Item) -> bool:
        return item.held > 0 and not item.named

    def queue(self, item: Item) -> None:
        """Get in line behind all others, and be at least as young as they are."""
        same = [each for each in self.items.values() if each.kind is item.kind and self.can(each)]
        item.since = max([item.since, *(each.since for each in same if each is not item)])
        self.turns += 1
        item.turn = self.turns

    def change(self, item: Item, size: int) -> None:
        before, item.held = item.held, item.held + size
        self.peak = max(self.peak, self.held)
        if size and item.named:
            item.named, item.since = 0, self.now
            self.queue(item)
        elif size and self.place(item.kind, before) != self.place(item.kind, item.held):
            self.queue(item)

    @staticmethod
    def place(kind: Shed, held: int) -> int:
        return held.bit_length() if kind is Shed.INBOX else int(held > 0)

    def timeout(self) -> None:
        if self.now < self.due:
            return
        self.due = self.now + 45.0
        self.at_limit = False
        for item in sorted(self.items.values(), key=lambda item: (item.kind, item.named)):
            if item.named:
                item.named, item.since = 0, self.now
                self.queue(item)
        self.stale_before = self.now - (120.0 if self.held > 200 else 300.0)

    def victim(self, wanted: int) -> tuple[str, Why] | None:
        kept = sum(item.held for item in self.items.values() if item.kind is Shed.NEVER)
        need = self.held + (wanted if kept + wanted <= 400 else 0)
        goal = 360 if kept + need - self.held <= 360 else 400
        self.at_limit = need > goal if self.at_limit else need > 400
        if need > 200 and not self.is_above:
            self.stale_before = max(self.stale_before, self.now - 120.0)
        self.is_above = need > 200
        for kind in (*CHEAP, Shed.INBOX, Shed.SESSION, Shed.PIN):
            for holder in self.line(kind):
                item = self.items[holder]
                why: Why | None = "limit" if self.at_limit else None
                if kind in CHEAP:
                    why = why or ("cleanup" if self.is_above else None)
                    why = "stale" if item.since < self.stale_before else why
                if why is not None:
                    self.turns += 1
                    item.named = self.turns
                    return holder, why
        self.stale_before = float("-inf")
        return None


class BudgetMachine(RuleBasedStateMachine):
    """Any sequence of calls, misuse included."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = MemoryBudget[str](SMALL, now=0.0)
        self.model = Model()

    @rule(seconds=st.sampled_from([-5.0, 0.5, 10.0, 45.0, 119.0, 121.0, 301.0]))
    def wait(self, seconds: float) -> None:
        self.model.now = max(self.model.now, self.model.now + seconds)
        self.budget.handle_timeout(now=self.model.now)
        self.model.timeout()
        assert self.budget.next_deadline() == self.model.due > self.model.now, "I12"

    @rule(
        holder=HOLDERS,
        kind=st.sampled_from(Shed),
        size=SIZES,
        ago=st.sampled_from([0, 50.0, 150.0]),
    )
    def register(self, holder: str, kind: Shed, size: int, ago: float) -> None:
        now = self.model.now
        since = now - ago if ago else None
        if holder in self.model.items:
            with pytest.raises(LocalProtocolError):
                self.budget.register(holder, kind, size, now=now, since=since)
            return
        self.budget.register(holder, kind, size, now=now, since=since)
        item = self.model.items[holder] = Item(kind, since=now - ago)
        self.model.change(item, size)

    @precondition(lambda self: self.model.items)
    @rule(data=st.data(), size=SIZES)
    def charge(self, data: st.DataObject, size: int) -> None:
        holder = data.draw(st.sampled_from(sorted(self.model.items)))
        self.budget.charge(holder, size, now=self.model.now)
        item = self.model.items[holder]
        if not item.held and size:
            item.since = self.model.now
        self.model.change(item, size)

    @precondition(lambda self: self.model.items)
    @rule(data=st.data(), size=SIZES)
    def release(self, data: st.DataObject, size: int) -> None:
        holder = data.draw(st.sampled_from(sorted(self.model.items)))
        item = self.model.items[holder]
        if size > item.held:
            with pytest.raises(LocalProtocolError):
                self.budget.release(holder, size)
            return
        self.budget.release(holder, size)
        self.model.change(item, -size)

    @precondition(lambda self: self.model.items)
    @rule(data=st.data(), kind=st.sampled_from([None, *Shed]), ago=st.sampled_from([0, 150.0]))
    def use(self, data: st.DataObject, kind: Shed | None, ago: float) -> None:
        """Touch it, or move it to a kind."""
        holder = data.draw(st.sampled_from(sorted(self.model.items)))
        item, now = self.model.items[holder], self.model.now
        if kind is None:
            self.budget.touch(holder, now=now)
            item.since = now
            if self.model.can(item) and item.kind is not Shed.INBOX:
                self.model.queue(item)
        else:
            self.budget.move(holder, kind, now=now, since=now - ago if ago else None)
            item.kind, item.since, item.named = kind, now - ago, 0
            if item.held:
                self.model.queue(item)

    @precondition(lambda self: self.model.items)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        holder = data.draw(st.sampled_from(sorted(self.model.items)))
        assert self.budget.forget(holder) == self.model.items.pop(holder).held

    @rule(share=st.sampled_from([0.0, 0.3, 1.0]), wanted=st.sampled_from([0, 0, 50, 390, 500]))
    def shed(self, share: float, wanted: int) -> None:
        """Pull the plan to its end, freeing that share of each victim."""
        calls = 0
        while (victim := self.budget.next_victim(wanted)) is not None:
            self._check(victim, self.model.victim(wanted))
            freed = int(victim.size * share)
            self.budget.release(victim.holder, freed)
            if freed:
                self.model.change(self.model.items[victim.holder], -freed)
            calls += 1
            assert calls < 500, "P4: the plan ends"
        assert self.model.victim(wanted) is None
        if share == 1.0 and not any(item.named for item in self.model.items.values()):
            self._check_goals()

    def _check(self, victim: Victim[str], expected: tuple[str, Why] | None) -> None:
        assert (victim.holder, victim.why) == expected
        item = self.model.items[victim.holder]
        assert (victim.kind, victim.size) == (item.kind, item.held)
        assert victim.size > 0
        assert victim.kind is not Shed.NEVER
        assert victim.kind in CHEAP or victim.why == "limit"

    def _check_goals(self) -> None:
        held = {kind: row.held for kind, row in self.budget.report().kinds.items()}
        assert self.budget.held <= 200 or not any(held[kind] for kind in CHEAP)
        assert self.budget.held <= 400 or self.budget.held == held[Shed.NEVER]

    @rule(wanted=st.sampled_from([0, 50]))
    def begin_to_shed(self, wanted: int) -> None:
        """Take one victim and do nothing."""
        victim, expected = self.budget.next_victim(wanted), self.model.victim(wanted)
        if victim is None:
            assert expected is None
        else:
            self._check(victim, expected)

    @invariant()
    def the_ledger_is_exact(self) -> None:
        model, budget = self.model, self.budget
        held = model.held
        report = budget.report()
        assert budget.held == report.held == held
        assert report.peak == model.peak
        for kind, row in report.kinds.items():
            items = [item for item in model.items.values() if item.kind is kind]
            assert (row.holders, row.held) == (len(items), sum(item.held for item in items))
            for holder, item in model.items.items():
                if item.kind is kind:
                    assert budget.held_by(holder) == item.held
                    fair = held <= 100 or item.held * len(items) <= 400
                    assert budget.may_credit(holder) is fair
        assert budget.level is Level(sum(held > threshold for threshold in (100, 200, 400)))
        assert budget.has_room(50) is (held + 50 <= 400)


TestBudgetAgainstItsModel = BudgetMachine.TestCase


class TestProgress:
    """P4: no owner can be asked for ever."""

    def test_who_neither_frees_nor_grows_is_not_named_again_before_the_next_clean_up(self) -> None:
        budget = a_budget(a=(Shed.FRAME, 250), b=(Shed.INBOX, 250))
        assert refuse_all(budget) == ["a", "b"]
        budget.touch("a", now=1.0)
        assert refuse_all(budget) == []
        budget.charge("a", 5, now=2.0)
        assert refuse_all(budget) == ["a"], "it has grown: there is more to ask for"
        assert refuse_all(budget) == []
        budget.handle_timeout(now=44.9)
        assert refuse_all(budget) == []
        budget.handle_timeout(now=45.0)
        assert refuse_all(budget) == ["a", "b"]

    def test_who_frees_a_part_is_named_again_behind_the_others(self) -> None:
        budget = a_budget(a=(Shed.HISTORY, 150), b=(Shed.HISTORY, 150))
        named: list[str] = []
        while (victim := budget.next_victim()) is not None:
            budget.release(victim.holder, 30)
            named.append(victim.holder)
        assert named == ["a", "b", "a", "b"]
        assert budget.held == 180

    def test_what_was_named_and_moved_can_be_named_for_what_it_is_now(self) -> None:
        budget = a_budget(a=(Shed.FRAME, 401))
        assert refuse_all(budget) == ["a"]
        budget.move("a", Shed.PIN, now=0.0)
        assert refuse_all(budget) == ["a"]
        budget.move("a", Shed.NEVER, now=0.0)
        assert refuse_all(budget) == []

    def test_who_refused_is_last_in_the_next_round(self) -> None:
        budget = a_budget(a=(Shed.FRAME, 200), b=(Shed.FRAME, 200))
        assert budget.next_victim() == Victim("a", Shed.FRAME, 200, "cleanup")
        budget.handle_timeout(now=45.0)
        assert refuse_all(budget) == ["b", "a"]

    def test_a_victim_may_be_forgotten(self) -> None:
        budget = a_budget(a=(Shed.FRAME, 201), b=(Shed.FRAME, 5))
        assert budget.next_victim() is not None
        assert budget.forget("a") == 201
        assert budget.next_victim() is None
        assert budget.report().kinds[Shed.FRAME].freed == 201


class TestBounds:
    @pytest.mark.parametrize(
        ("kind", "count"),
        [*((kind, 1_000) for kind in Shed), (Shed.HISTORY, 10_923), (Shed.INBOX, 43_691)],
    )
    def test_a_holder_costs_at_most_200_bytes_beside_its_key(self, kind: Shed, count: int) -> None:
        """P3, with dictionaries just grown; each holder with a size and a time of its own."""
        budget = MemoryBudget[int](now=0.0)
        empty = footprint(budget)
        assert empty < 4_000
        for holder in range(1000, count + 1000):
            budget.register(holder, kind, now=holder / 3)
            budget.charge(holder, holder + 1, now=holder / 3)
        keys = count * sys.getsizeof(1000)
        assert footprint(budget) - empty - keys <= 200 * count

    def test_holders_of_all_sizes_cost_the_budget_little_once_they_have_gone(self) -> None:
        budget = MemoryBudget[int](now=0.0)
        for kind in Shed:
            for size in range(51):
                budget.register(size, kind, 1 << size, now=0.0)
                budget.forget(size)
        assert footprint(budget) < 15_500

    def test_nothing_grows_with_what_is_done(self) -> None:
        budget = MemoryBudget[str](SMALL, now=0.0)
        for holder, kind in (("a", Shed.FRAME), ("b", Shed.INBOX), ("c", Shed.SESSION)):
            budget.register(holder, kind, 100, now=0.0)
        before = footprint(budget)
        for turn in range(2_000):
            now = float(turn)
            budget.charge("b", 300, now=now)
            while budget.next_victim() is not None:
                pass
            budget.release("b", 300)
            budget.touch("a", now=now)
            budget.move("c", Shed.PIN if turn % 2 else Shed.SESSION, now=now)
            budget.register("d", Shed.HISTORY, 5, now=now)
            budget.forget("d")
            budget.handle_timeout(now=now)
        assert footprint(budget) - before < 500
