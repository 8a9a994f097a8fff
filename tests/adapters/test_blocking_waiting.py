"""Waits on the blocking adapter: what ends them early, and what that leaves undone."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from gapless.adapters.blocking import (
    Config,
    ConfigError,
    ConnectError,
    Ending,
    InvalidState,
    LinkUp,
    Lost,
    Position,
    Reset,
    SessionClosed,
    connect,
    serve,
)

from .blocking_support import Cuttable, beside, forwarded, publish_numbers, take, until
from .support import LIMIT, QUICK

pytestmark = pytest.mark.usefixtures("leaves_nothing")

SOON = 0.03
"""Seconds a wait takes that is meant to end by its timeout."""

SMALL = Config(history_messages=2, backoff_base=0.001, backoff_cap=0.02, close_timeout=5.0)
"""A client with room for two messages."""


def times_out(call: Callable[[], object]) -> None:
    """See that a call gives up."""
    with pytest.raises(TimeoutError, match=f"not done within {SOON:g} s"):
        call()


@pytest.mark.parametrize("background", [False, True])
def test_a_read_that_times_out_has_taken_nothing(background: bool) -> None:
    """P1."""
    with (
        serve() as server,
        connect(server.url, background=background) as session,
        session.subscribe("campaign/42", timeout=SOON) as messages,
    ):
        times_out(lambda: next(messages))
        times_out(lambda: next(messages.events()))
        times_out(lambda: next(messages.batches()))
        times_out(lambda: next(messages.events(timeout=SOON)))
        publish_numbers(server, "campaign/42", 1, 3)
        patient = messages.batches(timeout=LIMIT)
        came: list[int] = []
        while len(came) < 3:
            came += [int(message.payload) for message in next(patient)]
        assert came == [1, 2, 3]


@pytest.mark.parametrize("background", [False, True])
def test_a_publish_that_times_out_for_want_of_room_is_not_sent(background: bool) -> None:
    """P3."""
    with (
        serve() as server,
        server.subscribe("commands", timeout=LIMIT) as commands,
        forwarded(server.port) as wire,
        connect(wire.url, config=SMALL, background=background) as session,
    ):
        wire.block()
        with session.publisher("commands", timeout=LIMIT) as publisher:
            publisher.send(b"1")
            publisher.send(b"2")
            times_out(lambda: publisher.send(b"not sent", timeout=SOON))
            times_out(lambda: session.publish("commands", b"not sent", timeout=SOON))
            assert session.stats().published == 2
            wire.restore()
        session.publish("commands", b"3", timeout=LIMIT)
        assert [int(next(commands).payload) for _ in range(3)] == [1, 2, 3]


def test_a_publish_that_times_out_later_is_sent_all_the_same() -> None:
    """P3."""
    with (
        serve() as server,
        server.subscribe("commands", timeout=LIMIT) as commands,
        forwarded(server.port) as wire,
        connect(wire.url, config=QUICK) as session,
    ):
        wire.block()
        times_out(lambda: session.publish("commands", b"1", timeout=SOON))
        wire.restore()
        assert session.publish("commands", b"2", timeout=LIMIT).seq == 2
        assert [int(next(commands).payload) for _ in range(2)] == [1, 2]


def test_what_times_out_on_its_way_in_or_out_of_a_block_leaves_nothing_behind() -> None:
    with (
        serve() as server,
        forwarded(server.port) as wire,
        connect(wire.url, config=QUICK) as session,
    ):
        wire.block()

        def subscribe() -> None:
            with session.subscribe("campaign/42", timeout=SOON):
                raise AssertionError("subscribed")

        def settle() -> None:
            with session.publisher("commands", timeout=SOON) as publisher:
                publisher.send(b"1")

        times_out(subscribe)
        times_out(settle)
        wire.restore()
        with session.subscribe("campaign/42", timeout=LIMIT) as messages:
            publish_numbers(server, "campaign/42", 1, 2)
            assert take(messages, 2) == [1, 2]


def test_following_the_session_times_out_and_goes_on() -> None:
    with serve() as server, connect(server.url) as session:
        events = session.events(timeout=SOON)
        assert isinstance(next(events), LinkUp)
        times_out(lambda: next(events))
        times_out(lambda: next(session.alerts(timeout=SOON)))
        times_out(lambda: next(server.alerts(timeout=SOON)))
        assert session.restored(timeout=SOON) == []
        session.close()
        assert type(next(events)).__name__ == "Closed"
        assert list(events) == []


def test_what_a_server_waits_for_times_out_and_is_not_published() -> None:
    """P3: a reader that pins hasn't taken the oldest message."""
    with serve() as server, server.subscribe("log", "earliest", timeout=LIMIT) as log:
        server.configure("log", history_messages=2, patience=60.0)
        publish_numbers(server, "log", 1, 2)
        times_out(lambda: server.publish("log", b"not sent", timeout=SOON))
        times_out(lambda: server.publish_many("log", [b"not sent"], timeout=SOON))
        with server.publisher("log", timeout=LIMIT) as publisher:
            times_out(lambda: publisher.send(b"not sent", timeout=SOON))
        assert [int(next(log).payload) for _ in range(2)] == [1, 2]
        assert server.publish("log", b"3", timeout=LIMIT).seq == 3


@pytest.mark.parametrize("background", [False, True])
def test_a_timeout_of_nothing_takes_what_is_there(background: bool) -> None:
    with (
        serve() as server,
        connect(server.url, background=background) as session,
        session.subscribe("campaign/42", timeout=LIMIT) as messages,
    ):
        at_once = messages.events(timeout=0)
        server.publish("campaign/42", b"1")
        until(lambda: session.stats().received == 1)
        assert [type(next(at_once)).__name__ for _ in range(2)] == ["CaughtUp", "Message"]
        with pytest.raises(TimeoutError):
            next(at_once)


def test_a_timeout_that_is_no_time_is_refused_and_nothing_is_done() -> None:
    with serve() as server, connect(server.url) as session:
        for timeout in (-1, float("nan"), "1"):
            wrong: Any = timeout
            with pytest.raises(ConfigError, match="timeout"):
                session.publish("commands", b"not sent", timeout=wrong)
        assert session.stats().published == 0


def interrupt() -> None:
    """Press ctrl-C."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.parametrize("background", [False, True])
def test_ctrl_c_ends_a_wait_and_leaves_a_session_that_can_be_used(background: bool) -> None:
    """P1."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with (
            serve() as server,
            connect(server.url, background=background) as session,
            session.subscribe("campaign/42", timeout=LIMIT) as messages,
        ):

            def press() -> None:
                runner = session.runner
                until(lambda: bool(runner.followers if background else runner.loop.is_selecting))
                interrupt()

            with pytest.raises(KeyboardInterrupt), beside(press):
                next(messages)
            publish_numbers(server, "campaign/42", 1, 3)
            assert take(messages, 3) == [1, 2, 3]
            assert session.publish("commands", b"start", timeout=LIMIT).seq == 1
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("background", [False, True])
def test_a_call_from_a_signal_handler_is_refused_where_it_would_wait_for_itself(
    background: bool,
) -> None:
    with (
        serve() as server,
        connect(server.url, background=background) as session,
        session.subscribe("campaign/42", timeout=LIMIT) as messages,
    ):

        def press() -> None:
            runner = session.runner
            until(lambda: bool(runner.followers if background else runner.loop.is_selecting))
            interrupt()

        def close(number: int, frame: FrameType | None) -> None:
            session.close()

        before = signal.signal(signal.SIGINT, close)
        try:
            with pytest.raises(InvalidState, match="signal handler"), beside(press):
                next(messages)
        finally:
            signal.signal(signal.SIGINT, before)
        publish_numbers(server, "campaign/42", 1, 3)
        assert take(messages, 3) == [1, 2, 3]


@pytest.mark.parametrize("background", [False, True])
def test_a_close_ends_what_others_wait_for(background: bool) -> None:
    """P7."""
    with (
        serve() as server,
        connect(server.url, background=background) as session,
        session.subscribe("a", timeout=LIMIT) as a,
        session.subscribe("b", timeout=LIMIT) as b,
        beside(lambda: list(a)) as first,
        beside(lambda: list(b)) as second,
    ):
        until(lambda: len(session.runner.followers) == (2 if background else 1))
        session.close()
        assert first.result(LIMIT) == second.result(LIMIT) == []
        session.close()
        with pytest.raises(SessionClosed):
            session.publish("commands", b"not sent")


def fail_inside(wire: Cuttable, background: bool) -> None:
    """Leave the blocks by an exception while nothing gets through."""
    with (
        connect(wire.url, config=QUICK, background=background) as session,
        session.publisher("commands") as publisher,
    ):
        wire.block()
        publisher.send(b"1")
        raise ZeroDivisionError


@pytest.mark.parametrize("background", [False, True])
def test_a_session_is_closed_in_every_state(background: bool) -> None:
    with serve() as server, forwarded(server.port) as wire:
        with connect(wire.url, config=QUICK, background=background) as session:
            wire.take_down()
            until(lambda: not session.is_connected)
            session.close()
        wire.restore()
        with connect(wire.url, config=QUICK, background=background) as session:
            wire.block()
            session.close(timeout=0)
        wire.restore()
        with pytest.raises(ZeroDivisionError):
            fail_inside(wire, background)
        wire.restore()


def test_two_threads_close_a_server_at_once() -> None:
    with (
        serve() as server,
        connect(server.url, background=True),
        beside(server.close),
        beside(server.close),
    ):
        pass


def test_a_loss_is_told_where_the_session_can_be_used() -> None:
    """P2: in the caller's thread, without the lock."""
    with serve() as server, connect(server.url) as session:
        server.configure("campaign/42", history_messages=3)
        publish_numbers(server, "campaign/42", 1, 9)
        position = server.publish("campaign/42", b"10")
        told: list[Lost | Reset] = []

        def on_lost(marker: Lost | Reset) -> None:
            told.append(marker)
            assert session.publish("commands", b"lost some", timeout=LIMIT).seq == 1

        since = Position(position.epoch, 0)
        with session.subscribe("campaign/42", since, on_lost=on_lost, timeout=LIMIT) as messages:
            assert take(messages, 3) == [8, 9, 10]
        lost = [marker for marker in told if isinstance(marker, Lost)]
        assert [(marker.first, marker.last) for marker in lost] == [(1, 7)]


def test_a_slow_token_function_holds_up_nothing_but_its_connect() -> None:
    """It is called without the lock, so that heartbeats go on and the session can be used."""
    may_answer = threading.Event()
    asked: list[Ending | None] = []

    def token(refused: Ending | None) -> str:
        asked.append(refused)
        if len(asked) > 1:
            assert may_answer.wait(LIMIT)
        return "s3cret"

    with (
        serve(token="s3cret") as server,
        forwarded(server.port) as wire,
        connect(wire.url, config=QUICK, token=token, background=True) as session,
    ):
        wire.cut()
        until(lambda: len(asked) == 2)
        assert not session.is_connected
        with session.publisher("commands", timeout=LIMIT) as publisher:
            publisher.send(b"1", timeout=LIMIT)
            may_answer.set()
        assert publisher.tally.accepted == 1


def test_a_token_function_that_fails_is_said() -> None:
    def token(refused: Ending | None) -> str:
        raise LookupError("no such secret")

    with (
        serve(token="s3cret") as server,
        pytest.raises(ConnectError, match="token= failed with LookupError: no such secret"),
        connect(server.url, token=token),
    ):
        raise AssertionError("connected")
