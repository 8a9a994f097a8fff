"""Session: fencing, turns and ids, the part that is the same at both ends (contract 3-5, P7)."""

from dataclasses import replace

import pytest

from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Ended,
    Frame,
    Gone,
    Live,
    Offer,
    Offered,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
)
from gapless.core.session import MAX_IDS
from gapless.core.states import SessionState

from .by_hand import WELCOME, ClientByHand, HubByHand
from .parts import LOST


def code(frames: list[Frame]) -> int | None:
    return next((frame.code for frame in frames if isinstance(frame, Close)), None)


class TestLinks:
    def test_i13_an_unknown_link_changes_nothing(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.receive_bytes(99, now=desk.now)
        desk.client.receive_frame(99, Close(Code.DONE, "", None), now=desk.now)
        desk.client.handle_link_lost(99, LOST, now=desk.now)
        assert desk.client.next_frame(99, now=desk.now) is None
        assert desk.client.link == desk.link

    def test_after_a_close_nothing_is_heard_and_the_last_word_is_said_once(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.say(Pong(5, 0))
        assert code(desk.hear()) == Code.VIOLATION
        desk.say(Ping(1, 0))
        assert desk.hear() == []

    def test_a_closed_link_whose_socket_goes_first_needs_no_last_word(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.say(Pong(5, 0))
        desk.lose()
        assert desk.hear() == []

    def test_time_never_runs_back(self) -> None:
        desk = ClientByHand()
        desk.connect()
        deadline = desk.client.next_deadline()
        desk.client.handle_timeout(now=desk.now - 1000.0)
        assert desk.client.next_deadline() == deadline
        assert desk.client.state is SessionState.UP

    def test_pings_are_answered_with_the_latest_only(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.say(Ping(1, 0), Ping(2, 0), Ping(3, 0))
        assert desk.hear() == [Pong(3, 0)]

    def test_a_round_trip_is_known_after_a_pong(self) -> None:
        desk = ClientByHand()
        assert desk.client.round_trip is None
        desk.connect()
        deadline = desk.client.next_deadline()
        assert deadline is not None
        desk.now = deadline
        desk.client.handle_timeout(now=desk.now)
        (ping,) = desk.hear()
        assert isinstance(ping, Ping)
        desk.now += 0.25
        desk.say(Pong(ping.number, 0))
        assert desk.client.round_trip == 0.25


class TestTurns:
    def test_p7_channels_take_turns_a_batch_each(self) -> None:
        desk = HubByHand()
        for channel in "ab":
            for number in range(300):
                desk.hub.publish(channel, b"%d" % number, now=desk.now)
        desk.greet(1)
        desk.say(1, *(Subscribe(n, c, "earliest", 1 << 20) for n, c in enumerate("ab", 1)))
        sent = [frame for frame in desk.hear(1) if isinstance(frame, Data)]
        first, second = sent[0].id, sent[1].id
        assert [data.id for data in sent] == [first, second] * 3

    def test_p7_a_channel_without_credit_stalls_no_other(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Subscribe(1, "a", "earliest", 0), Subscribe(2, "b", "earliest", 1 << 20))
        desk.hear(1)
        for channel in "ab":
            desk.hub.publish(channel, b"m", now=desk.now)
        (data,) = desk.hear(1)
        assert isinstance(data, Data)
        assert data.id == 2

    def test_control_goes_before_data(self) -> None:
        desk = ClientByHand()
        desk.connect()
        for number in range(150):
            desk.client.publish("news", b"%d" % number, False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, 1 << 20), Ping(7, 0))
        desk.client.subscribe("other", now=desk.now)
        kinds = [type(frame) for frame in desk.hear()]
        assert kinds == [Pong, Subscribe, Data, Data]

    def test_a_link_is_named_once_when_it_has_come_to_have_something(self) -> None:
        desk = ClientByHand()
        desk.connect()
        list(iter(desk.client.next_writable, None))
        had = [desk.client.has_output]
        desk.client.subscribe("a", now=desk.now)
        desk.client.subscribe("b", now=desk.now)
        had.append(desk.client.has_output)
        assert had == [False, True]
        assert list(iter(desk.client.next_writable, None)) == [desk.link]

    def test_who_has_something_to_do_is_named_once_in_the_order_it_came_up(self) -> None:
        desk = ClientByHand()
        client, now = desk.client, desk.now
        first, second = (client.subscribe(name, "earliest", now=now) for name in "ab")
        desk.connect(
            Subscribed(1, 7, "E1", 1, 0, None, Live()), Subscribed(2, 8, "E2", 1, 0, None, Live())
        )
        before, ready, after = client.has_news, list(iter(client.next_ready, None)), client.has_news
        assert (before, ready, after) == (True, [first, second], False)
        desk.say(Data(8, 1, [b"b1"], False), Data(7, 1, [b"a1"], False), Data(8, 2, [b"b2"], False))
        assert list(iter(client.next_ready, None)) == [second, first]
        assert client.next_ready() is None


class TestTimers:
    def test_of_what_is_due_in_one_call_the_end_of_the_session_leaves_nothing(self) -> None:
        """Late calls are harmless: the ping that was due too goes nowhere (I20)."""
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("news", b"m", False, now=desk.now)
        desk.hear()
        desk.client.close(now=desk.now, timeout=0.001)
        desk.client.handle_timeout(now=desk.now + 1000.0)
        assert desk.client.state is SessionState.CLOSED
        assert [type(frame) for frame in desk.hear()] == [Close]
        assert desk.client.next_deadline() is None
        assert desk.client.next_writable() is not None
        assert desk.client.next_writable() is None

    def test_spurious_calls_move_nothing(self) -> None:
        desk = ClientByHand()
        desk.connect()
        deadline = desk.client.next_deadline()
        assert deadline is not None
        for _ in range(3):
            desk.client.handle_timeout(now=desk.now)
        assert (desk.client.next_deadline(), desk.hear(), desk.endings()) == (deadline, [], [])


class TestIds:
    def test_p3_ids_are_remembered_up_to_a_bound_and_beyond_none_is_a_fault(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        for number in range(1, MAX_IDS + 2):
            desk.say(1, Offer(number, "news", None, 1))
        desk.hear(1)
        desk.say(1, Data(MAX_IDS + 100, 1, [b"m"], False))
        assert code(desk.hear(1)) is None

    def test_i16_data_of_an_ended_id_counts_and_changes_nothing_else(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()))
        desk.client.unsubscribe(news, now=desk.now)
        desk.hear()
        desk.say(Data(7, 1, [b"late"], False), Ping(1, 1))
        assert desk.hear() == [Pong(1, 0)]
        desk.say(Ping(2, 2))
        assert code(desk.hear()) == Code.DIVERGED

    def test_an_ack_of_an_id_that_ended_is_ignored(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Subscribe(1, "news", "earliest", 100))
        desk.hear(1)
        desk.say(1, Subscribe(2, "news", "earliest", 100), Ack(1, 99, 0))
        assert code(desk.hear(1)) is None

    @pytest.mark.parametrize(
        "frame",
        [
            Data(7, 1, [b"late"], False),
            Gone(7, 1, 9, "rotated"),
            Ended(7, "unsubscribed", False),
        ],
    )
    def test_i16_what_comes_for_an_ended_id_is_ignored(self, frame: Frame) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()))
        desk.client.unsubscribe(news, now=desk.now)
        again = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.hear()
        desk.say(frame, frame)
        assert (desk.endings(), desk.take(news), desk.take(again)) == ([], [], [])

    @pytest.mark.parametrize("given", [MAX_IDS - 1, MAX_IDS + 1])
    def test_p3_a_client_forgets_which_ids_it_gave_at_the_same_bound(self, given: int) -> None:
        """Below the bound an id never given is a violation; above it no one can tell."""
        config = replace(Config(), max_message=1, history_bytes=1, max_channels=2 * MAX_IDS)
        desk = ClientByHand(config=config)
        desk.dial()
        desk.say(replace(WELCOME, max_channels=2 * MAX_IDS))
        for number in range(given):
            desk.client.publish(str(number), b"m", False, now=desk.now)
        assert len(desk.hear()) == given
        desk.say(Offered(given + 100, "new", "P1", 0, 9))
        codes = [ending.code for ending in desk.endings()]
        assert codes == ([Code.VIOLATION] if given < MAX_IDS else [])
