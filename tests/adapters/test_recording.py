"""Recording in production: what real sockets brought replays in no time, without them (P8)."""

from gapless.adapters.asyncio import connect, serve
from gapless.testing import Recorder, replay

from .support import QUICK, run


def test_p8_a_client_and_a_server_that_talked_over_real_sockets_are_replayed() -> None:
    client_log: list[str] = []
    server_log: list[str] = []

    async def talk() -> None:
        async with serve(recorder=Recorder(server_log.append), token="credential-1") as server:
            recorder = Recorder(client_log.append)
            async with connect(
                server.url, token="credential-1", config=QUICK, recorder=recorder
            ) as session:
                async with session.subscribe("a", since="earliest") as messages:
                    await server.publish("a", "from the server")
                    await session.publish("a", b"from the client")
                    taken = [(await anext(messages)).payload for _ in range(2)]
                assert taken == [b"from the server", b"from the client"]
                async with server.subscribe("a", since="earliest") as here:
                    assert (await anext(here)).payload == b"from the server"
                async with session.publisher("b") as out:
                    for number in range(300):
                        await out.send(b"%d" % number)

    run(talk())

    for log in (client_log, server_log):
        result = replay(log)
        assert result.difference is None
        assert (result.steps, result.machines) == (len(log) - 1, 1)
        text = "\n".join(log)
        assert "credential-1" not in text
        assert "from the" not in text
