"""Tokens: how a client shows which session it had (rule 8).

A session keeps two: `current` and `pending`. `welcome` carries the pending one; showing it makes it
current and mints the next. Showing the current one while another is pending — the welcome was cut —
is answered with *the same* pending one, or a client could be locked out by a lost frame. No other
frame moves tokens.

A token is kept in clear only until it is shown (it may have to be said again), then as its SHA-256.
Look-up is by that digest, so timing tells nothing about a secret, and unknown, expired and wrong
look the same.
"""

import hashlib
from collections.abc import Callable
from typing import Generic, TypeVar

Owner = TypeVar("Owner")


class Tokens(Generic[Owner]):
    """The tokens of all sessions of a hub.

    Args:
        new_token: a source of unguessable strings, 128 random bits or more.
    """

    def __init__(self, new_token: Callable[[], str]) -> None:
        self._new_token = new_token
        self._owners: dict[bytes, Owner] = {}
        self._current: dict[Owner, bytes] = {}
        self._pending: dict[Owner, str] = {}

    def find(self, token: str) -> Owner | None:
        """Say whose token it is, current or pending; None if nobody's."""
        return self._owners.get(_digest(token))

    def show(self, owner: Owner, token: str | None) -> str:
        """Take the token that `hello` showed, once it attaches its link; returns the next.

        None: a new session.
        """
        pending = self._pending.get(owner)
        if pending is not None and (token is None or _digest(token) != _digest(pending)):
            return pending
        if pending is not None:
            self._forget_current(owner)
            self._current[owner] = _digest(pending)
        fresh = self._new_token()
        self._pending[owner] = fresh
        self._owners[_digest(fresh)] = owner
        return fresh

    def forget(self, owner: Owner) -> None:
        """The session is over."""
        self._forget_current(owner)
        pending = self._pending.pop(owner, None)
        if pending is not None:
            self._owners.pop(_digest(pending), None)

    def _forget_current(self, owner: Owner) -> None:
        digest = self._current.pop(owner, None)
        if digest is not None:
            self._owners.pop(digest, None)


def epoch_name(token: str) -> str:
    """Make the public name of an epoch of a secret: 16 hex digits."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def session_name(token: str) -> str:
    """Make the public id of a session of a secret: an @ and 22 hex digits."""
    return "@" + hashlib.sha256(token.encode()).hexdigest()[:22]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
