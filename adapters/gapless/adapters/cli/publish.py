"""`gapless publish`: each line of a file or of standard input becomes a message."""

import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from gapless.adapters.asyncio import (
    Config,
    Publisher,
    PublishFailed,
    Session,
    SessionClosed,
)
from gapless.core.errors import MessageTooLarge
from gapless.core.events import Settled

from .addresses import spell_os_error
from .console import count, own_version, say, spell_ranges, write_json, write_line
from .links import LinkWatch, open_session
from .outcome import FAILED
from .running import Stop, Stopped, beside, live
from .streams import LineTooLong, read_lines

Range = tuple[int, int]

ENDINGS = {
    "refused": "refused for good, not applied",
    "unknown": "sent, but the answer was lost with the session: applied or not, nobody can say",
    "unsent": "never sent",
}


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What `publish` was asked for; `name` is what messages call the input."""

    url: str
    channel: str
    name: str
    wait: float
    token: str | None
    as_json: bool


async def run_publish(stop: Stop, options: PublishOptions, source: int) -> int:
    """Publish the lines of the descriptor `source` until all are accepted; return the exit code.

    Asked to stop, it reads no more and settles what it has sent.
    """
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        session = await open_session(
            stop, stack, options.url, token=options.token, wait=options.wait
        )
        watch = LinkWatch(session)
        await stack.enter_async_context(beside(watch.follow()))
        await stack.enter_async_context(beside(_close_when_stopped(stop, session)))
        publisher = session.publisher(options.channel)
        tally = publisher.tally

        def progress() -> str:
            rate = tally.accepted / (time.monotonic() - started)
            return (
                f"{tally.accepted:,} of {tally.sent:,} messages accepted"
                f" · {rate:,.0f} a second · {watch.state}"
            )

        await stack.enter_async_context(live(progress))
        fault, code = await _publish_all(stop, publisher, options.name, source)
    _report(options, publisher, fault, time.monotonic() - started)
    return FAILED if tally.failed or fault is not None else code


async def _publish_all(
    stop: Stop, publisher: Publisher, name: str, source: int
) -> tuple[str | None, int]:
    """Send every line and wait until all are settled.

    Returns what kept it from going on, and the exit code if all that was sent is accepted.
    """
    fault: str | None = None
    was_stopped = False
    with suppress(PublishFailed):
        async with publisher:
            try:
                await stop.interrupt(_send_lines(publisher, source))
            except Stopped:
                was_stopped = True
            except SessionClosed as error:
                fault = str(error)
            except LineTooLong as error:
                most = Config.production().max_message
                fault = f"line {error.number} of {name} is over {most} bytes; split it"
            except MessageTooLarge as error:
                fault = f"line {publisher.tally.sent + 1} of {name}: {error}; split it"
            except OSError as error:
                fault = f"can't read {name}: {spell_os_error(error)}; check the file"
    return fault, stop.unfinished_code if was_stopped else stop.code


async def _send_lines(publisher: Publisher, source: int) -> None:
    send = publisher.send
    async for lines in read_lines(source, Config.production().max_message):
        for line in lines:
            await send(line)


async def _close_when_stopped(stop: Stop, session: Session) -> None:
    """Give what was sent `close_timeout` seconds to be settled once asked to stop."""
    await stop.wait()
    await session.close()


def _report(
    options: PublishOptions, publisher: Publisher, fault: str | None, seconds: float
) -> None:
    tally = publisher.tally
    for outcome, meaning in ENDINGS.items():
        for code, ranges in _ranges(tally.failed, outcome).items():
            reason = f" ({code})" if code else ""
            say(f"{outcome}: lines {spell_ranges(ranges)} of {options.name}: {meaning}{reason}")
    if fault is not None:
        say(f"gapless: {fault}; lines before it: {tally.accepted:,} accepted")
    if options.as_json:
        found = {
            outcome: [pair for pairs in _ranges(tally.failed, outcome).values() for pair in pairs]
            for outcome in ENDINGS
        }
        write_json(
            {
                "channel": options.channel,
                "sent": tally.sent,
                "accepted": tally.accepted,
                **found,
                "fault": fault,
                "seconds": round(seconds, 3),
                "version": own_version(),
            }
        )
    else:
        write_line(f"{count(tally.accepted, 'message')} accepted of {tally.sent:,}")


def _ranges(failed: list[Settled], outcome: str) -> dict[str, list[Range]]:
    """The lines that ended so, by the reason given; neighbours are joined."""
    found: dict[str, list[Range]] = {}
    for one in sorted(failed, key=lambda settled: settled.first):
        if one.outcome != outcome:
            continue
        ranges = found.setdefault(one.code, [])
        if ranges and ranges[-1][1] + 1 == one.first:
            ranges[-1] = (ranges[-1][0], one.last)
        else:
            ranges.append((one.first, one.last))
    return found
