"""Hub: what it says of itself, and who goes when there is no memory left (P3)."""

from dataclasses import replace

import pytest

from gapless.core.authorize import Grant
from gapless.core.budget import Shed
from gapless.core.closing import Code, Ending
from gapless.core.config import KIB, Config
from gapless.core.errors import NoMemory
from gapless.core.events import Authorize
from gapless.core.figures import HubStats
from gapless.core.frames import Close, Data, Frame, Hello, Ping, Subscribe, Subscribed
from gapless.core.server import SESSION_BYTES

from .by_hand import HubByHand
from .shelf import Ballast

HUB = replace(Config.production("hub"), memory_limit=400 * KIB, max_message=20_000)


def fill(desk: HubByHand, *, left: int) -> Ballast:
    """Take all memory but `left` bytes, by what can't be shed."""
    books = desk.hub.books
    ballast = Ballast(HUB.memory_limit - books.held - left)
    books.open(ballast, Shed.NEVER, now=desk.now)
    return ballast


def codes(frames: list[Frame]) -> list[int]:
    return [frame.code for frame in frames if isinstance(frame, Close)]


class TestFigures:
    def test_what_there_is_and_what_has_gone_through(self) -> None:
        desk = HubByHand()
        desk.greet(1, None, Subscribe(1, "news", "earliest", 1 << 20))
        desk.open(2)
        desk.hub.publish("news", b"m1", now=desk.now)
        desk.hear(1)
        desk.greet(3)
        desk.lose(3)
        assert desk.hub.stats(now=desk.now) == HubStats(
            sessions=2, links=2, channels=1, messages=1, received=0, sent=1, errors=1
        )
        assert desk.hub.metrics(now=desk.now).gauges.active == 1

    def test_a_handshake_that_was_refused_is_an_error_though_it_never_was_a_link(self) -> None:
        desk = HubByHand()
        refused = Ending(Code.VIOLATION, "no such path", status=404)
        desk.hub.handle_link_lost(1, refused, now=desk.now)
        assert desk.hub.stats(now=desk.now).errors == 1
        assert desk.hub.next_deadline() is None, "nothing is held"
        desk.lose(2)
        assert desk.hub.stats(now=desk.now).errors == 1, "that was none"

    def test_how_it_is_and_that_it_tells_a_change(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        assert desk.hub.health(now=desk.now).status == "healthy"
        assert desk.hub.next_alert() is None
        desk.lose(1)
        assert desk.hub.health(now=desk.now).status == "critical", "a link was lost, and no more"
        desk.now += desk.hub.config.metrics_interval
        desk.hub.handle_timeout(now=desk.now)
        alert = desk.hub.next_alert()
        assert alert is not None
        assert (alert.kind, alert.status) == ("error_rate", "critical")
        assert desk.hub.next_alert() is None


class TestLinksOfNobody:
    def test_i13_what_comes_from_one_it_does_not_know_changes_nothing(self) -> None:
        desk = HubByHand(verify=None)
        desk.hub.receive_bytes(9, now=desk.now)
        desk.say(9, Hello(1, None, None, 1024))
        desk.lose(9)
        desk.hub.handle_authorized(9, Grant("ann"), now=desk.now)
        assert (desk.hub.poll_command(), desk.hear(9), desk.hub.sessions) == (None, [], [])

    def test_a_verdict_before_hello_is_ignored(self) -> None:
        desk = HubByHand(verify=None)
        desk.open(1)
        desk.hub.handle_authorized(1, Grant("ann"), now=desk.now)
        desk.say(1, Ping(1, 0))
        assert (desk.hub.sessions, desk.hub.poll_command()) == ([], None)

    def test_what_was_said_behind_hello_is_heard_after_the_verdict(self) -> None:
        desk = HubByHand(verify=None)
        desk.open(1)
        desk.say(1, Hello(1, None, "key", 1024), Subscribe(1, "news", "earliest", 1 << 20))
        assert desk.hub.poll_command() == Authorize(1, "key")
        desk.hub.handle_authorized(1, Grant("ann"), now=desk.now)
        _, answer = desk.hear(1)
        assert isinstance(answer, Subscribed)
        (name,) = desk.hub.sessions
        assert desk.hub.publish(name, b"m", now=desk.now) is not None, "its private channel"


class TestWithoutMemory:
    def test_there_is_no_new_session_and_the_link_is_told_when_to_come_back(self) -> None:
        desk = HubByHand(config=HUB, verify=None)
        desk.open(1)
        desk.say(1, Hello(1, None, None, 1024))
        ballast = fill(desk, left=SESSION_BYTES - 1)
        desk.hub.handle_authorized(1, Grant("ann"), now=desk.now)
        assert desk.endings()[1].code == Code.TRY_LATER
        assert desk.endings()[1].retry_after == 1.0
        assert desk.hub.sessions == []
        desk.hub.books.close(ballast)
        desk.open(2)
        desk.say(2, Hello(1, None, None, 1024))
        desk.hub.handle_authorized(2, Grant("ann"), now=desk.now)
        assert len(desk.hub.sessions) == 1

    def test_who_has_most_in_its_wire_goes_first_before_its_verdict_or_after(self) -> None:
        desk = HubByHand(config=HUB, verify=None)
        for link in (1, 2):
            desk.open(link)
        desk.say(1, Hello(1, None, None, 1024))
        desk.hub.handle_authorized(1, Grant("ann"), now=desk.now)
        fill(desk, left=10_000)
        desk.hub.hold_bytes(1, 2_000, now=desk.now)
        desk.hub.hold_bytes(2, 5_000, now=desk.now)
        assert desk.endings() == {}
        desk.hub.hold_bytes(2, 9_000, now=desk.now)
        assert {link: ending.code for link, ending in desk.endings().items()} == {2: Code.TRY_LATER}
        desk.hub.hold_bytes(1, 11_000, now=desk.now)
        assert desk.endings()[1].code == Code.TRY_LATER
        assert len(desk.hub.sessions) == 1, "its session can be resumed"

    def test_then_who_has_said_most_then_the_session_that_takes_most(self) -> None:
        """To a factor of two: it has more than twice what the other has."""
        desk = HubByHand(config=HUB, verify=None)
        for link in (1, 2, 3):
            desk.open(link)
            desk.say(link, Hello(1, None, None, 1024))
        for link in (1, 2):
            desk.hub.handle_authorized(link, Grant("ann"), now=desk.now)
        for number in range(1, 8):
            desk.say(2, Subscribe(number, f"c{number}", "earliest", 1 << 20))
        ballast = fill(desk, left=-1)
        desk.say(1, Ping(1, 0))
        assert list(desk.endings()) == [3]
        ballast.memory += 2_000
        desk.hub.books.stir(ballast)
        desk.hub.books.grow(2_000)
        desk.say(1, Ping(2, 0))
        assert list(desk.endings()) == [3, 2]

    def test_p4_a_publish_is_tried_again_in_a_second(self) -> None:
        desk = HubByHand(config=HUB)
        desk.hub.publish("news", b"m", now=desk.now)
        ballast = fill(desk, left=0)
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        desk.hub.next_ready()
        with pytest.raises(NoMemory):
            desk.hub.subscribe("other", now=desk.now)
        desk.hub.books.close(ballast)
        desk.now += 1.0
        desk.hub.handle_timeout(now=desk.now)
        assert "news" in list(iter(desk.hub.next_ready, None))
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None


def test_data_a_client_sends_counts_as_received() -> None:
    desk = HubByHand()
    desk.greet(1)
    desk.say(1, Data(1, 1, [b"m"], False))
    assert codes(desk.hear(1)) == [Code.VIOLATION]
    assert desk.hub.stats(now=desk.now).received == 1, "whatever it was"
