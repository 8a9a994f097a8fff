"""Standard input and output that never stop the event loop.

Pipes and terminals are waited for; files, which are always ready, are not. A message is a line's
bytes without its newline; empty and non-UTF-8 lines are messages, and so is a last line without
a newline.
"""

import asyncio
import os
import select
from collections.abc import AsyncGenerator, Callable

READ_SIZE = 128 * 1024
PIPE_WRITE = 4096
"""Bytes a pipe that polls as writable takes without blocking (PIPE_BUF)."""


class LineTooLong(Exception):
    """A line is longer than any message may be; `number` counts lines from 1."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


async def read_chunks(fd: int) -> AsyncGenerator[bytes]:
    """Yield what a descriptor gives until it ends; at most READ_SIZE bytes at once."""
    loop = asyncio.get_running_loop()
    while True:
        if not await _ready(loop.add_reader, loop.remove_reader, fd):
            await asyncio.sleep(0)
        try:
            chunk = os.read(fd, READ_SIZE)
        except BlockingIOError:
            continue
        if not chunk:
            return
        yield chunk


async def read_lines(fd: int, longest: int) -> AsyncGenerator[list[bytes]]:
    """Yield the lines of a descriptor as they come, some at a time.

    Raises:
        LineTooLong: a line is over `longest` bytes; the lines before it were yielded.
    """
    tail = b""
    done = 0
    async for chunk in read_chunks(fd):
        lines = (tail + chunk).split(b"\n")
        tail = lines.pop()
        done += len(lines)
        if lines:
            yield lines
        if len(tail) > longest:
            raise LineTooLong(done + 1)
    if tail:
        yield [tail]


class Output:
    """A descriptor to write to, piece by piece as it has room."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._waits: bool | None = None

    async def write(self, data: bytes) -> None:
        """Write all of it, in order.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        view = memoryview(data)
        while view:
            size = PIPE_WRITE if await self._wait() else len(view)
            try:
                view = view[os.write(self._fd, view[:size]) :]
            except BlockingIOError:
                continue

    async def _wait(self) -> bool:
        """Wait for room; False if this kind of descriptor can't be waited for."""
        if self._waits is False:
            return False
        if self._waits is None or not self._poll.poll(0):
            loop = asyncio.get_running_loop()
            self._waits = await _ready(loop.add_writer, loop.remove_writer, self._fd)
        return self._waits


async def _ready(
    add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool], fd: int
) -> bool:
    """Wait until a descriptor is ready; False at once if it can't be waited for (a file)."""
    ready = asyncio.get_running_loop().create_future()

    def note() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        add(fd, note)
    except (PermissionError, NotImplementedError):
        return False
    try:
        await ready
    finally:
        remove(fd)
    return True
