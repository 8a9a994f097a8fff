"""Unsettled: what was published and is not accepted, before the end and after it (P6)."""

import pytest

from gapless.core.closing import Code
from gapless.core.events import Settled
from gapless.core.frames import (
    Ack,
    Close,
    Offered,
    Refused,
)
from gapless.core.states import SessionState

from .by_hand import ClientByHand
from .heirs import PLENTY
from .parts import small


class TestUnsettled:
    def test_before_the_end_it_says_what_would_become_of_it(self) -> None:
        desk = ClientByHand()
        desk.connect()
        assert desk.client.unsettled() == []
        for payload in (b"m1", b"m2", b"m3"):
            desk.client.publish("orders", payload, False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, 1))
        desk.hear()
        desk.say(Ack(1, 1, 1))
        desk.client.publish("orders", b"m4", False, now=desk.now)
        assert desk.client.unsettled() == [
            Settled("orders", 2, 3, "unknown", "P1", 2),
            Settled("orders", 4, 4, "unsent", "", 0),
        ]
        desk.say(Ack(1, 3, 1))
        assert desk.client.unsettled() == [Settled("orders", 4, 4, "unsent", "", 0)]

    @pytest.mark.parametrize("how", ["close", "suspend"])
    def test_afterwards_what_became_of_it_whether_or_not_it_was_taken(self, how: str) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("orders", b"m1", False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, 1))
        desk.hear()
        desk.client.publish("orders", b"m2", False, now=desk.now)
        if how == "close":
            desk.client.close(now=desk.now, timeout=0.0)
        else:
            desk.client.suspend(now=desk.now)
        told = list(iter(lambda: desk.client.next_settled("orders"), None))
        assert [one.outcome for one in told] == ["unknown", "unsent"]
        assert desk.client.unsettled() == told

    def test_what_is_refused_while_it_closes_belongs_to_it(self) -> None:
        desk = ClientByHand()
        desk.connect()
        for payload in (b"m1", b"m2", b"m3"):
            desk.client.publish("orders", payload, False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, PLENTY))
        desk.hear()
        desk.say(Refused(1, 1, 1, "full", None))
        desk.hear()
        desk.client.close(now=desk.now)
        desk.say(Refused(1, 2, 2, "full", None))
        desk.hear()
        desk.say(Ack(1, 3, PLENTY))
        assert desk.client.state is SessionState.CLOSED
        assert desk.client.unsettled() == [Settled("orders", 2, 2, "refused", "P1", 2, "full")]

    def test_p3_it_is_bounded_by_what_was_held(self) -> None:
        desk = ClientByHand(config=small())
        while desk.client.publish("orders", b"x", False, now=desk.now) is not None:
            pass
        desk.client.close(now=desk.now, timeout=0.0)
        assert desk.client.unsettled() == [Settled("orders", 1, 8, "unsent", "", 0)]

    def test_a_session_that_ended_by_itself_says_it_too(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("orders", b"m1", False, now=desk.now)
        desk.say(Close(Code.DONE, "bye", None))
        assert desk.client.state is SessionState.CLOSED
        assert [one.outcome for one in desk.client.unsettled()] == ["unsent"]
