"""Greeting: a server's link before its verdict — bounded, timed, and nothing more.

Until a link is attached to a session it may show one `hello` of at most 8 KiB and, behind it,
subscribes: 64 KiB together. They wait here; no other frame but `close` is understood yet (P7:
nothing of a session can be touched before the verdict).
"""

from random import Random

from .accounts import Accounts
from .budget import Shed
from .closing import Code, Ending
from .config import Config
from .events import CloseLink, Command
from .frames import VERSION, Close, Frame, Hello, Ping, Subscribe, Unsubscribe
from .link import Link
from .timers import Timers
from .violation import Violation

MAX_HELLO = 8 * 1024
"""Bytes of `hello` on the wire."""

MAX_BEFORE_WELCOME = 64 * 1024
"""Bytes a link may send before its verdict."""

GREETING_BYTES = 1024
"""Bytes that a link takes which waits for its verdict, beside what it has said."""

WAITING_BYTES = 512
"""Bytes that a frame takes which waits with it, beside its own: names, numbers, a place."""

MAX_GREETINGS = 1024
"""Links that may be waiting for their verdict at once."""


class Greeting:
    """What a link has said so far.

    Args:
        link: the link.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.hello: Hello | None = None
        self.waiting: list[Frame] = []
        self.size = 0

    def receive_frame(self, frame: Frame, size: int, *, now: float) -> bool:
        """Take a frame; True if it is the `hello`, which wants a verdict."""
        self.size += size
        if self.size > MAX_BEFORE_WELCOME:
            raise Violation(f"more than {MAX_BEFORE_WELCOME} bytes before the welcome", Code.POLICY)
        if isinstance(frame, Ping):
            self.link.receive_ping(frame)
            return False
        if isinstance(frame, Hello):
            if self.hello is not None:
                raise Violation("a second hello")
            if size > MAX_HELLO:
                raise Violation(f"hello of more than {MAX_HELLO} bytes", Code.TOO_BIG)
            if frame.version != VERSION:
                raise Violation(f"version {frame.version}; this server speaks 1", Code.VERSION)
            self.hello = frame
            return True
        if self.hello is None or not isinstance(frame, Subscribe | Unsubscribe):
            raise Violation(f"{type(frame).__name__.lower()} before the welcome")
        self.waiting.append(frame)
        return False


class Reception:
    """All links of a hub that have no verdict yet, and those that were turned away.

    Args:
        config: times.
        rng: jitter of heartbeats, later.
        commands, writable, books: the hub's own, shared.
    """

    def __init__(
        self,
        config: Config,
        *,
        rng: Random,
        commands: list[Command],
        writable: dict[int, None],
        books: Accounts,
    ) -> None:
        self._books = books
        self._config = config
        self._rng = rng
        self._commands = commands
        self._writable = writable
        self._greetings: dict[int, Greeting] = {}
        self._closing: dict[int, Link] = {}
        self._timers: Timers[Greeting] = Timers()

    @property
    def memory(self) -> int:
        """Bytes taken by links that wait, and by what they have said."""
        said = sum(
            greeting.size + WAITING_BYTES * len(greeting.waiting)
            for greeting in self._greetings.values()
        )
        return said + GREETING_BYTES * (len(self._greetings) + len(self._closing))

    def __len__(self) -> int:
        return len(self._greetings)

    def find(self, link: int) -> Greeting | None:
        """The greeting of a link that waits for its verdict."""
        return self._greetings.get(link)

    def next_deadline(self) -> float | None:
        """When the first link has waited for too long."""
        return self._timers.next_deadline()

    def handle_timeout(self, *, now: float) -> None:
        """Turn away links that were not welcomed in time."""
        for greeting in self._timers.pop_due(now):
            ending = greeting.link.handle_timeout(now=now)
            assert ending is not None
            self.refuse(greeting, ending, now=now)

    def open_link(self, link: int, turned_away: Ending | None, *, now: float) -> None:
        """Take a new link, or turn it away at once."""
        fresh = Link(link, config=self._config, rng=self._rng, now=now)
        fresh.open(now=now)
        if turned_away is None and len(self._greetings) >= MAX_GREETINGS:
            turned_away = Ending(Code.TRY_LATER, "too many connections at once", 1.0)
        if turned_away is None and not self._books.make_room(GREETING_BYTES, now=now):
            turned_away = Ending(Code.TRY_LATER, "the server is short of memory", 1.0)
        if turned_away is not None:
            self._turn_away(fresh, turned_away, now)
            return
        self._grow(GREETING_BYTES, now)
        greeting = Greeting(fresh)
        self._greetings[link] = greeting
        self._timers.set(greeting, fresh.next_deadline())

    def receive_frame(self, link: int, frame: Frame, size: int, *, now: float) -> Greeting | None:
        """Take a frame; returns the greeting if it wants a verdict now."""
        greeting = self._greetings.get(link)
        if greeting is None:
            return None
        if isinstance(frame, Close):
            # It left before the verdict, as it may: nobody is to blame.
            self.release(greeting)
            greeting.link.end()
            self._commands.append(CloseLink(link, Ending(frame.code, frame.reason)))
            return None
        self._grow(size + GREETING_BYTES, now)
        try:
            if greeting.receive_frame(frame, size, now=now):
                return greeting
        except Violation as violation:
            self.refuse(greeting, Ending(violation.code, violation.reason), now=now)
        if greeting.link.has_control():
            self._writable[link] = None
        return None

    def handle_link_lost(self, link: int) -> None:
        """Forget a link."""
        self._closing.pop(link, None)
        greeting = self._greetings.get(link)
        if greeting is not None:
            self.release(greeting)
            greeting.link.end()
        self._rest()

    def release(self, greeting: Greeting) -> None:
        """The link has its verdict: it is somebody else's now."""
        del self._greetings[greeting.link.id]
        self._timers.set(greeting, None)
        self._rest()

    def refuse(self, greeting: Greeting, ending: Ending, *, now: float) -> None:
        """Close a link with a reason."""
        self.release(greeting)
        self._turn_away(greeting.link, ending, now)

    def refuse_largest(self, ending: Ending, now: float) -> bool:
        """Close the link that has said most; False if none waits."""
        largest = max(self._greetings.values(), key=lambda one: one.size, default=None)
        if largest is not None:
            self.refuse(largest, ending, now=now)
        return largest is not None

    def refuse_all(self, ending: Ending, *, now: float) -> None:
        """Close all that wait."""
        for greeting in list(self._greetings.values()):
            self.refuse(greeting, ending, now=now)

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        """Build the next frame of a link that waits, or the last of one turned away."""
        closing = self._closing.pop(link, None)
        if closing is not None:
            self._rest()
            return closing.next_control(now=now)
        greeting = self._greetings.get(link)
        return None if greeting is None else greeting.link.next_control(now=now)

    def _grow(self, size: int, now: float) -> None:
        if not self._books.is_open(self):
            self._books.open(self, Shed.NEVER, now=now)
        self._books.stir(self)
        self._books.grow(size)

    def _rest(self) -> None:
        """Nobody waits: nothing is held."""
        self._books.stir(self)
        if not self._greetings and not self._closing:
            self._books.close(self)

    def _turn_away(self, link: Link, ending: Ending, now: float) -> None:
        if self._books.has_room(GREETING_BYTES, now=now):
            link.close(ending)
            self._closing[link.id] = link
            self._grow(GREETING_BYTES, now)
            self._writable[link.id] = None
        else:
            # Not even its last word: who is turned away must not take what there isn't.
            link.end()
        self._commands.append(CloseLink(link.id, ending))
