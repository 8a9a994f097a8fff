"""The reading process of the burst: `python -m tests.benchmarks.reader gapless|bare PORT COUNT`.

Prints `ready` once messages may come, and then, on one line, how many came.
"""

import asyncio
import sys

from gapless.adapters.asyncio import connect

from .bare import bare_messages

CHANNEL = "burst"


async def read_gapless(port: int, count: int) -> int:
    """Take `count` messages of a channel, as a user would."""
    arrived = 0
    url = f"ws://127.0.0.1:{port}/"
    async with connect(url) as session, session.subscribe(CHANNEL) as messages:
        _say("ready")
        async for _ in messages:
            arrived += 1
            if arrived == count:
                _say(arrived)
                break
    return arrived


async def read_bare(port: int, count: int) -> int:
    """Take `count` messages of the bare stream."""
    arrived = 0
    async for _ in bare_messages(port, lambda: _say("ready")):
        arrived += 1
        if arrived == count:
            _say(arrived)
            break
    return arrived


def _say(word: object) -> None:
    print(word, flush=True)


if __name__ == "__main__":
    kind, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    read = read_gapless if kind == "gapless" else read_bare
    sys.exit(asyncio.run(read(port, count)) != count)
