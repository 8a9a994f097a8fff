"""The exceptions of libraries that our code catches on purpose, and why each.

Nothing else may come out of these libraries, whatever they are fed: a new type is a finding, to be
looked at before it is added here. That ours lets none of them through is what the other targets
hold.
"""

import json
from collections.abc import Callable
from typing import TypeVar

import h11
import msgspec
from wsproto.utilities import RemoteProtocolError

T = TypeVar("T")

CAUGHT: dict[str, dict[type[Exception], str]] = {
    "msgspec": {
        msgspec.DecodeError: "the bytes are no JSON, or no msgpack",
        msgspec.ValidationError: "a field is missing, or is not what it must be",
        RecursionError: "arrays or objects nested deeper than Python's stack",
        UnicodeDecodeError: "a string of JSON or msgpack is not UTF-8",
    },
    "h11": {
        h11.RemoteProtocolError: "the head is not HTTP",
    },
    "wsproto": {
        RemoteProtocolError: "an answer to the handshake that is none",
        UnicodeDecodeError: "a byte above 0x7f in a header (testing.md 3.1)",
    },
    "json": {
        json.JSONDecodeError: "a position file that is not JSON",
        UnicodeDecodeError: "a position file that is not UTF-8",
        RecursionError: "a position file nested deeper than Python's stack",
    },
    "urllib": {
        ValueError: "a URL with a broken port or IPv6 address",
    },
    "idna": {
        UnicodeError: "a host name that the encoding can't take",
    },
}
"""By library: the exceptions, and what raises them."""


class Guard:
    """Calls libraries.

    Attributes:
        seen: the exceptions of the list that were raised so far, by library.
    """

    def __init__(self) -> None:
        self.seen: set[tuple[str, type[Exception]]] = set()

    def __call__(self, library: str, call: Callable[..., T], *args: object) -> T | Exception:
        """Call a library; an exception of the list is returned, any other gets out."""
        try:
            return call(*args)
        except Exception as fault:
            # Exactly these types: a subclass is another type, with another reason.
            if type(fault) not in CAUGHT[library]:
                raise
            self.seen.add((library, type(fault)))
            return fault


guarded = Guard()
"""What the targets call libraries through."""
