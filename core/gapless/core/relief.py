"""Relief: who lets go of what when a hub's memory is short, and that the limit holds (P3).

The `Accounts` say when, the `MemoryBudget` in them whom; here it is done, and whoever loses by it
is told: readers of shed history get `gone`, a client whose session is dropped begins a new one, a
publisher whose queue is dropped is asked to send it again. Outboxes and what is on a link are never
shed; but where unfinished frames alone exceed what is left, the link with the largest is closed.
"""

from collections.abc import Callable

from .accounts import Accounts, Holding
from .batches import Batches
from .budget import Shed, Victim
from .channel import Channel
from .channels import Channels
from .closing import Code, Ending
from .intake import Intake
from .pins import Pins
from .server import ServerSession

AT_ONCE = 512
"""Victims at most in one clean-up; it goes on soon."""

SOON = 0.05
"""Seconds until a clean-up goes on."""

SEND_AGAIN_AFTER = 1.0
"""Seconds until a publisher whose queue was dropped sends it again."""

_NO_MEMORY = Ending(Code.TRY_LATER, "the server is short of memory", 1.0)


class Buffers:
    """Bytes that wires hold: unfinished frames in, unsent bytes out."""

    __slots__ = ("_sizes", "memory")

    def __init__(self) -> None:
        self.memory = 0
        self._sizes: dict[int, int] = {}

    @property
    def largest(self) -> int | None:
        """The link whose wire holds most."""
        return max(self._sizes, key=self._sizes.__getitem__, default=None)

    def note(self, link: int, size: int) -> int:
        """A link's wire holds so much now; returns by how much it is more."""
        before = self._sizes.pop(link, 0)
        if size:
            self._sizes[link] = size
        self.memory += size - before
        return size - before


class Relief:
    """Keeps a hub within its memory limit.

    Args:
        books: what everything holds.
        channels: the hub's.
        end_session, cut: let a session go; close a link with a reason.
    """

    def __init__(
        self,
        books: Accounts,
        channels: Channels,
        *,
        end_session: Callable[[ServerSession, float], None],
        cut: Callable[[int, Ending, float], None],
    ) -> None:
        self.buffers = Buffers()
        self._books = books
        self._channels = channels
        self._end_session = end_session
        self._cut = cut
        self._unripe: dict[Pins, None] = {}
        self._goes_on_at: float | None = None
        self._is_cleaning = False

    def next_deadline(self) -> float | None:
        """When a clean-up is due, or goes on."""
        return self._books.next_deadline() if self._goes_on_at is None else self._goes_on_at

    def handle_timeout(self, *, now: float) -> None:
        """Clean up, if that is due."""
        is_on = self._goes_on_at is not None and now >= self._goes_on_at
        if self._books.handle_timeout(now=now) or is_on:
            self._ripen(now)
            self._goes_on_at = None
            self._is_cleaning = True
            self._run(0, now, AT_ONCE)
            self._is_cleaning = False

    def hold_bytes(self, link: int, size: int, *, now: float) -> None:
        """A link's wire holds so many bytes."""
        more = self.buffers.note(link, size)
        self._books.stir(self.buffers)
        if more > 0:
            self._books.grow(more)
            self.keep(now=now)

    def keep(self, *, now: float) -> None:
        """Shed until the thresholds hold, if one may have been crossed."""
        if self._books.is_due:
            self._run(0, now)

    def make_room(self, size: int, *, now: float) -> bool:
        """Shed until `size` bytes more keep the limit; False if they don't."""
        if self._books.has_room(size, now=now):
            return True
        self._ripen(now)
        self._run(size, now)
        return self._books.has_room(size, now=now)

    # internals

    def _run(self, wanted: int, now: float, at_most: int | None = None) -> None:
        count = 0
        while (victim := self._books.next_victim(wanted, now=now)) is not None:
            self._shed(victim, now)
            count += 1
            if count == at_most:
                self._goes_on_at = now + SOON
                return
        while not self._books.has_room(0, now=now) and (link := self.buffers.largest) is not None:
            self.buffers.note(link, 0)
            self._books.stir(self.buffers)
            self._cut(link, _NO_MEMORY, now)

    def _shed(self, victim: Victim[Holding], now: float) -> None:
        holder = victim.holder
        if isinstance(holder, Batches):
            holder.clear()
        elif isinstance(holder, Channel):
            if victim.why != "stale" or self._books.is_pressed:
                self._channels.shed(holder)
            elif self._is_cleaning:
                # Age alone takes no message that `history_age` would keep; but what nobody misses.
                self._channels.forget_idle(holder)
        elif isinstance(holder, Intake):
            if holder.shed(SEND_AGAIN_AFTER):
                self._channels.news.touched[holder] = None
        elif isinstance(holder, ServerSession):
            self._end_session(holder, now)
        elif isinstance(holder, Pins):
            if holder.lapse_stalled(now=now):
                self._channels.shed_pinned(holder)
            else:
                self._unripe[holder] = None
        self._books.stir(holder)

    def _ripen(self, now: float) -> None:
        """Pins that had not stalled when they were asked for are asked again."""
        while self._unripe:
            pins, _ = self._unripe.popitem()
            if self._books.is_open(pins):
                self._books.move(pins, Shed.PIN, now=now)
