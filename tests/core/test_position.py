"""Positions are read as they are written, and names the wire can't carry are refused."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.errors import ConfigError, InvalidChannel, InvalidPosition, NotText
from gapless.core.position import (
    MAX_SEQ,
    Position,
    Since,
    channel_fault,
    check_channel,
    check_secret,
    check_since,
    check_text,
    check_words,
    is_epoch,
    is_token,
)

epochs = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)


class TestPosition:
    @given(epoch=epochs, seq=st.integers(0, MAX_SEQ))
    def test_what_str_writes_parse_reads(self, epoch: str, seq: int) -> None:
        position = Position(epoch, seq)

        assert Position.parse(str(position)) == position

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ":",
            "e1",
            "e1:",
            ":5",
            "e1:-1",
            "e1:+1",
            "e1: 1",
            "e1:1 ",
            "e1:1.0",
            "e1:0x1",
            "e1:1e3",
            "e1:\u0661",
            "e1:\u00b2",
            f"e1:{MAX_SEQ + 1}",
            f"e1:{2**63}",
            "e1:" + "9" * 5000,
            "e 1:5",
            "é:5",
            "a:b:5",
            "e" * 65 + ":5",
        ],
    )
    def test_what_is_no_position_is_refused_with_what_to_write(self, text: str) -> None:
        with pytest.raises(InvalidPosition, match="write EPOCH:SEQ") as caught:
            Position.parse(text)

        assert len(str(caught.value)) < 200, "peer-sized text doesn't flood the message"

    @pytest.mark.parametrize("wrong", [None, 5, b"e:5", Position("e", 5)])
    def test_only_text_is_read(self, wrong: object) -> None:
        kind = type(wrong).__name__
        with pytest.raises(InvalidPosition, match=f"is read from a str, not {kind}"):
            Position.parse(wrong)

    def test_positions_of_two_epochs_are_never_equal(self) -> None:
        """I15: epoch and seq move as a pair."""
        assert Position("a", 5) != Position("b", 5)

    @pytest.mark.parametrize(
        ("text", "good"),
        [("a", True), ("A9_.-", True), ("a" * 64, True), ("", False), ("a" * 65, False)]
        + [(bad, False) for bad in (" ", "a b", "a\n", "é", "a:b", "a/b", "\x00")],
    )
    def test_epochs_are_plain_words(self, text: str, good: bool) -> None:
        assert is_epoch(text) is good


class TestSince:
    @pytest.mark.parametrize("since", ["latest", "earliest", Position("e", 0)])
    def test_a_place_to_start_is_taken(self, since: Since) -> None:
        check_since(since)

    @pytest.mark.parametrize(
        "since",
        [
            "newest",
            "",
            "e:5",
            Position("", 0),
            Position("é", 0),
            Position("a b", 0),
            Position("e", -1),
            Position("e", MAX_SEQ + 1),
            Position("e", 2**63),
            Position(cast("str", 5), 1),
            Position("e", cast("int", "7")),
            Position("e", cast("int", 7.0)),
            Position("e", True),
            cast("Since", b"latest"),
            cast("Since", ["latest"]),
        ],
    )
    def test_a_place_the_wire_could_not_carry_is_refused(self, since: Since) -> None:
        """Else the peer closes the link for it, and every link after that."""
        with pytest.raises(InvalidPosition, match="no place to start"):
            check_since(since)


class TestChannelNames:
    @pytest.mark.parametrize(
        "name", ["a", "campaign/42", "@me", "köln", "日本", "a b", "x" * 255, "é" * 127, "🙂" * 63]
    )
    def test_1_to_255_bytes_of_utf_8_are_a_channel(self, name: str) -> None:
        assert channel_fault(name) is None
        check_channel(name)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("", "can't be empty"),
            (5, "5: a channel name is text, a str, not int"),
            (b"news", "b'news': a channel name is text, a str, not bytes"),
            (b"x" * 100_000, "not bytes"),
            ([9] * 100_000, "not list"),
            (None, "not NoneType"),
            ("x" * 256, "1-255 bytes"),
            ("x" * 100_000, "1-255 bytes"),
            ("é" * 128, "at most 255 bytes"),
            ("🙂" * 64, "at most 255 bytes"),
            ("a\x00", "control"),
            ("a\n", "control"),
            ("a\x7f", "control"),
            ("a\x85", "control"),
            ("a\u2028", "control"),
            ("a\ud800", "control"),
        ],
    )
    def test_other_names_are_refused_with_the_reason(self, name: object, words: str) -> None:
        with pytest.raises(InvalidChannel, match=words) as caught:
            check_channel(name)

        assert len(str(caught.value)) < 500

    @given(st.text(max_size=300))
    def test_no_name_makes_the_check_fail_otherwise(self, name: str) -> None:
        """I21: a fault is words, never another exception."""
        fault = channel_fault(name)

        assert fault is not None or 1 <= len(name.encode()) <= 255


class TestText:
    def test_utf_8_can_be_published_as_text(self) -> None:
        check_text("grüße 🙂".encode())
        check_text(b"")

    @pytest.mark.parametrize("payload", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"ok\x80"])
    def test_other_bytes_can_not(self, payload: bytes) -> None:
        with pytest.raises(NotText, match="publish it as bytes"):
            check_text(payload)


@pytest.mark.parametrize(
    ("text", "good"),
    [("t", True), ("é" * 300, True), ("", False), ("t" * 513, False), ("é" * 512, False)],
)
def test_a_token_is_what_a_hello_can_carry(text: str, good: bool) -> None:
    assert is_token(text) is good


def test_words_for_a_person_are_text() -> None:
    check_words("reason", "")
    for wrong in (None, 5, b"sealed"):
        with pytest.raises(TypeError, match=f"reason is {type(wrong).__name__}; it must be words"):
            check_words("reason", wrong)


class TestSecrets:
    @pytest.mark.parametrize("secret", [None, "", "x" * 100, "ä" * 75])
    def test_what_a_hello_can_carry_is_taken(self, secret: str | None) -> None:
        check_secret("credentials", secret, 100)

    @pytest.mark.parametrize(
        ("secret", "words"),
        [
            (b"bytes", "must be text, not bytes"),
            (7, "must be text, not int"),
            ("\ud800", "lone surrogates"),
            ("", "is empty; leave it out"),
            ("x" * 101, "has 101 characters; at most 100"),
            ("ä" * 76, "too long for a hello once encoded"),
        ],
    )
    def test_what_it_can_not_is_refused_without_being_shown(
        self, secret: object, words: str
    ) -> None:
        """Testing 3.2 row 31: no secret in an error."""
        with pytest.raises(ConfigError, match=f"^token .*{words}") as caught:
            check_secret("token", secret, 100, least=1)
        assert "xx" not in str(caught.value)
