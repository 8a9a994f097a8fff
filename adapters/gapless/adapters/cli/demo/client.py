"""The demo's client process: reads the channel through the bad network and writes it to a file."""

import time
from functools import partial
from typing import Any, BinaryIO

from gapless.adapters.errors import MessagesLost, StreamReset
from gapless.core.events import Message

from .numbering import Numbering
from .runtimes import async_runtime
from .source import CHANNEL
from .talk import Parent, progress_told, run_child, tell


class Reader:
    """What is read, on whatever runtime.

    Args:
        session: that reads.
        messages: how many there are.
        file: where their lines go.
    """

    def __init__(self, session: Any, messages: int, file: BinaryIO) -> None:
        self._session = session
        self._messages = messages
        self._file = file
        self._numbering = Numbering()
        self._told: list[tuple[int, int]] = []
        self._settled = 0

    @property
    def is_done(self) -> bool:
        """Whether every message was taken or reported lost."""
        return self._settled >= self._messages

    def take(self, batch: list[Message]) -> bool:
        """Write a batch to the file; True if it was the last."""
        lines = [message.payload for message in batch]
        lines.append(b"")
        self._file.write(b"\n".join(lines))
        self._numbering.take([message.seq for message in batch])
        self._settled = max(self._settled, self._numbering.last)
        return self.is_done

    def lose(self, loss: MessagesLost) -> None:
        """Note what is reported lost.

        Raises:
            StreamReset: the numbering began anew, which this server never does.
        """
        if isinstance(loss, StreamReset):
            raise loss
        self._told.append((loss.first, loss.last))
        self._settled = max(self._settled, loss.last)

    def progress(self) -> dict[str, object]:
        """How far it is."""
        stats = self._session.stats()
        return {
            "received": self._numbering.received,
            "resumes": stats.resumes,
            "duplicates_dropped": stats.duplicates,
        }

    def tell_done(self, at: float) -> None:
        """Tell the parent what happened."""
        tell(
            "done",
            at=at,
            lost_ranges=self._numbering.missing(self._messages),
            reported_lost=self._told,
            duplicates_delivered=self._numbering.duplicates,
            out_of_order=self._numbering.out_of_order,
            **self.progress(),
        )


async def read(adapter: Any, task: dict[str, Any]) -> None:
    """Read everything, on a runtime with an event loop."""
    async with adapter.connect(task["url"], wait=task["wait"]) as session:
        with _open(task["output"]) as file:
            reader = Reader(session, task["messages"], file)
            async with session.subscribe(CHANNEL, since="earliest") as subscription:
                tell("subscribed")
                with progress_told(reader.progress):
                    while not reader.is_done:
                        try:
                            async for batch in subscription.batches():
                                if reader.take(batch):
                                    break
                        except MessagesLost as loss:
                            reader.lose(loss)
                at = time.monotonic()
        reader.tell_done(at)


def read_blocking(task: dict[str, Any]) -> None:
    """Read everything, on blocking sockets."""
    from gapless.adapters import blocking

    with blocking.connect(task["url"], wait=task["wait"], background=True) as session:
        with _open(task["output"]) as file:
            reader = Reader(session, task["messages"], file)
            with session.subscribe(CHANNEL, since="earliest") as subscription:
                tell("subscribed")
                with progress_told(reader.progress):
                    while not reader.is_done:
                        try:
                            for batch in subscription.batches():
                                if reader.take(batch):
                                    break
                        except MessagesLost as loss:
                            reader.lose(loss)
                at = time.monotonic()
        reader.tell_done(at)


def _open(name: str) -> BinaryIO:
    return open(name, "wb")


def work(_parent: Parent, task: dict[str, Any]) -> None:
    """Read until every message was taken or reported lost, and tell what happened."""
    runtime = async_runtime(task["runtime"])
    if runtime is None:
        read_blocking(task)
    else:
        runtime.run(partial(read, runtime.adapter, task))


if __name__ == "__main__":
    run_child(work)
