"""The states of a session, a link, credentials and a pool's slot, and all transitions between them.

Small machines, each one enum and one table. Those of a link, which is one connection, and of a
session, which survives links, are the same for client and server; credentials are the client's
(`Credentials`); a slot is a key's place in a `Pool`. A pair that the table doesn't name can't
happen: `advance` treats it as a bug of ours, never of the peer's, because what the peer sends is
checked before.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar


class SessionState(enum.Enum):
    """Where a session is."""

    NEW = "new"
    DOWN = "down"
    UP = "up"
    LEAVING = "leaving"
    CLOSED = "closed"


class SessionTrigger(enum.Enum):
    """What moves a session."""

    START = "start"
    ATTACH = "attach"
    DETACH = "detach"
    LEAVE = "leave"
    END = "end"


class LinkState(enum.Enum):
    """Where a link is."""

    OPENING = "opening"
    GREETING = "greeting"
    ATTACHED = "attached"
    CLOSING = "closing"
    ENDED = "ended"


class LinkTrigger(enum.Enum):
    """What moves a link."""

    OPEN = "open"
    ATTACH = "attach"
    CLOSE = "close"
    END = "end"


class CredentialsState(enum.Enum):
    """Where a client's credentials are; LAST: the one refresh is used up until a welcome."""

    FIXED = "fixed"
    IDLE = "idle"
    WANTED = "wanted"
    GIVEN = "given"
    REFUSED = "refused"
    REFRESHING = "refreshing"
    LAST_IDLE = "last-idle"
    LAST_WANTED = "last-wanted"
    LAST_GIVEN = "last-given"
    SPENT = "spent"


class CredentialsTrigger(enum.Enum):
    """What moves a client's credentials."""

    ASK = "ask"
    GIVE = "give"
    LOSE = "lose"
    ACCEPT = "accept"
    REFUSE = "refuse"
    REVOKE = "revoke"


class SlotState(enum.Enum):
    """Where a key of a pool is."""

    WAITING = "waiting"
    OPENING = "opening"
    IDLE = "idle"
    ACTIVE = "active"
    CANCELLING = "cancelling"
    CLOSING = "closing"
    GONE = "gone"


class SlotTrigger(enum.Enum):
    """What moves a key of a pool."""

    OPEN = "open"
    OPENED = "opened"
    USE = "use"
    REST = "rest"
    DROP = "drop"
    END = "end"


S, SX = SessionState, SessionTrigger
SESSION: Mapping[tuple[SessionState, SessionTrigger], SessionState] = MappingProxyType(
    {
        # A client starts without a link; a server's session begins with its first one.
        (S.NEW, SX.START): S.DOWN,
        (S.NEW, SX.ATTACH): S.UP,
        (S.NEW, SX.LEAVE): S.LEAVING,
        (S.NEW, SX.END): S.CLOSED,
        (S.DOWN, SX.ATTACH): S.UP,
        (S.DOWN, SX.LEAVE): S.LEAVING,
        (S.DOWN, SX.END): S.CLOSED,
        # UP + ATTACH: a takeover, the newest link wins.
        (S.UP, SX.ATTACH): S.UP,
        (S.UP, SX.DETACH): S.DOWN,
        (S.UP, SX.LEAVE): S.LEAVING,
        (S.UP, SX.END): S.CLOSED,
        # LEAVING takes no new work and still needs links to settle the old.
        (S.LEAVING, SX.ATTACH): S.LEAVING,
        (S.LEAVING, SX.DETACH): S.LEAVING,
        (S.LEAVING, SX.LEAVE): S.LEAVING,
        (S.LEAVING, SX.END): S.CLOSED,
        (S.CLOSED, SX.LEAVE): S.CLOSED,
        (S.CLOSED, SX.END): S.CLOSED,
    }
)

L, LX = LinkState, LinkTrigger
LINK: Mapping[tuple[LinkState, LinkTrigger], LinkState] = MappingProxyType(
    {
        (L.OPENING, LX.OPEN): L.GREETING,
        (L.OPENING, LX.CLOSE): L.ENDED,
        (L.OPENING, LX.END): L.ENDED,
        (L.GREETING, LX.ATTACH): L.ATTACHED,
        (L.GREETING, LX.CLOSE): L.CLOSING,
        (L.GREETING, LX.END): L.ENDED,
        (L.ATTACHED, LX.CLOSE): L.CLOSING,
        (L.ATTACHED, LX.END): L.ENDED,
        # CLOSING: one last `close` frame is to be sent, nothing is heard any more.
        (L.CLOSING, LX.CLOSE): L.CLOSING,
        (L.CLOSING, LX.END): L.ENDED,
        (L.ENDED, LX.CLOSE): L.ENDED,
        (L.ENDED, LX.END): L.ENDED,
    }
)

C, CX = CredentialsState, CredentialsTrigger
CREDENTIALS: Mapping[tuple[CredentialsState, CredentialsTrigger], CredentialsState] = (
    MappingProxyType(
        {
            (C.FIXED, CX.ASK): C.FIXED,
            (C.FIXED, CX.LOSE): C.FIXED,
            (C.FIXED, CX.ACCEPT): C.FIXED,
            (C.FIXED, CX.REFUSE): C.SPENT,
            (C.FIXED, CX.REVOKE): C.SPENT,
            # Asked for, and a refresh is left.
            (C.IDLE, CX.ASK): C.WANTED,
            (C.IDLE, CX.REVOKE): C.REFUSED,
            (C.WANTED, CX.GIVE): C.GIVEN,
            (C.WANTED, CX.LOSE): C.IDLE,
            (C.WANTED, CX.REFUSE): C.REFUSED,
            (C.WANTED, CX.REVOKE): C.REFRESHING,
            (C.GIVEN, CX.LOSE): C.IDLE,
            (C.GIVEN, CX.ACCEPT): C.IDLE,
            (C.GIVEN, CX.REFUSE): C.REFUSED,
            (C.GIVEN, CX.REVOKE): C.GIVEN,
            # The refresh: told to the application until it has answered.
            (C.REFUSED, CX.ASK): C.REFRESHING,
            (C.REFUSED, CX.REVOKE): C.REFUSED,
            (C.REFRESHING, CX.GIVE): C.LAST_GIVEN,
            (C.REFRESHING, CX.LOSE): C.REFUSED,
            (C.REFRESHING, CX.REFUSE): C.SPENT,
            (C.REFRESHING, CX.REVOKE): C.REFRESHING,
            # It is used up: asked for as ever, but one more refusal is the last word.
            (C.LAST_IDLE, CX.ASK): C.LAST_WANTED,
            (C.LAST_IDLE, CX.REVOKE): C.LAST_IDLE,
            (C.LAST_WANTED, CX.GIVE): C.LAST_GIVEN,
            (C.LAST_WANTED, CX.LOSE): C.LAST_IDLE,
            (C.LAST_WANTED, CX.REFUSE): C.SPENT,
            (C.LAST_WANTED, CX.REVOKE): C.LAST_WANTED,
            (C.LAST_GIVEN, CX.LOSE): C.LAST_IDLE,
            (C.LAST_GIVEN, CX.ACCEPT): C.IDLE,
            (C.LAST_GIVEN, CX.REFUSE): C.SPENT,
            (C.LAST_GIVEN, CX.REVOKE): C.LAST_GIVEN,
            (C.SPENT, CX.REVOKE): C.SPENT,
        }
    )
)

P, PX = SlotState, SlotTrigger
SLOT: Mapping[tuple[SlotState, SlotTrigger], SlotState] = MappingProxyType(
    {
        (P.WAITING, PX.OPEN): P.OPENING,
        (P.WAITING, PX.DROP): P.GONE,
        (P.OPENING, PX.OPENED): P.IDLE,
        (P.OPENING, PX.DROP): P.CANCELLING,
        (P.OPENING, PX.END): P.GONE,
        (P.IDLE, PX.USE): P.ACTIVE,
        (P.IDLE, PX.DROP): P.CLOSING,
        (P.IDLE, PX.END): P.GONE,
        (P.ACTIVE, PX.REST): P.IDLE,
        (P.ACTIVE, PX.END): P.GONE,
        # The driver may have been too late to cancel, or may not care to.
        (P.CANCELLING, PX.OPENED): P.CLOSING,
        (P.CANCELLING, PX.END): P.GONE,
        (P.CLOSING, PX.END): P.GONE,
    }
)

State = TypeVar("State", bound=enum.Enum)
Trigger = TypeVar("Trigger", bound=enum.Enum)


def advance(table: Mapping[tuple[State, Trigger], State], state: State, trigger: Trigger) -> State:
    """Look up where a trigger leads."""
    return table[state, trigger]
