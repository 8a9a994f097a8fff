"""What goes wrong around the blocking adapter's calls: none is done and then said not to be."""

import os
import socket
import subprocess
import sys

import pytest

from gapless.adapters.blocking import (
    Config,
    ConfigError,
    InvalidState,
    SessionClosed,
    connect,
    serve,
)

from .blocking_support import beside, until
from .support import LIMIT, QUICK

pytestmark = pytest.mark.usefixtures("leaves_nothing")


@pytest.mark.parametrize("background", [False, True])
def test_p6_a_publish_that_is_out_of_time_is_not_published(background: bool) -> None:
    """It takes its turn before, not behind: who tries again would publish twice."""
    with serve(None, background=background) as server:
        out_of_time = 0
        for number in range(600):
            try:
                server.publish("c", b"%d" % number, timeout=0)
            except TimeoutError:
                out_of_time += 1
        published = 600 - out_of_time
        server.publish_many("c", [b"x"] * 300, timeout=LIMIT)
        with pytest.raises(TypeError):
            server.publish_many("c", [b"x", 5], timeout=LIMIT)  # type: ignore[list-item]
        assert server.publish("c", b"last", timeout=LIMIT).seq == published + 301


def test_a_batch_can_be_anything_that_gives_messages() -> None:
    with serve(None) as server:
        position = server.publish_many("c", (b"%d" % n for n in range(3)))  # type: ignore[arg-type]
        assert position.seq == 3


@pytest.mark.parametrize("background", [False, True])
def test_p4_who_drives_hears_of_room_that_another_thread_makes(background: bool) -> None:
    with serve(None, background=background) as server:
        server.configure("c", history_messages=2, patience=1000.0, overflow="wait")
        with server.subscribe("c", timeout=LIMIT) as messages:
            server.publish("c", b"1")
            server.publish("c", b"2")
            with beside(lambda: server.publish("c", b"3", timeout=LIMIT)) as third:
                until(lambda: bool(server.inner.room.awaited))
                assert next(messages).payload == b"1"
                assert third.result(1.0).seq == 3


@pytest.mark.parametrize("background", [False, True])
def test_a_stream_that_was_closed_elsewhere_ends_its_link_alone(background: bool) -> None:
    streams: list[socket.socket] = []
    config = Config(backoff_base=0.001, backoff_cap=0.02, heartbeat=0.05, heartbeat_timeout=0.05)
    with serve(None) as server:

        def stream() -> socket.socket:
            near, far = socket.socketpair()
            server.accept(far)
            streams.append(near)
            return near

        with connect(stream, config=config, background=background) as session:
            assert session.publish("commands", b"1", timeout=LIMIT).seq == 1
            streams[-1].close()
            assert session.publish("commands", b"2", timeout=LIMIT).seq == 2


FORKED = """
import os, sys
from gapless.adapters.blocking import connect, serve

with serve() as server:
    with connect(server.url, background=BACKGROUND) as session:
        child = os.fork()
        if not child:
            try:
                session.publish("c", b"1")
            except Exception as error:
                print(type(error).__name__, error, flush=True)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(session.publish("c", b"2", timeout=5).seq)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("background", [False, True])
def test_a_forked_child_that_leaves_the_block_leaves_the_parents_session_alone(
    background: bool,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED.replace("BACKGROUND", str(background))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("InvalidState the session is another process's")
    assert second == "1"


def test_what_has_failed_says_so_to_every_question_about_how_things_are() -> None:
    def fail() -> None:
        raise RuntimeError("a fault of ours")

    with serve() as server:
        # Leaving says it too: what was to be settled is not.
        leaving = pytest.raises(SessionClosed, match="a fault of ours")
        with leaving, connect(server.url, config=QUICK, background=True) as session:
            session.runner.loop.post(fail)
            until(lambda: session.runner.loop.is_closed)
            for question in (lambda: session.is_connected, session.health, session.network_back):
                with pytest.raises(SessionClosed, match="a fault of ours"):
                    question()
            assert session.unsettled() == []
            assert session.stats().links == 1


def test_an_interruption_in_the_bookkeeping_ends_the_session_whatever_it_is() -> None:
    class Interruption(BaseException):
        pass

    def interrupt(*_: object, **__: object) -> None:
        raise Interruption

    with serve() as server:
        leaving = pytest.raises(SessionClosed, match="Interruption")
        with leaving, connect(server.url) as session:
            session.inner.core.publish = interrupt  # type: ignore[method-assign]
            with pytest.raises(Interruption):
                session.publish("commands", b"1")
            with pytest.raises(SessionClosed, match="Interruption"):
                session.publish("commands", b"1")


def test_settings_of_tls_are_settings_of_tls() -> None:
    """Else the first who connects would end the server."""
    with pytest.raises(ConfigError, match="ssl= is a bool"), serve(ssl=True):  # type: ignore[arg-type]
        raise AssertionError("served")
    with (
        pytest.raises(ConfigError, match="ssl= is a bool"),
        connect("wss://127.0.0.1:1/", ssl=True),  # type: ignore[arg-type]
    ):
        raise AssertionError("connected")


def test_a_publisher_is_entered_once() -> None:
    with serve() as server, connect(server.url) as session:
        for end in (server, session):
            with end.publisher("c") as publisher:
                publisher.send(b"1")
                with pytest.raises(InvalidState, match="enter once"), publisher:
                    raise AssertionError("entered")
                publisher.send(b"2")
            assert publisher.tally.accepted == 2
