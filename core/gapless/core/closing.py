"""Why links and sessions end, and what a client does next: one data table, which can be edited.

`Close.code` and the WebSocket close code are the same number. An HTTP status that answers a
handshake is looked up first. What a table doesn't name is RESUME: trying again with backoff is
harmless, giving up is not. A session asks its own table, `Config.endings`.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from .errors import ConfigError


class CloseClass(enum.Enum):
    """What a client does after its link ended."""

    RESUME = "resume"
    NEW_SESSION = "new session"
    REFRESH_CREDENTIALS = "refresh credentials"
    STOP = "stop"


class Code(enum.IntEnum):
    """Close codes. 1000-1015 are RFC 6455 section 7.4.1, 4000-4099 are gapless."""

    DONE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    LOST = 1006
    INVALID_DATA = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_LATER = 1013
    FENCED = 4000
    DIVERGED = 4001
    VIOLATION = 4002
    UNAUTHORIZED = 4003
    VERSION = 4004
    SILENT = 4005
    TIMEOUT = 4006
    NOT_GAPLESS = 4007
    REJECTED = 4008
    WITHHELD = 4009


CLOSE_CLASSES: Mapping[int, CloseClass] = MappingProxyType(
    {
        Code.DONE: CloseClass.STOP,
        Code.UNAUTHORIZED: CloseClass.REFRESH_CREDENTIALS,
        Code.VERSION: CloseClass.STOP,
        Code.NOT_GAPLESS: CloseClass.STOP,
        Code.REJECTED: CloseClass.STOP,
    }
)

STATUS_CLASSES: Mapping[int, CloseClass] = MappingProxyType(
    {
        400: CloseClass.STOP,
        401: CloseClass.REFRESH_CREDENTIALS,
        403: CloseClass.REFRESH_CREDENTIALS,
        404: CloseClass.STOP,
        405: CloseClass.STOP,
        410: CloseClass.STOP,
        426: CloseClass.STOP,
    }
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a link ended.

    Attributes:
        code: a `Code`, or any code the peer chose.
        reason: words for a person; the peer's are escaped only when shown.
        retry_after: seconds the peer asked to wait, or None.
        status: the HTTP status that answered the handshake, or None.
    """

    code: int
    reason: str
    retry_after: float | None = None
    status: int | None = None

    @property
    def close_class(self) -> CloseClass:
        """What to do next, by the tables above; a session with its own asks `Endings`."""
        return DEFAULT_ENDINGS.classify(self)


@dataclass(frozen=True, slots=True)
class Endings:
    """What a client does next, by close codes and HTTP statuses. `changed` makes an edited one.

    Attributes:
        codes: pairs of a close code, 1000 … 4999, and its class.
        statuses: pairs of an HTTP status, 200 … 599, and its class.

    Raises:
        ConfigError: a number is out of range or named twice, or a class is none.
    """

    codes: tuple[tuple[int, CloseClass], ...] = tuple(CLOSE_CLASSES.items())
    statuses: tuple[tuple[int, CloseClass], ...] = tuple(STATUS_CLASSES.items())

    def __post_init__(self) -> None:
        _check_rows("codes", self.codes, 1000, 4999)
        _check_rows("statuses", self.statuses, 200, 599)

    def classify(self, ending: Ending) -> CloseClass:
        """Say what to do after a link ended so: its status counts before its code."""
        if ending.status is not None:
            kind = dict(self.statuses).get(ending.status)
            if kind is not None:
                return kind
        return dict(self.codes).get(ending.code, CloseClass.RESUME)

    def changed(
        self,
        codes: Mapping[int, CloseClass] = MappingProxyType({}),
        *,
        statuses: Mapping[int, CloseClass] = MappingProxyType({}),
    ) -> "Endings":
        """Make a table that differs in these rows.

        Raises:
            ConfigError: a number is out of range, or a class is none, or they are in no mapping.
        """
        _check_mapping("codes", codes)
        _check_mapping("statuses", statuses)
        return Endings(
            tuple({**dict(self.codes), **codes}.items()),
            tuple({**dict(self.statuses), **statuses}.items()),
        )


def _check_mapping(name: str, rows: object) -> None:
    if not isinstance(rows, Mapping):
        kind = type(rows).__name__
        raise ConfigError(
            f"Endings.{name} are changed by a {kind}; write {{4700: CloseClass.STOP}}"
        )


def _check_rows(name: str, rows: object, least: int, most: int) -> None:
    if not isinstance(rows, tuple):
        raise ConfigError(f"Endings.{name} must be a tuple of pairs; use Endings().changed(…)")
    numbers: set[object] = set()
    for row in cast("tuple[object, ...]", rows):
        if not isinstance(row, tuple) or len(cast("tuple[object, ...]", row)) != 2:
            raise ConfigError(f"Endings.{name} has {row!r}; a row is a number and its CloseClass")
        number, kind = cast("tuple[object, object]", row)
        is_whole = isinstance(number, int) and not isinstance(number, bool)
        if not is_whole or not least <= cast("int", number) <= most:
            raise ConfigError(f"Endings.{name} has {number!r}; it must be {least} … {most}")
        if not isinstance(kind, CloseClass):
            raise ConfigError(f"Endings.{name} says {kind!r} for {number}; use a CloseClass")
        if number in numbers:
            raise ConfigError(f"Endings.{name} has {number} twice")
        numbers.add(number)


DEFAULT_ENDINGS = Endings()
"""The tables above."""
