"""Credit is not the ack: what is held is at most the window and one batch (rule 3, P3)."""

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.credit import MESSAGE_CHARGE, Credit, charge

WINDOW = 1000

steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 2500)),
        st.tuples(st.just("take"), st.integers(1, 2500)),
        st.tuples(st.just("discard"), st.integers(1, 2500)),
        st.tuples(st.just("announce"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=100,
)


def test_empty_messages_are_not_free() -> None:
    assert charge([]) == 0
    assert charge([b"", b""]) == 2 * MESSAGE_CHARGE
    assert charge([b"abc", b""]) == 3 + 2 * MESSAGE_CHARGE


def test_the_first_limit_is_the_window_less_what_is_held() -> None:
    credit = Credit(WINDOW)
    assert credit.window == WINDOW
    assert credit.announced == 0
    assert credit.restart(0) == WINDOW
    assert credit.restart(300) == 700
    assert credit.restart(5000) == 0, "never below 0"
    assert credit.announced == 0


def test_a_message_larger_than_the_window_still_passes() -> None:
    credit = Credit(WINDOW)
    credit.restart(0)
    assert credit.receive(50_000), "a batch may start while sent < limit"
    assert not credit.receive(1), "the next may not"


def test_a_batch_without_credit_is_told_apart() -> None:
    credit = Credit(WINDOW)
    credit.restart(WINDOW)
    assert not credit.receive(1)


def test_the_limit_grows_with_what_is_discarded_too() -> None:
    """Model item 4: a limit that grows only with takes deadlocks after one refusal."""
    credit = Credit(WINDOW)
    credit.restart(0)
    credit.receive(WINDOW)
    assert credit.limit(held=0) == 2 * WINDOW, "received, discarded, and not held"
    assert credit.announced == WINDOW, "asking is not telling"
    assert credit.announce(held=0) == 2 * WINDOW
    assert credit.announced == 2 * WINDOW


def test_the_limit_is_never_lowered() -> None:
    credit = Credit(WINDOW)
    credit.restart(0)
    assert credit.announce(held=0) == WINDOW
    assert credit.announce(held=800) == WINDOW


@given(steps)
def test_held_is_at_most_the_window_and_one_batch(script: list[tuple[str, int]]) -> None:
    """Against an honest sender on a link without delay, for any takes, discards and new links."""
    credit = Credit(WINDOW)
    limit = credit.restart(0)
    sent = held = largest = 0
    for step, size in script:
        if step in ("send", "discard") and sent < limit:
            assert credit.receive(size), "the sender kept to the limit"
            sent += size
            if step == "send":
                held += size
                largest = max(largest, size)
        elif step == "take":
            held -= min(held, size)
        elif step == "announce":
            before = limit
            limit = credit.announce(held)
            assert limit >= before, "never lowered"
            assert held or limit - sent >= WINDOW, "P4: an empty inbox has a whole window of credit"
        elif step == "restart":
            sent, limit = 0, credit.restart(held)
            assert limit == max(0, WINDOW - held)
        assert held <= WINDOW + largest
