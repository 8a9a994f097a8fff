"""Every setting of a session and a hub, validated once.

One frozen dataclass; three profiles, each for a client and for a hub (design section 9). Times
are seconds, sizes are bytes. 0 never means "unlimited".
"""

from dataclasses import dataclass, fields
from typing import Literal

from .closing import DEFAULT_ENDINGS, Endings
from .errors import ConfigError

MIB = 1024 * 1024
KIB = 1024

Overflow = Literal["wait", "reject", "rotate"]
"""What a publish does at the bound of a history whose oldest message a pin still needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings. Make one with a profile, change fields with `dataclasses.replace`.

    Attributes:
        connect_timeout: seconds a connect and its handshake up to `welcome` may take.
        close_timeout: seconds `close` waits for the outbox, and a drain for its readers.
        heartbeat: seconds of silence after which a ping goes out.
        heartbeat_timeout: seconds after that ping without a byte until the link is dead.
        backoff_base: seconds; retry n waits a random time in [0, min(cap, base * 2**n)].
        backoff_cap: seconds, the longest wait between two tries.
        stable_after: seconds a link must live to clear the backoff.
        max_attempts: failed tries in a row before the session gives up; None: never.
        lease: seconds a server keeps a session without a link.
        window: bytes of a channel that may be on the way or unread.
        max_message: bytes of the largest payload sent or taken.
        max_channels: channels a session may read, and may publish to.
        history_messages, history_bytes: bounds of a channel's history, and of an outbox.
        history_age: seconds a message stays in a hub's history; None: until it rotates.
        overflow: at the bound of a history, where a pin still needs the oldest message.
        patience: seconds a pin holds back rotation while its reader doesn't ack.
        memory_limit: bytes a session's inboxes and outboxes may hold together.
        max_sessions: sessions a hub keeps, with and without links.
        max_hub_channels: channels a hub keeps.
        endings: what a client does after its link ended, by close code and HTTP status.
    """

    connect_timeout: float = 30.0
    close_timeout: float = 10.0
    heartbeat: float = 30.0
    heartbeat_timeout: float = 10.0
    backoff_base: float = 0.5
    backoff_cap: float = 10.0
    stable_after: float = 10.0
    max_attempts: int | None = None
    lease: float = 120.0
    window: int = 256 * KIB
    max_message: int = MIB
    max_channels: int = 128
    history_messages: int = 200
    history_bytes: int = MIB
    history_age: float | None = None
    overflow: Overflow = "wait"
    patience: float = 1.0
    memory_limit: int = 60_000_000
    max_sessions: int = 10_000
    max_hub_channels: int = 65_536
    endings: Endings = DEFAULT_ENDINGS

    def __post_init__(self) -> None:
        for field in fields(self):
            check_setting(field.name, getattr(self, field.name))
        if self.backoff_base > self.backoff_cap:
            raise ConfigError("Config.backoff_base is above Config.backoff_cap")
        if self.history_bytes < self.max_message:
            raise ConfigError("Config.history_bytes is below Config.max_message: none would fit")

    @classmethod
    def development(cls, role: Literal["client", "hub"] = "client") -> "Config":
        """Quick retries, small buffers."""
        if role == "hub":
            return cls(history_messages=1000, memory_limit=1_024_000_000)
        return cls(backoff_base=0.1, backoff_cap=2.0, history_messages=50)

    @classmethod
    def production(cls, role: Literal["client", "hub"] = "client") -> "Config":
        """The defaults: the origin's."""
        if role == "hub":
            return cls(history_messages=1000, memory_limit=1_024_000_000)
        return cls()

    @classmethod
    def high_performance(cls, role: Literal["client", "hub"] = "client") -> "Config":
        """Large buffers, and retries so spread that a herd of clients stays thin."""
        if role == "hub":
            return cls(history_messages=1000, memory_limit=1_024_000_000)
        return cls(backoff_base=0.5, backoff_cap=30.0, history_messages=500)


def check_setting(name: str, value: object) -> None:
    """Refuse a value that the field of that name can't have.

    Raises:
        ConfigError: it is out of range, or no number; the message names the field.
    """
    if name == "overflow":
        if value not in ("wait", "reject", "rotate"):
            raise ConfigError(f"Config.overflow is {value!r}; wait, reject or rotate")
        return
    if name == "endings":
        if not isinstance(value, Endings):
            raise ConfigError(f"Config.endings is {value!r}; use Endings().changed(…)")
        return
    if value is None and name in _OPTIONAL:
        return
    low, high = _RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"Config.{name} is {value!r}; it must be {_spell(low)} … {_spell(high)}")
    if name in _WHOLE and not isinstance(value, int):
        raise ConfigError(f"Config.{name} is {value!r}; it must be a whole number")


def check_seconds(name: str, value: float) -> None:
    """Refuse what is no time, or longer than 30 days.

    Raises:
        ConfigError: the message names the argument.
    """
    if not 0 <= value <= _LONGEST:
        raise ConfigError(f"{name} is {value!r}; it must be 0 … {_spell(_LONGEST)} seconds")


def _spell(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:g}"


_LONGEST = 30 * 86_400.0
_RANGES: dict[str, tuple[float, float]] = {
    "connect_timeout": (0.001, _LONGEST),
    "close_timeout": (0.0, _LONGEST),
    "heartbeat": (0.01, _LONGEST),
    "heartbeat_timeout": (0.01, _LONGEST),
    "backoff_base": (0.001, _LONGEST),
    "backoff_cap": (0.001, _LONGEST),
    "stable_after": (0.0, _LONGEST),
    "max_attempts": (1, 2**31),
    "lease": (0.0, _LONGEST),
    "window": (1 * KIB, 2**40),
    "max_message": (1, 2**31),
    "max_channels": (1, 2**20),
    "history_messages": (1, 2**40),
    "history_bytes": (1, 2**50),
    "history_age": (0.001, 100 * _LONGEST),
    "patience": (0.0, _LONGEST),
    "memory_limit": (64 * KIB, 2**50),
    "max_sessions": (1, 2**31),
    "max_hub_channels": (1, 2**31),
}
_OPTIONAL = frozenset({"max_attempts", "history_age"})
_WHOLE = frozenset(
    field.name for field in fields(Config) if field.type in ("int", int, "int | None", int | None)
)
