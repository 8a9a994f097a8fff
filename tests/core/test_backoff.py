"""Waits are in [0, cap], drawn after the clamp; only a link that lived clears them (I18)."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.backoff import MAX_HINT, Backoff

from .parts import Highest


def a_backoff(
    *, rng: Random | None = None, cap: float = 10.0, max_attempts: int | None = None
) -> Backoff:
    return Backoff(
        base=0.5, cap=cap, stable_after=10.0, rng=rng or Highest(), max_attempts=max_attempts
    )


def test_ceilings_double_from_base_to_cap_n_0_included() -> None:
    backoff = a_backoff()
    assert [backoff.next_delay() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@given(seed=st.integers(), attempts=st.integers(0, 2000))
def test_a_wait_is_never_negative_and_never_above_the_cap(seed: int, attempts: int) -> None:
    backoff = a_backoff(rng=Random(seed))
    for _ in range(attempts):
        backoff.next_delay()
    assert 0.0 <= backoff.next_delay() <= 10.0


def test_jitter_is_full() -> None:
    """A herd spreads over the whole interval, not over its upper half."""
    backoff = a_backoff(rng=Random(7))
    for _ in range(20):
        backoff.next_delay()
    waits = [backoff.next_delay() for _ in range(2000)]
    for tenth in range(10):
        share = sum(tenth <= wait < tenth + 1 for wait in waits) / len(waits)
        assert 0.06 < share < 0.14


def test_the_same_seed_gives_the_same_waits() -> None:
    """P8."""
    first, second = a_backoff(rng=Random(3)), a_backoff(rng=Random(3))
    assert [first.next_delay() for _ in range(9)] == [second.next_delay() for _ in range(9)]


@pytest.mark.parametrize(
    ("lived", "progressed", "left"),
    [
        (10.0, False, 0),
        (3600.0, True, 0),
        (9.99, False, 8),
        (9.99, True, 4),
        (0.0, False, 8),
        (0.0, True, 4),
    ],
)
def test_life_clears_progress_halves_and_opening_does_neither(
    lived: float, progressed: bool, left: int
) -> None:
    backoff = a_backoff()
    for _ in range(8):
        backoff.next_delay()
    backoff.handle_link_ended(lived=lived, progressed=progressed)
    assert backoff.attempts == left


def test_a_link_that_never_opened_is_no_life_even_if_no_life_is_asked_for() -> None:
    backoff = Backoff(base=0.5, cap=10.0, stable_after=0.0, rng=Highest())
    backoff.next_delay()
    backoff.handle_link_ended(lived=0.0, progressed=False)
    assert backoff.attempts == 1


def test_life_may_be_asked_for_in_parts_of_a_second() -> None:
    backoff = Backoff(base=0.5, cap=10.0, stable_after=0.2, rng=Highest())
    assert [backoff.is_stable(lived) for lived in (0.1, 0.2, 0.9)] == [False, True, True]


def test_half_of_an_odd_number_of_failures_is_rounded_down() -> None:
    backoff = a_backoff()
    for _ in range(3):
        backoff.next_delay()
    backoff.handle_link_ended(lived=1.0, progressed=True)
    assert (backoff.attempts, backoff.next_delay()) == (1, 1.0)


def test_a_server_that_accepts_and_closes_is_not_stormed() -> None:
    """An hour of it is some 400 tries at full ceilings, not thousands."""
    backoff, now, tries = a_backoff(), 0.0, 0
    while now < 3600.0:
        backoff.handle_link_ended(lived=0.01, progressed=False)
        now += backoff.next_delay()
        tries += 1
    assert tries < 400


def test_a_nudge_makes_the_next_wait_short_again() -> None:
    backoff = a_backoff()
    for _ in range(9):
        backoff.next_delay()
    backoff.nudge()
    assert backoff.next_delay() == 0.5


def test_attempts_are_limited_only_if_asked() -> None:
    endless, limited = a_backoff(), a_backoff(max_attempts=3)
    for expected in (False, False, False):
        assert limited.is_exhausted is expected
        endless.next_delay()
        limited.next_delay()
    assert limited.is_exhausted
    assert not endless.is_exhausted
    limited.handle_link_ended(lived=60.0, progressed=True)
    assert not limited.is_exhausted, "in a row: a link that lived begins a new count"


@pytest.mark.parametrize(
    ("hint", "least"), [(0.0, 0.0), (5.0, 5.0), (-3.0, 0.0), (1e12, MAX_HINT), (3600.0, 3600.0)]
)
def test_a_servers_hint_is_clamped_and_spread(hint: float, least: float) -> None:
    """Testing 3.2 row 30: no retry storm, and no wait for ever, by a server's choice."""
    waits = {a_backoff(rng=Random(seed)).next_delay(hint) for seed in range(50)}
    assert all(least <= wait <= least + 0.5 for wait in waits)
    assert len(waits) == 50, "a herd told the same hint still spreads"
