"""What the local application can do wrong.

The peer can never make a call raise (design 4.4); only misuse by the caller does, and then
nothing has changed.
"""


class GaplessError(Exception):
    """Base of every exception gapless raises."""


class LocalProtocolError(GaplessError):
    """The caller broke the contract of the machine; its state is unchanged."""


class InvalidState(LocalProtocolError):
    """The call is not legal in the session's present state."""


class InvalidChannel(LocalProtocolError):
    """A channel name is not 1-255 bytes of UTF-8 without control characters, or is reserved."""


class InvalidPosition(LocalProtocolError):
    """A position can't be read, or belongs to nothing that can be subscribed to."""


class MessageTooLarge(LocalProtocolError):
    """A payload is larger than the largest message both ends accept."""


class NotText(LocalProtocolError):
    """A payload published as text is not UTF-8."""


class TooManyChannels(LocalProtocolError):
    """The session, or the hub, already has as many channels as its config allows."""


class NoMemory(TooManyChannels):
    """There is no memory for one more channel now."""


class PoolExhausted(LocalProtocolError):
    """Every connection a pool may have is in use; none is closed for a newcomer."""


class ConfigError(LocalProtocolError, ValueError):
    """A config value is out of range; the message names the field."""


def too_large(channel: str, size: int, most: int) -> MessageTooLarge:
    """Make the error for a payload of `size` bytes where `most` fit."""
    return MessageTooLarge(f"{size} bytes for channel {channel!r}; at most {most} fit")
