"""The origin's service on asyncio: campaigns told to callbacks, over real sockets."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gapless.adapters.asyncio import (
    Config,
    ConfigError,
    InvalidChannel,
    InvalidState,
    Message,
    serve,
)
from gapless.adapters.service import (
    CallbackCancelled,
    PoolExhausted,
    WebSocketService,
)

from .service_support import SERVICE, Board, publish, read, readers, small
from .support import run, until


def test_a_campaign_is_told_in_order_until_it_is_cleaned_up() -> None:
    async def main() -> None:
        board = Board()
        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            clean_up = service.connect_to_campaign("42", board.on_message, board.on_error)
            await read(server, "42")
            await publish(server, "42", "a", "b", "c")
            await until(lambda: board.texts == ["a", "b", "c"])

            clean_up()
            clean_up()
            await until(lambda: not readers(server, "42"))
            await publish(server, "42", "d")
            service.connect_to_campaign("42", board.on_message, board.on_error)
            await read(server, "42")
            await publish(server, "42", "e")
            await until(lambda: board.texts[-1] == "e")
        clean_up()
        assert board.texts == ["a", "b", "c", "e"]
        assert board.errors == []

    run(main())


def test_async_callbacks_are_awaited_one_at_a_time() -> None:
    async def main() -> None:
        told: list[str] = []
        entered, leave = asyncio.Event(), asyncio.Event()

        async def on_message(message: Message) -> None:
            told.append(f"{message.text} begins")
            entered.set()
            await leave.wait()
            told.append(f"{message.text} ends")
            if message.text == "a":
                raise ValueError(message.text)

        async def on_error(error: Exception) -> None:
            told.append(repr(error))

        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            service.connect_to_campaign("42", on_message, on_error)
            await read(server, "42")
            await publish(server, "42", "a", "b")
            await entered.wait()
            assert told == ["a begins"]
            leave.set()
            await until(lambda: len(told) == 5)
        assert told == ["a begins", "a ends", "ValueError('a')", "b begins", "b ends"]

    run(main())


def test_subscribers_of_a_campaign_share_one_subscription_each_from_its_own_joining_on() -> None:
    async def main() -> None:
        first, second = Board(), Board()
        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            leave = service.connect_to_campaign("42", first.on_message, first.on_error)
            await read(server, "42")
            await publish(server, "42", "a")
            await until(lambda: first.texts == ["a"])
            service.connect_to_campaign("42", second.on_message, second.on_error)
            await publish(server, "42", "b")
            await until(lambda: second.texts == ["b"])
            assert readers(server, "42") == 1
            leave()
            await publish(server, "42", "c")
            await until(lambda: second.texts == ["b", "c"])
        assert first.texts == ["a", "b"]

    run(main())


def test_forty_campaigns_share_one_session() -> None:
    async def main() -> None:
        boards = {str(number): Board() for number in range(40)}
        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            for campaign, board in boards.items():
                service.connect_to_campaign(campaign, board.on_message, board.on_error)
            await read(server, *boards)
            for campaign in boards:
                await publish(server, campaign, campaign)
            await until(lambda: all(board.texts for board in boards.values()))
            assert server.stats().sessions == 1
        assert all(board.texts == [campaign] for campaign, board in boards.items())

    run(main())


def test_more_than_a_session_may_read_take_another_up_to_the_pools_limit() -> None:
    """P4: who was let in is served; who isn't hears so at once. Leaving makes room at once."""

    async def main() -> None:
        board = Board()
        config = small(max_channels=2, max_connections=2)
        async with serve() as server, WebSocketService(server.url, config=config) as service:

            def connect(campaign: str) -> Callable[[], None]:
                return service.connect_to_campaign(campaign, board.on_message, board.on_error)

            leave, *_ = [connect(campaign) for campaign in "abcd"]
            await read(server, *"abcd")
            assert service.memory_usage().total_connections == server.stats().sessions == 2
            with pytest.raises(PoolExhausted, match="all 2 connections"):
                connect("e")
            connect("d")
            leave()
            connect("e")
            await read(server, "e")
            assert not readers(server, "a")

    run(main())


def test_a_server_that_allows_less_than_we_do_gets_more_sessions_until_there_are_no_more() -> None:
    async def main() -> None:
        board, late = Board(), Board()
        hub = replace(Config.production("hub"), max_channels=2)
        async with (
            serve(config=hub) as server,
            WebSocketService(server.url, config=small(max_connections=2)) as service,
        ):
            service.connect_to_campaign("a", board.on_message, board.on_error)
            await read(server, "a")
            for campaign in "bcd":
                service.connect_to_campaign(campaign, board.on_message, board.on_error)
            await read(server, *"abcd")
            service.connect_to_campaign("e", late.on_message, late.on_error)
            await until(lambda: bool(late.errors))
            assert isinstance(late.errors[0], PoolExhausted)
            assert server.stats().sessions == 2
        assert board.errors == []

    run(main())


def test_what_a_callback_raises_is_told_and_breaks_nothing() -> None:
    """`on_message` to `on_error`, and `on_error` to the loop's exception handler."""

    async def main() -> None:
        board, reported = Board(), list[Any]()
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        waits = loop.create_future()

        def on_message(message: Message) -> Any:
            board.on_message(message)
            if message.text == "cancelled":
                waits.cancel()
                return waits
            raise ValueError(message.text)

        def on_error(error: Exception) -> None:
            board.on_error(error)
            if len(board.errors) == 1:
                raise KeyError("on_error")

        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            service.connect_to_campaign("42", on_message, on_error)
            await read(server, "42")
            await publish(server, "42", "a", "b", "cancelled", "c")
            await until(lambda: len(board.errors) == 4)
        loop.set_exception_handler(before)
        assert board.texts == ["a", "b", "cancelled", "c"]
        kinds = [type(error) for error in board.errors]
        assert kinds == [ValueError, ValueError, CallbackCancelled, ValueError]
        assert [repr(error) for error in reported] == ["KeyError('on_error')"]

    run(main())


def test_a_callback_that_waits_delays_its_own_campaign_alone_and_credit_bounds_what_waits() -> None:
    """P3."""

    async def main() -> None:
        board, leave = Board(), asyncio.Event()

        async def block(message: Message) -> None:
            board.on_message(message)
            await leave.wait()

        other = Board()
        config = small(window=4096)
        async with serve() as server, WebSocketService(server.url, config=config) as service:
            service.connect_to_campaign("slow", block, board.on_error)
            service.connect_to_campaign("quick", other.on_message, other.on_error)
            await read(server, "slow", "quick")
            for number in range(100):
                await publish(server, "slow", f"{number:<5000}")
                await publish(server, "quick", f"{number}")
            await until(lambda: len(other.texts) == 100)
            assert len(board.texts) == 1
            usage = service.memory_usage()
            # At most a window and a batch of 64 KiB unread, and as much in hand.
            assert 0 < usage.buffer_sizes["campaign/slow"] <= 28
            assert usage.estimated_memory_usage < 200_000
            leave.set()
            await until(lambda: len(board.texts) == 100)
        assert [int(text) for text in board.texts] == list(range(100))

    run(main())


def test_a_callback_may_clean_up_connect_and_ask_for_figures() -> None:
    async def main() -> None:
        board, inner = Board(), Board()
        stops: list[Callable[[], None]] = []

        def on_message(message: Message) -> None:
            board.on_message(message)
            stops[0]()
            stops[0]()
            service.connect_to_campaign("42", inner.on_message, inner.on_error)
            service.connect_to_campaign("43", inner.on_message, inner.on_error)
            assert service.performance_metrics().connection_health.active == 1
            assert service.health_status() == "healthy"
            assert service.memory_usage().total_connections == 1

        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            stops.append(service.connect_to_campaign("42", on_message, board.on_error))
            await read(server, "42")
            await publish(server, "42", "a", "b")
            await read(server, "43")
            await publish(server, "42", "c")
            await publish(server, "43", "d")
            await until(lambda: {"c", "d"} <= set(inner.texts))
        assert board.texts == ["a"]
        assert board.errors == inner.errors == []

    run(main())


def test_a_callback_may_close_the_service_and_finishes() -> None:
    async def main() -> None:
        board, closed = Board(), asyncio.Event()

        async def on_message(message: Message) -> None:
            board.on_message(message)
            await service.close()
            board.texts.append("closed")
            closed.set()

        async with serve() as server:
            service = WebSocketService(server.url, config=SERVICE)
            service.connect_to_campaign("42", on_message, board.on_error)
            service.connect_to_campaign("42", on_message, board.on_error)
            await read(server, "42")
            await publish(server, "42", "a", "b")
            await closed.wait()
            await service.close()
            with pytest.raises(InvalidState):
                service.connect_to_campaign("42", on_message, board.on_error)
            assert service.memory_usage().total_connections == 0
            await until(lambda: board.texts.count("closed") == 2)
        assert board.texts == ["a", "a", "closed", "closed"]
        assert board.errors == []

    run(main())


def test_closing_waits_for_callbacks_and_cancels_those_that_do_not_end() -> None:
    async def main() -> None:
        told: list[str] = []
        entered = asyncio.Event()

        async def on_message(message: Message) -> None:
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append("cancelled")
                raise

        async with serve() as server:
            service = WebSocketService(server.url, config=small(close_timeout=0.02))
            service.connect_to_campaign("42", on_message, lambda _: None)
            await read(server, "42")
            await publish(server, "42", "a")
            await entered.wait()
            await service.close()
            assert told == ["cancelled"]

    run(main())


def test_many_messages_at_once_let_other_tasks_run_between_them() -> None:
    async def main() -> None:
        board, turns = Board(), list[int]()
        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            service.connect_to_campaign("42", board.on_message, board.on_error)
            await read(server, "42")
            await publish(server, "42", *(str(number) for number in range(150)))
            while len(board.texts) < 150:
                turns.append(len(board.texts))
                await asyncio.sleep(0)
        longest = max(after - before for before, after in itertools.pairwise(turns))
        assert longest <= 32

    run(main())


def test_a_campaign_left_before_there_is_a_connection_is_as_if_it_had_never_been() -> None:
    async def main() -> None:
        board, other = Board(), Board()
        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            for _ in range(3):
                service.connect_to_campaign("42", other.on_message, other.on_error)()
                service.connect_to_campaign("43", other.on_message, other.on_error)()
                await asyncio.sleep(0)
            service.connect_to_campaign("42", board.on_message, board.on_error)
            await read(server, "42")
            await publish(server, "42", "a")
            await until(lambda: board.texts == ["a"])
            assert server.stats().sessions == 1
            assert not readers(server, "43")
        assert other == Board(came=other.came)

    run(main())


def test_p2_a_callback_that_raises_no_mere_exception_costs_no_message() -> None:
    """Such as `pytest.fail` does: it goes to the loop's exception handler, and messages go on."""

    class Failed(BaseException):
        pass

    async def main() -> None:
        board, reported = Board(), list[Any]()
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))

        def on_message(message: Message) -> None:
            board.on_message(message)
            if message.text == "a":
                raise Failed

        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            service.connect_to_campaign("42", on_message, board.on_error)
            await read(server, "42")
            await publish(server, "42", *"abc")
            await until(lambda: board.texts == ["a", "b", "c"])
        loop.set_exception_handler(before)
        assert [type(error) for error in reported] == [Failed]
        assert board.errors == []

    run(main())


def test_what_is_raised_behind_a_clean_up_is_not_told_but_not_lost_either() -> None:
    async def main() -> None:
        board, reported = Board(), list[Any]()
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))

        def on_message(message: Message) -> None:
            clean_up()
            raise ValueError(message.text)

        async with serve() as server, WebSocketService(server.url, config=SERVICE) as service:
            clean_up = service.connect_to_campaign("42", on_message, board.on_error)
            await read(server, "42")
            await publish(server, "42", "a", "b")
            await until(lambda: bool(reported))
        loop.set_exception_handler(before)
        assert [repr(error) for error in reported] == ["ValueError('a')"]
        assert board.errors == []

    run(main())


def test_two_services_in_one_process_know_nothing_of_each_other() -> None:
    async def main() -> None:
        first, second = Board(), Board()
        async with serve() as server, WebSocketService(server.url, config=SERVICE) as one:
            one.connect_to_campaign("42", first.on_message, first.on_error)
            async with WebSocketService(server.url, profile="development") as two:
                two.connect_to_campaign("42", second.on_message, second.on_error)
                await until(lambda: readers(server, "42") == 2)
                await publish(server, "42", "a")
                await until(lambda: first.texts == second.texts == ["a"])
            await publish(server, "42", "b")
            await until(lambda: first.texts == ["a", "b"])
        assert second.texts == ["a"]

    run(main())


def test_a_loop_that_ends_without_a_close_leaves_nothing_behind() -> None:
    """I20. Every socket is closed (`ResourceWarning` is an error), and calls say what happened."""

    async def main() -> tuple[WebSocketService, Callable[[], None]]:
        board = Board()
        async with serve() as server:
            service = WebSocketService(server.url, config=SERVICE)
            clean_up = service.connect_to_campaign("42", board.on_message, board.on_error)
            await read(server, "42")
            return service, clean_up

    service, clean_up = asyncio.run(main())
    clean_up()
    for call in (service.performance_metrics, service.health_status, service.memory_usage):
        with pytest.raises(InvalidState, match="closed"):
            call()
    asyncio.run(service.__aexit__(None, None, None))


def test_what_can_not_be_is_refused_at_once() -> None:
    async def main() -> None:
        board = Board()
        wrongs: list[tuple[str, dict[str, Any], str]] = [
            ("http://localhost/", {}, "not a WebSocket URL"),
            ("ws://localhost/", {"profile": "staging"}, "profile is 'staging'"),
            ("ws://localhost/", {"runtime": "trio"}, "runtime is 'trio'"),
            ("ws://localhost/", {"token": 5}, "token="),
            ("ws://localhost/", {"config": {}}, "config"),
        ]
        for url, options, words in wrongs:
            with pytest.raises(ConfigError, match=words):
                WebSocketService(url, **options)
        async with WebSocketService("ws://localhost/") as service:
            for campaign in ("a\nb", "x" * 255):
                with pytest.raises(InvalidChannel):
                    service.connect_to_campaign(campaign, board.on_message, board.on_error)
            wrong: Any = "print"
            with pytest.raises(TypeError, match="on_message is str"):
                service.connect_to_campaign("42", wrong, board.on_error)
            with pytest.raises(TypeError, match="on_error is str"):
                service.connect_to_campaign("42", board.on_message, wrong)
            with pytest.raises(InvalidState, match="async with"):
                service.__enter__()
            assert service.memory_usage().total_connections == 0

    run(main())
    with pytest.raises(InvalidState, match="no event loop is running"):
        WebSocketService("ws://localhost/", runtime="asyncio")
