"""The origin's service on asyncio over bad networks and servers that say no."""

from dataclasses import replace

from gapless.adapters.asyncio import (
    Config,
    MessagesLost,
    StreamReset,
    SubscribeRefused,
    serve,
)
from gapless.adapters.service import ConnectError, WebSocketService

from .service_support import SERVICE, Board, publish, read, readers
from .support import Forwarder, free_port, run, until


def test_over_cuts_and_a_restart_nothing_is_told_twice_and_what_is_lost_is_said() -> None:
    """P1, P2. A try that fails is told of; a link that was cut and came back is not."""

    async def main() -> None:
        board = Board()
        async with serve() as server, Forwarder(server.port) as wire:  # noqa: SIM117
            async with WebSocketService(wire.url, config=SERVICE) as service:
                service.connect_to_campaign("42", board.on_message, board.on_error)
                await read(server, "42")
                for number in range(100):
                    await publish(server, "42", f"{number}")
                    if number % 20 == 10:
                        await until(lambda: len(board.texts) > number // 2)  # noqa: B023
                        wire.cut()
                await until(lambda: len(board.texts) == 100)
                assert board.texts == [str(number) for number in range(100)]
                assert not any(isinstance(error, MessagesLost) for error in board.errors)

                wire.take_down()
                await until(lambda: any(isinstance(one, ConnectError) for one in board.errors))
                board.errors.clear()
                async with serve() as other:
                    wire.target = other.port
                    wire.restore()
                    await until(lambda: any(isinstance(one, StreamReset) for one in board.errors))
                    await publish(other, "42", "again")
                    await until(lambda: board.texts[-1] == "again")
        assert len(board.texts) == 101

    run(main())


def test_it_keeps_trying_for_the_first_connection_and_says_so() -> None:
    async def main() -> None:
        board, port = Board(), free_port()
        async with WebSocketService(f"ws://127.0.0.1:{port}/", config=SERVICE) as service:
            service.connect_to_campaign("42", board.on_message, board.on_error)
            await until(lambda: len(board.errors) >= 3)
            assert all(isinstance(error, ConnectError) for error in board.errors)
            metrics = service.performance_metrics()
            assert metrics.error_rate == 1.0
            assert (metrics.connection_health.active, metrics.connection_health.total) == (0, 1)
            assert service.health_status() == "critical"
            async with serve(port=port) as server:
                await read(server, "42")
                await publish(server, "42", "a")
                await until(lambda: board.texts == ["a"])

    run(main())


def test_credentials_that_are_refused_are_final_and_a_new_connect_tries_again() -> None:
    async def main() -> None:
        board, secrets = Board(), ["wrong", "wrong", "right"]
        async with (
            serve(token="right") as server,
            WebSocketService(server.url, config=SERVICE, token=lambda _: secrets.pop(0)) as service,
        ):
            service.connect_to_campaign("42", board.on_message, board.on_error)
            service.connect_to_campaign("43", board.on_message, board.on_error)
            # One try, and one with newer ones, for each of the two.
            await until(lambda: len(board.errors) == 4)
            assert all(isinstance(error, ConnectError) for error in board.errors)
            assert "so were those that were refreshed" in str(board.errors[-1])
            service.connect_to_campaign("42", board.on_message, board.on_error)
            await read(server, "42")
            assert not readers(server, "43")

    run(main())


def test_a_subscription_that_is_refused_is_final_for_its_campaign_alone() -> None:
    async def main() -> None:
        boards, port = [Board(), Board()], free_port()
        async with WebSocketService(f"ws://127.0.0.1:{port}/", config=SERVICE) as service:
            async with serve(port=port) as server:
                for campaign, board in zip("ab", boards, strict=True):
                    service.connect_to_campaign(campaign, board.on_message, board.on_error)
                    await read(server, campaign)
            hub = replace(Config.production("hub"), max_channels=1)
            async with serve(port=port, config=hub) as server:
                refused = boards[1].errors
                await until(lambda: any(isinstance(one, SubscribeRefused) for one in refused))
                await publish(server, "a", "goes on")
                await until(lambda: boards[0].texts == ["goes on"])
        assert boards[1].texts == []

    run(main())


def test_a_link_that_is_cut_and_comes_back_is_not_told() -> None:
    """P1: nothing was lost, and no try has failed."""

    async def main() -> None:
        board = Board()
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            WebSocketService(wire.url, config=SERVICE) as service,
        ):
            service.connect_to_campaign("42", board.on_message, board.on_error)
            await read(server, "42")
            for text in ("a", "b", "c"):
                await publish(server, "42", text)
                await until(lambda text=text: board.texts[-1:] == [text])  # type: ignore[misc]
                wire.cut()
                await until(lambda: not service.performance_metrics().connection_health.active)
                await until(lambda: service.performance_metrics().connection_health.active == 1)
        assert board.errors == []

    run(main())
