"""Two tables say all there is: every pair of state and trigger is in one, or a bug of ours."""

import itertools

import pytest

from gapless.core.states import (
    LINK,
    SESSION,
    LinkState,
    LinkTrigger,
    SessionState,
    SessionTrigger,
    advance,
)

S, SX, L, LX = SessionState, SessionTrigger, LinkState, LinkTrigger
FORBIDDEN_SESSION = {
    # Only a new session starts, and one that was never up has no link to lose.
    *((state, SX.START) for state in S if state is not S.NEW),
    (S.NEW, SX.DETACH),
    (S.DOWN, SX.DETACH),
    (S.CLOSED, SX.ATTACH),
    (S.CLOSED, SX.DETACH),
}
FORBIDDEN_LINK = {
    *((state, LX.OPEN) for state in L if state is not L.OPENING),
    *((state, LX.ATTACH) for state in L if state is not L.GREETING),
}


@pytest.mark.parametrize(("state", "trigger"), [*itertools.product(S, SX)])
def test_every_pair_of_a_session_is_known_or_forbidden(state: S, trigger: SX) -> None:
    if (state, trigger) in FORBIDDEN_SESSION:
        with pytest.raises(KeyError):
            advance(SESSION, state, trigger)
    else:
        assert isinstance(advance(SESSION, state, trigger), S)


@pytest.mark.parametrize(("state", "trigger"), [*itertools.product(L, LX)])
def test_every_pair_of_a_link_is_known_or_forbidden(state: L, trigger: LX) -> None:
    if (state, trigger) in FORBIDDEN_LINK:
        with pytest.raises(KeyError):
            advance(LINK, state, trigger)
    else:
        assert isinstance(advance(LINK, state, trigger), L)


def test_terminal_is_terminal() -> None:
    """I20: nothing leads out of closed and ended."""
    assert {SESSION[pair] for pair in SESSION if pair[0] is S.CLOSED} == {S.CLOSED}
    assert {LINK[pair] for pair in LINK if pair[0] is L.ENDED} == {L.ENDED}


def test_leaving_never_turns_back() -> None:
    assert {SESSION[pair] for pair in SESSION if pair[0] is S.LEAVING} == {S.LEAVING, S.CLOSED}


def test_every_state_can_end() -> None:
    assert all(SESSION[state, SX.END] is S.CLOSED for state in S)
    assert all(LINK[state, LX.END] is L.ENDED for state in L)


def test_every_state_is_reached() -> None:
    assert set(SESSION.values()) | {S.NEW} == set(S)
    assert set(LINK.values()) | {L.OPENING} == set(L)


def test_a_takeover_leaves_a_session_up() -> None:
    assert advance(SESSION, S.UP, SX.ATTACH) is S.UP
