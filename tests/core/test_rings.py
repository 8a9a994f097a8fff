"""Rings and groups: where a budget's holders stand, whichever way they come and go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.rings import SHELVES, Entry, Group, Ring


def names(ring: Ring[str]) -> str:
    """Read it in both directions, which must agree."""
    ahead, back = "", ""
    entry = ring.first
    while entry is not None:
        assert entry.ring is ring
        ahead += entry.holder
        entry = entry.after
    entry = ring.last
    while entry is not None:
        back = entry.holder + back
        entry = entry.before
    assert ahead == back
    return ahead


def entry_in(ring: Ring[str], holder: str) -> Entry[str]:
    entry = Entry(holder, ring, 0.0)
    ring.append(entry)
    return entry


class TestRing:
    @given(st.lists(st.sampled_from("abcdefgh")))
    def test_it_is_a_list_whichever_leave_and_come_back(self, moved: list[str]) -> None:
        ring = Group[str](by_size=False).empty
        entries = {holder: entry_in(ring, holder) for holder in "abcdefgh"}
        model = list("abcdefgh")
        for holder in moved:
            ring.remove(entries[holder])
            model.remove(holder)
            assert names(ring) == "".join(model)
            ring.append(entries[holder])
            model.append(holder)
            assert names(ring) == "".join(model)

    def test_the_last_one_leaves_it_empty(self) -> None:
        ring = Group[str](by_size=False).named
        ring.remove(entry_in(ring, "a"))
        assert (ring.first, ring.last) == (None, None)


class TestGroup:
    def test_what_holds_nothing_stands_apart(self) -> None:
        for by_size in (False, True):
            group = Group[str](by_size=by_size)
            assert group.ring_for(0) is group.empty
            entry_in(group.empty, "a")
            entry_in(group.named, "b")
            assert group.first() is None

    def test_by_age_there_is_one_shelf(self) -> None:
        group = Group[str](by_size=False)
        assert {id(group.ring_for(size)) for size in (1, 2, 1000, 2**60)} == {id(group.shelves[0])}
        first = entry_in(group.shelves[0], "a")
        entry_in(group.shelves[0], "b")
        assert group.first() is first

    @pytest.mark.parametrize(
        ("size", "shelf"),
        [(1, 0), (2, 1), (3, 1), (4, 2), (1023, 9), (1024, 10), (2**50, 50), (2**51, 50)],
    )
    def test_by_size_each_doubling_has_a_shelf(self, size: int, shelf: int) -> None:
        group = Group[str](by_size=True)
        assert group.ring_for(size) is group.shelves[shelf]
        assert (len(group.shelves), shelf < SHELVES) == (1, True)

    def test_by_size_the_fullest_is_first(self) -> None:
        group = Group[str](by_size=True)
        entry_in(group.ring_for(7), "small")
        large = entry_in(group.ring_for(8), "large")
        entry_in(group.ring_for(15), "as large, but later")
        entry_in(group.ring_for(1), "least")
        assert group.first() is large


class TestEntry:
    def test_it_settles_where_it_belongs_and_stays(self) -> None:
        group = Group[str](by_size=True)
        entry, other = entry_in(group.empty, "a"), entry_in(group.empty, "b")
        entry.held = other.held = 5
        entry.settle()
        other.settle()
        entry.held = 7
        entry.settle()
        assert names(group.shelves[2]) == "ab", "the same shelf: it keeps its place"
        entry.held = 8
        entry.settle()
        assert (names(group.shelves[2]), names(group.shelves[3])) == ("b", "a")
        other.held = 0
        other.settle()
        assert (names(group.shelves[2]), names(group.empty)) == ("", "b")

    @pytest.mark.parametrize(("since", "after"), [(4.0, 5.0), (5.0, 5.0), (6.0, 6.0)])
    def test_none_is_older_than_who_stands_before_it(self, since: float, after: float) -> None:
        group = Group[str](by_size=False)
        for holder, time in (("a", 5.0), ("b", since)):
            entry = entry_in(group.empty, holder)
            entry.since = time
            entry.stand_in(group.named)
        assert group.named.last is not None
        assert (names(group.named), group.named.last.since) == ("ab", after)

    def test_it_can_go_to_the_end_of_its_own_ring(self) -> None:
        ring = Group[str](by_size=False).shelves[0]
        first = entry_in(ring, "a")
        entry_in(ring, "b")
        first.since = 1.0
        first.stand_in(ring)
        assert names(ring) == "ba"


def test_holders_are_told_with_the_fullest_first_to_a_factor_of_two() -> None:
    group = Group[str](by_size=True)
    for holder, size in (("a", 5), ("b", 90), ("c", 7), ("d", 70), ("e", 0)):
        entry_in(group.ring_for(size), holder)
    assert list(group.fullest()) == ["b", "d", "a", "c"]
