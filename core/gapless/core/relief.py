"""Relief: who lets go of what when a hub's memory is short, and that the limit holds (P3).

The `Accounts` say when, the `MemoryBudget` in them whom; here it is done, and whoever loses by it
is told: readers of shed history get `gone`, a client whose session is dropped begins a new one, a
publisher of whose queue the newest is dropped is asked to send that again. Outboxes and what is on
a link are never shed; but where they alone exceed the limit, links are closed: first the one with
the largest unfinished frame, then those with most behind them.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

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

RIPEN_EVERY = 1.0
"""Seconds until pins that had not stalled when memory was short are looked at again."""

SPARE = 64
"""Old sizes of wires that may stand in the heap of a few."""

_NO_MEMORY = Ending(Code.TRY_LATER, "the server is short of memory", 1.0)


class Buffers:
    """Bytes that wires hold: unfinished frames in, unsent bytes out.

    A heap finds the largest. What a wire held before stays in it until it comes up, or until there
    is much of that.
    """

    __slots__ = ("_heap", "_sizes", "memory")

    def __init__(self) -> None:
        self.memory = 0
        self._sizes: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []

    def pop_largest(self) -> int | None:
        """Hold nothing more for the link whose wire holds most, and name it; None: none does."""
        heap, sizes = self._heap, self._sizes
        while heap:
            size, link = heappop(heap)
            if sizes.get(link) == -size:
                self.note(link, 0)
                return link
        return None

    def note(self, link: int, size: int) -> int:
        """A link's wire holds so much now; returns by how much it is more."""
        before = self._sizes.pop(link, 0)
        if size:
            self._sizes[link] = size
            heappush(self._heap, (-size, link))
        if len(self._heap) > SPARE + 4 * len(self._sizes):
            self._heap = [(-held, of) for of, held in self._sizes.items()]
            heapify(self._heap)
        self.memory += size - before
        return size - before


class Relief:
    """Keeps a hub within its memory limit.

    Args:
        books: what everything holds.
        channels: the hub's.
        end_session, cut: let a session go; close a link with a reason.
        refuse: close the link without a verdict that has said most; False: there is none.
    """

    def __init__(
        self,
        books: Accounts,
        channels: Channels,
        end_session: Callable[[ServerSession, float], None],
        *,
        cut: Callable[[int, Ending, float], None],
        refuse: Callable[[Ending, float], bool],
    ) -> None:
        self.buffers = Buffers()
        self._books = books
        self._channels = channels
        self._end_session = end_session
        self._cut = cut
        self._refuse = refuse
        self._unripe: dict[Pins, None] = {}
        self._ripe_at = float("-inf")
        self._goes_on_at: float | None = None
        self._is_cleaning = False
        self._is_running = False
        books.relieve = self.relieve

    def next_deadline(self) -> float | None:
        """When a clean-up is due, or goes on."""
        return self._books.next_deadline() if self._goes_on_at is None else self._goes_on_at

    def handle_timeout(self, *, now: float) -> None:
        """Clean up, if that is due."""
        is_on = self._goes_on_at is not None and now >= self._goes_on_at
        if self._books.handle_timeout(now=now) or is_on:
            self._goes_on_at = None
            self._is_cleaning = True
            try:
                self._run(0, now, AT_ONCE)
            finally:
                self._is_cleaning = False

    def hold_bytes(self, link: int, size: int, *, now: float) -> None:
        """A link's wire holds so many bytes."""
        more = self.buffers.note(link, size)
        if more > 0:
            if not self._books.is_open(self.buffers):
                self._books.open(self.buffers, Shed.NEVER, now=now)
            self._books.stir(self.buffers)
            self._books.grow(more)
            self.keep(now=now)
        elif not self.buffers.memory:
            self._books.close(self.buffers)
        else:
            self._books.stir(self.buffers)

    def keep(self, *, now: float) -> None:
        """Shed until the thresholds hold, if one may have been crossed."""
        if self._books.is_due:
            self._run(0, now)

    def relieve(self, size: int, now: float) -> bool:
        """Shed until `size` bytes more keep the limit; False if they can't."""
        self._run(size, now)
        return self._books.has_room(size, now=now)

    # internals

    def _run(self, wanted: int, now: float, at_most: int | None = None) -> None:
        """Carry out the plan. What is called in the midst of it leaves the rest to it.

        A fault in it ends this run, and not the next.
        """
        if self._is_running:
            return
        self._is_running = True
        try:
            self._ripen(now)
            if self._shed_all(wanted, now, at_most):
                while not self._books.has_room(0, now=now) and self._cut_one(now):
                    self._shed_all(0, now)
        finally:
            self._is_running = False

    def _shed_all(self, wanted: int, now: float, at_most: int | None = None) -> bool:
        """Shed one after the other; False if there were too many, and it goes on soon."""
        count = 0
        while (victim := self._books.next_victim(wanted, now=now)) is not None:
            self._shed(victim, wanted, now)
            count += 1
            if count == at_most:
                self._goes_on_at = now + SOON
                return False
        return True

    def _cut_one(self, now: float) -> bool:
        """Close a link, where nothing else can be shed; False if there is none."""
        link = self.buffers.pop_largest()
        if link is None:
            return self._refuse(_NO_MEMORY, now) or self._close_largest(now)
        self._books.stir(self.buffers)
        self._cut(link, _NO_MEMORY, now)
        return True

    def _close_largest(self, now: float) -> bool:
        """Close the link of a session that takes most, to a factor of two; all is booked (I9)."""
        for holding in self._books.fullest(Shed.NEVER):
            if isinstance(holding, ServerSession) and holding.link is not None:
                holding.close_link(_NO_MEMORY, now)
                return True
        return False

    def _shed(self, victim: Victim[Holding], wanted: int, now: float) -> None:
        holder = victim.holder
        if isinstance(holder, Batches):
            holder.clear()
        elif isinstance(holder, Channel):
            if victim.why != "stale" or self._books.is_pressed:
                is_bare = not self._channels.shed(holder)
            else:
                # Age alone takes no message that `history_age` would keep; but what nobody misses.
                is_bare = self._is_cleaning
            if is_bare:
                self._channels.forget_idle(holder)
        elif isinstance(holder, Intake):
            if holder.shed(max(1, self._books.excess + wanted), SEND_AGAIN_AFTER):
                self._channels.note(holder)
        elif isinstance(holder, ServerSession):
            self._end_session(holder, now)
        else:
            assert isinstance(holder, Pins)
            if holder.lapse_stalled(now=now):
                self._channels.shed_pinned(holder)
            else:
                self._unripe[holder] = None
        self._books.stir(holder)

    def _ripen(self, now: float) -> None:
        """Pins that had not stalled when they were asked for are asked again, now and then."""
        if self._unripe and now >= self._ripe_at:
            self._ripe_at = now + RIPEN_EVERY
            while self._unripe:
                self._books.renew(self._unripe.popitem()[0], now=now)
