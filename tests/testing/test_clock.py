"""The clock: time passes only when a test says so, and never back."""

from gapless.testing import Clock


def test_time_stands_still_until_it_is_told_to_pass() -> None:
    clock = Clock(5.0)

    assert clock.now == 5.0
    clock.advance(1.5)
    assert clock.now == 6.5


def test_time_never_runs_back() -> None:
    clock = Clock(5.0)

    clock.advance(-3.0)
    assert clock.now == 5.0
    clock.advance_to(4.0)
    assert clock.now == 5.0
    clock.advance_to(7.0)
    assert clock.now == 7.0
