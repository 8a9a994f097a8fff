"""The checker sees what must not go over a wire: P2, P5, I4, rules 2, 3 and 7, each broken."""

from gapless.core.credit import MESSAGE_CHARGE
from gapless.core.frames import (
    Ack,
    Data,
    Denied,
    Frame,
    Gone,
    Live,
    Offer,
    Offered,
    Recovered,
    StartedOver,
    Subscribe,
    Subscribed,
)
from gapless.core.position import Position

from .plants import Reading, a_line, caught, message

LIMIT = 100


class Wire(Reading):
    """A reader whose subscribe since E:5 was answered: id 7, data from 6 on, at most `LIMIT`."""

    def __init__(self) -> None:
        super().__init__(Position("E", 5))
        self.line = a_line()
        self.to_server(Subscribe(1, "a", Position("E", 5), LIMIT))
        self.to_client(Subscribed(1, 7, "E", 6, 8, None, Recovered(3)))

    def to_client(self, frame: Frame) -> None:
        self.checker.on_frame(self.line, True, frame)

    def to_server(self, frame: Frame) -> None:
        self.checker.on_frame(self.line, False, frame)

    def offer(self, epoch: str | None = None) -> None:
        self.to_server(Offer(3, "b", epoch, 1))


def data(first: int, *sizes: int) -> Data:
    return Data(7, first, [b"x" * size for size in sizes or (1,)], False)


def test_an_honest_wire_is_let_pass() -> None:
    wire = Wire()

    wire.to_server(Ack(7, 5, LIMIT))
    wire.to_client(data(6))
    wire.to_client(Gone(7, 7, 9, "rotated"))
    wire.to_client(data(10))
    wire.take(message(6))
    wire.to_server(Ack(7, 6, LIMIT + 33))
    wire.offer()
    wire.to_client(Offered(3, "new", "P", 0, LIMIT))
    wire.to_server(Data(3, 1, [b"p1"], False))
    wire.to_client(Ack(3, 1, LIMIT + 34))


def test_p2_data_that_skips_a_number() -> None:
    wire = Wire()
    wire.to_client(data(6))

    with caught("P2", "8 sent after 6"):
        wire.to_client(data(8))


def test_p2_data_that_begins_elsewhere_than_the_answer_said() -> None:
    with caught("P2", "5 sent after 5"):
        Wire().to_client(data(5))


def test_p2_a_gone_that_skips_a_number() -> None:
    with caught("P2", "7 sent after 5"):
        Wire().to_client(Gone(7, 7, 9, "rotated"))


def test_p2_data_behind_a_gone_starts_after_it() -> None:
    wire = Wire()
    wire.to_client(Gone(7, 6, 9, "rotated"))

    with caught("P2", "9 sent after 9"):
        wire.to_client(data(9))


def test_rule_2_data_of_an_id_that_was_never_given() -> None:
    with caught("rule 2", "id 8, which was never answered"):
        Wire().to_client(Data(8, 1, [b"x"], False))


def test_rule_2_data_of_a_refused_subscribe() -> None:
    wire = Wire()
    wire.to_server(Subscribe(2, "b", "latest", LIMIT))
    wire.to_client(Subscribed(2, 9, "-", 1, 0, None, Denied("forbidden")))

    with caught("rule 2", "id 9, which was never answered"):
        wire.to_client(Data(9, 1, [b"x"], False))


def test_rule_2_data_of_an_id_given_on_another_line() -> None:
    wire = Wire()

    with caught("rule 2", "id 7, which was never answered"):
        wire.checker.on_frame(a_line(), True, data(6))


def test_rule_2_nothing_of_a_line_is_remembered_after_its_end() -> None:
    wire = Wire()
    wire.offer()
    wire.checker.on_lost(wire.line, [])

    with caught("rule 2", "id 7, which was never answered"):
        wire.to_client(data(6))
    with caught("rule 7", "offered 3 answers no offer"):
        wire.to_client(Offered(3, "new", "P", 0, LIMIT))


def test_rule_3_a_batch_that_starts_without_credit() -> None:
    wire = Wire()
    wire.to_client(data(6, LIMIT - MESSAGE_CHARGE))

    with caught("rule 3", f"sent {LIMIT} of {LIMIT}"):
        wire.to_client(data(7))


def test_rule_3_a_batch_may_overshoot_and_the_next_may_not_start() -> None:
    wire = Wire()
    wire.to_client(data(6, LIMIT - MESSAGE_CHARGE - 1))
    wire.to_client(data(7, 5000))

    with caught("rule 3", "and another batch"):
        wire.to_client(data(8))


def test_rule_3_an_ack_gives_credit() -> None:
    wire = Wire()
    wire.to_client(data(6, 5000))
    wire.take(message(6))
    wire.to_server(Ack(7, 6, 6000))

    wire.to_client(data(7, 968))
    with caught("rule 3", "sent 6032 of 6000"):
        wire.to_client(data(8))


def test_rule_3_a_publisher_without_credit() -> None:
    wire = Wire()
    wire.offer()
    wire.to_client(Offered(3, "new", "P", 0, 0))

    with caught("rule 3", "sent 0 of 0"):
        wire.to_server(Data(3, 1, [b"p1"], False))


def test_rule_3_a_limit_that_is_lowered() -> None:
    wire = Wire()
    wire.to_server(Ack(7, 5, LIMIT))

    with caught("rule 3", f"limit {LIMIT - 1} after limit {LIMIT}"):
        wire.to_server(Ack(7, 5, LIMIT - 1))


def test_i4_an_ack_that_goes_back() -> None:
    wire = Wire()
    wire.to_client(data(6))
    wire.take(message(6))
    wire.to_server(Ack(7, 6, LIMIT))

    with caught("I4", "ack 5"):
        wire.to_server(Ack(7, 5, LIMIT))


def test_i4_a_hubs_ack_that_goes_back() -> None:
    wire = Wire()
    wire.offer("P")
    wire.to_client(Offered(3, "known", "P", 4, LIMIT))

    with caught("I4", "ack 3"):
        wire.to_client(Ack(3, 3, LIMIT))


def test_p5_an_ack_of_what_was_never_sent() -> None:
    wire = Wire()
    wire.to_client(data(6))

    with caught("P5", "never sent"):
        wire.to_server(Ack(7, 7, LIMIT))


def test_p5_a_hubs_ack_of_what_was_never_sent() -> None:
    wire = Wire()
    wire.offer()
    wire.to_client(Offered(3, "new", "P", 0, LIMIT))
    wire.to_server(Data(3, 1, [b"p1"], False))

    with caught("P5", "never sent"):
        wire.to_client(Ack(3, 2, LIMIT))


def test_p5_an_ack_of_what_was_received_and_not_taken() -> None:
    wire = Wire()
    wire.to_client(data(6))
    wire.to_client(data(7))
    wire.take(message(6))

    with caught("P5", "and taken is E:6"):
        wire.to_server(Ack(7, 7, LIMIT))


def test_p5_an_ack_of_a_reader_that_has_taken_nothing() -> None:
    reading = Reading("earliest")
    line = a_line()
    reading.checker.on_frame(line, False, Subscribe(1, "a", "earliest", LIMIT))
    reading.checker.on_frame(line, True, Subscribed(1, 7, "E", 1, 0, None, Live()))
    reading.checker.on_frame(line, False, Ack(7, 0, LIMIT))
    reading.checker.on_frame(line, True, data(1))

    with caught("P5", "and nothing is taken"):
        reading.checker.on_frame(line, False, Ack(7, 1, LIMIT))


def test_p5_an_ack_of_the_old_epoch_after_a_reset() -> None:
    wire = Wire()
    wire.to_server(Subscribe(2, "a", Position("E", 5), LIMIT))
    wire.to_client(Subscribed(2, 7, "F", 3, 4, None, StartedOver("epoch")))
    wire.to_client(data(3))
    wire.to_server(Ack(7, 2, LIMIT))

    with caught("P5", "and taken is E:5"):
        wire.to_server(Ack(7, 3, LIMIT))


def test_rule_7_an_offered_that_nobody_asked_for() -> None:
    with caught("rule 7", "offered 3 answers no offer"):
        Wire().to_client(Offered(3, "new", "P", 0, LIMIT))


def test_rule_7_an_offered_that_comes_twice() -> None:
    wire = Wire()
    wire.offer()
    wire.to_client(Offered(3, "new", "P", 0, LIMIT))

    with caught("rule 7", "answers no offer"):
        wire.to_client(Offered(3, "new", "P", 0, LIMIT))


def test_rule_7_an_offered_that_knows_another_epoch() -> None:
    wire = Wire()
    wire.offer("P")

    with caught("rule 7", "knows Q, asked about P"):
        wire.to_client(Offered(3, "known", "Q", 4, LIMIT))


def test_rule_7_data_before_offered() -> None:
    wire = Wire()
    wire.offer()

    with caught("rule 2", "id 3, which was never answered"):
        wire.to_server(Data(3, 1, [b"p1"], False))
