"""Tokens: lost frames never lock a client out, and nobody else gets in (rule 8, I14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from gapless.core.tokens import Tokens, epoch_name, session_name

from .parts import counted, inside


def some_tokens() -> Tokens[str]:
    return Tokens(counted("t"))


class TestShow:
    def test_a_new_session_gets_its_first_token(self) -> None:
        tokens = some_tokens()
        assert tokens.show("ann", None) == "t1"
        assert tokens.find("t1") == "ann"

    def test_showing_the_pending_one_makes_it_current_and_mints_the_next(self) -> None:
        tokens = some_tokens()
        tokens.show("ann", None)
        assert tokens.show("ann", "t1") == "t2"
        assert tokens.find("t1") == tokens.find("t2") == "ann"

    def test_showing_the_current_one_again_brings_the_same_pending_one(self) -> None:
        """Model item 1: the welcome was cut. To mint anew would lock out who got the first."""
        tokens = some_tokens()
        tokens.show("ann", None)
        tokens.show("ann", "t1")
        for _ in range(5):
            assert tokens.show("ann", "t1") == "t2"
        assert tokens.show("ann", "t2") == "t3"

    def test_what_was_current_before_is_void(self) -> None:
        tokens = some_tokens()
        tokens.show("ann", None)
        tokens.show("ann", "t1")
        tokens.show("ann", "t2")
        assert tokens.find("t1") is None
        assert tokens.find("t2") == "ann"

    def test_without_a_token_a_session_that_has_a_pending_one_keeps_it(self) -> None:
        tokens = some_tokens()
        tokens.show("ann", None)
        assert tokens.show("ann", None) == "t1"

    def test_sessions_do_not_touch_each_other(self) -> None:
        """P7."""
        tokens = some_tokens()
        tokens.show("ann", None)
        tokens.show("bob", None)
        tokens.show("ann", "t1")
        assert tokens.find("t2") == "bob"
        tokens.forget("ann")
        assert tokens.find("t2") == "bob"
        assert tokens.show("bob", "t2") == "t4"


class TestForget:
    def test_no_token_survives_its_session(self) -> None:
        tokens = some_tokens()
        tokens.show("ann", None)
        tokens.show("ann", "t1")
        tokens.forget("ann")
        assert tokens.find("t1") is None
        assert tokens.find("t2") is None
        tokens.forget("ann")
        tokens.forget("nobody")

    def test_nothing_is_left_in_memory(self) -> None:
        """P3."""
        tokens = some_tokens()
        for _ in range(100):
            token = tokens.show("ann", None)
            for _ in range(5):
                token = tokens.show("ann", token)
            tokens.forget("ann")
        for table in ("_owners", "_current", "_pending"):
            assert not inside(tokens, table)


class TestSecrecy:
    def test_only_what_may_have_to_be_said_again_is_kept_in_clear(self) -> None:
        tokens = some_tokens()
        tokens.show("ann", None)
        tokens.show("ann", "t1")
        kept = repr([inside(tokens, table) for table in ("_owners", "_current", "_pending")])
        assert "t1" not in kept
        assert "t2" in kept, "it may be cut with its welcome"

    @pytest.mark.parametrize("token", ["", "t", "t11", "T1", "t1 ", "\ud800", "x" * 100_000])
    def test_unknown_expired_and_wrong_look_the_same(self, token: str) -> None:
        tokens = some_tokens()
        tokens.show("ann", None)
        assert tokens.find(token) is None


class ClientAndServer(RuleBasedStateMachine):
    """Model c.py: links are dialled, abandoned, judged late and in any order; welcomes get lost.

    The client shows what it last received. Judged on its newest link, that must always be known: a
    session whose server remembers it is never lost to its own client.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tokens = some_tokens()
        self.client: str | None = None
        self.dialled = 0
        self.attached: dict[str, int] = {}
        self.hellos: list[tuple[int, str | None]] = []
        self.welcomes: dict[int, str] = {}

    @rule()
    def dial(self) -> None:
        self.dialled += 1
        self.hellos.append((self.dialled, self.client))

    @precondition(lambda self: self.hellos)
    @rule(data=st.data())
    def judge(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.hellos) - 1))
        link, shown = self.hellos.pop(at)
        owner = f"session {link}" if shown is None else self.tokens.find(shown)
        if owner is None:
            assert link != self.dialled, "locked out"
        elif link > self.attached.get(owner, 0):
            # A verdict for an older link fences nobody, and moves no token.
            self.attached[owner] = link
            self.welcomes[link] = self.tokens.show(owner, shown)

    @precondition(lambda self: self.dialled in self.welcomes)
    @rule()
    def welcome_arrives(self) -> None:
        self.client = self.welcomes.pop(self.dialled)


TestNeverLockedOut = ClientAndServer.TestCase


@given(st.lists(st.sampled_from("cp"), max_size=30))
def test_whatever_is_shown_at_most_two_tokens_open_a_session(shown: list[str]) -> None:
    minted: list[str] = []

    def mint() -> str:
        minted.append(f"t{len(minted)}")
        return minted[-1]

    tokens: Tokens[str] = Tokens(mint)
    pending = tokens.show("ann", None)
    current: str | None = None
    for which in shown:
        if which == "c" and current is not None:
            assert tokens.show("ann", current) == pending
        else:
            current, pending = pending, tokens.show("ann", pending)
        assert {token for token in minted if tokens.find(token)} == {current, pending} - {None}


def test_i14_a_public_name_tells_nothing_of_its_secret_and_has_the_length_of_the_wire() -> None:
    secrets = [f"secret {number}" for number in range(100)]
    for make, size in ((epoch_name, 16), (session_name, 23)):
        names = [make(secret) for secret in secrets]
        assert len(set(names)) == 100
        assert {len(name) for name in names} == {size}
        assert names == [make(secret) for secret in secrets], "the same secret, the same name"
        assert not any("secret" in name for name in names)
    assert session_name("a")[0] == "@"
    assert session_name("a")[1:] != epoch_name("a")
