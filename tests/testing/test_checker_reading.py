"""The checker sees what a reader must not be given: P1, P2, I3, I4, I15, each broken on purpose."""

from gapless.core.events import CaughtUp, Lost, Reset
from gapless.core.frames import Live, Subscribe, Subscribed
from gapless.core.position import Position

from .plants import Reading, a_line, caught, message


def test_an_honest_reader_is_let_pass() -> None:
    reading = Reading()

    reading.take(message(1))
    reading.take(message(2))
    reading.take(CaughtUp("a", Position("E", 2)))
    reading.take(Lost("a", "E", 3, 7, "rotated"))
    reading.take(message(8))
    reading.take(Reset("a", Position("F", 0), "epoch"))
    reading.take(message(1, "F"))
    reading.take(Reset("a", Position("F", 0), "ahead"))


def test_p1_a_message_that_comes_twice() -> None:
    reading = Reading()
    reading.take(message(1))

    with caught("P1", "message E:1 after E:1"):
        reading.take(message(1))


def test_p1_an_older_message_that_comes_again() -> None:
    reading = Reading(Position("E", 5))
    reading.take(message(6))

    with caught("P1", "message E:3 after E:6"):
        reading.take(message(3))


def test_p2_a_message_past_a_hole() -> None:
    reading = Reading()
    reading.take(message(1))

    with caught("P2", "message E:3 after E:1"):
        reading.take(message(3))


def test_p2_a_first_message_past_the_position_that_was_asked_for() -> None:
    reading = Reading(Position("E", 5))

    with caught("P2", "message E:7 after E:5"):
        reading.take(message(7))


def test_p2_a_first_message_past_where_the_answer_said() -> None:
    reading = Reading()
    line = a_line()
    reading.checker.on_frame(line, False, Subscribe(1, "a", "earliest", 9))
    reading.checker.on_frame(line, True, Subscribed(1, 7, "E", 1, 0, None, Live()))

    with caught("P2", "begins with message E:2"):
        reading.take(message(2))


def test_p2_a_loss_that_leaves_a_hole_before_it() -> None:
    reading = Reading(Position("E", 5))

    with caught("P2", "lost 7..9 (rotated) after E:5"):
        reading.take(Lost("a", "E", 7, 9, "rotated"))


def test_p1_a_loss_that_covers_what_was_taken() -> None:
    reading = Reading(Position("E", 5))

    with caught("P1", "lost 5..9 (rotated) after E:5"):
        reading.take(Lost("a", "E", 5, 9, "rotated"))


def test_p1_a_loss_that_is_told_twice() -> None:
    reading = Reading(Position("E", 5))
    lost = Lost("a", "E", 6, 9, "rotated")
    reading.take(lost)

    with caught("P1", "lost 6..9 (rotated) after E:9"):
        reading.take(lost)


def test_p2_a_loss_of_nothing() -> None:
    reading = Reading(Position("E", 5))

    with caught("P2", "lost 6..5"):
        reading.take(Lost("a", "E", 6, 5, "rotated"))


def test_p2_caught_up_where_it_is_not() -> None:
    reading = Reading(Position("E", 5))

    with caught("P2", "caught up at E:9, taken E:5"):
        reading.take(CaughtUp("a", Position("E", 9)))


def test_i15_a_message_of_another_epoch_without_a_reset() -> None:
    reading = Reading(Position("E", 5))

    with caught("I15", "message F:6 after E:5"):
        reading.take(message(6, "F"))


def test_i15_a_reset_within_an_epoch_that_is_not_for_being_ahead() -> None:
    reading = Reading(Position("E", 5))

    with caught("I15", "reset (epoch) from E:5 to E:0"):
        reading.take(Reset("a", Position("E", 0), "epoch"))


def test_p1_a_message_that_is_not_what_was_appended() -> None:
    reading = Reading()
    ticket = reading.pair.publish("a", "the truth")
    assert ticket is not None

    with caught("P1", "is not what was appended"):
        reading.take(message(1, ticket.epoch, b"a lie"))


def test_what_was_appended_is_known_after_it_rotated_out() -> None:
    reading = Reading()
    reading.pair.hub.configure("a", now=reading.pair.clock.now, history_messages=1)
    for text in ("one", "two"):
        ticket = reading.pair.publish("a", text)
    assert ticket is not None

    with caught("P1", "is not what was appended"):
        reading.take(message(1, ticket.epoch, b"another one"))


def test_i3_a_loss_where_nothing_may_be_lost() -> None:
    reading = Reading(Position("E", 5), lossless=("a",))

    with caught("I3", "lost 6..9"):
        reading.take(Lost("a", "E", 6, 9, "rotated"))


def test_i3_a_reset_where_nothing_may_be_lost() -> None:
    reading = Reading(Position("E", 5), lossless=("a",))

    with caught("I3", "reset (epoch)"):
        reading.take(Reset("a", Position("F", 0), "epoch"))


def test_i3_what_is_lossless_is_said_by_channel() -> None:
    reading = Reading(Position("E", 5), lossless=("b",))

    reading.take(Lost("a", "E", 6, 9, "rotated"))


def test_i4_a_position_that_is_ahead_of_what_was_taken() -> None:
    reading = Reading(Position("E", 5))

    with caught("I4", "the position is E:8, taken E:6"):
        reading.take(message(6), Position("E", 8))


def test_i4_a_position_that_stays_behind() -> None:
    reading = Reading(Position("E", 5))

    with caught("I4", "the position is E:5, taken E:6"):
        reading.take(message(6), Position("E", 5))


def test_i20_a_message_after_unsubscribe() -> None:
    reading = Reading(Position("E", 5))
    reading.take(message(6))
    reading.checker.on_unsubscribed(reading.pair.peer, reading.reader)

    with caught("I20", "after unsubscribe"):
        reading.take(message(7))


def test_p2_the_servers_own_readers_are_judged_too() -> None:
    reading = Reading()
    reading.pair.publish("a", "m1")
    reader = reading.pair.subscribe("a", "earliest")
    assert reader is not None
    first = reading.pair.take(reader)
    assert first is not None

    with caught("P2", "S on a"):
        reading.checker.on_taken(None, reader, message(3, reader.position.epoch))
