"""The demo's client process: reads the channel through the bad network and writes it to a file."""

import time
from typing import Any, BinaryIO

from gapless.adapters.asyncio import MessagesLost, Session, StreamReset, Subscription, connect
from gapless.adapters.cli.running import beside

from .numbering import Numbering
from .source import CHANNEL
from .talk import Parent, run_child, tell, tell_progress


async def work(parent: Parent, arguments: dict[str, Any]) -> None:
    """Read until every message was taken or reported lost, and tell what happened."""
    messages: int = arguments["messages"]
    numbering = Numbering()
    told: list[tuple[int, int]] = []

    async with connect(arguments["url"], wait=arguments["wait"]) as session:

        def progress() -> dict[str, object]:
            return {"received": numbering.received, **_links(session)}

        async with session.subscribe(CHANNEL, since="earliest") as subscription:
            tell("subscribed")
            async with beside(tell_progress(progress)):
                with _open(arguments["output"]) as file:
                    await _read(subscription, numbering, told, messages, file)
            at = time.monotonic()
            tell(
                "done",
                at=at,
                lost_ranges=numbering.missing(messages),
                reported_lost=told,
                duplicates_delivered=numbering.duplicates,
                out_of_order=numbering.out_of_order,
                **progress(),
            )


async def _read(
    subscription: Subscription,
    numbering: Numbering,
    told: list[tuple[int, int]],
    messages: int,
    file: BinaryIO,
) -> None:
    """Write batch after batch to the file; note what is reported lost.

    Raises:
        StreamReset: the numbering began anew, which this server never does.
    """
    settled = 0
    while settled < messages:
        try:
            async for batch in subscription.batches():
                lines = [message.payload for message in batch]
                lines.append(b"")
                file.write(b"\n".join(lines))
                numbering.take([message.seq for message in batch])
                settled = max(settled, numbering.last)
                if settled >= messages:
                    break
        except StreamReset:
            raise
        except MessagesLost as loss:
            told.append((loss.first, loss.last))
            settled = max(settled, loss.last)


def _open(name: str) -> BinaryIO:
    return open(name, "wb")


def _links(session: Session) -> dict[str, object]:
    stats = session.stats()
    return {"resumes": stats.resumes, "duplicates_dropped": stats.duplicates}


if __name__ == "__main__":
    run_child(work)
