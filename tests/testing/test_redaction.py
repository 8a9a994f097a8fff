"""Redaction: nothing of a payload or a secret is in a log, which is replayed all the same."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapless.core.config import Config
from gapless.core.frames import Close
from gapless.core.position import channel_fault
from gapless.core.tokens import epoch_name, session_name
from gapless.testing import Pair, replay
from gapless.testing.redaction import (
    Redaction,
    expanded,
    read_halves,
    redacted_payload,
    stand_in_payload,
    stand_in_text,
    write_bytes,
    write_text,
)

from .stories import Recording, storm

foreign = st.characters(min_codepoint=0xA1, exclude_categories=["Cs", "Cc", "Zl", "Zp"])
"""Characters of which a log that is redacted has none: it is ASCII."""

payloads = st.text(foreign, max_size=20) | st.lists(
    st.integers(0x80, 0xFF), min_size=1, max_size=20
).map(bytes)
names = st.text(foreign, min_size=1, max_size=10).map(lambda name: f"{name}x")


class Secretive(Pair):
    """A pair whose hub's tokens have no character of ASCII."""

    def _new_token(self) -> str:
        return "".join(chr(ord(letter) + 0x400) for letter in super()._new_token())


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 100), st.lists(payloads, min_size=1, max_size=5))
def test_no_byte_of_a_payload_a_token_or_credentials_is_in_a_redacted_log(
    seed: int, used: list[bytes | str]
) -> None:
    """All of them consist of what is not ASCII, and the log is nothing else.

    What isn't ASCII could only be there escaped or encoded, and nothing is.
    """
    recording = Recording()
    storm(seed, recording, payloads=tuple(used), kind=Secretive)

    for log in recording.logs.values():
        text = "\n".join(log)
        assert text.isascii()
        assert "\\u" not in text
        for form in ('"text":', '"base64":', '"halves":'):
            assert form not in text.replace('"text":true', "").replace('"text":false', "")
        assert replay(log).difference is None


@settings(max_examples=2, deadline=None)
@given(st.integers(0, 100), st.tuples(names, names).filter(lambda two: two[0] != two[1]))
def test_no_name_of_a_channel_is_in_a_log_that_hides_them(
    seed: int, channels: tuple[str, str]
) -> None:
    recording = Recording(redact_channels=True)
    storm(seed, recording, channels=channels, kind=Secretive)

    for log in recording.logs.values():
        text = "\n".join(log)
        assert text.isascii()
        assert "\\u" not in text
        assert replay(log).difference is None


@pytest.mark.parametrize("data", [b"", b"a", b"text", b"\xff", b"\xff\xfe" * 10, "ß".encode()])
def test_a_payload_keeps_its_length_and_whether_it_is_utf8(data: bytes) -> None:
    def is_utf8(payload: bytes) -> bool:
        return "text" in dict(write_bytes(payload))  # type: ignore[arg-type]

    written = redacted_payload(data)
    assert isinstance(written, dict)
    ((form, size),) = written.items()
    assert isinstance(size, int)
    stand_in = stand_in_payload(form, size)
    assert len(stand_in) == len(data)
    assert is_utf8(stand_in) is is_utf8(data)
    assert expanded(written) == write_bytes(stand_in)


@settings(max_examples=30)
@given(st.lists(st.text("abc", max_size=4), max_size=40))
def test_equal_secrets_stay_equal_and_others_different_each_as_long_as_it_was(
    secrets: list[str],
) -> None:
    redaction = Redaction()
    stand_ins = {secret: str(expanded(redaction.secret(secret))) for secret in secrets}

    assert len(set(stand_ins.values())) == len(stand_ins)
    for secret, stand_in in stand_ins.items():
        assert expanded(redaction.secret(secret)) == stand_in
        # Of short ones there are too few for all to be as short.
        assert len(stand_in) == max(len(secret), len(stand_in.lstrip("0")) or 1)


def test_there_are_enough_stand_ins_of_every_length() -> None:
    for size in (0, 1, 2):
        assert len({stand_in_text(number, size) for number in range(5000)}) == 5000
    assert stand_in_text(35, 4) == "000z"
    assert stand_in_text(0, 2) == "00"


def test_a_channel_keeps_its_length_in_bytes_and_an_impossible_one_stays_impossible() -> None:
    redaction = Redaction(channels=True)
    name = expanded(redaction.channel("ßü"))
    assert isinstance(name, str)
    assert len(name) == 4
    assert channel_fault(name) is None
    for impossible in ("", "a\x00", "x" * 300):
        stand_in = expanded(redaction.channel(impossible))
        assert isinstance(stand_in, str)
        assert channel_fault(stand_in) is not None
    assert redaction.channel("@me") == "@me"
    assert Redaction().channel("orders") == "orders"


def test_the_public_names_that_a_hub_makes_of_a_token_follow_its_stand_in() -> None:
    """They are a hash of it: a replayed hub makes them of the stand-in."""
    redaction = Redaction(channels=True)
    stand_in = str(expanded(redaction.token("secret-token")))

    assert redaction.public(epoch_name("secret-token")) == epoch_name(stand_in)
    assert redaction.channel(session_name("secret-token")) == session_name(stand_in)
    assert redaction.public("another") == "another"


def test_words_lose_the_secrets_and_the_names_in_them() -> None:
    redaction = Redaction(channels=True)
    redaction.secret("long-secret")
    redaction.secret("end")
    redaction.channel("orders")

    said = redaction.words("token long-secret is at an end on 'orders', not orders")
    # One that is so short could be a part of any word.
    assert said == "token 00000000001 is at an end on '000001', not orders"


def test_a_secret_that_a_peer_says_in_its_reasons_is_in_no_log() -> None:
    recording = Recording()
    pair = Pair(new_recorder=recording)
    peer = pair.add_client(credentials="geheim-geheim")
    peer.start()
    assert pair.run_until(lambda: peer.session.link is not None)
    link = peer.session.link
    assert link is not None
    frame = Close(4003, "geheim-geheim is nobody", None)
    peer.session.receive_frame(link, frame, now=pair.clock.now)
    pair.run(1.0)
    assert "geheim-geheim" in str(peer.session.ending)

    log = recording.logs["C2"]
    assert "is nobody" in "\n".join(log)
    assert "geheim" not in "\n".join(log)
    assert replay(log).difference is None


def test_a_name_with_half_characters_can_be_written_and_read() -> None:
    """No wire could carry it, but an application may try."""
    written = write_text("half \ud800")

    assert isinstance(written, dict)
    assert read_halves(str(written["halves"])) == "half \ud800"
    assert write_text("whole ß") == "whole ß"


def test_what_is_not_replaced_is_expanded_to_itself() -> None:
    values: list[Any] = [None, True, 1, 1.5, "x", [1, ["x"]], {"is": "Ack", "id": 1}]
    for value in values:
        assert expanded(value) == value
    assert expanded([{"payloads": [{"~text": 2}]}]) == [{"payloads": [{"text": "xx"}]}]


def test_the_header_of_a_client_hides_what_it_shows_its_server() -> None:
    recording = Recording()
    pair = Pair(new_recorder=recording, client_config=Config())
    pair.add_client(credentials="credentials!", token="the-last-token")

    header = recording.logs["C2"][0]
    assert "credentials!" not in header
    assert "the-last-token" not in header
