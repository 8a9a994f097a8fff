"""The checker sees what links must not do: I13, I14, I16, I19 and I20, each broken."""

from dataclasses import dataclass, field, replace

import pytest

from gapless.core.authorize import Grant
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.frames import Close, Data, Frame, Goaway, Hello, Ping, Pong, Welcome
from gapless.testing import BrokenPromise, Checker, Line, Pair
from gapless.testing.check_links import LinkCheck

from .plants import a_line, caught

CONFIG = replace(Config.production(), heartbeat=4.0, heartbeat_timeout=2.0)
SILENT = Ending(Code.SILENT, "not a byte")


@dataclass
class Links:
    """Lines of one server, watched; every session that was ever given is alive."""

    now: float = 0.0
    lives: bool = True
    check: LinkCheck = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        self.check = LinkCheck(lambda: _grant, lambda line, session: self.lives)

    def line(self) -> Line:
        self.count += 1
        line = a_line()
        line.server_link = line.client_link = self.count
        return line

    def say(self, line: Line, *frames: Frame, to_client: bool = True) -> None:
        for frame in frames:
            self.check.frame(line, to_client, frame, now=self.now)

    def greet(
        self,
        shown: str | None,
        given: str,
        *,
        session: str = "@s",
        resumed: bool = True,
        credentials: str = "ann",
        line: Line | None = None,
    ) -> Line:
        """A client shows a token, and is given the next."""
        line = line or self.line()
        self.say(line, Hello(1, shown, credentials, 1024), to_client=False)
        self.say(line, _welcome(session, given, resumed=resumed))
        return line

    def hear(self, line: Line, *, late: bool = False) -> None:
        self.check.hear(line, True, CONFIG, now=self.now, late=late)

    def close(self, line: Line) -> None:
        self.check.closed(line, True, SILENT, CONFIG, now=self.now)


def _grant(credentials: str | None) -> Grant | None:
    return None if credentials is None else Grant(credentials)


def _welcome(session: str, token: str, *, resumed: bool) -> Welcome:
    return Welcome(session, token, resumed, 4000, 120_000, 1024, 128)


def test_honest_tokens_are_let_pass() -> None:
    """A welcome is lost and comes again; one is shown by two; a thief gets a session of its own."""
    links = Links()
    links.greet(None, "t1", resumed=False)
    links.greet("t1", "t2")
    links.greet("t1", "t2")
    links.greet("t2", "t3")
    links.greet("t3", "x1", session="@x", resumed=False, credentials="eve")
    links.greet("t1", "y1", session="@y", resumed=False)
    links.greet("t3", "t4")


def test_i14_a_session_given_to_another_principal() -> None:
    links = Links()
    links.greet(None, "t1", resumed=False)

    with caught("I14", "C1 as eve was given the session of ann"):
        links.greet("t1", "t2", credentials="eve")


def test_i14_a_token_that_was_used_up_resumes() -> None:
    links = Links()
    links.greet(None, "t1", resumed=False)
    links.greet("t1", "t2")
    links.greet("t2", "t3")

    with caught("I14", "a token that is no more"):
        links.greet("t1", "t4")


def test_i14_a_session_that_nobody_was_given_is_resumed() -> None:
    with caught("I14", "resumes what nobody was given"):
        Links().greet("t0", "t1")


def test_i14_a_new_session_that_there_is_already() -> None:
    links = Links()
    links.greet(None, "t1", resumed=False)

    with caught("I14", "given a session that there is already"):
        links.greet(None, "t2", resumed=False)


@pytest.mark.parametrize("shown", ["t1", "t2"])
def test_i14_a_client_that_lost_a_welcome_is_locked_out(shown: str) -> None:
    links = Links()
    links.greet(None, "t1", resumed=False)
    links.greet("t1", "t2")

    with caught("I14", "locked out of @s, which lives"):
        links.greet(shown, "x1", session="@x", resumed=False)


def test_i14_a_session_whose_lease_ran_out_locks_nobody_out() -> None:
    links = Links(lives=False)
    links.greet(None, "t1", resumed=False)
    links.greet("t1", "x1", session="@x", resumed=False)


def test_i14_a_token_that_may_have_moved_unseen_proves_nothing() -> None:
    links = Links()
    links.greet(None, "t1", resumed=False)
    links.greet("t1", "t2")
    links.say(links.line(), Hello(1, "t2", "ann", 1024), to_client=False)
    links.greet("t1", "x1", session="@x", resumed=False)
    links.greet("t2", "t3")


@pytest.mark.parametrize(("shown", "given"), [("t1", "t9"), ("t2", "t2")])
def test_i14_a_token_moves_when_it_is_shown_and_not_before(shown: str, given: str) -> None:
    links = Links()
    links.greet(None, "t1", resumed=False)
    links.greet("t1", "t2")

    with pytest.raises(BrokenPromise, match="I14"):
        links.greet(shown, given)


def test_i13_an_older_link_is_given_the_session_of_a_younger_one() -> None:
    links = Links()
    older = links.line()
    links.greet(None, "t1", resumed=False)

    with caught("I13", "link 1 has the session of a younger one"):
        links.greet("t1", "t2", line=older)


def test_i13_a_link_that_was_fenced_off_hears_nothing_but_close() -> None:
    links = Links()
    older = links.greet(None, "t1", resumed=False)
    links.greet("t1", "t2")
    links.say(older, Close(Code.FENCED, "taken over", None))
    other = Links()
    older = other.greet(None, "t1", resumed=False)
    other.greet("t1", "t2")

    with caught("I13", "Goaway to C1 on a link that was fenced off"):
        other.say(older, Goaway(0, 0))


def test_i13_a_client_lets_go_of_a_link_that_stands() -> None:
    links = Links()
    line = links.line()
    links.check.carries(line, line.client_link)

    with caught("I13", "has let go of a link that stands"):
        links.check.carries(line, None)


def test_i13_a_link_may_be_let_go_for_a_reason() -> None:
    links = Links()
    told, cut, left = links.line(), links.line(), links.line()
    for line in (told, cut, left):
        links.check.carries(line, line.client_link)
    links.say(told, Close(Code.GOING_AWAY, "bye", None))
    cut.is_cut = True
    links.check.carries(told, None)
    links.check.carries(cut, None)
    links.check.carries(left, 99)


@pytest.mark.parametrize("to_client", [True, False])
def test_i16_a_ping_or_pong_that_counts_wrong(to_client: bool) -> None:
    links = Links()
    line = links.line()
    links.say(line, Data(1, 1, [b"x"], False), Ping(1, 1), to_client=to_client)
    links.say(line, Pong(1, 0), to_client=not to_client)

    with caught("I16", "Pong counts 2 data frames, 1 were sent"):
        links.say(line, Pong(1, 2), to_client=to_client)


def test_i20_a_word_behind_the_last_one() -> None:
    links = Links()
    line = links.line()
    links.say(line, Close(Code.DONE, "bye", None))

    with caught("I20", "Ping from S behind its close"):
        links.say(line, Ping(1, 0))


def test_i19_silence_that_is_borne_too_long() -> None:
    links = Links()
    line = links.line()
    links.hear(line)
    links.now = 5.0
    line.to_client.arrived += 1
    links.hear(line)
    links.now = 11.0
    links.hear(line)
    links.now = 11.1

    with caught("I19", "C1 has heard nothing for 6.100 s, and goes on after 6"):
        links.hear(line)


def test_i19_a_host_that_slept_and_one_that_said_its_last_word_are_excused() -> None:
    links = Links()
    line, closing = links.line(), links.line()
    links.hear(line)
    links.hear(closing)
    links.say(closing, Close(Code.DONE, "bye", None))
    links.now = 100.0
    links.hear(line, late=True)
    links.hear(closing)


def test_i19_a_peer_taken_for_dead_without_a_probe() -> None:
    links = Links()
    line = links.line()
    links.hear(line)
    links.now = 6.0

    with caught("I19", "without having asked it"):
        links.close(line)


def test_i19_a_peer_that_has_not_had_the_time_to_answer() -> None:
    links = Links()
    line = links.line()
    links.hear(line)
    links.now = 4.0
    links.say(line, Ping(1, 0), to_client=False)
    links.now = 5.0

    with caught("I19", "waited 1.000 s for the answer to its ping, not 2"):
        links.close(line)


def test_i19_an_answer_that_came_after_the_ping_is_one() -> None:
    links = Links()
    line = links.line()
    links.hear(line)
    links.say(line, Ping(1, 0), to_client=False)
    links.now = 4.0
    line.to_client.arrived += 1
    links.hear(line)

    with caught("I19", "without having asked it"):
        links.close(line)


def test_i19_nothing_is_known_of_a_ping_that_could_not_leave() -> None:
    links = Links()
    line = links.line()
    line.to_server.in_flight = 10**9
    links.hear(line)
    links.close(line)


def test_a_line_that_is_gone_is_forgotten() -> None:
    links = Links()
    line = links.greet(None, "t1", resumed=False)
    assert links.check.session_of(line) == "@s"
    links.check.forget(line)
    assert links.check.session_of(line) is None


def test_without_a_verifier_credentials_are_the_principal() -> None:
    pair = Pair(verify=None)
    checker, line = Checker(pair), a_line()
    checker.on_frame(line, False, Hello(1, None, "ann", 1024))
    checker.on_frame(line, True, _welcome("@s", "t1", resumed=False))
    other = a_line()
    checker.on_frame(other, False, Hello(1, "t1", "eve", 1024))

    with caught("I14", "C1 as eve was given the session of ann"):
        checker.on_frame(other, True, _welcome("@s", "t2", resumed=True))
