"""How many of our functions a message crosses from the socket to the application, by runtime.

`python -m tests.acceptance.calls_per_message [--runtime R]…` publishes messages one at a time, each
once the one before was taken, from a server in another thread, and counts the calls of gapless
functions in the client's thread with a profiler: the most that a message can cost. It prints each
function with its calls per message and why it is there (the first line of what it says of itself),
and once more the sum for messages that come in batches.
"""

import argparse
import asyncio
import inspect
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import CodeType, FrameType, ModuleType
from typing import Any

import anyio

import gapless.adapters.anyio
import gapless.adapters.asyncio
from gapless.adapters import blocking
from tests.acceptance.tools import finish

ROUNDS = 300
BATCH = 100
MOST = 260
"""Calls a message may cross at most, alone on its way."""


class Profile:
    """Counts the calls of our functions in this thread while it is on."""

    def __init__(self) -> None:
        self.calls: Counter[CodeType] = Counter()

    def start(self) -> None:
        """Begin."""
        sys.setprofile(self._note)

    def stop(self) -> None:
        """End."""
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and "/gapless/" in code.co_filename and "tests" not in code.co_filename:
            self.calls[code] += 1


class Source:
    """A server in a thread of its own, which publishes when asked to."""

    def __init__(self, server: blocking.Server) -> None:
        self._server = server
        self._count = threading.Semaphore(0)
        self._batch = 1
        self._is_over = False
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    def ask(self, count: int) -> None:
        """Have so many messages published at once."""
        self._batch = count
        self._count.release()

    def stop(self) -> None:
        """Publish no more."""
        self._is_over = True
        self._count.release()
        self._thread.join()

    def _publish(self) -> None:
        while self._count.acquire() and not self._is_over:
            self._server.publish_many("news", [b"x" * 100] * self._batch)


async def read(adapter: ModuleType, url: str, source: Source, size: int) -> Profile:
    """Take messages on an async runtime."""
    profile = Profile()
    connect: Callable[..., Any] = adapter.connect
    async with connect(url) as session, session.subscribe("news", "latest") as messages:
        for turn in range(ROUNDS + 10):
            if turn == 10:
                profile.start()
            source.ask(size)
            for _ in range(size):
                await anext(messages)
        profile.stop()
    return profile


def read_blocking(url: str, source: Source, size: int) -> Profile:
    """Take messages on blocking sockets, driven by this thread."""
    profile = Profile()
    with blocking.connect(url) as session, session.subscribe("news", "latest") as messages:
        for turn in range(ROUNDS + 10):
            if turn == 10:
                profile.start()
            source.ask(size)
            for _ in range(size):
                next(messages)
        profile.stop()
    return profile


RUNTIMES: dict[str, Callable[[str, Source, int], Profile]] = {
    "asyncio": lambda url, source, size: asyncio.run(
        read(gapless.adapters.asyncio, url, source, size)
    ),
    "trio": lambda url, source, size: anyio.run(
        partial(read, gapless.adapters.anyio, url, source, size), backend="trio"
    ),
    "blocking": read_blocking,
}


def reason(code: CodeType) -> str:
    """The first line of what a function says of itself."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == code.co_filename:
            found: object = module
            for name in code.co_qualname.split("."):
                found = getattr(found, name, None)
            if isinstance(found, property):
                found = found.fget
            return (inspect.getdoc(found) or "").partition("\n")[0]
    return ""


def measure(name: str, size: int) -> Profile:
    """Count on a runtime, with so many messages at once."""
    with blocking.serve() as server:
        source = Source(server)
        try:
            return RUNTIMES[name](server.url, source, size)
        finally:
            source.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", action="append", choices=list(RUNTIMES))
    faults: list[str] = []
    for name in parser.parse_args().runtime or RUNTIMES:
        alone, together = measure(name, 1), measure(name, BATCH)
        print(f"{name}:")
        for code, count in alone.calls.most_common():
            if count >= ROUNDS / 2:
                where = code.co_filename.rpartition("/gapless/")[2].removesuffix(".py")
                what = f"{where}.{code.co_qualname}".replace("/", ".")
                print(f"  {count / ROUNDS:6.2f}  {what}: {reason(code)}")
        calls = alone.calls.total() / ROUNDS
        batched = together.calls.total() / ROUNDS / BATCH
        print(f"  {calls:6.1f}  together; {batched:.1f} a message in batches of {BATCH}")
        if calls > MOST:
            faults.append(f"{name}: {calls:.0f} calls, more than {MOST}")
    return finish(f"{len(faults)} faults", faults)


if __name__ == "__main__":
    sys.exit(main())
