"""Credentials: one table says when they are asked for, and that they are refreshed once (I18)."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core import credentials as module
from gapless.core.closing import Code, Ending
from gapless.core.credentials import Credentials
from gapless.core.errors import ConfigError, InvalidState
from gapless.core.states import (
    CREDENTIALS,
    CredentialsState,
    CredentialsTrigger,
    advance,
)

REFUSED = Ending(Code.UNAUTHORIZED, "expired")


def asked() -> Credentials:
    """Asked for, and a link is dialled."""
    credentials = Credentials(None, asked=True)
    credentials.handle_dialled()
    return credentials


def refreshing() -> Credentials:
    """The first were refused, and the next link is dialled."""
    credentials = asked()
    credentials.give("old")
    credentials.handle_refused(REFUSED)
    credentials.handle_dialled()
    return credentials


def test_the_docstring_says_what_the_table_says() -> None:
    lines = [line.split() for line in (module.__doc__ or "").splitlines()]
    start = next(at for at, line in enumerate(lines) if line[:1] == ["state"])
    head, rows = lines[start], lines[start + 1 : start + 1 + len(CredentialsState)]
    said = {
        (CredentialsState(row[0]), CredentialsTrigger(trigger)): CredentialsState(target)
        for row in rows
        for trigger, target in zip(head[1:], row[1:], strict=True)
        if target != "-"
    }
    assert said == dict(CREDENTIALS)


@pytest.mark.parametrize(
    ("state", "trigger"), [*itertools.product(CredentialsState, CredentialsTrigger)]
)
def test_what_the_table_does_not_name_cannot_happen(
    state: CredentialsState, trigger: CredentialsTrigger
) -> None:
    if (state, trigger) in CREDENTIALS:
        assert isinstance(advance(CREDENTIALS, state, trigger), CredentialsState)
    else:
        with pytest.raises(KeyError):
            advance(CREDENTIALS, state, trigger)


def test_every_state_but_the_two_beginnings_is_reached() -> None:
    first = {CredentialsState.FIXED, CredentialsState.IDLE}
    assert set(CREDENTIALS.values()) | first == set(CredentialsState)


def test_nothing_leads_out_of_the_last_word() -> None:
    """I18: no further connect, no further question."""
    ways = {target for (state, _), target in CREDENTIALS.items() if state is CredentialsState.SPENT}
    assert ways == {CredentialsState.SPENT}


class TestFixed:
    def test_they_are_shown_at_every_connect_and_never_wanted(self) -> None:
        credentials = Credentials("key", asked=False)
        for _ in range(2):
            credentials.handle_dialled()
            assert (credentials.shown, credentials.is_wanted) == ("key", False)
            credentials.handle_lost()
            credentials.handle_dialled()
            credentials.handle_welcomed()

    @pytest.mark.parametrize("how", ["refused", "revoked"])
    def test_the_first_refusal_is_the_last_word_and_says_what_to_do(self, how: str) -> None:
        credentials = Credentials("key", asked=False)
        credentials.handle_dialled()
        getattr(credentials, f"handle_{how}")(REFUSED)
        assert credentials.is_spent
        assert credentials.refused is None
        assert credentials.shown is None
        assert credentials.explain(REFUSED).reason == (
            "expired; show others, or have them asked for"
        )

    def test_to_show_nothing_is_fixed_too(self) -> None:
        credentials = Credentials(None, asked=False)
        credentials.handle_dialled()
        assert not credentials.is_wanted
        assert credentials.explain(REFUSED) == REFUSED

    def test_they_are_either_fixed_or_asked_for(self) -> None:
        with pytest.raises(ConfigError, match="leave one of the two out"):
            Credentials("key", asked=True)

    @pytest.mark.parametrize("wrong", ["\ud800", "x" * 5000, 7])
    def test_what_cannot_be_sent_is_refused_at_once(self, wrong: str) -> None:
        with pytest.raises(ConfigError, match="credentials"):
            Credentials(wrong, asked=False)


class TestAsked:
    def test_at_each_connect_anew_and_they_are_forgotten_with_the_verdict(self) -> None:
        credentials = Credentials(None, asked=True)
        for key in ("one", None, "three"):
            wanted = [credentials.is_wanted]
            credentials.handle_dialled()
            wanted.append(credentials.is_wanted)
            credentials.give(key)
            wanted.append(credentials.is_wanted)
            assert (credentials.shown, wanted) == (key, [False, True, False])
            credentials.handle_welcomed()
            assert credentials.shown is None

    def test_a_lost_try_keeps_nothing(self) -> None:
        credentials = asked()
        credentials.give("key")
        credentials.handle_lost()
        assert credentials.shown is None
        credentials.handle_dialled()
        assert credentials.is_wanted
        assert credentials.refused is None

    def test_unasked_or_unsendable_they_are_not_taken(self) -> None:
        """The caller's misuse changes nothing (design 4.4)."""
        credentials = Credentials(None, asked=True)
        with pytest.raises(InvalidState, match="wants_credentials"):
            credentials.give("key")
        credentials.handle_dialled()
        with pytest.raises(ConfigError, match="credentials"):
            credentials.give("\ud800")
        assert credentials.is_wanted
        credentials.give("key")
        with pytest.raises(InvalidState):
            credentials.give("another")
        assert credentials.shown == "key"

    def test_they_show_in_no_repr(self) -> None:
        credentials = asked()
        credentials.give("hunter2")
        assert "hunter2" not in f"{credentials!r} {credentials}"


class TestRefresh:
    def test_a_refusal_is_told_with_the_next_question(self) -> None:
        credentials = refreshing()
        assert credentials.is_wanted
        assert credentials.refused == REFUSED
        credentials.give("new")
        assert credentials.refused is None

    def test_refused_again_it_is_the_last_word(self) -> None:
        credentials = refreshing()
        credentials.give("new")
        credentials.handle_refused(REFUSED)
        assert credentials.is_spent
        assert credentials.shown is None
        assert "so were those that were refreshed" in credentials.explain(REFUSED).reason

    def test_a_refusal_before_the_answer_is_the_last_word_too(self) -> None:
        """A proxy's 401 comes before anything could be shown."""
        credentials = refreshing()
        credentials.handle_refused(Ending(Code.LOST, "", status=401))
        assert credentials.is_spent
        assert credentials.explain(Ending(Code.LOST, "")).reason.startswith("the credentials were")

    def test_a_try_lost_before_the_answer_leaves_the_refresh_to_be_had(self) -> None:
        credentials = refreshing()
        credentials.handle_lost()
        credentials.handle_dialled()
        assert credentials.refused == REFUSED

    def test_a_try_lost_after_it_asks_as_ever_but_has_no_refresh_left(self) -> None:
        credentials = refreshing()
        credentials.give("new")
        credentials.handle_lost()
        credentials.handle_dialled()
        assert credentials.is_wanted
        assert credentials.refused is None
        credentials.give("newer")
        credentials.handle_refused(REFUSED)
        assert credentials.is_spent

    def test_a_welcome_makes_another_one_possible(self) -> None:
        credentials = refreshing()
        credentials.give("new")
        credentials.handle_welcomed()
        credentials.handle_revoked(REFUSED)
        credentials.handle_dialled()
        assert credentials.refused == REFUSED


class TestRevoked:
    def test_while_the_next_link_waits_the_application_is_told(self) -> None:
        credentials = asked()
        credentials.handle_revoked(REFUSED)
        assert credentials.refused == REFUSED
        credentials.give("new")
        assert credentials.shown == "new"

    def test_what_was_given_since_is_judged_by_its_own_link(self) -> None:
        credentials = asked()
        credentials.give("new")
        credentials.handle_revoked(REFUSED)
        assert credentials.shown == "new"
        credentials.handle_refused(REFUSED)
        assert credentials.refused == REFUSED
        assert not credentials.is_spent

    def test_the_first_reason_stays(self) -> None:
        credentials = refreshing()
        credentials.handle_revoked(Ending(Code.UNAUTHORIZED, "revoked"))
        assert credentials.refused == REFUSED


@given(st.lists(st.sampled_from([*CredentialsTrigger]), max_size=60))
def test_between_two_welcomes_there_is_at_most_one_refresh(
    triggers: list[CredentialsTrigger],
) -> None:
    """I18; and what was given is kept no longer than until its verdict."""
    credentials, refreshes = Credentials(None, asked=True), 0
    does: dict[CredentialsTrigger, Callable[[], None]] = {
        CredentialsTrigger.ASK: credentials.handle_dialled,
        CredentialsTrigger.LOSE: credentials.handle_lost,
        CredentialsTrigger.ACCEPT: credentials.handle_welcomed,
        CredentialsTrigger.REFUSE: lambda: credentials.handle_refused(REFUSED),
        CredentialsTrigger.REVOKE: lambda: credentials.handle_revoked(REFUSED),
        CredentialsTrigger.GIVE: lambda: credentials.give("key"),
    }
    for trigger in triggers:
        if (credentials.state, trigger) not in CREDENTIALS:
            continue
        refreshes += trigger is CredentialsTrigger.GIVE and credentials.refused is not None
        does[trigger]()
        if trigger is CredentialsTrigger.ACCEPT:
            refreshes = 0
        assert refreshes <= 1
        assert (credentials.shown is not None) is credentials.state.value.endswith("given")
