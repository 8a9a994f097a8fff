"""The demo's server process: serves one channel and publishes the lines to it."""

import asyncio
import time
from typing import Any

from gapless.adapters.asyncio import Config, serve
from gapless.adapters.cli.running import beside

from .source import CHANNEL, Source
from .talk import Parent, run_child, tell, tell_progress


async def work(parent: Parent, arguments: dict[str, Any]) -> None:
    """Serve; publish every line once told to go; then serve on until the parent is done."""
    source = Source(tuple(arguments["files"]), arguments["messages"])
    source.locate()
    config = Config.production("hub")
    sent = 0
    async with serve("127.0.0.1", 0, config=config) as server:
        server.configure(CHANNEL, patience=config.lease)
        tell("listening", port=server.port)
        await parent.go.wait()
        async with beside(tell_progress(lambda: {"sent": sent})):
            tell("began", at=time.monotonic())
            publish = server.publish
            for line in source.lines():
                await publish(CHANNEL, line)
                sent += 1
        tell("published", sent=sent)
        await asyncio.Event().wait()


if __name__ == "__main__":
    run_child(work)
