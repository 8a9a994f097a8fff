"""Errors say what was wrong, where, and what to do; a peer's words can't drive a terminal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.adapters.errors import (
    EXPORTED,
    Busy,
    ConnectError,
    MessagesLost,
    NotSent,
    PublishFailed,
    PublishRefused,
    PublishUnknown,
    SessionClosed,
    StreamReset,
    SubscribeRefused,
    loss_error,
    printable,
    publish_error,
)
from gapless.core.closing import Code, Ending
from gapless.core.errors import GaplessError
from gapless.core.events import Lost, Reset, Settled
from gapless.core.position import Position

NASTY = "bad\x1b[2J\nERROR forged line"


@pytest.mark.parametrize(
    ("ending", "advice"),
    [
        (Ending(Code.LOST, "nothing listens"), "check the address, or wait"),
        (Ending(Code.TIMEOUT, "no answer"), "check the address, or wait"),
        (Ending(Code.UNAUTHORIZED, "no"), "check token="),
        (Ending(Code.REJECTED, "no", status=401), "check token="),
        (Ending(Code.REJECTED, "no", status=403), "check token="),
        (Ending(Code.REJECTED, "no", status=404), "a gapless server's"),
        (Ending(Code.REJECTED, "the certificate is not trusted"), "with ssl="),
        (Ending(Code.TRY_LATER, "full", 1.0), "try again later"),
        (Ending(Code.GOING_AWAY, "draining", 1.0), "try again later"),
        (Ending(Code.NOT_GAPLESS, "no"), "a gapless server's"),
        (Ending(Code.VERSION, "version 1"), "use a version of gapless"),
        (Ending(4999, "who knows"), "a gapless server's"),
    ],
)
def test_a_connection_that_failed_says_why_and_what_to_do(ending: Ending, advice: str) -> None:
    error = ConnectError("ws://h/", ending)

    assert str(error).startswith(f"ws://h/: {ending.reason}; ")
    assert advice in str(error)
    assert error.ending is ending


def test_a_marker_becomes_the_exception_that_says_the_same() -> None:
    lost = loss_error(Lost("c", "E1", 3, 5, "rotated"))
    assert (lost.channel, lost.first, lost.last, lost.reason) == ("c", 3, 5, "rotated")
    assert str(lost) == "messages 3 to 5 of channel 'c' can't be had any more: rotated"
    assert str(loss_error(Lost("c", "E1", 3, 3, "expired"))).startswith("message 3 of")

    reset = loss_error(Reset("c", Position("E2", 7), "epoch"))
    assert isinstance(reset, StreamReset)
    assert isinstance(reset, MessagesLost)
    assert reset.position == Position("E2", 7)
    assert "starts over after E2:7 (epoch)" in str(reset)


def test_each_way_a_publish_can_fail_has_its_exception() -> None:
    """P6."""

    def error_of(outcome: str) -> GaplessError | None:
        return publish_error(Settled("c", 1, 1, outcome, "", 0, "full"))  # type: ignore[arg-type]  # all four

    assert error_of("accepted") is None
    refused = error_of("refused")
    assert isinstance(refused, PublishRefused)
    assert (refused.channel, refused.code) == ("c", "full")
    assert isinstance(error_of("unknown"), PublishUnknown)
    assert isinstance(error_of("unsent"), NotSent)


@pytest.mark.parametrize("outcome", ["unknown", "unsent"])
def test_of_what_was_exported_it_says_who_knows(outcome: Any) -> None:
    for code, known in (("", False), (EXPORTED, True)):
        settled = Settled("c", 1, 1, outcome, "", 0, code)
        for error in (publish_error(settled), PublishFailed("c", [settled])):
            assert ("restored() says what became of it" in str(error)) is known
            assert "'c'" in str(error)


def test_a_publisher_that_failed_counts_its_messages() -> None:
    failed = [Settled("c", 1, 3, "refused", "", 0, "full"), Settled("c", 7, 7, "unsent", "", 0)]

    error = PublishFailed("c", failed)

    assert str(error) == "4 messages for channel 'c' were not accepted"
    assert error.failed == failed


def test_a_session_that_is_over_says_why() -> None:
    assert str(SessionClosed(None)) == "the session is over: it was closed"
    assert "too old" in str(SessionClosed(Ending(Code.VERSION, "too old")))


@pytest.mark.parametrize(
    "error",
    [
        ConnectError("ws://h/", Ending(Code.LOST, NASTY)),
        SessionClosed(Ending(Code.LOST, NASTY)),
        SubscribeRefused("c", NASTY),
        PublishRefused("c", NASTY),
        Busy(NASTY),
        NotSent(NASTY),
        PublishUnknown(NASTY),
        MessagesLost("c", 1, 2, NASTY),
        StreamReset("c", Position("E1", 0), NASTY),
    ],
)
def test_what_a_peer_wrote_is_escaped(error: GaplessError) -> None:
    assert str(error).isprintable()
    assert "forged line" in str(error)


@given(st.text())
def test_printable_text_is_printable_and_encodable_whatever_it_was(text: str) -> None:
    assert printable(text).isprintable()
    printable(text).encode()
