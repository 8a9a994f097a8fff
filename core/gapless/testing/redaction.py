"""Redaction: what stands in a log of inputs instead of what is nobody's business.

Of a payload only its length stays, and whether it is UTF-8. A secret (a token, credentials, a
principal) and, if asked for, a channel's name become a number for each different one, and a length.
So a redacted log is small, and still replays: the machine never looks into a payload, and of a
secret it only asks whether it is the same one.

What stays: times, numbers, sizes, positions, the ids of sessions, which are public, and the words
with which links end, apart from the secrets and names in them.
"""

from base64 import b64decode, b64encode

from gapless.core.position import channel_fault
from gapless.core.tokens import epoch_name, session_name

Json = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
"""What a line of a log is made of."""

TELLING = 8
"""Characters a secret must have to be looked for inside the words of others."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Redaction:
    """The stand-ins of one log.

    It remembers every secret and every name it has replaced: about 200 bytes each.

    Args:
        channels: whether the names of channels are replaced, too.
    """

    def __init__(self, *, channels: bool = False) -> None:
        self.channels = channels
        self._secrets: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._public: dict[str, str] = {}

    def secret(self, text: str) -> Json:
        """Replace a token, credentials or a principal."""
        number = self._secrets.setdefault(text, len(self._secrets) + 1)
        return {"~secret": [number, len(text)]}

    def token(self, text: str) -> Json:
        """Replace a token that a hub has drawn, and the public names it makes of it."""
        number = self._secrets.setdefault(text, len(self._secrets) + 1)
        stand_in = stand_in_text(number, len(text))
        self._public[epoch_name(text)] = epoch_name(stand_in)
        self._public[session_name(text)] = session_name(stand_in)
        return {"~secret": [number, len(text)]}

    def channel(self, name: str) -> Json:
        """Replace a channel's name, unless names stay. Those with an @ are ours, and stay."""
        if not self.channels or name.startswith("@"):
            return write_text(self.public(name))
        number = self._names.setdefault(name, len(self._names) + 1)
        if channel_fault(name) is not None:
            return {"~name": [number, -1]}
        return {"~name": [number, len(name.encode())]}

    def words(self, text: str) -> str:
        """Replace the secrets and the names that a reason for an ending mentions."""
        for secret, number in self._secrets.items():
            if len(secret) >= TELLING and secret in text:
                text = text.replace(secret, stand_in_text(number, len(secret)))
        for name, number in self._names.items():
            if repr(name) in text:
                text = text.replace(repr(name), repr(stand_in_text(number, len(name.encode()))))
        return text

    def public(self, text: str) -> str:
        """Replace an epoch or a session's id by the one that the stand-in of its token makes."""
        return self._public.get(text, text)


def stand_in_text(number: int, size: int) -> str:
    """Make the text that stands for number `number`: of `size` characters, or more to be unlike.

    -1: what can be no channel's name.
    """
    return "\x00" + _digits(number) if size < 0 else _digits(number).rjust(size, "0")


def redacted_payload(data: bytes) -> Json:
    """Replace a payload; what is not UTF-8 gets a stand-in that isn't either."""
    return {"~text" if _is_utf8(data) else "~bytes": len(data)}


def stand_in_payload(form: str, size: int) -> bytes:
    """Make a payload of `size` bytes: UTF-8 for the form `~text`, for `~bytes` not."""
    return (b"x" if form == "~text" else b"\xff") * size


def expanded(value: Json) -> Json:
    """Write a value as it would stand in a log that is not redacted, with stand-ins in it."""
    match value:
        case {"~text": int(size)}:
            return write_bytes(stand_in_payload("~text", size))
        case {"~bytes": int(size)}:
            return write_bytes(stand_in_payload("~bytes", size))
        case {"~secret": [int(number), int(size)]} | {"~name": [int(number), int(size)]}:
            return write_text(stand_in_text(number, size))
        case dict():
            return {name: expanded(item) for name, item in value.items()}
        case list():
            return [expanded(item) for item in value]
        case _:
            return value


def write_bytes(data: bytes) -> Json:
    """Write bytes: as text where they are UTF-8."""
    if _is_utf8(data):
        return {"text": data.decode()}
    return {"base64": b64encode(data).decode()}


def read_bytes(form: str, written: str) -> bytes:
    """Read what `write_bytes` wrote."""
    return written.encode() if form == "text" else b64decode(written)


def write_text(text: str) -> Json:
    """Write a string, also one that has half characters, which UTF-8 can't carry."""
    if text.isascii() or _is_utf8(text.encode("utf-8", "surrogatepass")):
        return text
    return {"halves": b64encode(text.encode("utf-8", "surrogatepass")).decode()}


def read_halves(written: str) -> str:
    """Read what `write_text` wrote of a string with half characters."""
    return b64decode(written).decode("utf-8", "surrogatepass")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _digits(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits or "0"
