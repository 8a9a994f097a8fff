"""Roster: a hub's sessions, by id, by token, and by the links that carry them.

A token alone resumes nothing: the credentials shown beside it must have the session's principal,
and unknown, expired and wrong tokens get the same answer, a new session (I14). The newest link wins
a session, so one that is older than the present one is turned away (I13).
"""

from collections.abc import Callable

from .authorize import Grant
from .closing import Code, Ending
from .config import Config
from .frames import Hello, Welcome
from .server import ServerSession
from .tokens import Tokens, session_name


class Roster:
    """All sessions of a hub.

    Args:
        config: how many there may be, and what a welcome says.
        new_token: a source of unguessable strings.
        new_session: makes a session from its id, grant and the time; None: there is no memory.

    Attributes:
        links: the session each link carries.
        parting: the session each link did carry that has its last word still to say.
        sessions: all of them by their public ids.
    """

    def __init__(
        self,
        config: Config,
        *,
        new_token: Callable[[], str],
        new_session: Callable[[str, Grant, float], ServerSession | None],
    ) -> None:
        self.links: dict[int, ServerSession] = {}
        self.parting: dict[int, ServerSession] = {}
        self.sessions: dict[str, ServerSession] = {}
        self._config = config
        self._new_token = new_token
        self._new_session = new_session
        self._tokens: Tokens[ServerSession] = Tokens(new_token)

    def claim(
        self, link: int, hello: Hello, grant: Grant | None, *, now: float
    ) -> tuple[ServerSession, Welcome] | Ending:
        """Give a link that has its verdict a session, the one it asks for or a new one.

        Returns the session and the link's welcome, or how the link must end.
        """
        if grant is None:
            return Ending(Code.UNAUTHORIZED, "the credentials were refused")
        session = None if hello.token is None else self._tokens.find(hello.token)
        resumed = session is not None and session.grant.principal == grant.principal
        if session is None or not resumed:
            session = self._add(grant, now)
            if session is None:
                return Ending(Code.TRY_LATER, "the server is full", 1.0)
        elif session.link is not None and session.link > link:
            return Ending(Code.FENCED, "a newer connection has the session")
        session.grant = grant
        self.links[link] = session
        token = self._tokens.show(session, hello.token if resumed else None)
        config = self._config
        welcome = Welcome(
            session.id,
            token,
            resumed,
            int(config.heartbeat * 1000),
            int(config.lease * 1000),
            config.max_message,
            config.max_channels,
        )
        return session, welcome

    def part(self, link: int, *, has_last_word: bool) -> ServerSession | None:
        """A link carries its session no more; returns that."""
        session = self.links.pop(link, None) or self.parting.pop(link, None)
        if session is not None and has_last_word:
            self.parting[link] = session
        return session

    def close(self, link: int, ending: Ending, now: float) -> None:
        """Close a link that carries a session; the session goes on."""
        session = self.links.get(link)
        if session is not None and session.link == link:
            session.close_link(ending, now)

    def close_all(self, ending: Ending, now: float) -> None:
        """Close all links."""
        for session in self.sessions.values():
            session.close_link(ending, now)

    def forget(self, session: ServerSession) -> None:
        """A session is over."""
        self._tokens.forget(session)
        self.sessions.pop(session.id, None)

    def _add(self, grant: Grant, now: float) -> ServerSession | None:
        if len(self.sessions) >= self._config.max_sessions:
            return None
        number = session_name(self._new_token())
        session = self._new_session(number, grant, now)
        if session is not None:
            self.sessions[number] = session
        return session
