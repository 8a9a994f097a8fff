"""Why links and sessions end, and what a client does next: one data table.

`Close.code` and the WebSocket close code are the same number. An HTTP status that answers a
handshake is looked up in `STATUS_CLASSES`. What a table doesn't name is RESUME: trying again with
backoff is harmless, giving up is not.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


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
        """What to do next, by the tables above."""
        if self.status is not None and self.status in STATUS_CLASSES:
            return STATUS_CLASSES[self.status]
        return CLOSE_CLASSES.get(self.code, CloseClass.RESUME)
