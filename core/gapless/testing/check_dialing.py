"""How often a client dials: I18, and nothing after the last word.

A wait is never above the cap and the server's hint. That waits are not too *short* shows over many
of them: each is drawn from U(0, ceiling), with a ceiling that doubles up to the cap, that 10 s of
life clear, that progress halves, and a mere open leaves alone. This keeps a ceiling that is never
above the true one, and adds up wait / ceiling: n numbers of U(0, 1) have a sum below s with a
probability of at most s**n / n!, so that a sum which is all but impossible is a broken promise.
"""

from dataclasses import dataclass, field
from math import lgamma, log

from gapless.core.backoff import MAX_HINT
from gapless.core.closing import CloseClass, Ending
from gapless.core.frames import Ack, Close, Data, Frame, Goaway, Subscribed, Welcome
from gapless.core.states import SessionState

from .network import Line
from .peer import Peer
from .promise import hold

IMPOSSIBLE = log(1e-12)
_EPSILON = 1e-6


@dataclass(slots=True)
class Dialling:
    """What a client's links came to.

    Attributes:
        failures: retries since the last good link, never more than the client counts.
        ended_at: when it was left without a link, None while it has one or dials.
        hint: seconds the server asked it to wait.
        welcomed_at, progressed: what its newest line was worth.
        is_late: its driver has slept through a deadline.
        links: those it has, or dials.
    """

    failures: int = 0
    ended_at: float | None = None
    hint: float = 0.0
    welcomed_at: float | None = None
    progressed: bool = False
    is_late: bool = False
    links: set[int] = field(default_factory=set[int])


class DialCheck:
    """Follows every client's tries."""

    def __init__(self) -> None:
        self._dialling: dict[str, Dialling] = {}
        self._waits = 0
        self._sum = 0.0

    def frame(self, line: Line, to_client: bool, frame: Frame, *, now: float) -> None:
        """Note what a link is worth: as soon as it is sent, which flatters the link."""
        if not to_client:
            return
        one = self._find(line.client)
        if isinstance(frame, Welcome):
            one.welcomed_at = now
        elif isinstance(frame, Data | Ack | Subscribed):
            one.progressed = True
        elif isinstance(frame, Goaway):
            one.failures = 0
        elif isinstance(frame, Close):
            one.hint = max(one.hint, (frame.retry_after_ms or 0) / 1000)

    def over(self, peer: Peer, link: int, ending: Ending, *, now: float) -> None:
        """A client's link has ended."""
        session, one = peer.session, self._find(peer.name)
        one.links.discard(link)
        config = session.config
        lived = 0.0 if one.welcomed_at is None else now - one.welcomed_at
        if lived >= config.stable_after or one.links:
            one.failures = 0
        elif one.progressed:
            one.failures //= 2
        one.welcomed_at, one.progressed = None, False
        if not one.links:
            one.ended_at, one.is_late = now, False
            one.hint = min(max(ending.retry_after or 0.0, one.hint), MAX_HINT)
            if ending.close_class is CloseClass.STOP:
                is_over = session.state is SessionState.CLOSED
                hold(is_over, "I18", f"{peer.name} goes on after {ending.code}, which is final")

    def dial(self, peer: Peer, link: int, *, now: float) -> None:
        """A client dials."""
        one, config = self._find(peer.name), peer.session.config
        one.links.add(link)
        hold(peer.session.state is not SessionState.CLOSED, "I20", f"{peer.name} dials, closed")
        began, one.ended_at = one.ended_at, None
        hint, one.hint = one.hint, 0.0
        if began is None or one.is_late:
            return
        wait = now - began
        most = config.backoff_cap + hint
        hold(wait <= most + _EPSILON, "I18", f"{peer.name} waited {wait:.3f} s, at most {most:g}")
        ceiling = min(config.backoff_cap, config.backoff_base * 2.0 ** min(one.failures, 64))
        one.failures += 1
        if not hint:
            self._waits += 1
            self._sum += min(wait / ceiling, 1.0)
            chance = self._waits * log(max(self._sum, 1e-9)) - lgamma(self._waits + 1)
            words = f"{self._waits} waits, the newest of {peer.name}, are too short: a dial storm"
            hold(chance > IMPOSSIBLE, "I18", words)

    def step(self, peer: Peer, *, is_late: bool) -> None:
        """Look whether a client's driver sleeps: then the wait says nothing about the client."""
        if is_late and peer.name in self._dialling:
            self._dialling[peer.name].is_late = True

    def _find(self, name: str) -> Dialling:
        return self._dialling.setdefault(name, Dialling())
