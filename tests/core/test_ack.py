"""When an ack is due: by count or bytes or time, whichever is first; or at once (rule 4)."""

from gapless.core.ack import AckPolicy


def due(acks: AckPolicy) -> bool:
    return acks.is_due


def test_nothing_taken_is_never_due_and_has_no_timer() -> None:
    acks = AckPolicy(count=4, size=1000, seconds=0.1)
    acks.handle_timeout(now=1e9)
    assert due(acks) is False
    assert acks.next_deadline() is None


def test_the_count_triggers() -> None:
    acks = AckPolicy(count=4)
    acks.note(3, 3000, now=0.0)
    assert not due(acks)
    acks.note(1, 1, now=0.0)
    assert due(acks)


def test_the_bytes_trigger() -> None:
    acks = AckPolicy(count=4, size=1000)
    acks.note(1, 999, now=0.0)
    assert not due(acks)
    acks.note(1, 1, now=0.0)
    assert due(acks)


def test_time_runs_from_the_first_thing_untold() -> None:
    """A trickle must not put off the ack for ever."""
    acks = AckPolicy(seconds=0.1)
    acks.note(1, 1, now=5.0)
    acks.note(1, 1, now=5.09)
    assert acks.next_deadline() == 5.1
    acks.handle_timeout(now=5.09)
    assert not due(acks)
    acks.handle_timeout(now=5.1)
    assert due(acks)
    assert acks.next_deadline() is None, "due already: no timer"


def test_without_a_trigger_only_a_demand_makes_it_due() -> None:
    acks = AckPolicy()
    acks.note(10**6, 10**9, now=0.0)
    assert not due(acks)
    assert acks.next_deadline() is None
    acks.demand()
    assert due(acks)


def test_when_told_all_triggers_start_anew() -> None:
    acks = AckPolicy(count=4, size=1000, seconds=0.1)
    acks.note(3, 999, now=5.0)
    acks.demand()
    acks.told()
    assert due(acks) is False
    assert acks.next_deadline() is None
    acks.note(3, 999, now=9.0)
    assert not due(acks)
    assert acks.next_deadline() == 9.1


def test_what_triggers_by_count_needs_no_timer() -> None:
    acks = AckPolicy(count=1, seconds=0.1)
    acks.note(1, 1, now=5.0)
    assert due(acks)
    assert acks.next_deadline() is None
