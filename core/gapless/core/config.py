"""Every setting of a session and a hub, validated once.

One frozen dataclass; three profiles, each for a client and for a hub (design section 9). Times
are seconds, sizes are bytes. 0 never means "unlimited".
"""

from dataclasses import dataclass, fields
from typing import Literal, cast

from .closing import DEFAULT_ENDINGS, Endings
from .errors import ConfigError

MIB = 1024 * 1024
KIB = 1024

BESIDE_MESSAGES = 32 * KIB
"""Bytes that the smallest session or hub needs beside the messages it must be able to hold."""

LEAST_FRAME = 64 * KIB
"""Bytes of the largest batch, where no single message may be larger."""

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
        history_messages: messages a channel's history holds at most, and an outbox.
        history_bytes: bytes of payload a channel's history holds at most, and an outbox.
        history_age: seconds a message stays in a hub's history; None: until it rotates.
        overflow: what a publish does at that bound, where a pin still needs the oldest message.
        patience: seconds a pin holds back rotation while its reader doesn't ack.
        memory_limit: bytes a client's session, or a hub, may hold; what can go goes before that. At
            least `max_message` and 32 KiB; a hub's `least_hub_memory`.
        memory_warning: bytes above which a channel that holds more than its share gets no credit;
            None: a quarter of the limit.
        memory_cleanup: bytes above which a hub's cached frames and unpinned history go; None: half
            of the limit.
        cleanup_interval: seconds from one clean-up to the next.
        stale_age: seconds unused after which a hub's cached frames go in a clean-up, and without an
            application message after which a connected session counts as stale.
        aggressive_age: the same for cached frames and unpinned history, while more than
            `memory_cleanup` is held.
        metrics_interval: seconds between two looks for alerts; rates look back as far.
        alert_error_rate: share of 1 (errors by errors and messages) above which there is an alert.
        alert_latency: seconds above which the 95th percentile of latency is an alert.
        alert_stale: stale connections above which there is an alert.
        max_connections: connections of a `Pool`.
        max_gap: messages a `ReorderBuffer` holds beyond a gap; what is further is asked for again.
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
    memory_warning: int | None = None
    memory_cleanup: int | None = None
    cleanup_interval: float = 45.0
    stale_age: float = 300.0
    aggressive_age: float = 120.0
    metrics_interval: float = 60.0
    alert_error_rate: float = 0.05
    alert_latency: float = 2.0
    alert_stale: int = 3
    max_connections: int = 15
    max_gap: int = 100
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
        if self.memory_limit < self.max_message + BESIDE_MESSAGES:
            raise ConfigError(_too_little(self, self.max_message + BESIDE_MESSAGES))
        if self.warning_bytes > self.cleanup_bytes:
            raise ConfigError(
                f"Config.memory_warning is {self.warning_bytes}, above memory_cleanup, "
                f"{self.cleanup_bytes}"
            )
        if self.cleanup_bytes > self.memory_limit:
            raise ConfigError(
                f"Config.memory_cleanup is {self.cleanup_bytes}, above memory_limit, "
                f"{self.memory_limit}"
            )
        if self.aggressive_age > self.stale_age:
            raise ConfigError(
                f"Config.aggressive_age is {self.aggressive_age:g}, above stale_age, "
                f"{self.stale_age:g}; lower both"
            )

    @property
    def warning_bytes(self) -> int:
        """`memory_warning`, or what stands for it."""
        return self.memory_limit // 4 if self.memory_warning is None else self.memory_warning

    @property
    def cleanup_bytes(self) -> int:
        """`memory_cleanup`, or what stands for it."""
        return self.memory_limit // 2 if self.memory_cleanup is None else self.memory_cleanup

    @property
    def least_hub_memory(self) -> int:
        """Bytes of `memory_limit` below which a hub could take no batch for ever (P4).

        One that is queued while the next comes in: of 64 KiB, or a message alone.
        """
        return 2 * max(LEAST_FRAME, self.max_message) + BESIDE_MESSAGES

    def check_hub(self) -> None:
        """Refuse what is enough for a client, and not for a hub.

        Raises:
            ConfigError: the message names the field.
        """
        if self.memory_limit < self.least_hub_memory:
            raise ConfigError(_too_little(self, self.least_hub_memory, "at a hub "))

    @classmethod
    def development(cls, role: Literal["client", "hub"] = "client") -> "Config":
        """Quick retries, small buffers."""
        _check_role(role)
        if role == "hub":
            return cls(history_messages=1000, memory_limit=1_024_000_000)
        return cls(backoff_base=0.1, backoff_cap=2.0, history_messages=50)

    @classmethod
    def production(cls, role: Literal["client", "hub"] = "client") -> "Config":
        """The defaults: the origin's."""
        _check_role(role)
        if role == "hub":
            return cls(history_messages=1000, memory_limit=1_024_000_000)
        return cls()

    @classmethod
    def high_performance(cls, role: Literal["client", "hub"] = "client") -> "Config":
        """Large buffers, and retries so spread that a herd of clients stays thin."""
        _check_role(role)
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


def _check_role(role: object) -> None:
    if role not in ("client", "hub"):
        raise ConfigError(f"role is {role!r}; it must be 'client' or 'hub'")


def check_seconds(name: str, value: object) -> None:
    """Refuse what is no time, or longer than 30 days.

    Raises:
        ConfigError: the message names the argument.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= cast("float", value) <= _LONGEST:
        raise ConfigError(f"{name} is {value!r}; it must be 0 … {_spell(_LONGEST)} seconds")


def _too_little(config: Config, least: int, where: str = "") -> str:
    return (
        f"Config.memory_limit is {config.memory_limit}; {where}with a max_message of "
        f"{config.max_message} it must be at least {least}"
    )


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
    "memory_warning": (1, 2**50),
    "memory_cleanup": (1, 2**50),
    "cleanup_interval": (0.1, _LONGEST),
    "stale_age": (0.1, _LONGEST),
    "aggressive_age": (0.1, _LONGEST),
    "metrics_interval": (1.0, 86_400.0),
    "alert_error_rate": (0.0, 1.0),
    "alert_latency": (0.001, 86_400.0),
    "alert_stale": (0, 2**31),
    "max_connections": (1, 2**20),
    "max_gap": (1, 2**31),
    "max_sessions": (1, 2**31),
    "max_hub_channels": (1, 2**31),
}
_OPTIONAL = frozenset({"max_attempts", "history_age", "memory_warning", "memory_cleanup"})
_WHOLE = frozenset(
    field.name for field in fields(Config) if field.type in ("int", int, "int | None", int | None)
)
