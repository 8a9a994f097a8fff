"""Reconnector: what a client does while it has no link.

Decides, when a link ended, whether and when to try again. The very first try fails at once unless
`wait` allows for more; after a session has been up once, retries never end unless limited.
"""

from random import Random

from .backoff import Backoff
from .closing import CloseClass, Code, Ending
from .config import Config


class Reconnector:
    """The policy of a client without a link.

    Args:
        config: backoff settings.
        rng: the source of jitter.
        wait: seconds the first connection may be tried for.
    """

    def __init__(self, config: Config, *, rng: Random, wait: float) -> None:
        self._backoff = Backoff(
            base=config.backoff_base,
            cap=config.backoff_cap,
            stable_after=config.stable_after,
            rng=rng,
            max_attempts=config.max_attempts,
        )
        self._endings = config.endings
        self._rng = rng
        self._wait = wait
        self._give_up_at: float | None = None

    def start(self, *, now: float) -> None:
        """Begin with the first try."""
        self._give_up_at = now + self._wait

    def connected(self) -> None:
        """The session has been up: from now on retries go on."""
        self._give_up_at = None

    def nudge(self) -> None:
        """The network is back."""
        self._backoff.nudge()

    def is_final(self, ending: Ending, *, can_refresh: bool) -> bool:
        """Whether nothing can be tried after a link ended so; `can_refresh`: the credentials."""
        kind = self._endings.classify(ending)
        refused = kind is CloseClass.REFRESH_CREDENTIALS
        return kind is CloseClass.STOP or (refused and not can_refresh)

    def retry_at(
        self,
        ending: Ending,
        *,
        lived: float,
        progressed: bool,
        now: float,
        can_refresh: bool = False,
    ) -> float | None:
        """Say when to try again after a link ended so, or None: never."""
        if self.is_final(ending, can_refresh=can_refresh):
            return None
        refused = self._endings.classify(ending) is CloseClass.REFRESH_CREDENTIALS
        if ending.code != Code.FENCED:
            # Being fenced is a failure: a takeover war between two clients is damped. So is being
            # refused, whatever came before it.
            self._backoff.handle_link_ended(lived=lived, progressed=progressed and not refused)
        if self._backoff.is_exhausted:
            return None
        at = now + self._backoff.next_delay(ending.retry_after)
        if self._give_up_at is None or (refused and ending.retry_after is None):
            # To refresh is part of a try, also of the only one.
            return at
        if now >= self._give_up_at:
            return None
        if ending.retry_after is not None and at > self._give_up_at:
            return None
        # The last try uses up the time that was given.
        return min(at, self._give_up_at)

    def move_at(
        self, spread: float, hint: float | None, *, lived: float, progressed: bool, now: float
    ) -> float:
        """Say when to move to another link, spread over `spread` seconds, or by a server's hint.

        A link sent away before it proved itself counts as a failure, or a server that says `goaway`
        on every link would choose how often it is dialled (I18).
        """
        delay = self._rng.uniform(0.0, spread)
        self._backoff.handle_link_ended(lived=lived, progressed=progressed)
        if not self._backoff.is_stable(lived):
            delay = max(delay, self._backoff.next_delay(hint))
        return now + delay
