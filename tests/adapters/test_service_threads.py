"""The origin's service over a background thread, for plain blocking code: callbacks in threads."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from gapless.adapters.asyncio import (
    Config,
    InvalidState,
    Message,
    MessagesLost,
    StreamReset,
    serve,
)
from gapless.adapters.service import ConnectError, WebSocketService

from .service_support import SERVICE, Board, Remote, readers, small
from .support import LIMIT, free_port, run

MEMBERS = ("gapless service", "gapless callback")


def beside(
    blocking: Callable[[Remote], None], *, token: str | None = None, config: Config | None = None
) -> None:
    """Run blocking code in a thread beside the loop of a server; no thread of ours may be left."""

    async def main() -> None:
        async with serve(token=token, config=config) as server:
            await asyncio.to_thread(blocking, Remote(server))

    run(main())
    left = [thread.name for thread in threading.enumerate() if thread.name in MEMBERS]
    assert not left, left


def service_of(remote: Remote, **options: Any) -> WebSocketService:
    options.setdefault("config", SERVICE)
    return WebSocketService(remote.url, **options)


def test_a_campaign_is_told_in_order_and_not_by_the_caller_until_it_is_cleaned_up() -> None:
    def blocking(remote: Remote) -> None:
        board = Board()
        with service_of(remote) as service:
            clean_up = service.connect_to_campaign("42", board.on_message, board.on_error)
            remote.read("42")
            remote.publish("42", *(str(number) for number in range(100)))
            board.wait(lambda: len(board.texts) == 100)
            clean_up()
            clean_up()
            service.connect_to_campaign("43", board.on_message, board.on_error)
            remote.read("43")
            remote.publish("42", "unheard")
            remote.publish("43", "heard")
            board.wait(lambda: len(board.texts) == 101)
        clean_up()
        service.close()
        assert board.texts == [*(str(number) for number in range(100)), "heard"]
        assert threading.get_ident() not in board.threads
        assert board.errors == []

    beside(blocking)


def test_it_is_the_runtime_of_code_without_an_event_loop() -> None:
    def blocking(remote: Remote) -> None:
        board = Board()
        with service_of(remote, runtime=None) as service:
            service.connectToCampaign("42", board.on_message, board.on_error)
            remote.read("42")
            remote.publish("42", "a")
            board.wait(lambda: board.texts == ["a"])

    beside(blocking)


def test_in_a_program_with_an_event_loop_it_can_be_chosen() -> None:
    async def main() -> None:
        board = Board()
        async with (
            serve() as server,
            WebSocketService(server.url, runtime="thread", config=SERVICE) as service,
        ):
            service.connect_to_campaign("42", board.on_message, board.on_error)
            while not readers(server, "42"):  # noqa: ASYNC110  # no event of ours says it
                await asyncio.sleep(0)
            await server.publish("campaign/42", "a")
            await asyncio.to_thread(board.wait, lambda: board.texts == ["a"])
        assert threading.get_ident() not in board.threads

    run(main())


def test_a_callback_that_blocks_delays_its_own_campaign_alone_and_no_heartbeat() -> None:
    """P3: credit bounds what waits behind it."""

    def blocking(remote: Remote) -> None:
        slow, quick, leave = Board(), Board(), threading.Event()

        def block(message: Message) -> None:
            slow.on_message(message)
            assert leave.wait(LIMIT)

        config = small(heartbeat=0.03, heartbeat_timeout=0.5, window=4096)
        with service_of(remote, config=config) as service:
            service.connect_to_campaign("slow", block, slow.on_error)
            service.connect_to_campaign("quick", quick.on_message, quick.on_error)
            remote.read("slow", "quick")
            for number in range(100):
                remote.publish("slow", f"{number:<5000}")
                remote.publish("quick", f"{number}")
            quick.wait(lambda: len(quick.texts) == 100)
            while service.performance_metrics().average_latency is None:
                leave.wait(0.005)
            metrics, usage = service.performance_metrics(), service.memory_usage()
            assert len(slow.texts) == 1
            assert 0 < usage.buffer_sizes["campaign/slow"] <= 28
            assert metrics.connection_health.active == metrics.connection_health.total == 1
            assert metrics.error_rate == 0.0
            leave.set()
            slow.wait(lambda: len(slow.texts) == 100)
        assert [int(text) for text in slow.texts] == list(range(100))
        assert slow.errors == quick.errors == []

    beside(blocking)


def test_what_a_callback_raises_is_told_and_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`on_message` to `on_error`, and `on_error` to `threading.excepthook`."""
    reported: list[str] = []

    def note(args: threading.ExceptHookArgs) -> None:
        reported.append(repr(args.exc_value))

    monkeypatch.setattr(threading, "excepthook", note)

    def blocking(remote: Remote) -> None:
        board = Board()

        def on_message(message: Message) -> None:
            board.on_message(message)
            raise ValueError(message.text)

        def on_error(error: Exception) -> None:
            board.on_error(error)
            if len(board.errors) == 1:
                raise KeyError("on_error")

        with service_of(remote) as service:
            service.connect_to_campaign("42", on_message, on_error)
            remote.read("42")
            remote.publish("42", "a", "b", "c")
            board.wait(lambda: len(board.errors) == 3)
        assert board.texts == ["a", "b", "c"]
        assert [repr(error) for error in board.errors] == [
            f"ValueError('{text}')" for text in board.texts
        ]

    beside(blocking)
    assert reported == ["KeyError('on_error')"]


def test_a_callback_may_clean_up_connect_and_ask_for_figures() -> None:
    def blocking(remote: Remote) -> None:
        board, inner = Board(), Board()
        stops: list[Callable[[], None]] = []

        def on_message(message: Message) -> None:
            board.on_message(message)
            stops[0]()
            stops[0]()
            service.connect_to_campaign("42", inner.on_message, inner.on_error)
            service.connect_to_campaign("43", inner.on_message, inner.on_error)
            assert service.getPerformanceMetrics().connectionHealth.active == 1
            assert service.getHealthStatus() == "healthy"
            assert service.getMemoryUsage().totalConnections == 1

        with service_of(remote) as service:
            stops.append(service.connect_to_campaign("42", on_message, board.on_error))
            remote.read("42")
            remote.publish("42", "a", "b")
            remote.read("43")
            remote.publish("42", "c")
            remote.publish("43", "d")
            inner.wait(lambda: {"c", "d"} <= set(inner.texts))
        assert board.texts == ["a"]
        assert board.errors == inner.errors == []

    beside(blocking)


def test_a_callback_may_close_the_service_and_finishes() -> None:
    def blocking(remote: Remote) -> None:
        board, closed = Board(), threading.Event()

        def on_message(message: Message) -> None:
            board.on_message(message)
            service.close()
            service.close()
            closed.set()

        service = service_of(remote)
        service.connect_to_campaign("42", on_message, board.on_error)
        remote.read("42")
        remote.publish("42", "a", "b")
        assert closed.wait(LIMIT)
        service.close()
        with pytest.raises(InvalidState, match="closed"):
            service.connect_to_campaign("42", board.on_message, board.on_error)
        for call in (service.performance_metrics, service.health_status, service.memory_usage):
            with pytest.raises(InvalidState, match="closed"):
                call()
        assert board.texts == ["a"]
        assert board.errors == []
        for thread in threading.enumerate():
            if thread.name in MEMBERS:
                thread.join(LIMIT)

    beside(blocking)


def test_closing_leaves_a_callback_that_never_ends_to_itself() -> None:
    def blocking(remote: Remote) -> None:
        entered, leave = threading.Event(), threading.Event()
        workers: list[threading.Thread] = []

        def block(message: Message) -> None:
            workers.append(threading.current_thread())
            entered.set()
            assert leave.wait(LIMIT)

        board = Board()
        with service_of(remote, config=small(close_timeout=0.02)) as service:
            service.connect_to_campaign("42", block, board.on_error)
            remote.read("42")
            remote.publish("42", "a", "b")
            assert entered.wait(LIMIT)
        leave.set()
        workers[0].join(LIMIT)
        assert len(workers) == 1

    beside(blocking)


def test_any_thread_may_connect_and_clean_up_at_any_time() -> None:
    """Eight threads do so while messages come; what is left is as if one had done it all."""

    def blocking(remote: Remote) -> None:
        boards = [Board() for _ in range(8)]
        with service_of(remote) as service:

            def come_and_go(board: Board) -> None:
                for _ in range(30):
                    service.connect_to_campaign("42", board.on_message, board.on_error)()
                service.connect_to_campaign("42", board.on_message, board.on_error)

            threads = [threading.Thread(target=come_and_go, args=(board,)) for board in boards]
            for thread in threads:
                thread.start()
            remote.publish("42", *("noise" for _ in range(50)))
            for thread in threads:
                thread.join(LIMIT)
            remote.read("42")
            remote.publish("42", "last")
            for board in boards:
                board.wait(lambda board=board: "last" in board.texts)  # type: ignore[misc]
            assert remote.server.stats().sessions == 1
        assert all(board.texts.count("last") == 1 for board in boards)
        assert all(board.errors == [] for board in boards)

    beside(blocking)


def test_a_function_that_gives_credentials_may_block() -> None:
    def blocking(remote: Remote) -> None:
        board, leave, asked = Board(), threading.Event(), threading.Event()

        def token(refused: object) -> str:
            asked.set()
            assert leave.wait(LIMIT)
            return "s3cret"

        with service_of(remote, token=token) as service:
            service.connect_to_campaign("42", board.on_message, board.on_error)
            assert asked.wait(LIMIT)
            assert service.performance_metrics().connection_health.active == 0
            leave.set()
            remote.read("42")
        assert board.errors == []

    beside(blocking, token="s3cret")


def test_a_function_that_gives_credentials_may_fail_or_be_async() -> None:
    def blocking(remote: Remote) -> None:
        board = Board()
        answers: list[Callable[[], Any]] = []

        def token(refused: object) -> Any:
            return answers.pop(0)()

        async def later() -> str:
            return "s3cret"

        def fail() -> None:
            raise ValueError("no secret")

        answers += [fail, later]
        with service_of(remote, token=token) as service:
            service.connect_to_campaign("42", board.on_message, board.on_error)
            remote.read("42")
            board.wait(lambda: len(board.errors) == 1)
        assert isinstance(board.errors[0], ConnectError)
        assert "token= failed with ValueError: no secret" in str(board.errors[0])

    beside(blocking, token="s3cret")


def test_forty_campaigns_on_one_session_outlive_a_restart_of_the_server() -> None:
    """P1, P2: what the new server can't know of is a loss, and messages go on."""

    async def main() -> None:
        boards, port = {str(number): Board() for number in range(40)}, free_port()
        url = f"ws://127.0.0.1:{port}/"
        service = WebSocketService(url, runtime="thread", config=SERVICE)
        for campaign, board in boards.items():
            service.connect_to_campaign(campaign, board.on_message, board.on_error)
        for text in ("before", "after"):
            async with serve(port=port) as server:
                remote = Remote(server)

                def blocking(remote: Remote = remote, text: str = text) -> None:
                    remote.read(*boards)
                    for campaign, board in boards.items():
                        remote.publish(campaign, text)
                        board.wait(lambda board=board: board.texts[-1:] == [text])  # type: ignore[misc]
                    assert remote.server.stats().sessions == 1

                await asyncio.to_thread(blocking)
        await asyncio.to_thread(service.close)
        for board in boards.values():
            assert board.texts == ["before", "after"]
            assert [type(one) for one in board.errors if isinstance(one, MessagesLost)] == [
                StreamReset
            ]

    run(main())


def test_a_server_that_is_not_there_is_told_of_and_does_not_keep_us_from_closing() -> None:
    board = Board()
    with WebSocketService(f"ws://127.0.0.1:{free_port()}/", config=SERVICE) as service:
        service.connect_to_campaign("42", board.on_message, board.on_error)
        board.wait(lambda: len(board.errors) >= 2)
    assert all(isinstance(error, ConnectError) for error in board.errors)


def test_async_callbacks_are_refused_where_there_is_no_loop_to_run_them() -> None:
    def blocking(remote: Remote) -> None:
        board = Board()

        async def later(_: object) -> None:
            raise AssertionError

        def hidden(_: Message) -> Coroutine[Any, Any, None]:
            return later(None)

        with service_of(remote) as service:
            with pytest.raises(TypeError, match="on_message is async"):
                service.connect_to_campaign("42", later, board.on_error)
            with pytest.raises(TypeError, match="on_error is async"):
                service.connect_to_campaign("42", board.on_message, later)
            service.connect_to_campaign("42", hidden, board.on_error)
            remote.read("42")
            remote.publish("42", "a")
            board.wait(lambda: len(board.errors) == 1)
        assert isinstance(board.errors[0], TypeError)

    beside(blocking)


FORGETFUL = """
import sys, threading
from gapless.adapters.service import WebSocketService

entered = threading.Event()

def block(message):
    entered.set()
    threading.Event().wait()

service = WebSocketService(sys.argv[1])
service.connect_to_campaign("42", block, print)
assert entered.wait(10)
"""


def test_forgetting_to_close_does_not_keep_the_interpreter_from_its_end() -> None:
    """Not even with a callback that never returns."""

    async def main() -> None:
        async with serve() as server:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                FORGETFUL,
                server.url,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            while not readers(server, "42"):  # noqa: ASYNC110  # no event of ours says it
                await asyncio.sleep(0.001)
            await server.publish("campaign/42", "a")
            _, errors = await child.communicate()
            assert (child.returncode, errors) == (0, b"")

    run(main())


def test_a_service_of_asyncio_may_be_used_from_other_threads() -> None:
    async def main() -> None:
        board = Board()
        async with serve() as server:
            service = WebSocketService(server.url, config=SERVICE)
            remote = Remote(server)

            def blocking() -> None:
                clean_up = service.connect_to_campaign("42", board.on_message, board.on_error)
                remote.read("42")
                remote.publish("42", "a")
                board.wait(lambda: board.texts == ["a"])
                assert service.memory_usage().total_connections == 1
                clean_up()
                cast("Callable[[], object]", service.close)()

            await asyncio.to_thread(blocking)
            await service.close()
        assert board.threads == {threading.get_ident()}

    run(main())
