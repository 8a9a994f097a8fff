"""`gapless subscribe`: a channel's messages as lines on standard output."""

import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from gapless.adapters.asyncio import (
    Message,
    MessagesLost,
    Session,
    SessionClosed,
    StreamReset,
    SubscribeRefused,
    Subscription,
)
from gapless.core.position import Position, Since

from .console import escape_line, own_version, say, write_json
from .links import LinkWatch, open_session
from .outcome import FAILED, CommandError
from .position_file import Bookmark, PositionFile
from .running import Stop, Stopped, beside, live
from .streams import Output


@dataclass(frozen=True, slots=True)
class SubscribeOptions:
    """What `subscribe` was asked for."""

    url: str
    channel: str
    since: Since
    count: int | None
    position_file: Path | None
    wait: float
    token: str | None
    as_json: bool


class Reader:
    """Reads a channel and writes it out; the position file follows the output.

    Attributes:
        received: messages written out.
        losses: ranges reported lost, and resets, as they are for machines.
        fault: why reading ended before it was asked to.
    """

    def __init__(self, options: SubscribeOptions) -> None:
        self._options = options
        self._output = Output(sys.stdout.fileno())
        self._is_terminal = os.isatty(sys.stdout.fileno())
        path = options.position_file
        self._file = None if path is None else PositionFile(path)
        self._bookmark: Bookmark | None = None
        self._session: Session | None = None
        self._position: Position | None = None
        self.received = 0
        self.losses: list[dict[str, object]] = []
        self.fault: str | None = None

    @property
    def position(self) -> Position | None:
        """What is written out, up to and with this."""
        return self._position

    @property
    def since(self) -> Since:
        """Where to start: where an earlier run stopped, or what was asked for."""
        return self._options.since if self._bookmark is None else self._bookmark.position

    @property
    def resume(self) -> str | None:
        """The token of an earlier run's session."""
        return None if self._bookmark is None else self._bookmark.token

    def code(self, stop: Stop) -> int:
        """The exit code of what was read."""
        if self.losses or self.fault is not None:
            return FAILED
        is_whole = self._options.count is None or self.received == self._options.count
        return stop.code if is_whole else stop.unfinished_code

    async def read(self, stop: Stop, session: Session, messages: Subscription) -> None:
        """Write out what comes until enough came, the session ends, or it is asked to stop."""
        self._session = session
        self._move(messages.position)
        say(f"subscribed {messages.channel} at {messages.position}")
        batches = self._batches(messages)
        with suppress(StopAsyncIteration, Stopped):
            while self.received != self._options.count:
                try:
                    batch = await stop.interrupt(anext(batches))
                except MessagesLost as loss:
                    self._note_loss(loss)
                    self._move(messages.position)
                    batches = self._batches(messages)
                except (SessionClosed, SubscribeRefused) as error:
                    self.fault = str(error)
                    say(f"gapless: {error}")
                    return
                else:
                    await self._write(batch)

    def save(self) -> None:
        """Bring the position file up to date with what was written out."""
        if self._file is None or self._session is None or self._position is None:
            return
        url, channel = self._options.url, self._options.channel
        token = self._session.session_token or None
        self._file.save(Bookmark(url, channel, self._position, token))

    def load(self) -> None:
        """Go on where an earlier run stopped, if there is a position file.

        Raises:
            CommandError: it can't be read, is none, or another process reads by it.
        """
        if self._file is not None:
            self._file.hold()
            self._bookmark = self._file.load(self._options.url, self._options.channel)

    def release(self) -> None:
        """Let others read by the position file."""
        if self._file is not None:
            self._file.release()

    async def _batches(self, messages: Subscription) -> AsyncIterator[list[Message]]:
        """Lists of messages; one at a time if they are counted, so that no other is taken."""
        if self._options.count is None:
            async for batch in messages.batches():
                yield batch
        else:
            async for message in messages:
                yield [message]

    async def _write(self, batch: list[Message]) -> None:
        if self._options.as_json:
            lines = [_as_json(message) for message in batch]
        elif self._is_terminal:
            lines = [escape_line(message.payload) for message in batch]
        else:
            lines = [message.payload for message in batch]
        lines.append(b"")
        await self._output.write(b"\n".join(lines))
        self.received += len(batch)
        self._move(batch[-1].position)

    def _move(self, position: Position | None) -> None:
        if position is not None:
            self._position = position
        self.save()

    def _note_loss(self, loss: MessagesLost) -> None:
        say(str(loss))
        what: dict[str, object] = {"reason": loss.reason}
        if isinstance(loss, StreamReset):
            what["reset"] = str(loss.position)
        else:
            what.update(first=loss.first, last=loss.last)
        self.losses.append(what)


async def run_subscribe(stop: Stop, options: SubscribeOptions) -> int:
    """Write a channel to standard output; return the exit code."""
    reader = Reader(options)
    async with AsyncExitStack() as stack:
        stack.callback(reader.release)
        reader.load()
        session = await open_session(
            stop,
            stack,
            options.url,
            token=options.token,
            wait=options.wait,
            resume=reader.resume,
        )
        messages = await _subscribe(stop, stack, session, options.channel, reader.since)
        watch = LinkWatch(session)
        await stack.enter_async_context(beside(watch.follow(reader.save)))
        both = sys.stdout.isatty()  # the messages themselves are on that terminal

        def progress() -> str:
            return f"{reader.received:,} messages · at {reader.position} · {watch.state}"

        await stack.enter_async_context(live(progress, wanted=not both))
        try:
            await reader.read(stop, session, messages)
        finally:
            if options.position_file is not None:
                # Whoever starts again from the file finds the session, and what it holds back.
                await session.suspend()
    if options.as_json:
        write_json(
            {
                "channel": options.channel,
                "received": reader.received,
                "lost": reader.losses,
                "position": str(reader.position),
                "fault": reader.fault,
                "version": own_version(),
            }
        )
    return reader.code(stop)


async def _subscribe(
    stop: Stop, stack: AsyncExitStack, session: Session, channel: str, since: Since
) -> Subscription:
    """Subscribe; it ends with the stack.

    Raises:
        CommandError: refused, or asked to stop before the answer came.
    """
    subscription = session.subscribe(channel, since=since)
    try:
        return await stop.interrupt(stack.enter_async_context(subscription))
    except SubscribeRefused as error:
        raise CommandError(f"{error}; check the channel's name, or --token") from None
    except Stopped:
        line = f"stopped before there was a subscription to channel {channel!r}"
        raise CommandError(line, stop.unfinished_code) from None


def _as_json(message: Message) -> bytes:
    """One object, ASCII only. A message that is UTF-8 is shown as text."""
    fields: dict[str, object] = {"epoch": message.epoch, "seq": message.seq}
    try:
        fields["text"] = message.payload.decode()
    except UnicodeDecodeError:
        fields["base64"] = base64.b64encode(message.payload).decode()
    return json.dumps(fields).encode()
