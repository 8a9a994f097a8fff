"""How the demo's processes talk to the one that started them.

A line of JSON on standard output is one event. On standard input the first line says what to do, a
second one means *go*, and the end means that the parent is done, or dead: the process ends too.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from gapless.adapters.cli.outcome import CommandError
from gapless.adapters.cli.streams import read_chunks
from gapless.core.errors import GaplessError

REPORTS_A_SECOND = 10


def tell(event: str, **fields: object) -> None:
    """Tell the parent that something happened."""
    print(json.dumps({"event": event, **fields}), flush=True)


async def tell_progress(progress: Callable[[], dict[str, object]]) -> None:
    """Tell the parent how far the work is, a few times a second, until cancelled."""
    while True:
        await asyncio.sleep(1 / REPORTS_A_SECOND)
        tell("progress", **progress())


class Parent:
    """What the parent says.

    Attributes:
        go: set once it says so.
    """

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def rule(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work until it is over, or until the parent has no more use for it."""
        tasks = [asyncio.create_task(work), asyncio.create_task(self._listen())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def _listen(self) -> None:
        async for _ in read_chunks(sys.stdin.fileno()):
            self.go.set()


def run_child(work: Callable[[Parent, dict[str, Any]], Coroutine[Any, Any, None]]) -> None:
    """Run a process of the demo with the task its parent gives it, and exit."""
    task = json.loads(sys.stdin.buffer.readline())  # nothing is behind it before this has answered

    async def main() -> None:
        parent = Parent()
        await parent.rule(work(parent, task))

    try:
        asyncio.run(main())
    except (GaplessError, CommandError, OSError) as error:
        tell("failed", reason=str(error))
        sys.exit(1)
