"""Any inbound byte is life, nothing outbound is; who slept asks before it judges (I19)."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.heartbeat import Heartbeat


def a_heartbeat(*, seed: int = 1) -> Heartbeat:
    return Heartbeat(interval=30.0, timeout=10.0, rng=Random(seed), now=100.0)


def quiet_since(now: float) -> Heartbeat:
    """One that last heard at `now`."""
    beat = a_heartbeat()
    beat.receive_bytes(now=now)
    return beat


def asks(beat: Heartbeat) -> bool:
    return beat.wants_ping


def dead(beat: Heartbeat) -> bool:
    return beat.is_dead


def test_a_link_that_talks_is_never_asked() -> None:
    beat = a_heartbeat()
    now = 100.0
    for _ in range(1000):
        now += 14.0
        beat.handle_timeout(now=now)
        assert not asks(beat)
        beat.receive_bytes(now=now)
    assert beat.next_deadline() == now + 30.0


@given(st.integers())
def test_the_first_beat_is_spread_over_the_second_half_of_the_interval(seed: int) -> None:
    deadline = a_heartbeat(seed=seed).next_deadline()
    assert deadline is not None
    assert 115.0 <= deadline <= 130.0


def test_silence_brings_one_ping_and_then_the_verdict() -> None:
    beat = quiet_since(200.0)
    beat.handle_timeout(now=229.9)
    assert not asks(beat), "early calls do nothing"
    beat.handle_timeout(now=230.0)
    assert asks(beat)
    beat.ping_sent()
    assert not asks(beat), "one"
    assert beat.next_deadline() == 240.0
    beat.handle_timeout(now=239.9)
    assert not dead(beat)
    beat.handle_timeout(now=240.0)
    assert dead(beat)
    assert not asks(beat)
    assert beat.next_deadline() is None, "I12: nothing more to wake up for"
    beat.handle_timeout(now=300.0)
    assert dead(beat)


def test_what_we_send_is_no_sign_of_life() -> None:
    """A ping that can't even be written must not put off the verdict."""
    beat = quiet_since(200.0)
    beat.handle_timeout(now=230.0)
    assert asks(beat)
    beat.handle_timeout(now=240.0)
    assert dead(beat)
    assert not asks(beat)


def test_any_byte_takes_the_doubt_away() -> None:
    beat = quiet_since(200.0)
    beat.handle_timeout(now=230.0)
    beat.receive_bytes(now=231.0)
    assert not asks(beat)
    assert beat.next_deadline() == 261.0
    beat.handle_timeout(now=250.0)
    assert not dead(beat)


def test_the_round_trip_is_that_of_the_last_answered_ping() -> None:
    beat = a_heartbeat()
    trips = [beat.round_trip]
    for seconds in (0.25, 0.5):
        beat.receive_pong(100.0, now=100.0 + seconds)
        trips.append(beat.round_trip)
    assert trips == [None, 0.25, 0.5]


def test_a_host_that_slept_between_ping_and_verdict_asks_once_more() -> None:
    beat = quiet_since(200.0)
    beat.handle_timeout(now=230.0)
    beat.ping_sent()
    beat.handle_timeout(now=4000.0)
    assert not dead(beat)
    assert asks(beat), "one probe before the verdict"
    beat.ping_sent()
    beat.handle_timeout(now=4010.0)
    assert dead(beat), "and then the verdict: a healthy peer has had its time"


def test_a_host_that_slept_while_all_was_well_asks_before_it_judges() -> None:
    beat = quiet_since(200.0)
    beat.handle_timeout(now=90_000.0)
    assert not dead(beat)
    assert asks(beat)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 25.0)), max_size=60))
def test_the_dead_are_found_in_time_and_the_living_never(steps: list[tuple[bool, float]]) -> None:
    """Driven punctually, a verdict falls exactly 40 s (at first 25-40 s) after the last byte."""
    beat, heard, now, quiet = a_heartbeat(), 100.0, 100.0, (25.0, 40.0)
    for speaks, seconds in steps:
        end = now + seconds
        while (due := beat.next_deadline()) is not None and due <= end:
            now = due
            beat.handle_timeout(now=now)
            following = beat.next_deadline()
            assert following is None or following > now, "I12: never in the past"
            if asks(beat):
                beat.ping_sent()
        now = end
        if dead(beat):
            assert quiet[0] <= now - heard
            return
        assert now - heard < quiet[1]
        if speaks:
            beat.receive_bytes(now=now)
            heard, quiet = now, (40.0, 40.0)
