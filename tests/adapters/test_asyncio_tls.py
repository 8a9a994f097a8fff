"""TLS on asyncio, with certificates made for tests: verified, said in words, nothing leaks."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gapless.adapters.asyncio import Config, ConfigError, ConnectError, connect, serve
from gapless.core.closing import Code

from .support import QUICK, Forwarder, links, numbers, publish_numbers, run, take, until

CERTIFICATES = Path(__file__).with_name("certificates")


def server_tls() -> ssl.SSLContext:
    """A server's settings: a certificate for localhost and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    return context


def client_tls() -> ssl.SSLContext:
    """A client's settings: it trusts who signed that certificate."""
    return ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")


async def refusal_of(url: str, tls: ssl.SSLContext | None, wait: float = 0.0) -> ConnectError:
    """The error that connecting ends with."""
    with pytest.raises(ConnectError) as raised:
        async with connect(url, config=QUICK, ssl=tls, wait=wait):
            raise AssertionError("connected")
    return raised.value


def test_a_session_over_tls_reads_and_publishes() -> None:
    async def main() -> None:
        async with serve(ssl=server_tls()) as server:
            assert server.url == f"wss://127.0.0.1:{server.port}/"
            async with (
                connect(server.url, ssl=client_tls()) as session,
                session.subscribe("campaign/42") as messages,
            ):
                await publish_numbers(server, "campaign/42", 1, 500)
                assert numbers(await take(messages, 500)) == list(range(1, 501))
                assert (await session.publish("commands", b"x" * 900_000)).seq == 1

    run(main())


def test_a_session_over_tls_survives_cuts() -> None:
    """P1, P2."""

    async def main() -> None:
        async with (
            serve(ssl=server_tls()) as server,
            Forwarder(server.port, "wss") as wire,
            connect(wire.url, config=QUICK, ssl=client_tls()) as session,
            session.subscribe("campaign/42") as messages,
        ):
            came: list[int] = []
            for first in (1, 51, 101):
                await publish_numbers(server, "campaign/42", first, first + 49)
                came += numbers(await take(messages, 25))
                wire.cut()
                came += numbers(await take(messages, 25))
            assert came == list(range(1, 151))

    run(main())


def test_a_certificate_that_nobody_trusts_is_final_whatever_the_wait() -> None:
    async def main() -> None:
        async with serve(ssl=server_tls()) as server:
            error = await refusal_of(server.url, None, wait=9)
            assert error.ending.code == Code.REJECTED
            assert f"the certificate of 127.0.0.1:{server.port} is not trusted" in str(error)
            assert "ssl=" in str(error)
            assert server.sessions == []

    run(main())


def test_a_certificate_for_another_name_is_final_too() -> None:
    async def main() -> None:
        async with serve("127.0.0.2", ssl=server_tls()) as server:
            error = await refusal_of(server.url, client_tls(), wait=9)
            assert error.ending.code == Code.REJECTED
            assert "is not valid for '127.0.0.2'" in str(error)

    run(main())


def test_tls_where_there_is_none_is_said() -> None:
    async def main() -> None:
        async with serve() as server:
            error = await refusal_of(f"wss://127.0.0.1:{server.port}/", client_tls())
            assert f"no TLS with 127.0.0.1:{server.port}" in str(error)

    run(main())


def test_no_tls_where_there_is_some_is_said() -> None:
    async def main() -> None:
        async with serve(ssl=server_tls()) as server:
            error = await refusal_of(f"ws://127.0.0.1:{server.port}/", None)
            assert str(error).startswith(f"ws://127.0.0.1:{server.port}/: ")

    run(main())


def test_tls_settings_for_an_address_without_tls_are_refused() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="wss://"):
            async with connect("ws://127.0.0.1:9/", ssl=client_tls()):
                raise AssertionError("connected")

    run(main())


def test_connecting_over_tls_can_be_cancelled_at_any_turn_of_the_loop() -> None:
    """Held by `run`: no task and no socket are left."""

    async def main() -> None:
        trust = client_tls()

        async def enter_and_leave(url: str) -> None:
            async with connect(url, ssl=trust):
                pass

        async with serve(ssl=server_tls()) as server:
            for turns in range(0, 48, 2):
                entering = asyncio.create_task(enter_and_leave(server.url))
                for _ in range(turns):
                    await asyncio.sleep(0)
                entering.cancel()
                with suppress(asyncio.CancelledError):
                    await entering
            await until(lambda: links(server) == 0)

    run(main())


def test_a_handshake_that_never_ends_is_given_up_by_the_client_in_time() -> None:
    async def main() -> None:
        async with serve(ssl=server_tls()) as server, Forwarder(server.port, "wss") as wire:
            wire.block()
            config = Config(connect_timeout=0.05)
            with pytest.raises(ConnectError, match=r"no connection within 0\.05 s"):
                async with connect(wire.url, config=config, ssl=client_tls()):
                    raise AssertionError("connected")

    run(main())


def test_a_dial_that_took_too_long_is_dropped_before_the_next_begins() -> None:
    async def main() -> None:
        held: list[int] = [0]

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.append(held[-1] + 1)
            with suppress(ConnectionError):
                await reader.read()
            held.append(held[-1] - 1)
            writer.close()

        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        config = replace(QUICK, connect_timeout=0.03)
        with pytest.raises(ConnectError):
            async with connect(url, config=config, ssl=client_tls(), wait=0.3):
                raise AssertionError("connected")
        server.close()
        await until(lambda: held[-1] == 0)
        assert len(held) > 4, "it tried several times"
        assert max(held) <= 2

    run(main())


def test_leaving_serve_ends_handshakes_that_are_under_way() -> None:
    """Held by `run`: no task and no socket are left."""

    async def main() -> None:
        async with serve(ssl=server_tls()) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            await until(lambda: len(asyncio.all_tasks()) > 1)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    run(main())


def test_a_handshake_that_never_ends_is_given_up_by_the_server_in_time() -> None:
    async def main() -> None:
        config = replace(Config.production("hub"), connect_timeout=0.05)
        async with serve(ssl=server_tls(), config=config) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    run(main())
