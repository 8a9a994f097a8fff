"""Who drives on the blocking adapter, and what happens if nobody does or if it goes wrong."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gapless.adapters.blocking import (
    Config,
    NotDriven,
    SessionClosed,
    connect,
    serve,
)

from .blocking_support import beside, forwarded, idle, publish_numbers, take, until
from .support import LIMIT, QUICK

pytestmark = pytest.mark.usefixtures("leaves_nothing")


@pytest.mark.parametrize("background", [False, True])
def test_many_threads_share_a_session(background: bool) -> None:
    """P1, P2: each channel in order, whoever drives meanwhile."""
    with serve() as server, connect(server.url, background=background) as session:

        def read(channel: str) -> list[int]:
            with session.subscribe(channel, "earliest", timeout=LIMIT) as messages:
                return take(messages, 200)

        def publish(channel: str) -> int:
            with session.publisher(channel, timeout=LIMIT) as publisher:
                for number in range(200):
                    publisher.send(b"%d" % number, timeout=LIMIT)
            return publisher.tally.accepted

        with (
            beside(lambda: read("a")) as first,
            beside(lambda: read("b")) as second,
            beside(lambda: publish("c")) as third,
            beside(lambda: publish("c")) as fourth,
        ):
            publish_numbers(server, "a", 1, 200)
            publish_numbers(server, "b", 1, 200)
            assert first.result(LIMIT) == second.result(LIMIT) == list(range(1, 201))
            assert third.result(LIMIT) == fourth.result(LIMIT) == 200


def test_a_thread_that_has_what_it_waited_for_hands_the_driving_over() -> None:
    with (
        serve() as server,
        connect(server.url) as session,
        session.subscribe("a", timeout=LIMIT) as a,
        session.subscribe("b", timeout=LIMIT) as b,
        beside(lambda: next(a)) as first,
    ):
        until(lambda: session.runner.loop.is_selecting)
        with beside(lambda: next(b)) as second:
            until(lambda: len(session.runner.followers) == 1)
            server.publish("a", b"1")
            assert first.result(LIMIT).payload == b"1"
            server.publish("b", b"2")
            assert second.result(LIMIT).payload == b"2"


def test_a_background_thread_keeps_a_session_alive_that_nobody_calls() -> None:
    """P6."""
    config = Config(heartbeat=0.02, heartbeat_timeout=5.0)
    with (
        serve() as server,
        connect(server.url, config=config, background=True) as session,
    ):
        until(lambda: session.inner.stats().round_trip is not None)
        idle(session, 60)
        assert session.publish("commands", b"start", timeout=LIMIT).seq == 1
        assert session.stats().links == 1


def test_nobody_having_driven_is_told_once_and_nothing_is_done() -> None:
    with (
        serve() as server,
        server.subscribe("commands", timeout=LIMIT) as commands,
        connect(server.url) as session,
        session.subscribe("campaign/42", timeout=LIMIT) as messages,
        session.publisher("commands", timeout=LIMIT) as publisher,
    ):
        publish_numbers(server, "campaign/42", 1, 4)
        calls: list[Callable[[], Any]] = [
            lambda: session.publish("commands", b"not sent"),
            lambda: publisher.send(b"not sent"),
            lambda: next(messages),
            lambda: next(messages.batches()),
            lambda: session.restored(),
        ]
        for call in calls:
            idle(session, 31)
            before = session.inner.stats()
            with pytest.raises(NotDriven, match=r"nobody drove this for 31\.0 s") as raised:
                call()
            assert "background=True" in str(raised.value)
            assert 31 <= raised.value.seconds < 32
            assert session.inner.stats() == before
            assert session.restored() == []
        assert take(messages, 4) == [1, 2, 3, 4]
        session.publish("commands", b"1", timeout=LIMIT)
        assert next(commands).payload == b"1"


def test_what_ends_something_is_not_held_up_by_nobody_having_driven() -> None:
    with serve() as server, connect(server.url) as session:
        with session.publisher("commands", timeout=LIMIT) as publisher:
            publisher.send(b"1")
            idle(session, 31)
        assert publisher.tally.accepted == 1
        idle(session, 31)
    assert session.unsettled() == []
    assert session.stats().accepted == 1


def test_a_server_that_nobody_drove_says_so_too() -> None:
    with serve(background=False) as server:
        idle(server, 31)
        with pytest.raises(NotDriven):
            server.publish("campaign/42", b"not sent")
        assert server.publish("campaign/42", b"1").seq == 1


def test_a_session_the_server_took_for_dead_goes_on_after_being_told() -> None:
    """P1: really not driven, until the server has ended the link."""
    config = replace(Config.production("hub"), heartbeat=0.01, heartbeat_timeout=0.01)
    with (
        serve(config=config) as server,
        connect(server.url, config=QUICK) as session,
        session.subscribe("campaign/42", timeout=LIMIT) as messages,
    ):
        publish_numbers(server, "campaign/42", 1, 3)
        until(lambda: server.stats().links == 0)
        publish_numbers(server, "campaign/42", 4, 6)
        assert take(messages, 6) == [1, 2, 3, 4, 5, 6]


def test_what_goes_wrong_in_the_background_ends_the_session_and_is_said() -> None:
    def go_wrong() -> None:
        raise LookupError("a bug")

    def use(url: str) -> None:
        with (
            connect(url, background=True) as session,
            session.subscribe("campaign/42", timeout=LIMIT) as messages,
        ):
            with beside(lambda: next(messages)) as waiting:
                until(lambda: len(session.runner.followers) == 1)
                with session.runner.lock:
                    session.runner.loop.post(go_wrong)
                with pytest.raises(SessionClosed, match="a bug") as raised:
                    waiting.result(LIMIT)
                assert isinstance(raised.value.__cause__, LookupError)
            with pytest.raises(SessionClosed, match="a bug"):
                session.publish("commands", b"not sent")

    with serve() as server:
        with pytest.raises(SessionClosed, match="driving it failed with LookupError: a bug"):
            use(server.url)
        until(lambda: server.stats().links == 0)


def test_ctrl_c_in_the_midst_of_the_bookkeeping_ends_the_session() -> None:
    """What state it is in nobody could say; the application sees its own exception."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    def use(url: str) -> None:
        with connect(url) as session, session.subscribe("campaign/42", timeout=LIMIT) as messages:
            with session.runner.lock:
                session.runner.loop.post(interrupt)
            try:
                next(messages)
            finally:
                with pytest.raises(SessionClosed, match="failed with KeyboardInterrupt"):
                    session.publish("commands", b"not sent")

    with serve() as server:
        with pytest.raises(KeyboardInterrupt):
            use(server.url)
        until(lambda: server.stats().links == 0)


@pytest.mark.parametrize("background", [False, True])
def test_two_way_traffic_survives_resets(background: bool) -> None:
    """P1, P2, P3: nothing lost, repeated or reordered."""
    with (
        serve() as server,
        server.subscribe("commands", timeout=LIMIT) as commands,
        forwarded(server.port) as wire,
        connect(wire.url, config=QUICK, background=background) as session,
        session.subscribe("campaign/42", timeout=LIMIT) as messages,
    ):

        def publish() -> int:
            with session.publisher("commands", timeout=LIMIT) as publisher:
                for number in range(600):
                    publisher.send(b"%d" % number, timeout=LIMIT)
            return publisher.tally.accepted

        with beside(publish) as published:
            came: list[int] = []
            for first in range(1, 601, 60):
                publish_numbers(server, "campaign/42", first, first + 59)
                came += take(messages, 30)
                wire.cut()
                came += take(messages, 30)
            sent = [int(next(commands).payload) for _ in range(600)]
            assert published.result(LIMIT) == 600
        assert came == list(range(1, 601))
        assert sent == list(range(600))
        assert wire.connections > 5


def test_a_thread_may_call_that_has_the_number_of_one_that_drove() -> None:
    """Numbers of threads are used again: the next thread mostly has that of the last one."""
    said: list[BaseException] = []
    with serve() as server:
        with connect(server.url, background=True) as session:
            pass

        def call() -> None:
            try:
                session.publish("commands", b"late")
            except Exception as error:
                said.append(error)

        for _ in range(5):
            caller = threading.Thread(target=call)
            caller.start()
            caller.join()
    assert [type(error) for error in said] == [SessionClosed] * 5
