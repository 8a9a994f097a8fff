"""The one place where a library's exceptions are caught.

wsproto and h11 promise `ProtocolError`, and raise ValueError, IndexError and UnicodeDecodeError on
hostile input as well (testing.md 3.1). Every call of theirs that a peer's bytes can reach goes
through `contained`, so that nothing else in this package needs a wide `except`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Failure:
    """A library refused, or broke on, its input.

    Attributes:
        kind: the exception's class name.
        words: its message, cut; it may quote the peer, so show it to no third party.
    """

    kind: str
    words: str


def contained(call: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T | Failure:
    """Call a library; return what it returns, or the `Failure` in place of what it raised."""
    try:
        return call(*args, **kwargs)
    except Exception as fault:
        return Failure(type(fault).__name__, str(fault)[:120])
