"""The demo's server process: serves one channel and publishes the lines to it."""

import time
from functools import partial
from typing import Any

from gapless.core.config import Config

from .runtimes import AsyncRuntime, async_runtime
from .source import CHANNEL, Source
from .talk import Parent, progress_told, run_child, tell

CONFIG = Config.production("hub")


class Count:
    """Messages published so far."""

    sent = 0

    def progress(self) -> dict[str, object]:
        """How far it is."""
        return {"sent": self.sent}


async def publish(runtime: AsyncRuntime, parent: Parent, source: Source) -> None:
    """Publish everything, on a runtime with an event loop."""
    count = Count()
    async with runtime.adapter.serve("127.0.0.1", 0, config=CONFIG) as server:
        server.configure(CHANNEL, patience=CONFIG.lease)
        tell("listening", port=server.port)
        await runtime.in_thread(parent.go.wait)
        with progress_told(count.progress):
            tell("began", at=time.monotonic())
            publish = server.publish
            for line in source.lines():
                await publish(CHANNEL, line)
                count.sent += 1
        tell("published", sent=count.sent)
        await runtime.in_thread(parent.gone.wait)


def publish_blocking(parent: Parent, source: Source) -> None:
    """Publish everything, on blocking sockets."""
    from gapless.adapters import blocking

    count = Count()
    with blocking.serve("127.0.0.1", 0, config=CONFIG) as server:
        server.configure(CHANNEL, patience=CONFIG.lease)
        tell("listening", port=server.port)
        parent.go.wait()
        with progress_told(count.progress):
            tell("began", at=time.monotonic())
            publish = server.publish
            for line in source.lines():
                publish(CHANNEL, line)
                count.sent += 1
        tell("published", sent=count.sent)
        parent.gone.wait()


def work(parent: Parent, task: dict[str, Any]) -> None:
    """Serve; publish every line once told to go; then serve on until the parent is done."""
    source = Source(tuple(task["files"]), task["messages"])
    source.locate()
    runtime = async_runtime(task["runtime"])
    if runtime is None:
        publish_blocking(parent, source)
    else:
        runtime.run(partial(publish, runtime, parent, source))


if __name__ == "__main__":
    run_child(work)
