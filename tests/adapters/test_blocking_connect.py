"""The blocking adapter: both ways, on every wire, what is refused and in which words."""

import inspect
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from gapless.adapters import asyncio as aio
from gapless.adapters import blocking, server, session
from gapless.adapters.blocking import (
    CaughtUp,
    Config,
    ConfigError,
    ConnectError,
    Ending,
    Message,
    NotDriven,
    Position,
    Server,
    Session,
    connect,
    serve,
)
from gapless.adapters.waiting import goodbye
from gapless.core.closing import Code

from .blocking_support import all_at_once, beside, forwarded, publish_numbers, take, until
from .support import LIMIT, QUICK, free_port, run
from .test_asyncio_tls import client_tls, server_tls

pytestmark = pytest.mark.usefixtures("leaves_nothing")

INTERNAL = {
    "open",
    "admit",
    "check_open",
    "listen",
    "settle",
    "is_turn_over",
    "note_published",
    "taken",
    "take_turn",
}
"""Public only for the shared classes among themselves."""


def refusal_of(url: Any, **how: Any) -> ConnectError:
    """The error that connecting ends with."""
    with pytest.raises(ConnectError) as raised, connect(url, **how):
        raise AssertionError("connected")
    return raised.value


def use(server: Server, session: Session) -> None:
    """Send a good deal both ways, and see that it comes."""
    with session.subscribe("campaign/42", since="earliest", timeout=LIMIT) as messages:
        publish_numbers(server, "campaign/42", 1, 500)
        assert take(messages, 500) == list(range(1, 501))
        assert messages.position is not None
        assert messages.position.seq == 500
    with server.subscribe("commands", timeout=LIMIT) as commands:
        receipt = session.publish("commands", b"x" * 900_000, timeout=LIMIT)
        assert (receipt.channel, receipt.seq) == ("commands", 1)
        with session.publisher("commands", timeout=LIMIT) as publisher:
            for number in range(300):
                publisher.send(b"%d" % number, timeout=LIMIT)
        assert publisher.tally.accepted == 300
        assert len(next(commands).payload) == 900_000
        assert [int(next(commands).payload) for _ in range(300)] == list(range(300))


@pytest.mark.parametrize("background", [False, True])
def test_a_session_reads_and_publishes(background: bool) -> None:
    """P1."""
    with serve() as server, connect(server.url, background=background) as session:
        assert server.url == f"ws://127.0.0.1:{server.port}/"
        assert session.is_connected
        use(server, session)
        assert server.sessions == [session.id]


def test_a_session_over_tls_reads_and_publishes() -> None:
    """P1. What TLS holds decrypted is not left behind."""
    with serve(ssl=server_tls()) as server, connect(server.url, ssl=client_tls()) as session:
        assert server.url.startswith("wss://")
        use(server, session)


@pytest.mark.parametrize("background", [False, True])
def test_a_session_over_given_sockets_reads_and_publishes(background: bool) -> None:
    """P1. The function is called without the lock: it may use the server, and block."""
    with serve(None, background=True) as server:

        def open_stream() -> socket.socket:
            mine, its = socket.socketpair()
            server.accept(its, timeout=LIMIT)
            return mine

        with connect(open_stream, background=background) as session:
            use(server, session)


def test_leaving_waits_for_nothing_that_has_happened() -> None:
    """The thread that drives looks at what it waits for before each select."""
    with serve(None) as server:

        def open_stream() -> socket.socket:
            mine, its = socket.socketpair()
            server.accept(its, timeout=LIMIT)
            return mine

        with connect(open_stream) as session:
            session.publish("commands", b"start", timeout=LIMIT)
            begun = session.runner.loop.now()
        assert session.runner.loop.now() - begun < goodbye(60.0) / 2


def test_a_server_without_a_thread_serves_while_somebody_calls_it() -> None:
    with (
        serve(background=False) as server,
        beside(lambda: refusal_of(server.url, config=Config(connect_timeout=0.05))) as early,
    ):
        assert "no connection within 0.05 s" in str(early.result(LIMIT))

        def talk() -> int:
            with connect(server.url) as session:
                return session.publish("commands", b"start", timeout=LIMIT).seq

        with server.subscribe("commands") as commands, beside(talk) as talked:
            messages = commands.batches(timeout=LIMIT)
            assert [message.payload for message in next(messages)] == [b"start"]
            until(lambda: server.stats().links == 0 and talked.done())
            assert talked.result(LIMIT) == 1


def test_reading_events_and_batches() -> None:
    with serve() as server, connect(server.url) as session:
        publish_numbers(server, "campaign/42", 1, 20)
        with session.subscribe("campaign/42", "earliest", timeout=LIMIT) as messages:
            events = messages.events()
            first = [next(events) for _ in range(21)]
            assert [type(event) for event in first] == [Message] * 20 + [CaughtUp]
            position = server.publish_many("campaign/42", ["a", "b", "c"])
            assert position == Position(position.epoch, 23)
            assert next(messages.batches())[0].text == "a"


def test_a_server_publishes_and_reads_by_itself() -> None:
    with serve() as server:
        server.configure("log", history_messages=5)
        with server.subscribe("log", "earliest", timeout=LIMIT) as log:
            with server.publisher("log", timeout=LIMIT) as publisher:
                for number in range(5):
                    publisher.send(b"%d" % number, timeout=LIMIT)
            assert publisher.tally.accepted == 5
            assert [int(next(log).payload) for _ in range(5)] == list(range(5))
        assert server.health().status == "healthy"
        assert server.metrics().gauges.bytes_held == server.memory().held


def test_a_session_is_suspended_and_resumed() -> None:
    with serve() as server:
        with connect(server.url, background=True) as first:
            token, name = first.session_token, first.id
            first.suspend()
        with connect(server.url, resume=token) as second:
            assert second.id == name
            assert second.publish("commands", b"go on", timeout=LIMIT).seq == 1


def test_what_an_export_took_along_is_told_where_it_is_restored() -> None:
    """P3."""
    with serve() as server, forwarded(server.port) as wire:
        with connect(wire.url, config=QUICK) as first:
            first.publish("commands", b"gives it an epoch", timeout=LIMIT)
            publisher = first.publisher("commands")
            publisher.__enter__()
            wire.take_down()
            publisher.send(b"kept")
            exported = first.export()
            with pytest.raises(blocking.PublishFailed, match="exported"):
                publisher.__exit__(None, None, None)
        wire.restore()
        with connect(wire.url, restore=exported) as second:
            assert [one.outcome for one in second.restored(timeout=LIMIT)] == ["accepted"]


def names_of(kind: type) -> dict[str, Any]:
    """What a class offers, by name."""
    members = inspect.getmembers(kind, lambda member: inspect.isroutine(member))
    names = {name: member for name, member in members if not name.startswith("_")}
    properties = inspect.getmembers(kind, lambda member: isinstance(member, property))
    names |= {name: member for name, member in properties if not name.startswith("_")}
    return {name: member for name, member in names.items() if name not in INTERNAL}


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        (session.Session, blocking.Session),
        (session.Subscription, blocking.Subscription),
        (session.Publisher, blocking.Publisher),
        (server.Server, blocking.Server),
        (server.ServerSubscription, blocking.ServerSubscription),
        (server.ServerPublisher, blocking.ServerPublisher),
    ],
)
def test_names_and_signatures_are_those_of_every_runtime(shared: type, own: type) -> None:
    theirs, ours = names_of(shared), names_of(own)
    assert theirs.keys() == ours.keys()
    for name, member in theirs.items():
        if not isinstance(member, property):
            asked = inspect.signature(member).parameters
            given = dict(inspect.signature(ours[name]).parameters)
            if "timeout" not in asked and "timeout" in given:
                assert given.pop("timeout").kind is inspect.Parameter.KEYWORD_ONLY
            assert {n: p.default for n, p in asked.items()} == {
                n: p.default for n, p in given.items()
            }


@pytest.mark.parametrize("name", ["connect", "serve"])
def test_connect_and_serve_add_only_the_background(name: str) -> None:
    theirs = inspect.signature(getattr(aio, name)).parameters
    ours = inspect.signature(getattr(blocking, name)).parameters
    assert {n: p.default for n, p in ours.items() if n in theirs} == {
        n: p.default for n, p in theirs.items()
    }
    assert set(ours) - set(theirs) == {"background"}
    assert set(blocking.__all__) - set(aio.__all__) == {"NotDriven"}
    assert issubclass(NotDriven, blocking.GaplessError)


async def refusal_on_asyncio(url: Any, **how: Any) -> ConnectError:
    """The error that connecting ends with on asyncio."""
    with pytest.raises(ConnectError) as raised:
        async with aio.connect(url, **how):
            raise AssertionError("connected")
    return raised.value


def test_a_connection_that_does_not_come_about_is_said_in_asyncio_s_words() -> None:
    def no_stream() -> socket.socket:
        raise LookupError("none left")

    with serve(token="s3cret") as locked, serve(ssl=server_tls()) as secured:
        asked: list[tuple[Any, dict[str, Any]]] = [
            (f"ws://127.0.0.1:{free_port()}/", {}),
            (f"ws://localhost:{free_port()}/", {}),
            ("ws://nowhere.invalid/", {}),
            (locked.url, {"token": "another"}),
            (f"wss://127.0.0.1:{locked.port}/", {}),
            (secured.url, {}),
            (secured.url.replace("127.0.0.1", "127.0.0.2"), {"ssl": client_tls()}),
            (no_stream, {}),
        ]
        ours = [str(refusal_of(url, **how)) for url, how in asked]

        async def ask() -> list[str]:
            return [str(await refusal_on_asyncio(url, **how)) for url, how in asked]

        assert ours == run(ask())
        assert locked.sessions == secured.sessions == []
    assert "nothing listens" in ours[0]
    assert "is not trusted" in ours[5]


def test_a_certificate_that_nobody_trusts_is_final_whatever_the_wait() -> None:
    with serve(ssl=server_tls()) as server:
        assert refusal_of(server.url, wait=9).ending.code == Code.REJECTED


def test_what_nobody_here_could_await_is_refused() -> None:
    async def token(refused: Ending | None) -> str:
        return "s3cret"

    async def stream() -> socket.socket:
        raise AssertionError("called")

    class Asker:
        async def __call__(self, refused: Ending | None) -> str:
            return "s3cret"

    refused: list[tuple[Any, Any]] = [
        ("ws://127.0.0.1:9/", token),
        ("ws://127.0.0.1:9/", Asker()),
        (stream, "s3cret"),
    ]
    for url, ask in refused:
        with pytest.raises(ConfigError, match="is an async function"), connect(url, token=ask):
            raise AssertionError("connected")

    def late(refused: Ending | None) -> Awaitable[str]:
        return token(refused)

    with serve(token="s3cret") as server:
        assert "gave an awaitable" in str(refusal_of(server.url, token=late))


def test_an_address_that_is_taken_is_said() -> None:
    with serve() as server, pytest.raises(OSError, match="in use"), serve(port=server.port):
        raise AssertionError("served")


def several(*addresses: str) -> Callable[..., list[Any]]:
    """A name server that knows one name's addresses."""
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **how: Any) -> list[Any]:
        if host != "several.test":
            return real(host, port, **how)
        if how.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [found for address in addresses for found in real(address, port, **how)]

    return look_up


def test_a_host_s_addresses_are_tried_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", several("127.0.0.2", "127.0.0.3", "127.0.0.1"))
    with serve() as server, connect(f"ws://several.test:{server.port}/") as session:
        assert session.publish("commands", b"start", timeout=LIMIT).seq == 1
    error = refusal_of(f"ws://several.test:{server.port}/")
    assert "nothing listens on several.test" in str(error)


def test_a_host_s_addresses_are_listened_on_at_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", several("127.0.0.1", "127.0.0.2"))
    with serve("several.test") as server:
        for host in ("127.0.0.1", "127.0.0.2"):
            with connect(f"ws://{host}:{server.port}/") as session:
                assert session.publish("commands", b"start", timeout=LIMIT).epoch


def test_a_name_server_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """P6: the dial is given up in time, and its thread ends when the name server answers."""
    hang = threading.Event()
    look_up = several("127.0.0.1")

    def slowly(host: str, port: int, **how: Any) -> list[Any]:
        found = look_up(host, port, **how)
        if host == "several.test":
            assert hang.wait(LIMIT)
        return found

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    error = refusal_of("ws://several.test/", config=Config(connect_timeout=0.05))
    assert "no connection within 0.05 s" in str(error)
    hang.set()


def test_a_stream_that_comes_too_late_is_closed() -> None:
    hang = threading.Event()
    mine, its = socket.socketpair()

    def slowly() -> socket.socket:
        assert hang.wait(LIMIT)
        return its

    with mine:
        error = refusal_of(slowly, config=Config(connect_timeout=0.05))
        assert "no connection within 0.05 s" in str(error)
        hang.set()
        mine.settimeout(LIMIT)
        assert mine.recv(1) == b""


def test_handshakes_that_never_end_are_given_up_at_either_end() -> None:
    config = replace(Config.production("hub"), connect_timeout=0.05)
    with serve(ssl=server_tls(), config=config) as server:
        with socket.create_connection(("127.0.0.1", server.port), LIMIT) as silent:
            assert silent.recv(1) == b""
        with forwarded(server.port, "wss") as wire:
            wire.block()
            error = refusal_of(wire.url, ssl=client_tls(), config=Config(connect_timeout=0.05))
            assert "no connection within 0.05 s" in str(error)


def test_leaving_serve_ends_handshakes_that_are_under_way() -> None:
    with serve(ssl=server_tls()) as server:
        silent = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        until(lambda: len(server.runner.loop.jobs) == 2)
    with silent:
        assert silent.recv(1) == b""


def test_many_may_connect_at_once() -> None:
    with serve(ssl=server_tls()) as server:
        trust: ssl.SSLContext = client_tls()

        def once() -> None:
            with connect(server.url, ssl=trust) as session:
                session.publish("commands", b"start", timeout=LIMIT)

        all_at_once(*[once] * 8)
        assert server.stats().links == 0
