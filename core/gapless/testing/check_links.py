"""What holds of links: I13, I14 (tokens), I16 (counts), I19 (life signs).

Of a session's tokens it keeps what rule 8 says: the current and the pending one. A token that was
shown to a server whose `welcome` never went out may have moved them unseen: then nothing is
concluded from the older one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gapless.core.authorize import Verifier
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.frames import Close, Data, Frame, Hello, Ping, Pong, Welcome

from .network import Line, Pipe
from .promise import hold

_EPSILON = 1e-6


@dataclass(slots=True)
class Tokens:
    """What resumes a session, as its welcomes said; `shown`: the pending one, to who knows whom."""

    principal: str | None
    current: str | None
    pending: str
    shown: str | None = None


@dataclass(slots=True)
class Ear:
    """One end of a line: what it heard last, since when it must act on silence, when it asked."""

    arrived: int
    heard_at: float
    since: float
    pinged_at: float | None = None
    had_room: bool = True


class LinkCheck:
    """Follows every line.

    Args:
        verifier: judges credentials; None: whoever shows the same is the same.
        is_alive: whether the server at the end of a line still has a session.
    """

    def __init__(
        self,
        verifier: Callable[[], Verifier | None],
        is_alive: Callable[[Line, str], bool],
    ) -> None:
        self._verifier = verifier
        self._is_alive = is_alive
        self._hellos: dict[Line, Hello] = {}
        self._sessions: dict[Line, str] = {}
        self._newest: dict[str, Line] = {}
        self._tokens: dict[str, Tokens] = {}
        self._sent: dict[tuple[Line, bool], int] = {}
        self._ears: dict[tuple[Line, bool], Ear] = {}
        self._closing: set[tuple[Line, bool]] = set()
        self._carrying: set[Line] = set()

    def session_of(self, line: Line) -> str | None:
        """The session that a line carries, or has carried."""
        return self._sessions.get(line)

    def forget(self, line: Line) -> None:
        """A line is gone."""
        self._hellos.pop(line, None)
        self._sessions.pop(line, None)
        self._carrying.discard(line)
        for to_client in (True, False):
            self._sent.pop((line, to_client), None)
            self._ears.pop((line, to_client), None)
            self._closing.discard((line, to_client))

    def frame(self, line: Line, to_client: bool, frame: Frame, *, now: float) -> None:
        """Judge a frame."""
        who = line.server if to_client else line.client
        words = f"{type(frame).__name__} from {who} behind its close"
        hold((line, to_client) not in self._closing, "I20", words)
        if to_client:
            self._check_fence(line, frame)
        if isinstance(frame, Data):
            self._sent[line, to_client] = self._sent.get((line, to_client), 0) + 1
        elif isinstance(frame, Ping | Pong):
            self._count(line, to_client, frame, now)
        elif isinstance(frame, Hello):
            self._hellos[line] = frame
            for tokens in self._tokens.values():
                if tokens.pending == frame.token:
                    tokens.shown = frame.token
        elif isinstance(frame, Welcome):
            self._welcome(line, frame)
        elif isinstance(frame, Close):
            self._closing.add((line, to_client))

    def carries(self, line: Line, link: int | None) -> None:
        """A client's session is on that link: it may leave it only for a reason (I13)."""
        if link == line.client_link:
            self._carrying.add(line)
        elif line in self._carrying and link is None:
            hold(self._is_over(line), "I13", f"{line.client} has let go of a link that stands")

    def hear(self, line: Line, by_client: bool, config: Config, *, now: float, late: bool) -> None:
        """Judge how long an attached end has heard nothing (I19); `late`: its driver slept."""
        if (line, True) in self._closing or (line, False) in self._closing:
            return
        ear = self._listen(line, by_client, now)
        ear.had_room = (line.to_server if by_client else line.to_client).has_room
        if late:
            ear.since = now
        silent, most = now - ear.since, config.heartbeat + config.heartbeat_timeout
        who = line.client if by_client else line.server
        words = f"{who} has heard nothing for {silent:.3f} s, and goes on after {most:g}"
        hold(silent <= most + _EPSILON, "I19", words)

    def closed(
        self, line: Line, by_client: bool, ending: Ending, config: Config, *, now: float
    ) -> None:
        """An end gives up: a peer is dead only if it didn't answer a probe (I19)."""
        ear = self._listen(line, by_client, now)
        if ending.code != Code.SILENT or not ear.had_room:
            return
        who = line.client if by_client else line.server
        asked = ear.pinged_at is not None and ear.pinged_at >= ear.heard_at - _EPSILON
        hold(asked, "I19", f"{who} took the other end for dead without having asked it")
        assert ear.pinged_at is not None
        waited, least = now - ear.pinged_at, config.heartbeat_timeout
        words = f"{who} waited {waited:.3f} s for the answer to its ping, not {least:g}"
        hold(waited >= least - _EPSILON, "I19", words)

    def _is_over(self, line: Line) -> bool:
        """Whether an end has left a line, or it is cut: it holds no session against another."""
        told = (line, True) in self._closing or (line, False) in self._closing
        return told or line.is_cut or line.is_over

    def _check_fence(self, line: Line, frame: Frame) -> None:
        """Who lost a session to a newer link hears nothing but `close`."""
        session = self._sessions.get(line)
        is_newest = session is None or self._newest.get(session) is line
        words = f"{type(frame).__name__} to {line.client} on a link that was fenced off"
        hold(is_newest or isinstance(frame, Close), "I13", words)

    def _count(self, line: Line, to_client: bool, frame: Ping | Pong, now: float) -> None:
        sent = self._sent.get((line, to_client), 0)
        words = f"{type(frame).__name__} counts {frame.sent} data frames, {sent} were sent"
        hold(frame.sent == sent, "I16", words)
        if isinstance(frame, Ping):
            self._listen(line, not to_client, now).pinged_at = now

    def _listen(self, line: Line, by_client: bool, now: float) -> Ear:
        pipe: Pipe = line.to_client if by_client else line.to_server
        ear = self._ears.get((line, by_client))
        if ear is None:
            ear = self._ears[line, by_client] = Ear(pipe.arrived, now, now)
        elif ear.arrived != pipe.arrived:
            ear.arrived, ear.heard_at, ear.since = pipe.arrived, now, now
        return ear

    def _welcome(self, line: Line, frame: Welcome) -> None:
        hello = self._hellos.get(line)
        if hello is None:
            return
        before = self._newest.get(frame.session)
        if before is not None and not self._is_over(before):
            words = f"{line.client}: link {line.server_link} has the session of a younger one"
            hold(before.server_link <= line.server_link, "I13", words)
        self._newest[frame.session] = line
        self._sessions[line] = frame.session
        principal = self._principal(hello)
        tokens = self._tokens.get(frame.session)
        if not frame.resumed:
            self._check_lost(line, hello, principal)
            hold(tokens is None, "I14", f"{line.client} was given a session that there is already")
            self._tokens[frame.session] = Tokens(principal, None, frame.token)
            return
        hold(tokens is not None, "I14", f"{line.client} resumes what nobody was given")
        assert tokens is not None
        self._check_resumed(line, hello, frame, principal, tokens)

    def _check_resumed(
        self, line: Line, hello: Hello, frame: Welcome, principal: str | None, tokens: Tokens
    ) -> None:
        who = f"{line.client} as {principal}"
        words = f"{who} was given the session of {tokens.principal}"
        hold(principal == tokens.principal, "I14", words)
        if hello.token == tokens.pending:
            hold(frame.token != tokens.pending, "I14", f"{who}: the token it showed is the next")
            tokens.current, tokens.pending, tokens.shown = hello.token, frame.token, None
            return
        is_sure = tokens.shown is None
        words = f"{who} resumed with a token that is no more"
        hold(hello.token == tokens.current or not is_sure, "I14", words)
        words = f"{who} showed the current token, and the next isn't the pending one"
        hold(frame.token == tokens.pending or not is_sure, "I14", words)
        if frame.token != tokens.pending:
            tokens.current, tokens.pending, tokens.shown = hello.token, frame.token, None

    def _check_lost(self, line: Line, hello: Hello, principal: str | None) -> None:
        """A token that is good must not be turned away: a lost frame would lock a client out."""
        if hello.token is None:
            return
        for session, tokens in self._tokens.items():
            good = hello.token == tokens.pending
            good |= hello.token == tokens.current and tokens.shown is None
            if good and tokens.principal == principal:
                alive = self._is_alive(line, session)
                hold(not alive, "I14", f"{line.client} is locked out of {session}, which lives")

    def _principal(self, hello: Hello) -> str | None:
        verify = self._verifier()
        if verify is None:
            return hello.credentials
        grant = verify(hello.credentials)
        return None if grant is None else grant.principal
