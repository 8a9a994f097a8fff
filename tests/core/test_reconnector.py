"""Whether and when to try again after a link ended (I18)."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.reconnector import Reconnector

from .parts import LOST, Highest


def a_reconnector(
    *, wait: float = 0.0, seed: int = 1, max_attempts: int | None = None
) -> Reconnector:
    config = Config(max_attempts=max_attempts)
    made = Reconnector(config, rng=Random(seed), wait=wait)
    made.start(now=100.0)
    return made


def retry(
    reconnector: Reconnector, ending: Ending = LOST, *, now: float = 100.0, lived: float = 0.0
) -> float | None:
    return reconnector.retry_at(ending, lived=lived, progressed=False, now=now)


class TestFirstConnection:
    @given(seed=st.integers(), late=st.floats(0.0, 100.0))
    def test_it_fails_at_once_unless_told_to_wait(self, seed: int, late: float) -> None:
        assert retry(a_reconnector(seed=seed), now=100.0 + late) is None

    @given(seed=st.integers())
    def test_the_whole_wait_is_used_and_no_more(self, seed: int) -> None:
        """A server that comes up within it is found: the last try is at its very end."""
        reconnector, now, tries = a_reconnector(wait=20.0, seed=seed), 100.0, 0
        while (at := retry(reconnector, now=now)) is not None:
            assert now <= at <= 120.0
            now, tries = at, tries + 1
        assert now == 120.0
        assert tries >= 2

    def test_a_hint_beyond_the_wait_ends_it(self) -> None:
        """The server said that trying earlier is of no use."""
        busy = Ending(Code.TRY_LATER, "busy", retry_after=60.0)
        assert retry(a_reconnector(wait=5.0), busy) is None
        at = retry(a_reconnector(wait=90.0), busy)
        assert at is not None
        assert 160.0 <= at <= 160.5

    def test_once_up_retries_do_not_end(self) -> None:
        reconnector, now = a_reconnector(), 100.0
        reconnector.connected()
        for _ in range(1000):
            at = retry(reconnector, now=now)
            assert at is not None
            assert now <= at <= now + 10.0
            now = at


class TestAfterwards:
    @pytest.mark.parametrize(
        "ending",
        [
            Ending(Code.DONE, "bye"),
            Ending(Code.VERSION, "version 2 only"),
            Ending(Code.UNAUTHORIZED, "no"),
            Ending(Code.NOT_GAPLESS, "nginx", status=404),
            Ending(Code.LOST, "", status=401),
        ],
    )
    def test_what_can_not_succeed_is_not_tried_again(self, ending: Ending) -> None:
        reconnector = a_reconnector(wait=1e6)
        reconnector.connected()
        assert retry(reconnector, ending, lived=60.0) is None

    def test_attempts_are_limited_if_the_config_says_so(self) -> None:
        reconnector = a_reconnector(max_attempts=3)
        reconnector.connected()
        answers = [retry(reconnector, lived=60.0), *(retry(reconnector) for _ in range(4))]
        assert [answer is not None for answer in answers] == [True, True, True, False, False], (
            "a link that had lived was lost, then three tries failed"
        )

    def test_a_link_that_lived_makes_waits_short_again(self) -> None:
        reconnector = a_reconnector()
        reconnector.connected()
        for _ in range(10):
            retry(reconnector)
        at = retry(reconnector, lived=10.0)
        assert at is not None
        assert at <= 100.5

    def test_being_fenced_is_a_failure_however_long_the_link_lived(self) -> None:
        """Testing 3.2 row 16: two clients with one token must not take over from each other at
        full speed for ever."""
        reconnector = Reconnector(Config(), rng=Highest(), wait=0.0)
        reconnector.connected()
        fenced = Ending(Code.FENCED, "taken over")
        answers = [retry(reconnector, fenced, now=0.0, lived=60.0) for _ in range(6)]
        assert answers == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]

    def test_the_network_is_back_means_try_soon(self) -> None:
        reconnector = a_reconnector()
        reconnector.connected()
        for _ in range(10):
            retry(reconnector)
        reconnector.nudge()
        at = retry(reconnector)
        assert at is not None
        assert at <= 100.5

    @given(seed=st.integers(), spread=st.floats(0.0, 60.0))
    def test_a_move_is_spread(self, seed: int, spread: float) -> None:
        at = a_reconnector(seed=seed).move_at(spread, None, lived=10.0, progressed=False, now=100.0)
        assert 100.0 <= at <= 100.0 + spread

    def test_i18_links_sent_away_before_they_proved_themselves_are_failures(self) -> None:
        """Row 30: a server with a `goaway` on every link doesn't choose how often it is dialled."""
        reconnector, now = a_reconnector(), 100.0
        for _ in range(100):
            now = reconnector.move_at(0.0, None, lived=0.1, progressed=False, now=now)
        assert now - 100.0 > 100.0
