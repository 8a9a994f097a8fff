"""The processes of the demo: started, listened to, and ended, these and no others."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from typing import cast

Event = dict[str, object]

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes; the client's last word may list many lost ranges."""

GRACE = 3.0
"""Seconds a process gets to end by itself before it is killed."""


class Children:
    """The processes this demo started, by name; what they say is one queue of events.

    A process that ends says so with the event `ended` and its `code`. Each is in a session of its
    own, so that ctrl-C on the terminal reaches the parent alone.
    """

    def __init__(self) -> None:
        self._said: asyncio.Queue[tuple[str, Event]] = asyncio.Queue()
        self._processes: dict[str, Process] = {}
        self._listening: list[asyncio.Task[None]] = []

    async def start(self, name: str, module: str, *arguments: str, task: object = None) -> None:
        """Start a module of this package as a process; `-P` keeps the folder out of its path.

        A `task` is the first line of its standard input: it may list more files than arguments fit.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", f"gapless.adapters.cli{module}", *arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
        self._processes[name] = process
        self._listening.append(asyncio.create_task(self._listen(name, process)))
        if task is not None:
            assert process.stdin is not None
            process.stdin.write(json.dumps(task).encode() + b"\n")

    async def next_event(self) -> tuple[str, Event]:
        """Wait for what a process says next; returns its name and the event."""
        return await self._said.get()

    def go(self, name: str) -> None:
        """Tell a process to begin."""
        stdin = self._processes[name].stdin
        assert stdin is not None
        stdin.write(b"go\n")

    async def end(self, name: str) -> None:
        """Ask a process to end and wait for it; kill it if it doesn't. Harmless if it has."""
        process = self._processes[name]
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), GRACE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def end_all(self) -> list[tuple[str, Event]]:
        """End every process, in the order client, network, server; returns what was still said."""
        for name in reversed(list(self._processes)):
            await self.end(name)
        await asyncio.gather(*self._listening)
        rest: list[tuple[str, Event]] = []
        while not self._said.empty():
            rest.append(self._said.get_nowait())
        return rest

    async def _listen(self, name: str, process: Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        both = (self._events(name, process.stdout), self._words(name, process.stderr))
        await asyncio.gather(*both)
        self._said.put_nowait((name, {"event": "ended", "code": await process.wait()}))

    async def _events(self, name: str, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            event = cast("Event", json.loads(line))
            self._said.put_nowait((name, {"event": "summary", **event}))

    async def _words(self, name: str, stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            words = line.decode(errors="backslashreplace").rstrip("\n")
            self._said.put_nowait((name, {"event": "words", "words": words}))
