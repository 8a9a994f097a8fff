"""What a wire grants its peer: times, sizes and rates, and the bucket that counts a rate."""

from dataclasses import dataclass, fields

from gapless.core.errors import ConfigError

KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one wire beside the size of a frame, which is its codec's.

    Attributes:
        handshake_timeout: seconds until the handshake must be over.
        close_timeout: seconds to wait for the answer to a close, or for the peer to hang up.
        message_timeout: seconds a message may stay unfinished, and one more for every
            `slowest_rate` bytes of it that have arrived: a slow link is not an idle one.
        slowest_rate: bytes per second.
        max_hello: bytes of the first frame a server takes.
        max_fragments: WebSocket frames that may make up one message, empty ones included.
        control_burst: WebSocket pings and pongs taken at once.
        control_rate: pings and pongs per second taken in the long run.
    """

    handshake_timeout: float = 10.0
    close_timeout: float = 2.0
    message_timeout: float = 30.0
    slowest_rate: int = 4 * KIB
    max_hello: int = 8 * KIB
    max_fragments: int = 4096
    control_burst: int = 100
    control_rate: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"Limits.{field.name} is {value!r}; it must be above 0")


class TokenBucket:
    """A rate with room for a burst. Time that runs back counts as none."""

    __slots__ = ("_burst", "_rate", "_then", "_tokens")

    def __init__(self, burst: int, rate: float, *, now: float) -> None:
        """Start full: `burst` tokens, refilled by `rate` tokens per second."""
        self._burst = float(burst)
        self._rate = rate
        self._tokens = float(burst)
        self._then = now

    def take(self, *, now: float) -> bool:
        """Take a token; False if there is none."""
        if now > self._then:
            self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
            self._then = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class MessageClock:
    """The deadline of whatever has begun to arrive and is not complete."""

    __slots__ = ("_limits", "_since", "deadline")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since: float | None = None
        self.deadline: float | None = None

    def note(self, progress: int | None, *, is_new: bool, now: float) -> None:
        """Tell how many bytes of an unfinished message there are; None: no message is begun.

        `is_new` says that the message began with the bytes that came just now.
        """
        if progress is None:
            self.stop()
            return
        if self._since is None or is_new:
            self._since = now
        limits = self._limits
        self.deadline = self._since + limits.message_timeout + progress / limits.slowest_rate

    def stop(self) -> None:
        """Forget the deadline."""
        self._since = self.deadline = None
