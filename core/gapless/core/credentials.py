"""Credentials: what a client shows in `hello`, fixed or asked for at each connect.

A *refusal* is an ending of class REFRESH_CREDENTIALS. What is fixed can't be refreshed: its first
refusal is the last word. What is asked for is refreshed once between two welcomes: the application
is told what was refused and gives newer ones. If these are refused too, that is the last word, or a
server that refuses for ever would be dialled for ever (I18). One state, one table::

    state        ask          give        lose       accept  refuse   revoke
    fixed        fixed        -           fixed      fixed   spent    spent
    idle         wanted       -           -          -       -        refused
    wanted       -            given       idle       -       refused  refreshing
    given        -            -           idle       idle    refused  given
    refused      refreshing   -           -          -       -        refused
    refreshing   -            last-given  refused    -       spent    refreshing
    last-idle    last-wanted  -           -          -       -        last-idle
    last-wanted  -            last-given  last-idle  -       spent    last-wanted
    last-given   -            -           last-idle  idle    spent    last-given
    spent        -            -           -          -       -        spent

`ask`: a link is dialled. `give`: the application answers. `lose`: the dialled link ended for
another reason. `accept`: it was welcomed. `refuse`: it was refused. `revoke`: the link that carried
the session was closed for its credentials; those given since are not judged by it.

Invariants: between two `accept` there is at most one `give` from *refreshing*; what was given is
kept until its link has a verdict, no longer; nothing of it shows in a `repr`.
"""

from dataclasses import replace

from .closing import Ending
from .errors import ConfigError, InvalidState
from .position import MAX_CREDENTIALS, check_secret
from .states import CREDENTIALS, CredentialsState, CredentialsTrigger, advance

_WANTED = frozenset(
    {CredentialsState.WANTED, CredentialsState.REFRESHING, CredentialsState.LAST_WANTED}
)
_REFUSED = frozenset({CredentialsState.REFUSED, CredentialsState.REFRESHING})


class Credentials:
    """What one client session shows.

    Args:
        fixed: shown at every connect; opaque.
        asked: whether the application is asked at every connect instead.

    Attributes:
        state: where it stands.
        shown: what the next `hello` carries; None: nothing.
        refused: why those before are to be refreshed; None: they are not.

    Raises:
        ConfigError: they can't be sent, or are both fixed and asked for.
    """

    def __init__(self, fixed: str | None, *, asked: bool) -> None:
        check_secret("credentials", fixed, MAX_CREDENTIALS)
        if asked and fixed is not None:
            raise ConfigError("credentials are given and asked for; leave one of the two out")
        self.state = CredentialsState.IDLE if asked else CredentialsState.FIXED
        self._asked = asked
        self.shown = fixed
        self.refused: Ending | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether `hello` waits for the application."""
        return self.state in _WANTED

    @property
    def is_spent(self) -> bool:
        """Whether the last refusal was the last word."""
        return self.state is CredentialsState.SPENT

    def explain(self, ending: Ending) -> Ending:
        """Add to the last word what to do about it."""
        if not self.is_spent:
            return ending
        told = ending.reason or "the credentials were refused"
        if self._asked:
            return replace(ending, reason=f"{told}; so were those that were refreshed")
        return replace(ending, reason=f"{told}; show others, or have them asked for")

    # inputs

    def handle_dialled(self) -> None:
        """A link is dialled."""
        self._advance(CredentialsTrigger.ASK)

    def handle_welcomed(self) -> None:
        """The dialled link was welcomed: another refresh may be asked for, one day."""
        self._advance(CredentialsTrigger.ACCEPT)
        self._forget()

    def handle_lost(self) -> None:
        """The dialled link ended, and not for its credentials."""
        self._advance(CredentialsTrigger.LOSE)
        self._forget()

    def handle_refused(self, ending: Ending) -> None:
        """The dialled link was refused."""
        self._advance(CredentialsTrigger.REFUSE)
        self._forget()
        self._note(ending)

    def handle_revoked(self, ending: Ending) -> None:
        """The link that carried the session was closed for its credentials."""
        self._advance(CredentialsTrigger.REVOKE)
        if self.is_spent:
            self._forget()
        self._note(ending)

    # commands

    def give(self, credentials: str | None) -> None:
        """Take the application's answer; None: show nothing.

        Raises:
            InvalidState: none are wanted now.
            ConfigError: they can't be sent.
        """
        if not self.is_wanted:
            raise InvalidState("no credentials are wanted now; ask wants_credentials first")
        check_secret("credentials", credentials, MAX_CREDENTIALS)
        self._advance(CredentialsTrigger.GIVE)
        self.shown = credentials

    # internals

    def _advance(self, trigger: CredentialsTrigger) -> None:
        self.state = advance(CREDENTIALS, self.state, trigger)
        if self.state not in _REFUSED:
            self.refused = None

    def _note(self, ending: Ending) -> None:
        if self.state in _REFUSED and self.refused is None:
            self.refused = ending

    def _forget(self) -> None:
        if self.state is not CredentialsState.FIXED:
            self.shown = None
