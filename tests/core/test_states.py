"""Three tables say all there is: every pair of state and trigger is in one, or a bug of ours."""

import itertools

import pytest

from gapless.core import pool
from gapless.core.states import (
    LINK,
    SESSION,
    SLOT,
    LinkState,
    LinkTrigger,
    SessionState,
    SessionTrigger,
    SlotState,
    SlotTrigger,
    advance,
)

FORBIDDEN_SESSION = {
    # Only a new session starts, and one that was never up has no link to lose.
    *((state, SessionTrigger.START) for state in SessionState if state is not SessionState.NEW),
    (SessionState.NEW, SessionTrigger.DETACH),
    (SessionState.DOWN, SessionTrigger.DETACH),
    (SessionState.CLOSED, SessionTrigger.ATTACH),
    (SessionState.CLOSED, SessionTrigger.DETACH),
}
FORBIDDEN_LINK = {
    *((state, LinkTrigger.OPEN) for state in LinkState if state is not LinkState.OPENING),
    *((state, LinkTrigger.ATTACH) for state in LinkState if state is not LinkState.GREETING),
}
LEGAL_SLOT = {
    SlotState.WAITING: "open drop",
    SlotState.OPENING: "opened drop end",
    SlotState.IDLE: "use drop end",
    # No `drop`: what is in use is not evicted.
    SlotState.ACTIVE: "rest end",
    SlotState.CANCELLING: "opened end",
    SlotState.CLOSING: "end",
    SlotState.GONE: "",
}


@pytest.mark.parametrize(("state", "trigger"), [*itertools.product(SessionState, SessionTrigger)])
def test_every_pair_of_a_session_is_known_or_forbidden(
    state: SessionState, trigger: SessionTrigger
) -> None:
    if (state, trigger) in FORBIDDEN_SESSION:
        with pytest.raises(KeyError):
            advance(SESSION, state, trigger)
    else:
        assert isinstance(advance(SESSION, state, trigger), SessionState)


@pytest.mark.parametrize(("state", "trigger"), [*itertools.product(LinkState, LinkTrigger)])
def test_every_pair_of_a_link_is_known_or_forbidden(state: LinkState, trigger: LinkTrigger) -> None:
    if (state, trigger) in FORBIDDEN_LINK:
        with pytest.raises(KeyError):
            advance(LINK, state, trigger)
    else:
        assert isinstance(advance(LINK, state, trigger), LinkState)


def test_terminal_is_terminal() -> None:
    """I20: nothing leads out of closed and ended."""
    assert {SESSION[pair] for pair in SESSION if pair[0] is SessionState.CLOSED} == {
        SessionState.CLOSED
    }
    assert {LINK[pair] for pair in LINK if pair[0] is LinkState.ENDED} == {LinkState.ENDED}


def test_leaving_never_turns_back() -> None:
    assert {SESSION[pair] for pair in SESSION if pair[0] is SessionState.LEAVING} == {
        SessionState.LEAVING,
        SessionState.CLOSED,
    }


def test_every_state_can_end() -> None:
    assert all(SESSION[state, SessionTrigger.END] is SessionState.CLOSED for state in SessionState)
    assert all(LINK[state, LinkTrigger.END] is LinkState.ENDED for state in LinkState)


def test_every_state_is_reached() -> None:
    assert set(SESSION.values()) | {SessionState.NEW} == set(SessionState)
    assert set(LINK.values()) | {LinkState.OPENING} == set(LinkState)


def test_a_takeover_leaves_a_session_up() -> None:
    assert advance(SESSION, SessionState.UP, SessionTrigger.ATTACH) is SessionState.UP


@pytest.mark.parametrize(("state", "trigger"), [*itertools.product(SlotState, SlotTrigger)])
def test_every_pair_of_a_slot_is_known_or_forbidden(state: SlotState, trigger: SlotTrigger) -> None:
    pair = (state, trigger)
    assert (pair in SLOT) is (trigger.value in LEGAL_SLOT[state].split())
    if pair in SLOT:
        assert isinstance(advance(SLOT, state, trigger), SlotState)


def test_the_pools_docstring_says_what_the_table_says() -> None:
    lines = [line.split() for line in (pool.__doc__ or "").splitlines()]
    start = next(at for at, line in enumerate(lines) if line[:1] == ["state"])
    head, rows = lines[start], lines[start + 1 : start + len(SlotState)]
    said = {
        (SlotState(row[0]), SlotTrigger(trigger)): SlotState(target)
        for row in rows
        for trigger, target in zip(head[1:], row[1:], strict=True)
        if target != "-"
    }
    assert said == dict(SLOT)
