"""Burst over loopback: messages of 100 bytes from a server process to a client process.

gapless is used as a user uses it: `server.publish` for each message here, `async for` over a
subscription there. The baseline beside it, in the same run and on the same machine, is the bare
stream of `bare.py`, so that the figure to compare between machines and days is the ratio of the
two. The clock runs from the first message sent to the reader's word that all have come.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from gapless.adapters.asyncio import serve

from .bare import BareServer
from .reader import CHANNEL

ROOT = Path(__file__).parents[2]
PAYLOAD = bytes(100)
TIMEOUT = 120.0
"""Seconds for one stream."""


@dataclass(frozen=True, slots=True)
class BurstResult:
    """The best of some runs of each.

    Attributes:
        ratio: gapless' messages per second for each of the bare stream's.
        arrived, bare_arrived: messages of each run that reached the reader.
    """

    messages: int
    runs: int
    messages_per_second: int
    bare_messages_per_second: int
    ratio: float
    arrived: int
    bare_arrived: int

    def line(self) -> str:
        """Say it in one line."""
        return (
            f"burst  {self.ratio:.2f} times a bare wsproto stream: {self.messages_per_second:,} "
            f"against {self.bare_messages_per_second:,} messages/s (best of {self.runs})"
        )

    @property
    def is_complete(self) -> bool:
        """Whether every message arrived in every run."""
        return self.arrived == self.bare_arrived == self.messages


def run_burst(messages: int = 100_000, runs: int = 3) -> BurstResult:
    """Measure both in turn, so that what else the machine does meets both."""
    return asyncio.run(_measure(messages, runs))


async def _measure(messages: int, runs: int) -> BurstResult:
    ours: list[tuple[float, int]] = []
    bare: list[tuple[float, int]] = []
    for _ in range(runs):
        ours.append(await asyncio.wait_for(stream_gapless(messages), TIMEOUT))
        bare.append(await asyncio.wait_for(stream_bare(messages), TIMEOUT))
    our_seconds, bare_seconds = min(ours)[0], min(bare)[0]
    return BurstResult(
        messages,
        runs,
        round(messages / our_seconds),
        round(messages / bare_seconds),
        round(bare_seconds / our_seconds, 3),
        min(arrived for _, arrived in ours),
        min(arrived for _, arrived in bare),
    )


async def stream_gapless(messages: int) -> tuple[float, int]:
    """Publish through a server; returns seconds and messages that arrived."""
    async with serve() as server:
        # Publishing waits for the reader instead of leaving it behind.
        server.configure(CHANNEL, patience=TIMEOUT)
        return await _stream(
            "gapless", server.port, messages, lambda: server.publish(CHANNEL, PAYLOAD)
        )


async def stream_bare(messages: int) -> tuple[float, int]:
    """Send without gapless; returns seconds and messages that arrived."""
    async with BareServer() as server:
        return await _stream("bare", server.port, messages, lambda: server.send(PAYLOAD))


async def _stream(
    kind: str, port: int, messages: int, send: Callable[[], Awaitable[object]]
) -> tuple[float, int]:
    reader = await _start_reader(kind, port, messages)
    try:
        await _line(reader)
        begin = perf_counter()
        for _ in range(messages):
            await send()
        arrived = int(await _line(reader) or 0)
        seconds = perf_counter() - begin
        await reader.wait()
    finally:
        if reader.returncode is None:
            reader.kill()
            await reader.wait()
    return seconds, arrived


async def _start_reader(kind: str, port: int, messages: int) -> Process:
    arguments = ("-m", "tests.benchmarks.reader", kind, str(port), str(messages))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=PIPE, cwd=ROOT, env=environment
    )


async def _line(reader: Process) -> bytes:
    assert reader.stdout is not None
    return await reader.stdout.readline()
