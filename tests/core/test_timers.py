"""One deadline a key; moving it later costs nothing; after `pop_due` nothing is overdue (I12)."""

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.timers import Timers

from .parts import inside

KEYS = "abcd"
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from(KEYS), st.none() | st.integers(0, 20).map(float)),
        st.tuples(st.just("pop"), st.just(""), st.integers(0, 20).map(float)),
    ),
    max_size=200,
)


def test_without_keys_there_is_no_deadline() -> None:
    timers: Timers[str] = Timers()
    assert timers.next_deadline() is None
    assert timers.pop_due(1e9) == []
    assert len(timers) == 0


def test_keys_fire_in_the_order_of_their_deadlines_and_once() -> None:
    timers: Timers[str] = Timers()
    for key, at in (("late", 3.0), ("early", 1.0), ("middle", 2.0), ("same", 2.0)):
        timers.set(key, at)
    assert timers.next_deadline() == 1.0
    assert timers.pop_due(2.5) == ["early", "middle", "same"]
    assert timers.pop_due(2.5) == []
    assert timers.next_deadline() == 3.0
    assert len(timers) == 1


def test_an_earlier_deadline_replaces_a_later_one() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", 10.0)
    timers.set("a", 5.0)
    assert timers.pop_due(5.0) == ["a"]
    assert timers.pop_due(10.0) == [], "the older entry is spent"


def test_a_later_deadline_fires_early_and_is_set_again() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", 5.0)
    timers.set("a", 10.0)
    assert timers.pop_due(5.0) == ["a"], "early, never late"
    timers.set("a", 10.0)
    assert timers.next_deadline() == 10.0


def test_what_is_disarmed_never_fires() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", 5.0)
    timers.set("b", 6.0)
    timers.set("a", None)
    timers.set("a", None)
    assert timers.pop_due(5.0) == []
    assert timers.pop_due(6.0) == ["b"]


def test_without_a_key_nothing_is_left_to_wake_up_for() -> None:
    """I12: exactly no timer when closed."""
    timers: Timers[str] = Timers()
    timers.set("a", 5.0)
    timers.set("a", None)
    assert timers.next_deadline() is None


def test_rearming_for_ever_does_not_grow_the_heap() -> None:
    """P3: a key whose deadline comes ever nearer leaves no heap of dead entries."""
    timers: Timers[str] = Timers()
    timers.set("quiet", 1e9)
    for i in range(10_000):
        timers.set("a", 1e6 - i)
    assert len(inside(timers, "_heap")) <= 64 + 4 * 2 + 1
    assert timers.pop_due(1e6) == ["a"]


@given(steps)
def test_no_key_fires_late_twice_or_unarmed(script: list[tuple[str, str, float | None]]) -> None:
    """Against a plain dict of the earliest deadline set since the key last fired."""
    timers: Timers[str] = Timers()
    model: dict[str, float] = {}
    now = 0.0
    for step, key, at in script:
        if step == "set":
            timers.set(key, at)
            if at is None:
                model.pop(key, None)
            else:
                model[key] = min(at, model.get(key, at))
        else:
            assert at is not None
            now = max(now, at)
            due = timers.pop_due(now)
            assert len(due) == len(set(due))
            assert set(due) == {key for key, at in model.items() if at <= now}
            fired = [model.pop(key) for key in due]
            assert fired == sorted(fired)
            following = timers.next_deadline()
            assert following is None or following > now, "I12: never in the past"
        assert len(timers) == len(model)
        following = timers.next_deadline()
        earliest = min(model.values(), default=None)
        if earliest is None:
            assert following is None, "nothing to wake up for"
        else:
            assert following is not None
            assert following <= earliest, "a wake-up may be early, never late"


def test_p3_spent_deadlines_before_the_next_are_dropped_from_a_large_heap_too() -> None:
    timers: Timers[int] = Timers()
    for key in range(1000):
        timers.set(key, float(key))
    for key in range(900):
        timers.set(key, None)
    assert timers.pop_due(0.5) == []
    assert len(inside(timers, "_heap")) == 100
    assert (timers.next_deadline(), timers.pop_due(900.0)) == (900.0, [900])
