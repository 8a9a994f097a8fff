"""A session's life on asyncio: credentials asked for, its table of endings, export, restore."""

import asyncio
import json
from dataclasses import replace

import pytest

from gapless.adapters.asyncio import (
    CloseClass,
    Config,
    ConfigError,
    ConnectError,
    Ending,
    Endings,
    Export,
    ExportedOutbox,
    InvalidState,
    LinkDown,
    NotSent,
    PublishFailed,
    PublishUnknown,
    SessionClosed,
    connect,
    serve,
)
from gapless.core.closing import Code

from .support import QUICK, Forwarder, has_published, run, take, until


class Vault:
    """Gives keys one after the other, the last one for ever; notes what it was told."""

    def __init__(self, *keys: str | None) -> None:
        self.keys = list(keys)
        self.told: list[int | None] = []

    def key(self, refused: Ending | None) -> str | None:
        self.told.append(None if refused is None else refused.code)
        return self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]

    async def slow_key(self, refused: Ending | None) -> str | None:
        await asyncio.sleep(0)
        return self.key(refused)


@pytest.mark.parametrize("name", ["key", "slow_key"])
def test_a_function_is_called_for_each_connect(name: str) -> None:
    async def main() -> None:
        vault = Vault("right")
        async with (
            serve(token="right") as server,
            Forwarder(server.port) as wire,
            connect(wire.url, token=getattr(vault, name), config=QUICK) as session,
        ):
            wire.cut()
            await until(lambda: session.stats().resumes == 1)
            assert vault.told == [None, None]

    run(main())


def test_it_is_told_of_a_refusal_and_asked_once_more() -> None:
    async def main() -> None:
        vault = Vault("stale", "right")
        async with (
            serve(token="right") as server,
            connect(server.url, token=vault.slow_key, config=QUICK) as session,
        ):
            assert vault.told == [None, Code.UNAUTHORIZED]
            assert session.is_connected

    run(main())


def test_i18_refused_again_there_is_no_connection() -> None:
    async def main() -> None:
        vault = Vault("wrong")
        async with serve(token="right") as server:
            with pytest.raises(ConnectError, match=r"so were those that were refreshed; check"):
                async with connect(server.url, token=vault.key, config=QUICK, wait=5.0):
                    raise AssertionError("connected")
            assert vault.told == [None, Code.UNAUTHORIZED]

    run(main())


def test_a_plain_token_that_is_refused_ends_the_session() -> None:
    async def main() -> None:
        async with serve(token="right") as server:
            with pytest.raises(ConnectError, match="show others, or have them asked for"):
                async with connect(server.url, token="wrong", wait=5.0):
                    raise AssertionError("connected")

    run(main())


def test_an_exception_of_it_fails_the_connect_and_says_why() -> None:
    def sealed(_: Ending | None) -> str:
        raise PermissionError("the vault is sealed")

    async def main() -> None:
        async with serve() as server:
            with pytest.raises(ConnectError, match=r"PermissionError: the vault is sealed; check"):
                async with connect(server.url, token=sealed):
                    raise AssertionError("connected")

    run(main())


def test_so_does_what_it_waits_for_when_that_is_cancelled() -> None:
    """Else the connect would stand still for all of `connect_timeout`."""

    async def shared(_: Ending | None) -> str:
        refresh = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.05, refresh.cancel)
        await refresh
        raise AssertionError("it was cancelled")

    async def main() -> None:
        async with serve() as server:
            with pytest.raises(ConnectError, match="token= was cancelled; check"):
                async with connect(server.url, token=shared):
                    raise AssertionError("connected")

    run(main())


def test_an_exception_later_is_one_failed_try_and_the_next_asks_again() -> None:
    async def main() -> None:
        calls = 0

        async def key(_: Ending | None) -> str:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise OSError("no route to the vault")
            return "right"

        async with (
            serve(token="right") as server,
            Forwarder(server.port) as wire,
            connect(wire.url, token=key, config=QUICK) as session,
        ):
            wire.cut()
            reasons: list[str] = []
            async for event in session.events():
                if isinstance(event, LinkDown):
                    reasons.append(event.ending.reason)
                if session.stats().resumes:
                    break
            assert "token= failed with OSError: no route to the vault" in reasons
            assert calls == 3

    run(main())


@pytest.mark.parametrize("wrong", [7, b"key", "\ud800"])
def test_what_can_not_be_shown_is_such_a_failure(wrong: object) -> None:
    async def main() -> None:
        async with serve() as server:
            with pytest.raises(ConnectError, match="token= failed with ConfigError: credentials"):
                async with connect(server.url, token=lambda _: wrong):  # type: ignore[arg-type, return-value]  # that is the point
                    raise AssertionError("connected")

    run(main())


def test_one_that_never_answers_is_bounded_by_the_connect_timeout_and_left_behind() -> None:
    """The task that asks is gone with the session: `run` would find it."""

    async def never(_: Ending | None) -> str:
        await asyncio.Event().wait()
        return "key"

    async def main() -> None:
        async with serve() as server:
            config = replace(QUICK, connect_timeout=0.05)
            with pytest.raises(ConnectError, match="didn't answer") as raised:
                async with connect(server.url, token=never, config=config):
                    raise AssertionError("connected")
            assert str(raised.value) == (
                f"{server.url}: whoever was asked for credentials didn't answer within 0.05 s; "
                f"check what token= calls"
            )

    run(main())


def test_an_answer_that_came_too_late_serves_the_next_connect() -> None:
    async def main() -> None:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        calls = 0

        async def key(_: Ending | None) -> str:
            nonlocal calls
            calls += 1
            return await asyncio.shield(answer)

        async with serve(token="right") as server, Forwarder(server.port) as wire:
            config = replace(QUICK, connect_timeout=0.05)
            block = connect(wire.url, token=key, config=config, wait=5.0)
            entering = asyncio.create_task(block.__aenter__())
            await until(lambda: wire.connections == 2)
            answer.set_result("right")
            await entering
            assert calls == 1
            await block.__aexit__(None, None, None)

    run(main())


def test_an_edited_table_stops_what_it_says() -> None:
    async def main() -> None:
        stop = Endings().changed({Code.GOING_AWAY: CloseClass.STOP, Code.LOST: CloseClass.STOP})
        async with serve() as server:
            block = connect(server.url, config=replace(QUICK, endings=stop))
            session = await block.__aenter__()
        await until(lambda: session.core.ending is not None)
        with pytest.raises(SessionClosed):
            await session.publish("orders", b"1")
        await block.__aexit__(None, None, None)

    run(main())


def test_an_exported_session_is_restored_with_what_it_had_published() -> None:
    """P6: once, whether it was sent before or not."""

    async def main() -> None:
        async with (
            serve() as server,
            server.subscribe("orders", since="earliest") as orders,
            Forwarder(server.port) as wire,
        ):
            async with connect(wire.url, config=QUICK) as first:
                await first.publish("orders", b"1")
                wire.take_down()
                await until(lambda: not first.is_connected)
                publishing = asyncio.create_task(first.publish("orders", b"2"))
                await until(has_published(first, 2))
                exported = await first.export()
                words = "not sent before the session was exported; restored.. says what became of"
                with pytest.raises(NotSent, match=words):
                    await publishing
                assert [(one.first, one.outcome) for one in first.unsettled()] == [(2, "unsent")]
            wire.restore()
            stored = json.dumps(exported.to_dict())
            async with connect(wire.url, restore=Export.from_dict(json.loads(stored))) as second:
                assert second.id == exported.session
                told = await second.restored()
                assert [(one.first, one.last, one.outcome) for one in told] == [(2, 2, "accepted")]
                await second.publish("orders", b"3")
                assert second.unsettled() == []
            read = [await anext(orders) for _ in range(3)]
            assert [message.payload for message in read] == [b"1", b"2", b"3"]

    run(main())


def test_who_waits_for_a_publish_that_is_exported_is_told() -> None:
    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, config=QUICK) as session:
                await session.publish("orders", b"1")
                wire.block("to client")
                publishing = asyncio.create_task(session.publish("orders", b"2"))
                await until(has_published(session, 2))
                await asyncio.sleep(0)
                out = session.publisher("orders")
                await out.__aenter__()
                await out.send(b"3")
                await session.export()
                with pytest.raises(PublishFailed, match=r"1 message .* exported; restored\(\)"):
                    await out.__aexit__(None, None, None)
                with pytest.raises(PublishUnknown, match=r"exported .* came; restored\(\) says"):
                    await publishing
                with pytest.raises(InvalidState):
                    await session.export()
            wire.restore()

    run(main())


def test_a_server_that_forgot_the_session_makes_it_unknown() -> None:
    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, config=QUICK) as session:
                await session.publish("orders", b"1")
                wire.take_down()
                await until(lambda: not session.is_connected)
                task = asyncio.create_task(session.publish("orders", b"2"))
                await until(has_published(session, 2))
                exported = await session.export()
                await asyncio.gather(task, return_exceptions=True)
            wire.restore()
        async with serve() as other, connect(other.url, restore=exported) as heir:
            told = await heir.restored()
            assert [(one.first, one.outcome) for one in told] == [(2, "unknown")]

    run(main())


def test_what_is_exported_again_at_once_is_told_once_by_the_last_of_the_sessions() -> None:
    """P6: also what had ended meanwhile and nobody had asked for."""

    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, config=QUICK) as first:
                await first.publish("orders", b"1")
                wire.take_down()
                await until(lambda: not first.is_connected)
                sent = asyncio.create_task(first.publish("orders", b"2"))
                never = asyncio.create_task(first.publish("offline", b"3"))
                await until(has_published(first, 3))
                exported = await first.export()
                await asyncio.gather(sent, never, return_exceptions=True)
                assert await first.restored() == [], "nothing was brought here"
            wire.restore()
        async with serve() as other, Forwarder(other.port) as wire:
            async with connect(wire.url, restore=exported) as middle:
                exported = await middle.export()
                with pytest.raises(InvalidState, match="ask where that is restored"):
                    await middle.restored()
            async with connect(wire.url, restore=exported) as heir:
                told = [(one.channel, one.first, one.outcome) for one in await heir.restored()]
                assert sorted(told) == [("offline", 1, "unsent"), ("orders", 2, "unknown")]
                exported = await heir.export()
                assert len(await heir.restored()) == 2
            async with connect(wire.url, restore=exported) as last:
                assert await last.restored() == [], "it was told before"

    run(main())


def test_who_asks_what_was_restored_is_not_left_waiting_by_an_export() -> None:
    async def main() -> None:
        messages = ((b"1", False),)
        brought = Export(None, None, (), (ExportedOutbox("orders", "P1", 1, 1, 1, messages),))
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, restore=brought) as session:
                wire.block("to client")
                asking = asyncio.create_task(session.restored())
                await asyncio.sleep(0)
                exported = await session.export()
                with pytest.raises(InvalidState, match="exported again"):
                    await asking
            wire.restore()
            assert exported.outboxes == brought.outboxes

    run(main())


def test_reading_goes_on_where_the_export_says() -> None:
    async def main() -> None:
        async with serve() as server:
            async with (
                connect(server.url) as first,
                first.subscribe("news", since="earliest") as news,
            ):
                for text in ("1", "2", "3"):
                    await server.publish("news", text)
                await take(news, 2)
                exported = await first.export()
            place = exported.position("news")
            assert place is not None
            async with (
                connect(server.url, restore=exported) as second,
                second.subscribe("news", since=place) as news,
            ):
                assert (await anext(news)).text == "3"

    run(main())


def test_a_session_is_carried_on_in_one_way() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=r"resume= and restore="):
            async with connect("ws://127.0.0.1:9/", resume="t", restore=Export(None, None)):
                raise AssertionError("connected")
        small = Config(history_messages=1)
        many = Export.from_dict(
            {
                "version": 1,
                "session": "@s",
                "token": "t",
                "positions": {},
                "outboxes": [
                    {
                        "channel": "orders",
                        "epoch": "P1",
                        "first": 1,
                        "seq": 1,
                        "sent": 0,
                        "messages": ["a", "b"],
                        "ended": [],
                    }
                ],
            }
        )
        with pytest.raises(ConfigError, match="history_messages"):
            async with connect("ws://127.0.0.1:9/", restore=many, config=small):
                raise AssertionError("connected")

    run(main())
