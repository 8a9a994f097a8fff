"""The checker sees a client that dials too often, too late, or after the end: I18, I20."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.frames import Close, Data, Goaway, Welcome
from gapless.testing import BrokenPromise, Peer
from gapless.testing.check_dialing import DialCheck

from .plants import Reading, a_line, a_session, caught, joined

CONFIG = replace(Config.production(), backoff_cap=2.0)
LOST = Ending(Code.LOST, "connection reset")


class Dials:
    """A client whose links a test makes and ends."""

    def __init__(self) -> None:
        reading = Reading()
        session = ClientSession(CONFIG, rng=Random(1), wait=3600.0)
        self.peer: Peer = joined(reading.pair, session)
        self.check = DialCheck()
        self.line = a_line()
        self.now = 0.0
        self.link = 0
        session.start(now=0.0)
        self.dial()

    def dial(self, after: float = 0.0) -> None:
        self.now += after
        self.link += 1
        self.check.dial(self.peer, self.link, now=self.now)

    def lose(self, ending: Ending = LOST) -> None:
        self.check.over(self.peer, self.link, ending, now=self.now)

    def welcome(self, lived: float) -> None:
        frame = Welcome("@s", "t", False, 4000, 120_000, 1024, 128)
        self.check.frame(self.line, True, frame, now=self.now)
        self.now += lived


def storm(dials: Dials, worth: Callable[[], None], draw: Callable[[int], float]) -> None:
    """A hundred links of that worth, with the waits that are drawn for the failures so far."""
    for number in range(100):
        worth()
        dials.lose()
        dials.dial(draw(number))


def test_waits_from_the_whole_range_are_let_pass() -> None:
    dials, rng = Dials(), Random(7)
    storm(dials, lambda: None, lambda n: rng.uniform(0.0, min(2.0, 0.5 * 2.0 ** min(n, 9))))


def test_i18_a_link_that_merely_opened_clears_nothing() -> None:
    dials, rng = Dials(), Random(7)

    with pytest.raises(BrokenPromise, match=r"I18: .* too short: a dial storm"):
        storm(dials, lambda: dials.welcome(0.1), lambda n: rng.uniform(0.0, 0.5))


def test_i18_a_link_that_lived_or_made_progress_may_be_followed_soon() -> None:
    for worth in (lived, progressed, sent_away):
        dials, rng = Dials(), Random(7)
        storm(dials, worth(dials), lambda n, rng=rng: rng.uniform(0.0, 0.5))  # type: ignore[misc]


def lived(dials: Dials) -> Callable[[], None]:
    return lambda: dials.welcome(10.0)


def progressed(dials: Dials) -> Callable[[], None]:
    frame = Data(1, 1, [b"x"], False)
    return lambda: dials.check.frame(dials.line, True, frame, now=dials.now)


def sent_away(dials: Dials) -> Callable[[], None]:
    return lambda: dials.check.frame(dials.line, True, Goaway(0, 0), now=dials.now)


def test_i18_a_wait_above_the_cap() -> None:
    dials = Dials()
    dials.lose()

    with caught("I18", "C1 waited 2.100 s, at most 2"):
        dials.dial(2.1)


@pytest.mark.parametrize("is_last_word", [True, False])
def test_i18_a_server_may_ask_for_a_longer_wait(is_last_word: bool) -> None:
    dials = Dials()
    if is_last_word:
        close = Close(Code.TRY_LATER, "later", 5000)
        dials.check.frame(dials.line, True, close, now=dials.now)
        dials.lose()
    else:
        dials.lose(Ending(Code.TRY_LATER, "later", 5.0))
    dials.dial(7.0)
    dials.lose()

    with caught("I18", "waited 7.000 s, at most 2"):
        dials.dial(7.0)


def test_i18_a_driver_that_slept_and_a_link_that_stands_are_no_wait() -> None:
    dials = Dials()
    dials.lose()
    dials.check.step(dials.peer, is_late=True)
    dials.dial(5000.0)
    dials.dial(5000.0)
    dials.check.over(dials.peer, dials.link - 1, LOST, now=dials.now)
    dials.dial(5000.0)


def test_i18_a_code_that_is_final() -> None:
    dials = Dials()

    with caught("I18", "C1 goes on after 4004, which is final"):
        dials.lose(Ending(Code.VERSION, "no"))


def test_i20_a_dial_after_the_end() -> None:
    dials = Dials()
    dials.peer.session.close(now=0.0, timeout=0.0)
    dials.lose(Ending(Code.VERSION, "no"))

    with caught("I20", "C1 dials, closed"):
        dials.dial(1.0)


def test_a_session_of_nobody_is_not_late() -> None:
    dials = Dials()
    stranger = joined(Reading().pair, a_session())
    stranger.name = "C9"
    dials.check.step(stranger, is_late=True)
