"""One connection: deadlines, life, counts that must agree, the latest ping only, one last word."""

from random import Random

import pytest

from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.frames import Close, Ping, Pong
from gapless.core.link import Link
from gapless.core.states import LinkState
from gapless.core.violation import Violation

CONFIG = Config(connect_timeout=30.0, heartbeat=30.0, heartbeat_timeout=10.0)


def a_link() -> Link:
    return Link(1, config=CONFIG, rng=Random(1), now=100.0)


def attached() -> Link:
    link = a_link()
    link.open(now=101.0)
    link.attach(now=102.0)
    link.receive_bytes(now=102.0)
    return link


def pinged(link: Link, *, at: float = 132.0) -> Ping:
    """Let the link fall silent until it asks."""
    assert link.handle_timeout(now=at) is None
    frame = link.next_control(now=at)
    assert isinstance(frame, Ping)
    return frame


class TestHandshake:
    def test_the_verdict_must_come_within_the_connect_timeout(self) -> None:
        link = a_link()
        assert link.next_deadline() == 130.0
        assert link.handle_timeout(now=129.9) is None
        ending = link.handle_timeout(now=130.0)
        assert ending == Ending(Code.TIMEOUT, "no connection within 30 s")

    def test_opening_the_transport_does_not_put_it_off(self) -> None:
        link = a_link()
        link.open(now=129.0)
        assert link.state is LinkState.GREETING
        assert link.next_deadline() == 130.0
        assert link.handle_timeout(now=130.0) is not None

    def test_a_slow_verdict_is_no_dead_peer(self) -> None:
        """P4: with a heartbeat shorter than the judging, a client would redial for ever."""
        config = Config(connect_timeout=30.0, heartbeat=1.0, heartbeat_timeout=1.0)
        link = Link(1, config=config, rng=Random(1), now=0.0)
        link.open(now=0.0)
        for second in range(1, 30):
            assert link.handle_timeout(now=float(second)) is None
        link.attach(now=29.5)
        assert link.handle_timeout(now=29.6) is None


class TestLife:
    def test_a_link_lives_from_its_verdict_on(self) -> None:
        """I18: one that only opened has not lived, and does not clear the backoff."""
        link = a_link()
        assert link.lived(200.0) == 0.0
        link.open(now=101.0)
        assert link.lived(200.0) == 0.0
        link.attach(now=102.0)
        assert link.lived(200.0) == 98.0

    def test_silence_brings_a_ping_and_then_the_end(self) -> None:
        link = attached()
        assert link.next_deadline() == 132.0
        assert not link.has_control()
        assert link.handle_timeout(now=132.0) is None
        assert link.has_control()
        assert link.next_control(now=132.0) == Ping(1, 0)
        assert link.next_control(now=132.0) is None, "one"
        ending = link.handle_timeout(now=142.0)
        assert ending == Ending(Code.SILENT, "not a byte from the peer for 40 s")

    def test_any_byte_keeps_it_alive(self) -> None:
        link = attached()
        pinged(link)
        link.receive_bytes(now=141.0)
        assert link.handle_timeout(now=142.0) is None
        assert link.next_deadline() == 171.0

    def test_before_the_verdict_bytes_are_only_bytes(self) -> None:
        link = a_link()
        link.receive_bytes(now=101.0)
        assert link.next_deadline() == 130.0


class TestPings:
    def test_the_round_trip_is_measured_once_a_ping(self) -> None:
        link = a_link()
        assert link.round_trip is None
        link = attached()
        ping = pinged(link)
        assert link.receive_pong(Pong(ping.number, 0), now=132.25)
        assert link.round_trip == 0.25
        assert not link.receive_pong(Pong(ping.number, 0), now=139.0)
        assert link.round_trip == 0.25, "a pong that comes again measures nothing"

    def test_a_pong_to_an_older_ping_measures_nothing(self) -> None:
        link = attached()
        first = pinged(link)
        link.receive_bytes(now=133.0)
        pinged(link, at=163.0)
        link.receive_pong(Pong(first.number, 0), now=163.5)
        assert link.round_trip is None

    @pytest.mark.parametrize("number", [0, 2, 2**53 - 1])
    def test_a_pong_nobody_asked_for_is_a_violation(self, number: int) -> None:
        link = attached()
        pinged(link)
        with pytest.raises(Violation, match="answers no ping"):
            link.receive_pong(Pong(number, 0), now=133.0)

    def test_a_pong_before_any_ping_is_a_violation(self) -> None:
        with pytest.raises(Violation, match="answers no ping"):
            attached().receive_pong(Pong(0, 0), now=103.0)

    def test_of_many_pings_only_the_latest_is_answered(self) -> None:
        """Testing 3.2 row 6: no amplification."""
        link = attached()
        for number in range(1, 1001):
            link.receive_ping(Ping(number, 0))
        assert link.has_control()
        assert link.next_control(now=103.0) == Pong(1000, 0)
        assert link.next_control(now=103.0) is None


class TestCounts:
    def test_pings_and_pongs_say_how_many_data_frames_were_sent(self) -> None:
        """I16."""
        link = attached()
        for _ in range(3):
            link.data_sent()
        link.receive_ping(Ping(1, 0))
        assert link.next_control(now=103.0) == Pong(1, 3)
        assert pinged(link).sent == 3

    def test_counts_that_agree_are_fine(self) -> None:
        link = attached()
        for _ in range(3):
            link.receive_data_frame()
        ping = pinged(link)
        link.receive_ping(Ping(1, 3))
        link.receive_pong(Pong(ping.number, 3), now=133.0)
        assert link.round_trip == 1.0

    @pytest.mark.parametrize("sent", [0, 2, 4, 2**53 - 1])
    def test_a_frame_that_went_astray_shows_at_the_next_ping_or_pong(self, sent: int) -> None:
        link = attached()
        for _ in range(3):
            link.receive_data_frame()
        ping = pinged(link)
        with pytest.raises(Violation, match="3 arrived") as by_ping:
            link.receive_ping(Ping(1, sent))
        with pytest.raises(Violation, match="3 arrived") as by_pong:
            link.receive_pong(Pong(ping.number, sent), now=133.0)
        assert by_ping.value.code is by_pong.value.code is Code.DIVERGED


class TestEnd:
    def test_the_last_word_is_said_once_and_nothing_follows(self) -> None:
        link = attached()
        link.receive_ping(Ping(1, 0))
        link.close(Ending(Code.TRY_LATER, "x" * 1000, 1.5))
        link.close(Ending(Code.DONE, "again"))
        assert link.has_control()
        word = link.next_control(now=103.0)
        assert word == Close(Code.TRY_LATER, "x" * 256, 1500)
        assert link.next_control(now=103.0) is None
        assert link.next_deadline() is None, "I12"
        assert link.handle_timeout(now=1e9) is None

    def test_without_a_hint_the_last_word_has_none(self) -> None:
        link = attached()
        link.close(Ending(Code.DONE, "bye"))
        assert link.next_control(now=103.0) == Close(Code.DONE, "bye", None)

    def test_a_link_that_never_opened_has_no_last_word(self) -> None:
        link = a_link()
        link.close(Ending(Code.DONE, "bye"))
        assert link.state is LinkState.ENDED
        assert link.next_control(now=101.0) is None
        assert link.next_deadline() is None

    def test_a_transport_that_is_gone_takes_the_last_word_with_it(self) -> None:
        link = attached()
        link.close(Ending(Code.DONE, "bye"))
        link.end()
        assert not link.has_control()
        assert link.handle_timeout(now=1e9) is None
        link.close(Ending(Code.DONE, "bye"))
        assert not link.has_control(), "I20: ended is ended"
