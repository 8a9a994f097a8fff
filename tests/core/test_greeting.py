"""Before its verdict a link can say little, touch nothing, and not stay for ever (P7, I14)."""

from random import Random

import pytest

from gapless.core.accounts import Accounts
from gapless.core.budget import Shed
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import CloseLink, Command
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Frame,
    Gone,
    Hello,
    Offer,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Welcome,
)
from gapless.core.greeting import (
    GREETING_BYTES,
    MAX_BEFORE_WELCOME,
    MAX_GREETINGS,
    MAX_HELLO,
    Greeting,
    Reception,
)
from gapless.core.link import Link
from gapless.core.violation import Violation

from .shelf import Ballast

HELLO = Hello(1, None, None, 1024)
SUBSCRIBE = Subscribe(1, "news", "latest", 1000)


def a_greeting() -> Greeting:
    link = Link(1, config=Config(), rng=Random(1), now=100.0)
    link.open(now=100.0)
    return Greeting(link)


def say(greeting: Greeting, *frames: Frame, size: int = 50) -> list[bool]:
    return [greeting.receive_frame(frame, size, now=100.0) for frame in frames]


class TestGreeting:
    def test_hello_wants_a_verdict_and_what_comes_behind_it_waits(self) -> None:
        greeting = a_greeting()
        assert say(greeting, HELLO, SUBSCRIBE, Unsubscribe(1)) == [True, False, False]
        assert greeting.hello == HELLO
        assert greeting.waiting == [SUBSCRIBE, Unsubscribe(1)]

    @pytest.mark.parametrize(
        "frame",
        [
            Data(1, 1, [b"x"], False),
            Ack(1, 1, 1),
            Gone(1, 1, 1, "rotated"),
            Offer(1, "news", None, 1),
            Close(1000, "bye", None),
            Welcome("@x", "t", True, 1, 1, 1, 1),
            Subscribed(1, 1, "e", 1, 0, None, None),  # type: ignore[arg-type]  # never looked at
        ],
    )
    def test_nothing_else_is_understood_before_or_behind_it(self, frame: Frame) -> None:
        for before in ((), (HELLO,)):
            greeting = a_greeting()
            say(greeting, *before)
            with pytest.raises(Violation, match="before the welcome"):
                say(greeting, frame)

    def test_subscribes_come_behind_hello_not_before(self) -> None:
        with pytest.raises(Violation, match="subscribe before the welcome"):
            say(a_greeting(), SUBSCRIBE)

    def test_there_is_one_hello(self) -> None:
        with pytest.raises(Violation, match="a second hello"):
            say(a_greeting(), HELLO, HELLO)

    def test_another_version_is_told_apart_so_that_nobody_retries(self) -> None:
        with pytest.raises(Violation, match="speaks 1") as caught:
            say(a_greeting(), Hello(2, None, None, 1024))
        assert caught.value.code is Code.VERSION

    def test_a_hello_has_at_most_8_kib(self) -> None:
        assert say(a_greeting(), HELLO, size=MAX_HELLO) == [True]
        with pytest.raises(Violation, match="hello of more") as caught:
            say(a_greeting(), HELLO, size=MAX_HELLO + 1)
        assert caught.value.code is Code.TOO_BIG

    @pytest.mark.parametrize("frame", [SUBSCRIBE, Ping(1, 0), Unsubscribe(1)])
    def test_all_together_is_at_most_64_kib(self, frame: Frame) -> None:
        """P3: nothing is parked for who isn't known yet, whatever it is."""
        greeting = a_greeting()
        say(greeting, HELLO, size=1)
        say(greeting, frame, size=MAX_BEFORE_WELCOME - 1)
        with pytest.raises(Violation, match="bytes before the welcome") as caught:
            say(greeting, frame, size=1)
        assert caught.value.code is Code.POLICY

    def test_a_ping_is_answered(self) -> None:
        greeting = a_greeting()
        assert say(greeting, Ping(3, 0), HELLO) == [False, True]
        assert greeting.link.next_control(now=100.0) == Pong(3, 0)

    def test_a_pong_nobody_asked_for_is_a_violation(self) -> None:
        with pytest.raises(Violation, match="before the welcome"):
            say(a_greeting(), Pong(1, 0))


class Hall:
    """A reception with the lists it shares with its hub."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.writable: dict[int, None] = {}
        self.books = Accounts(Config())
        self.reception = Reception(
            Config(connect_timeout=30.0),
            rng=Random(1),
            commands=self.commands,
            writable=self.writable,
            books=self.books,
        )

    def fill(self, *, left: int) -> Ballast:
        """Take all memory but `left` bytes."""
        ballast = Ballast(self.books.report().limits.limit - left)
        self.books.open(ballast, Shed.NEVER, now=100.0)
        return ballast

    def open(self, link: int, *, now: float = 100.0) -> None:
        self.reception.open_link(link, None, now=now)

    def hello(self, link: int) -> Greeting:
        greeting = self.reception.receive_frame(link, HELLO, 50, now=100.0)
        assert greeting is not None
        return greeting

    def endings(self) -> dict[int, int]:
        """The code of each link that was closed."""
        return {
            command.link: command.ending.code
            for command in self.commands
            if isinstance(command, CloseLink)
        }


class TestReception:
    def test_a_link_waits_until_it_is_released(self) -> None:
        hall = Hall()
        hall.open(1)
        greeting = hall.hello(1)
        assert hall.reception.find(1) is greeting
        assert len(hall.reception) == 1
        hall.reception.release(greeting)
        assert hall.reception.find(1) is None
        assert hall.reception.next_deadline() is None, "I12"
        assert not hall.commands

    def test_who_is_not_welcomed_in_time_is_turned_away(self) -> None:
        """Testing 3.2 row 21: slow handshakes end."""
        hall = Hall()
        hall.open(1)
        hall.open(2, now=110.0)
        assert hall.reception.next_deadline() == 130.0
        hall.reception.handle_timeout(now=129.9)
        assert len(hall.reception) == 2
        hall.reception.handle_timeout(now=130.0)
        assert hall.endings() == {1: Code.TIMEOUT}
        assert hall.reception.next_deadline() == 140.0

    def test_who_leaves_before_the_verdict_is_let_go_without_blame(self) -> None:
        """A client that closes while it waits breaks no rule; nothing of it is left (P3, I12)."""
        hall = Hall()
        hall.open(1)
        hall.hello(1)
        hall.reception.receive_frame(1, Close(Code.DONE, "bye", None), 10, now=100.0)
        assert hall.endings() == {1: Code.DONE}
        assert hall.reception.next_frame(1, now=100.0) is None
        assert len(hall.reception) == 0
        assert hall.reception.next_deadline() is None

    def test_a_violation_closes_the_link_with_its_code_and_raises_nothing(self) -> None:
        """Design 4.4."""
        hall = Hall()
        hall.open(1)
        assert hall.reception.receive_frame(1, SUBSCRIBE, 50, now=100.0) is None
        assert hall.endings() == {1: Code.VIOLATION}
        assert 1 in hall.writable
        word = hall.reception.next_frame(1, now=100.0)
        assert isinstance(word, Close)
        assert word.code == Code.VIOLATION
        assert hall.reception.next_frame(1, now=100.0) is None, "the last word is the last"

    def test_what_a_refused_link_still_says_is_not_heard(self) -> None:
        """I13."""
        hall = Hall()
        hall.open(1)
        hall.reception.refuse(hall.hello(1), Ending(Code.UNAUTHORIZED, "no"), now=0.0)
        assert hall.reception.receive_frame(1, HELLO, 50, now=100.0) is None
        assert hall.endings() == {1: Code.UNAUTHORIZED}

    def test_a_ping_makes_the_link_writable(self) -> None:
        hall = Hall()
        hall.open(1)
        assert hall.reception.next_frame(1, now=100.0) is None
        hall.reception.receive_frame(1, Ping(5, 0), 10, now=100.0)
        assert 1 in hall.writable
        assert hall.reception.next_frame(1, now=100.0) == Pong(5, 0)

    def test_a_subscribe_that_waits_brings_nothing_to_write(self) -> None:
        hall = Hall()
        hall.open(1)
        hall.hello(1)
        assert hall.reception.receive_frame(1, SUBSCRIBE, 50, now=100.0) is None
        assert not hall.writable

    def test_who_must_go_is_turned_away_with_the_reason(self) -> None:
        hall = Hall()
        hall.reception.open_link(1, Ending(Code.GOING_AWAY, "draining", 1.0), now=100.0)
        assert len(hall.reception) == 0
        assert hall.reception.next_frame(1, now=100.0) == Close(Code.GOING_AWAY, "draining", 1000)

    def test_only_so_many_may_wait_at_once(self) -> None:
        """P3, and testing 3.2 row 21: concurrent handshakes are bounded."""
        hall = Hall()
        for link in range(1, MAX_GREETINGS + 2):
            hall.open(link)
        assert len(hall.reception) == MAX_GREETINGS
        assert hall.endings() == {MAX_GREETINGS + 1: Code.TRY_LATER}

    def test_p3_without_memory_nobody_waits(self) -> None:
        hall = Hall()
        ballast = hall.fill(left=2 * GREETING_BYTES - 1)
        hall.open(1)
        hall.open(2)
        assert (len(hall.reception), hall.endings()) == (1, {2: Code.TRY_LATER})
        assert hall.reception.next_frame(2, now=100.0) is None, "not even a word, for it takes some"
        hall.books.close(ballast)
        hall.open(3)
        assert len(hall.reception) == 2

    def test_where_memory_is_wanted_who_has_said_most_goes_first(self) -> None:
        hall = Hall()
        ending = Ending(Code.TRY_LATER, "short of memory", 1.0)
        assert not hall.reception.refuse_largest(ending, now=100.0)
        for link in (1, 2, 3):
            hall.open(link)
            hall.hello(link)
        hall.reception.receive_frame(2, SUBSCRIBE, 50, now=100.0)
        assert hall.reception.refuse_largest(ending, now=100.0)
        assert hall.endings() == {2: Code.TRY_LATER}
        assert hall.reception.next_frame(2, now=100.0) == Close(ending.code, ending.reason, 1000)

    def test_all_can_be_refused_at_once(self) -> None:
        hall = Hall()
        for link in (1, 2, 3):
            hall.open(link)
        hall.reception.refuse_all(Ending(Code.GOING_AWAY, "draining"), now=0.0)
        assert hall.endings() == dict.fromkeys((1, 2, 3), Code.GOING_AWAY)
        assert len(hall.reception) == 0

    def test_a_lost_link_leaves_nothing_behind(self) -> None:
        hall = Hall()
        hall.open(1)
        hall.open(2)
        hall.reception.refuse(hall.hello(2), Ending(Code.UNAUTHORIZED, "no"), now=0.0)
        for link in (1, 2, 3):
            hall.reception.handle_link_lost(link)
            assert hall.reception.next_frame(link, now=100.0) is None
        assert len(hall.reception) == 0
        assert hall.reception.next_deadline() is None
