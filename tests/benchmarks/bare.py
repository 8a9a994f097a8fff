"""The baseline of the burst: the same payloads as a bare stream over wsproto and asyncio.

One WebSocket frame a message; no numbering, acks, resume, and no bound but the socket's: what a
program that uses wsproto directly would write. Both ends stand here.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, Request

READ = 65536


class BareServer:
    """Takes one client; `send` then sends it messages."""

    def __init__(self) -> None:
        self.port = 0
        self._websocket = WSConnection(ConnectionType.SERVER)
        self._writer: asyncio.Future[StreamWriter] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> "BareServer":
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._listener.close()
        if self._writer.done():
            writer = self._writer.result()
            writer.close()
            await writer.wait_closed()

    async def send(self, payload: bytes) -> None:
        """Send a message, and wait while the socket is full."""
        writer = await self._writer
        writer.write(self._websocket.send(BytesMessage(data=payload)))
        await writer.drain()

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._websocket.receive_data(await reader.readuntil(b"\r\n\r\n"))
        for event in self._websocket.events():
            if isinstance(event, Request):
                writer.write(self._websocket.send(AcceptConnection()))
        self._writer.set_result(writer)


async def bare_messages(port: int, on_open: Callable[[], None]) -> AsyncIterator[bytes]:
    """Connect, and yield the messages that come."""
    websocket = WSConnection(ConnectionType.CLIENT)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(websocket.send(Request(host="127.0.0.1", target="/")))
    while data := await reader.read(READ):
        websocket.receive_data(data)
        for event in websocket.events():
            if isinstance(event, BytesMessage):
                yield bytes(event.data)
            elif isinstance(event, AcceptConnection):
                on_open()
    writer.close()
