"""Subscription: what it holds and lost; without memory it lets no more in (P3, P4)."""

from gapless.core.frames import Ack
from gapless.core.receiver import MESSAGE_BYTES
from gapless.core.subscription import SUBSCRIPTION_BYTES

from .desk import WINDOW, live


def test_i8_what_is_held_is_counted() -> None:
    desk = live()
    assert (desk.subscription.memory, desk.subscription.held_messages) == (SUBSCRIPTION_BYTES, 0)
    desk.data(1, b"a", b"bb")
    assert desk.subscription.held_messages == 2
    assert desk.subscription.memory == SUBSCRIPTION_BYTES + 3 + 2 * MESSAGE_BYTES
    desk.drain()
    assert (desk.subscription.memory, desk.subscription.held_messages) == (SUBSCRIPTION_BYTES, 0)


def test_p2_each_lost_message_is_told_once() -> None:
    desk = live()
    assert desk.subscription.take_faults() == 0
    desk.gone(1, 3)
    desk.gone(4, 4)
    assert (desk.subscription.take_faults(), desk.subscription.take_faults()) == (4, 0)


def test_without_memory_what_is_taken_is_acked_and_no_more_is_let_in() -> None:
    desk = live()
    payload = bytes(200)
    desk.data(1, payload, payload, payload)
    desk.has_memory = False
    desk.take()
    desk.take()
    assert desk.says() == Ack(7, 2, WINDOW), "the limit stays where it was"
    desk.take()
    assert desk.says() == Ack(7, 3, WINDOW + 3 * 232), "holding nothing, one may always go on"


def test_p4_the_sender_hears_it_at_once_when_there_is_memory_again() -> None:
    """It may have spent all it had: then nothing else would ever make it go on."""
    desk = live()
    payload = bytes(200)
    desk.data(1, payload, payload, b"small", b"small")
    desk.has_memory = False
    desk.take()
    desk.take()
    assert desk.says() == Ack(7, 2, WINDOW)
    desk.take()
    assert desk.says() is None, "too little to be worth an ack"
    desk.has_memory = True
    desk.take()
    assert desk.says() == Ack(7, 4, WINDOW + 2 * 232 + 2 * 37)
