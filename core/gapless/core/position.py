"""Positions and channel names: the two coordinates everything else is addressed by.

A position is `(epoch, seq)`: the epoch names one incarnation of a channel's numbering, seq counts
1, 2, 3 …, and 0 means "before the first". Epoch and seq move as a pair (I15); a seq without its
epoch means nothing.
"""

import re
from typing import Literal, NamedTuple

from .errors import ConfigError, InvalidChannel, InvalidPosition, NotText

MAX_SEQ = 2**53 - 1
"""Largest sequence number, id or count on the wire: what a JSON reader can hold exactly."""

MAX_TOKEN = 512
"""Characters of a session token."""

MAX_CREDENTIALS = 4096
"""Characters of credentials."""

MAX_CHANNEL_BYTES = 255
ME = "@me"
"""The private channel of one session, as its client names it."""

_EPOCH = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Position(NamedTuple):
    """A place in a channel. *Since* a position means after it.

    Attributes:
        epoch: the incarnation of the numbering, 1-64 of `A-Z a-z 0-9 _ . -`.
        seq: 0 (before the first message) … 2**53 - 1.
    """

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @classmethod
    def parse(cls, text: object) -> "Position":
        """Read what `str(position)` wrote: `EPOCH:SEQ`.

        Raises:
            InvalidPosition: it is no text, or not a position's.
        """
        if not isinstance(text, str):
            raise InvalidPosition(f"a position is read from a str, not {type(text).__name__}")
        epoch, colon, digits = text.rpartition(":")
        plain = digits.isascii() and digits.isdigit() and len(digits) <= 16
        if not (colon and plain and is_epoch(epoch) and int(digits) <= MAX_SEQ):
            raise InvalidPosition(
                f"{text[:80]!r} is not a position; write EPOCH:SEQ, as printed by str(position)"
            )
        return cls(epoch, int(digits))


Since = Position | Literal["latest", "earliest"]
"""Where a subscription starts: after a position, at the head, or at the oldest message held."""


def is_token(text: str) -> bool:
    """Say whether a `hello` can carry the text as its session token."""
    try:
        check_secret("token", text, MAX_TOKEN, least=1)
    except ConfigError:
        return False
    return True


def is_epoch(text: object) -> bool:
    """Say whether it can name an epoch."""
    return isinstance(text, str) and _EPOCH.fullmatch(text) is not None


def is_seq(number: object) -> bool:
    """Say whether it can be a sequence number, or 0."""
    return isinstance(number, int) and type(number) is not bool and 0 <= number <= MAX_SEQ


def channel_fault(name: object) -> str | None:
    """Say what is wrong with a channel name; None: nothing."""
    if not isinstance(name, str):
        return f"a channel name is text, a str, not {type(name).__name__}"
    if not name:
        return "a channel name can't be empty"
    if len(name) > MAX_CHANNEL_BYTES or _CONTROL.search(name):
        return "a channel name is 1-255 bytes of UTF-8 without control characters"
    if len(name.encode()) > MAX_CHANNEL_BYTES:
        return "a channel name is at most 255 bytes of UTF-8"
    return None


def check_text(payload: bytes) -> None:
    """Refuse a payload that can't be sent as text.

    Raises:
        NotText: it is not UTF-8.
    """
    try:
        payload.decode()
    except UnicodeDecodeError as fault:
        raise NotText(f"the payload is not UTF-8 ({fault.reason}); publish it as bytes") from None


def escaped_size(text: str) -> int:
    """Bytes of a string as JSON carries it at worst, without its quotes."""
    controls = sum(character < " " for character in text)
    return len(text.encode()) + text.count('"') + text.count("\\") + 5 * controls


def has_surrogates(text: str) -> bool:
    """Whether a string has half characters, which UTF-8 and so the wire can't carry."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def check_words(name: str, value: object) -> None:
    """Refuse what is no text where words for a person are wanted.

    Raises:
        TypeError: the message names the argument.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} is {type(value).__name__}; it must be words, as str")


def check_since(since: object) -> None:
    """Refuse a place to start at that the wire could not carry.

    Raises:
        InvalidPosition: it is neither a position that can be nor one of the two words.
    """
    if isinstance(since, Position):
        possible = is_epoch(since.epoch) and is_seq(since.seq)
    else:
        possible = since in ("latest", "earliest")
    if not possible:
        raise InvalidPosition(
            f"{str(since)[:80]!r} is no place to start; use a Position, such as "
            "Position.parse(text) makes, 'latest' or 'earliest'"
        )


def check_channel(name: object) -> None:
    """Refuse a name the wire could not carry.

    Raises:
        InvalidChannel: the name is no text, empty, too long, or has control characters.
    """
    fault = channel_fault(name)
    if fault is not None:
        raise InvalidChannel(f"{_start(name)}: {fault}")


def _start(value: object) -> str:
    """The beginning of a wrong value, whatever it is."""
    return repr(value[:80]) if isinstance(value, str | bytes) else repr(value)[:80]


def check_secret(name: str, secret: object, most: int, *, least: int = 0) -> None:
    """Refuse credentials or a token that no `hello` can carry; None is neither.

    Raises:
        ConfigError: it isn't text, has lone surrogates, less than `least` or more than `most`
            characters, or half as many bytes more once encoded.
    """
    if secret is None:
        return
    if not isinstance(secret, str):
        raise ConfigError(f"{name} must be text, not {type(secret).__name__}")
    if has_surrogates(secret):
        raise ConfigError(f"{name} has lone surrogates and can't be sent; use plain text")
    if len(secret) < least:
        raise ConfigError(f"{name} is empty; leave it out")
    if len(secret) > most:
        raise ConfigError(f"{name} has {len(secret)} characters; at most {most} can be sent")
    if escaped_size(secret) > most * 3 // 2:
        raise ConfigError(f"{name} is too long for a hello once encoded; use plain ASCII")
