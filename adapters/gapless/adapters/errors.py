"""What the runtimes raise, the same on each of them."""

from gapless.core.closing import Code, Ending
from gapless.core.errors import GaplessError
from gapless.core.events import Lost, Reset, Settled
from gapless.core.position import Position

EXPORTED = "exported"
"""`Settled.code` of what went along with an export: what becomes of it is said elsewhere."""

_SAID_ELSEWHERE = "; restored() says what became of it, where the export is restored"


class ConnectError(GaplessError):
    """The first connection could not be made, or the server wants none of it."""

    def __init__(self, url: str, ending: Ending) -> None:
        super().__init__(f"{url}: {printable(ending.reason)}; {advice(ending)}")
        self.ending = ending


class SessionClosed(GaplessError):
    """The session is over."""

    def __init__(self, ending: Ending | None) -> None:
        reason = "it was closed" if ending is None else printable(ending.reason)
        super().__init__(f"the session is over: {reason}")
        self.ending = ending


class NotDriven(GaplessError):
    """Nobody has called a session or server without a background thread for too long.

    Nothing was done. The next call goes on, over a new connection if need be.

    Attributes:
        seconds: for how long.
    """

    def __init__(self, seconds: float, heartbeat: float) -> None:
        super().__init__(
            f"nobody drove this for {seconds:.1f} s, and the heartbeat is {heartbeat:g} s: the "
            f"other end may have taken it for dead; call more often, or pass background=True"
        )
        self.seconds = seconds


class Busy(GaplessError):
    """Somebody is reading this subscription already."""

    def __init__(self, channel: str) -> None:
        super().__init__(f"channel {channel!r} is being read already; one reader at a time")


class SubscribeRefused(GaplessError):
    """The server gives no subscription to this channel, or has ended it."""

    def __init__(self, channel: str, code: str) -> None:
        super().__init__(f"channel {channel!r} can't be read: {printable(code)}")
        self.channel = channel
        self.code = code


class PublishRefused(GaplessError):
    """The message was refused for good; it was not applied."""

    def __init__(self, channel: str, code: str) -> None:
        super().__init__(f"a message for channel {channel!r} was refused: {printable(code)}")
        self.channel = channel
        self.code = code


class PublishUnknown(GaplessError):
    """The message was sent, and the answer was lost with the session: nobody can say.

    Or nobody here: of a session that was exported, `restored()` says it where it is restored.
    """

    def __init__(self, channel: str, *, exported: bool = False) -> None:
        what = f"a message for channel {channel!r} was sent, but the session "
        super().__init__(
            f"{what}was exported before the answer came{_SAID_ELSEWHERE}"
            if exported
            else f"{what}ended, or the server forgot it, before the answer came; it may have been "
            f"applied or not"
        )
        self.channel = channel


class NotSent(GaplessError):
    """The session ended before the message was ever sent; it was not applied.

    If the session was exported, it may be sent where that is restored.
    """

    def __init__(self, channel: str, *, exported: bool = False) -> None:
        super().__init__(
            f"a message for channel {channel!r} was not sent before the session was exported"
            f"{_SAID_ELSEWHERE}"
            if exported
            else f"a message for channel {channel!r} was never sent: the session is over"
        )
        self.channel = channel


class PublishFailed(GaplessError):
    """Not everything a publisher sent was accepted.

    Attributes:
        channel: where.
        failed: what became of the rest, as ranges of the publisher's own count from 1.
    """

    def __init__(self, channel: str, failed: list[Settled]) -> None:
        count = sum(settled.last - settled.first + 1 for settled in failed)
        what, were = ("1 message", "was") if count == 1 else (f"{count} messages", "were")
        words = f"{what} for channel {channel!r} {were} not accepted"
        if any(settled.code == EXPORTED for settled in failed):
            words = f"{words} before the session was exported{_SAID_ELSEWHERE}"
        super().__init__(words)
        self.channel = channel
        self.failed = failed


class MessagesLost(GaplessError):
    """Messages won't come. Reading on continues after them."""

    def __init__(self, channel: str, first: int, last: int, reason: str) -> None:
        super().__init__(self._words(channel, first, last, reason))
        self.channel = channel
        self.first = first
        self.last = last
        self.reason = reason

    def _words(self, channel: str, first: int, last: int, reason: str) -> str:
        what = f"message {first}" if first == last else f"messages {first} to {last}"
        return f"{what} of channel {channel!r} can't be had any more: {printable(reason)}"


class StreamReset(MessagesLost):
    """The channel's numbering began anew. Reading on continues after `position`."""

    def __init__(self, channel: str, position: Position, reason: str) -> None:
        self.position = position
        super().__init__(channel, 0, 0, reason)

    def _words(self, channel: str, first: int, last: int, reason: str) -> str:
        return (
            f"channel {channel!r} starts over after {self.position} ({printable(reason)}): "
            f"what came between is unknown"
        )


def loss_error(marker: Lost | Reset) -> MessagesLost:
    """Make the exception that says what a marker says."""
    if isinstance(marker, Reset):
        return StreamReset(marker.channel, marker.position, marker.reason)
    return MessagesLost(marker.channel, marker.first, marker.last, marker.reason)


def publish_error(settled: Settled) -> GaplessError | None:
    """Make the exception for a publish that wasn't accepted; None if it was."""
    if settled.outcome == "refused":
        return PublishRefused(settled.channel, settled.code)
    if settled.outcome == "unknown":
        return PublishUnknown(settled.channel, exported=settled.code == EXPORTED)
    if settled.outcome == "unsent":
        return NotSent(settled.channel, exported=settled.code == EXPORTED)
    return None


def printable(text: str) -> str:
    """Escape a peer's text so that it can't drive a terminal or forge a line of a log."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def advice(
    ending: Ending,
    *,
    token: str = "token=",
    wait: str = "wait=",
    trust: str = "pass a context that trusts it with ssl=",
) -> str:
    """Say what to do about a connection that didn't come about.

    Args:
        ending: how it ended.
        token, wait, trust: how the reader spells what helps.
    """
    if ending.status in (401, 403) or ending.code == Code.UNAUTHORIZED:
        return f"check {token}"
    if ending.status == 503 or ending.code in (Code.TRY_LATER, Code.GOING_AWAY, Code.RESTART):
        return f"try again later, or wait for the server with {wait}"
    if ending.code in (Code.LOST, Code.TIMEOUT) and ending.status is None:
        return f"check the address, or wait for the server with {wait}"
    if ending.code == Code.REJECTED and ending.status is None:
        return f"check the address, or {trust}"
    if ending.code == Code.WITHHELD:
        return f"check what {token} calls"
    if ending.code == Code.VERSION:
        return "use a version of gapless that speaks the server's"
    return "check that the address is a gapless server's"
