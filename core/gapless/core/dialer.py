"""Dialer: keeps a client's session on a link.

It dials, greets, takes the verdict, decides with the `Reconnector` what follows a link's end, moves
to another link on `goaway` (rule 9), and ends the session. `hello` goes out with the subscriptions
right behind it, as far as 48 KiB go; the rest and the offers follow `welcome` (rule 1). Where
credentials are asked for, `hello` waits for them, within `connect_timeout`.

A last word about a move (its class is stop, or its refreshed credentials are refused) ends the
moving at once, and the session together with the link that still carries it.

It knows that there are lanes, not what they are: `ClientSession` adds subscriptions and outboxes.
"""

from collections.abc import Sequence
from random import Random

from .accounts import Accounts
from .closing import CloseClass, Code, Ending
from .config import Config
from .credentials import Credentials
from .errors import ConfigError, InvalidState
from .events import Closed, CloseLink, CredentialsWanted, Goodbye, LinkDown, LinkUp, OpenLink
from .frames import (
    VERSION,
    Ack,
    Close,
    Data,
    Frame,
    Goaway,
    Hello,
    Ping,
    Pong,
    Refused,
    Subscribe,
    Welcome,
)
from .lane import Lane
from .link import Link
from .position import MAX_TOKEN, Position, check_secret, check_words, escaped_size, is_token
from .reconnector import Reconnector
from .session import Session
from .states import LinkState, SessionState, SessionTrigger
from .violation import Violation
from .watch import Watch

PIPELINED_BYTES = 48 * 1024
"""Bytes of `subscribe` that may follow `hello` before the verdict."""


class Dialer(Session):
    """A client's session without its channels.

    Args:
        config: see `Config`.
        rng: jitter, and nothing else.
        books, watch: of the session.
        credentials: shown in every `hello`; opaque to gapless.
        asks_credentials: whether they are asked for at each connect instead: `wants_credentials`.
        token: a session token saved earlier, to resume that session.
        wait: seconds to keep trying for the first connection; 0: one try.

    Raises:
        ConfigError: credentials or token can't be sent, or `wait` is no time.
    """

    def __init__(
        self,
        config: Config,
        *,
        rng: Random,
        books: Accounts,
        watch: Watch,
        credentials: str | None = None,
        asks_credentials: bool = False,
        token: str | None = None,
        wait: float = 0.0,
    ) -> None:
        self._credentials = Credentials(credentials, asked=asks_credentials)
        check_secret("token", token, MAX_TOKEN, least=1)
        if not wait >= 0:
            raise ConfigError(f"wait is {wait!r}; it must be a number of seconds, 0 for one try")
        super().__init__(config, rng=rng, books=books, watch=watch)
        self.id: str | None = None
        self.lease: float | None = None
        self.ending: Ending | None = None
        self.links = 0
        self.resumes = 0
        self._token = token
        self._max_message = config.max_message
        self._max_channels = config.max_channels
        self._reconnector = Reconnector(config, rng=rng, wait=wait)
        self._dialing: Link | None = None
        self._old: Link | None = None
        self._last_word: Ending | None = None
        self._greeted = False
        self._pipelined = 0
        self._last_link = 0

    @property
    def token(self) -> str | None:
        """The secret that resumes this session; it changes with every link."""
        return self._token

    @property
    def max_message(self) -> int:
        """Bytes of the largest payload that can be published."""
        return min(self.config.max_message, self._max_message)

    @property
    def is_settled(self) -> bool:
        """Whether nothing keeps the session from closing."""
        return True

    @property
    def wants_credentials(self) -> bool:
        """Whether a connect waits for `show_credentials`."""
        return self._dialing is not None and self._credentials.is_wanted

    @property
    def refused_credentials(self) -> Ending | None:
        """Why newer credentials than those shown before are wanted; None: these may do."""
        return self._credentials.refused

    # inputs

    def handle_link_opened(self, link: int, *, now: float) -> None:
        """Note that the transport of a link is up; `hello` goes out."""
        now = self._clamp(now)
        dialing = self._dialing
        if dialing is not None and dialing.id == link and dialing.state is LinkState.OPENING:
            dialing.open(now=now)
            self._arm(dialing)
            self._mark_writable(dialing)

    def handle_network_back(self, *, now: float) -> None:
        """The host says the network is back: try at once."""
        now = self._clamp(now)
        self._reconnector.nudge()
        if self._dialing is None and self._link is None and self._is_running():
            self._dial(now)

    # commands

    def start(self, *, now: float) -> None:
        """Begin: the first link is asked for.

        Raises:
            InvalidState: the session was started or closed before.
        """
        now = self._clamp(now)
        if self.state is not SessionState.NEW:
            raise InvalidState(f"the session is {self.state.value}; start it once")
        self._advance(SessionTrigger.START)
        self._watch.start(now=now)
        self._look_after("cleanup", now)
        self._look_after("metrics", now)
        self._reconnector.start(now=now)
        self._dial(now)

    def show_credentials(self, credentials: str | None, *, now: float) -> None:
        """Answer `CredentialsWanted`: what the connect under way shows; None: nothing.

        Raises:
            InvalidState: none are wanted now.
            ConfigError: they can't be sent.
        """
        self._clamp(now)
        if self._dialing is None:
            raise InvalidState("no connect is under way; ask wants_credentials first")
        self._credentials.give(credentials)
        self._events.pop(CredentialsWanted, None)
        self._mark_writable(self._dialing)

    def withhold_credentials(self, reason: str, *, now: float) -> None:
        """Answer `CredentialsWanted`: there are none; the connect under way has failed.

        `reason` is told to the application, never to the peer; the code is `WITHHELD`. The next try
        asks again.

        Raises:
            InvalidState, TypeError: none are wanted now; the reason is no text.
        """
        check_words("reason", reason)
        now, link = self._clamp(now), self._dialing
        if link is None or not self.wants_credentials:
            raise InvalidState("no credentials are wanted now; ask wants_credentials first")
        if not self._take_back(link):
            self._commands.append(CloseLink(link.id, _WITHHELD))
        link.end()
        self._drop_link(link, Ending(Code.WITHHELD, reason), now)

    def close(self, *, now: float, timeout: float | None = None) -> None:
        """End the session once every publish is settled, or after `timeout` seconds.

        Default: `config.close_timeout`. Harmless if called twice; the sooner end counts.
        """
        now = self._clamp(now)
        was_started = self.state is not SessionState.NEW
        self._leave()
        if self.state is SessionState.CLOSED:
            return
        seconds = self.config.close_timeout if timeout is None else timeout
        if was_started and seconds > 0:
            self._timers.set("close", now + seconds)
            self._finish_if_settled(now)
        else:
            self._finish(_CLOSED_HERE, now)

    def suspend(self, *, now: float) -> None:
        """End here at once, and leave the session to the server, which keeps it for its lease.

        `token` resumes it, in another process as well. What is published and not settled ends as
        unknown or unsent. Harmless if called twice.
        """
        now = self._clamp(now)
        self._leave()
        if self.state is not SessionState.CLOSED:
            self._finish(_SUSPENDED, now)

    # for Session

    def _find_link(self, link: int) -> Link | None:
        if self._dialing is not None and self._dialing.id == link:
            return self._dialing
        if self._old is not None and self._old.id == link:
            return self._old
        return super()._find_link(link)

    def _dispatch(self, link: Link, frame: Frame, now: float) -> None:
        if link is not self._old or isinstance(frame, Ping | Pong | Close):
            super()._dispatch(link, frame, now)
        elif isinstance(frame, Data):
            # Of a subscription that has moved.
            link.receive_data_frame()
        elif isinstance(frame, Ack | Refused):
            self._settle_staying(frame, now)
            # The last answer may have ended a session that is closing: then it is gone already.
            if link is self._old and not self._staying():
                self._leave_old(now)

    def _look_after(self, name: str, now: float) -> None:
        """Note when to look after memory, or figures, again."""
        cleanup = now + self.config.cleanup_interval
        self._timers.set(name, cleanup if name == "cleanup" else self._watch.next_deadline())

    def _stay(self) -> bool:
        """Keep on the link that is left what waits for an answer there; False: nothing does."""
        return False

    def _settle_staying(self, frame: Ack | Refused, now: float) -> None:
        """Take an answer on the link that was left."""

    def _staying(self) -> Sequence[Lane]:
        """What still waits for an answer on the link that was left."""
        return []

    def _stay_no_more(self) -> None:
        """No answer will come on the link that was left."""

    def _next_greeting(self, link: Link, now: float) -> Frame | None:
        if not self._greeted:
            if self._credentials.is_wanted:
                return None
            self._greeted = True
            return Hello(VERSION, self._token, self._credentials.shown, self.config.max_message)
        if self._link is not None or self._pipelined >= PIPELINED_BYTES - 1024:
            return None
        frame = self._next_pipelined(now)
        if frame is not None:
            since = frame.since.epoch if isinstance(frame.since, Position) else frame.since
            self._pipelined += 128 + escaped_size(frame.channel) + escaped_size(since)
        return frame

    def _next_pipelined(self, now: float) -> Subscribe | None:
        """Build a `subscribe` that may go out before the verdict."""
        return None

    def _receive_role_frame(self, link: Link, frame: Frame, now: float) -> None:
        if isinstance(frame, Welcome):
            self._receive_welcome(link, frame, now)
        elif isinstance(frame, Goaway):
            self._check_attached(link, frame)
            self._receive_goaway(link, frame, now)
        else:
            super()._receive_role_frame(link, frame, now)

    def _receive_welcome(self, link: Link, frame: Welcome, now: float) -> None:
        if link is not self._dialing:
            raise Violation("a second welcome")
        if not self._greeted:
            raise Violation("a welcome before hello")
        if not is_token(frame.token):
            raise Violation("welcome without a token that can be shown")
        self._dialing = None
        self._credentials.handle_welcomed()
        if self._link is not None:
            self._move_from(self._link, frame.resumed, now)
        link.attach(now=now)
        self._link = link
        self._arm(link)
        self.id, self._token = frame.session, frame.token
        self._max_message = frame.max_message
        self._max_channels = min(self.config.max_channels, frame.max_channels)
        self.lease = frame.lease_ms / 1000
        self.links += 1
        self.resumes += frame.resumed
        self._advance(SessionTrigger.ATTACH)
        self._passed_at = now
        self._reconnector.connected()
        self._tell(LinkUp(frame.session, frame.resumed))
        for lane in self._lanes():
            self._touch(lane)

    def _move_from(self, old: Link, resumed: bool, now: float) -> None:
        """Rule 9: the new link has its welcome. The old one is read no more.

        Unless the session did not move with it: then what was sent is answered on the old one only,
        and is waited for there.
        """
        if self._old is not None:
            self._leave_old(now)
        stays = not resumed and self._stay()
        self._link = None
        self._detach_lanes(now)
        if stays:
            self._old = old
        elif resumed:
            self._close_old(old, Ending(Code.FENCED, "moved to another link"))
        else:
            self._close_old(old, _MOVED)

    def _leave_old(self, now: float) -> None:
        """Nothing more is expected on the link that was left."""
        old = self._old
        assert old is not None
        self._close_old(old, _MOVED)
        self._forget_old(now)

    def _close_old(self, old: Link, ending: Ending) -> None:
        self._timers.set(old, None)
        old.close(ending)
        self._closing[old.id] = old
        self._mark_writable(old)
        self._commands.append(CloseLink(old.id, ending))

    def _forget_old(self, now: float) -> None:
        """What was not answered on the link that was left is offered on the present one."""
        self._old = None
        lanes = self._staying()
        self._stay_no_more()
        for lane in lanes:
            lane.handle_link_lost(now=now)
            self._touch(lane)

    def _receive_goaway(self, link: Link, frame: Goaway, now: float) -> None:
        self._tell(Goodbye(frame.within_ms / 1000))
        may_move = self._dialing is None and self._last_word is None
        if may_move and self.state is SessionState.UP:
            spread = min(frame.spread_ms, frame.within_ms) / 1000
            self._move_soon(link, now, spread=spread)

    def _handle_timer(self, name: str, now: float) -> None:
        if name == "dial" and self._dialing is None and self._is_running():
            self._dial(now)
        elif name == "close" and self.state is SessionState.LEAVING:
            self._finish(_CLOSED_HERE, now)

    def _link_ended(self, link: Link, ending: Ending, now: float) -> None:
        if link is self._old:
            self._forget_old(now)
            return
        was_dialling = link is self._dialing
        if was_dialling:
            self._dialing = None
        if self.state is SessionState.CLOSED:
            return
        self._watch.handle_errors(1, now=now)
        self._judge_credentials(ending, was_dialling=was_dialling)
        if self.config.endings.classify(ending) is CloseClass.NEW_SESSION:
            self._token = None
        can_refresh = not self._credentials.is_spent
        is_final = self._reconnector.is_final(ending, can_refresh=can_refresh)
        ending = self._credentials.explain(ending)
        if self._link is not None:
            # A move that failed: the old link still carries the session.
            if is_final:
                self._last_word = ending
            else:
                self._move_soon(link, now, hint=ending.retry_after)
            return
        if self.state is SessionState.UP:
            self._advance(SessionTrigger.DETACH)
        if is_final or self._last_word is not None:
            self._finish(self._last_word or ending, now)
            return
        if self._dialing is not None:
            # It was moving: the next try is on its way.
            self._tell(LinkDown(ending, now))
            return
        at = self._reconnector.retry_at(
            ending,
            lived=link.lived(now),
            progressed=link.progressed,
            now=now,
            can_refresh=can_refresh,
        )
        if at is None:
            self._finish(ending, now)
            return
        self._tell(LinkDown(ending, at))
        self._timers.set("dial", None)
        self._timers.set("dial", at)

    def _end_link(self, link: Link, ending: Ending, now: float) -> None:
        if link is self._dialing and self.wants_credentials and ending.code == Code.TIMEOUT:
            words = "whoever was asked for credentials didn't answer within"
            self.withhold_credentials(f"{words} {self.config.connect_timeout:g} s", now=now)
            return
        if self._take_back(link):
            link.end()
            self._drop_link(link, ending, now)
            return
        super()._end_link(link, ending, now)

    # internals

    def _leave(self) -> None:
        """From now on nothing new is taken."""
        self._advance(SessionTrigger.LEAVE)

    def _take_back(self, link: Link) -> bool:
        """Take an `OpenLink` back, unless the driver has heard of it: nothing may pile up."""
        asked = OpenLink(link.id)
        if asked not in self._commands:
            return False
        self._commands.remove(asked)
        return True

    def _judge_credentials(self, ending: Ending, *, was_dialling: bool) -> None:
        """A link ended: for its credentials, or not."""
        refused = self.config.endings.classify(ending) is CloseClass.REFRESH_CREDENTIALS
        if was_dialling:
            self._events.pop(CredentialsWanted, None)
            if refused:
                self._credentials.handle_refused(ending)
            else:
                self._credentials.handle_lost()
        elif refused:
            self._credentials.handle_revoked(ending)
            self._ask_credentials()

    def _ask_credentials(self) -> None:
        """Say that credentials are wanted, once they are."""
        if self.wants_credentials:
            self._tell(CredentialsWanted(self._credentials.refused))

    def _is_running(self) -> bool:
        return self.state not in (SessionState.NEW, SessionState.CLOSED)

    def _move_soon(
        self, link: Link, now: float, *, spread: float = 0.0, hint: float | None = None
    ) -> None:
        """Dial while another link still carries the session; `link` is the one that had its day."""
        at = self._reconnector.move_at(
            spread, hint, lived=link.lived(now), progressed=link.progressed, now=now
        )
        self._timers.set("dial", at)

    def _dial(self, now: float) -> None:
        self._timers.set("dial", None)
        self._last_link += 1
        self._dialing = Link(self._last_link, config=self.config, rng=self._rng, now=now)
        self._arm(self._dialing)
        self._commands.append(OpenLink(self._last_link))
        self._greeted, self._pipelined = False, 0
        self._credentials.handle_dialled()
        self._ask_credentials()

    def _finish_if_settled(self, now: float) -> None:
        if self.state is SessionState.LEAVING and self.is_settled:
            self._finish(_CLOSED_HERE, now)

    def _finish(self, ending: Ending, now: float) -> None:
        """The session is over: no link, no timer, one last event (I20)."""
        self._advance(SessionTrigger.END)
        self.ending = ending
        for link in (self._old, self._dialing, self._link):
            if link is not None:
                self._end_link(link, ending, now)
        self._dialing = None
        self._events.pop(CredentialsWanted, None)
        for key in ("dial", "close", "cleanup", "metrics"):
            self._timers.set(key, None)
        self._tell(Closed(ending))


_MOVED = Ending(Code.DONE, "moved to another session")
_WITHHELD = Ending(Code.GOING_AWAY, "no credentials to show")
_SUSPENDED = Ending(Code.GOING_AWAY, "suspended by the client")
_CLOSED_HERE = Ending(Code.DONE, "closed by the client")
