"""One link as the machine sees it, the same for both ends: life signs, counts, its last word.

A link numbers nothing and keeps no payload: it counts data frames both ways so that a ping can
show that none went astray (`diverged`), answers the latest ping only, and carries at most one
pending `close`. All it has to send are flags.
"""

from random import Random

from .closing import Code, Ending
from .config import Config
from .frames import Close, Frame, Ping, Pong
from .heartbeat import Heartbeat
from .states import LINK, LinkState, LinkTrigger, advance
from .violation import Violation


class Link:
    """The bookkeeping of one connection.

    Args:
        link: its id; ids only grow.
        config: times of the heartbeat and of the handshake.
        rng: jitters the first heartbeat.
        now: seconds, when it was asked for or accepted.
    """

    def __init__(self, link: int, *, config: Config, rng: Random, now: float) -> None:
        self.id = link
        self.state = LinkState.OPENING
        self.progressed = False
        self._config = config
        self._rng = rng
        self._attached_at: float | None = None
        self._greet_by = now + config.connect_timeout
        self._heartbeat: Heartbeat | None = None
        self._sent = 0
        self._received = 0
        self._ping_number = 0
        self._pinged_at: float | None = None
        self._pong: int | None = None
        self._close: Close | None = None

    @property
    def round_trip(self) -> float | None:
        """Seconds a ping last took, or None."""
        return None if self._heartbeat is None else self._heartbeat.round_trip

    def lived(self, now: float) -> float:
        """Seconds the link has carried its session; 0 if it never did.

        Waiting for a verdict is no life: a server that accepts and never answers must not clear
        the backoff (I18).
        """
        return 0.0 if self._attached_at is None else now - self._attached_at

    def next_deadline(self) -> float | None:
        """When the handshake must be over, or the heartbeat has something to do."""
        if self.state in (LinkState.CLOSING, LinkState.ENDED):
            return None
        return self._greet_by if self._heartbeat is None else self._heartbeat.next_deadline()

    def handle_timeout(self, *, now: float) -> Ending | None:
        """Let time pass; returns how the link must end, if it must."""
        if self.state in (LinkState.CLOSING, LinkState.ENDED):
            return None
        if self._heartbeat is not None:
            self._heartbeat.handle_timeout(now=now)
            if self._heartbeat.is_dead:
                quiet = self._config.heartbeat + self._config.heartbeat_timeout
                return Ending(Code.SILENT, f"not a byte from the peer for {quiet:g} s")
        elif now >= self._greet_by:
            seconds = self._config.connect_timeout
            return Ending(Code.TIMEOUT, f"no connection within {seconds:g} s")
        return None

    def open(self, *, now: float) -> None:
        """The transport is up: frames may flow."""
        self.state = advance(LINK, self.state, LinkTrigger.OPEN)

    def attach(self, *, now: float) -> None:
        """The verdict was good: the link carries its session.

        Only now the heartbeat begins: until then `connect_timeout` is the limit, and a verdict that
        takes its time must not look like a dead peer.
        """
        self.state = advance(LINK, self.state, LinkTrigger.ATTACH)
        self._attached_at = now
        self._heartbeat = Heartbeat(
            interval=self._config.heartbeat,
            timeout=self._config.heartbeat_timeout,
            rng=self._rng,
            now=now,
        )

    def close(self, ending: Ending) -> None:
        """Say a last word, if the link is open, and hear no more."""
        before = self.state
        self.state = advance(LINK, self.state, LinkTrigger.CLOSE)
        if before is not LinkState.CLOSING and self.state is LinkState.CLOSING:
            after = None if ending.retry_after is None else int(ending.retry_after * 1000)
            self._close = Close(ending.code, ending.reason[:256], after)

    def end(self) -> None:
        """The transport is gone."""
        self.state = advance(LINK, self.state, LinkTrigger.END)
        self._close = None

    def receive_bytes(self, *, now: float) -> None:
        """Any byte is a sign of life."""
        if self._heartbeat is not None:
            self._heartbeat.receive_bytes(now=now)

    def receive_data_frame(self) -> None:
        """Count a data frame, before any other check."""
        self._received += 1

    def receive_ping(self, ping: Ping) -> None:
        """Note a ping: only the latest is answered."""
        self._check_count(ping.sent)
        self._pong = ping.number

    def receive_pong(self, pong: Pong, *, now: float) -> bool:
        """Take the answer to a ping; False if it is another one to the same, or a late one."""
        self._check_count(pong.sent)
        if not 1 <= pong.number <= self._ping_number:
            raise Violation(f"pong {pong.number} answers no ping")
        pinged_at = self._pinged_at
        if pong.number != self._ping_number or pinged_at is None or self._heartbeat is None:
            return False
        self._pinged_at = None
        self._heartbeat.receive_pong(pinged_at, now=now)
        return True

    def has_control(self) -> bool:
        """Whether `next_control` has a frame."""
        beat = self._heartbeat
        return (
            self._close is not None
            or self._pong is not None
            or (beat is not None and beat.wants_ping)
        )

    def next_control(self, *, now: float) -> Frame | None:
        """Take the link's own next frame: close, pong or ping."""
        if self.state is LinkState.CLOSING:
            close, self._close = self._close, None
            return close
        if self._pong is not None:
            number, self._pong = self._pong, None
            return Pong(number, self._sent)
        if self._heartbeat is not None and self._heartbeat.wants_ping:
            self._heartbeat.ping_sent()
            self._ping_number += 1
            self._pinged_at = now
            return Ping(self._ping_number, self._sent)
        return None

    def data_sent(self) -> None:
        """Count a data frame on its way out."""
        self._sent += 1

    def _check_count(self, sent: int) -> None:
        if sent != self._received:
            raise Violation(
                f"the peer sent {sent} data frames, {self._received} arrived", Code.DIVERGED
            )
