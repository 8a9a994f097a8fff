"""Outboxes: what a client's session publishes, channel by channel, and carries to another link.

It makes an `Outbox` for each channel that is published to, within the limits of both ends; keeps
those apart whose answers are still awaited on a link that the session has left (rule 9); and packs
all of them for another session (`Export`).
"""

from collections.abc import Iterable, Iterator
from itertools import count

from .accounts import Accounts
from .budget import Shed
from .config import Config
from .errors import InvalidChannel, TooManyChannels
from .events import Settled
from .export import ExportedOutbox
from .frames import Ack, Refused
from .outbox import Outbox
from .position import check_channel


class Outboxes:
    """A client's outboxes by channel.

    Args:
        config: bounds of each, and how many there may be.
        books: what everything holds.
    """

    def __init__(self, config: Config, books: Accounts) -> None:
        self._config = config
        self._books = books
        self._ids = count(1)
        self._named: dict[str, Outbox] = {}
        self._staying: dict[Outbox, None] = {}

    def __iter__(self) -> Iterator[Outbox]:
        return iter(self._named.values())

    def __len__(self) -> int:
        return len(self._named)

    @property
    def is_settled(self) -> bool:
        """Whether every published message has ended in one of the four ways."""
        return all(outbox.is_settled for outbox in self)

    @property
    def is_restored(self) -> bool:
        """Whether everything imported has."""
        return all(outbox.is_restored for outbox in self)

    @property
    def staying(self) -> list[Outbox]:
        """Those whose answers come on the link that was left."""
        return list(self._staying)

    @property
    def present(self) -> list[Outbox]:
        """Those that the present link carries."""
        return [outbox for outbox in self if outbox not in self._staying]

    def find(self, channel: str) -> Outbox | None:
        """The outbox of a channel, if it was ever published to."""
        return self._named.get(channel)

    def unsettled(self) -> list[Settled]:
        """Say what was published and is not accepted; see `ClientSession.unsettled`."""
        return [word for outbox in self for word in outbox.unsettled()]

    # commands

    def open(self, channel: str, limit: int, *, now: float) -> Outbox:
        """The outbox of a channel, made if need be; `limit` is how many there may be.

        Raises:
            InvalidChannel: the name can't be a channel, or is reserved.
            TooManyChannels: there are as many as there may be.
        """
        outbox = self._named.get(channel)
        if outbox is None:
            check_channel(channel)
            if channel.startswith("@"):
                raise InvalidChannel(f"{channel!r}: names that begin with @ can't be published to")
            if len(self._named) >= limit:
                raise TooManyChannels(f"{limit} channels are published to already")
            outbox = self._add(channel, now)
        if outbox.is_barred:
            raise TooManyChannels(f"the server lets publish to {limit} channels")
        return outbox

    def take_limits(self, max_message: int, limit: int) -> None:
        """Take what a welcome says: the largest payload, and how many channels there may be."""
        for index, outbox in enumerate(self):
            outbox.take_limits(max_message, is_barred=index >= limit)

    def export(self) -> tuple[ExportedOutbox, ...]:
        """Copy all of them."""
        return tuple(outbox.export() for outbox in self)

    def hand_over(self) -> None:
        """What was exported is another session's from now on."""
        for outbox in self:
            outbox.hand_over()

    def restore(self, exported: Iterable[ExportedOutbox], *, now: float) -> None:
        """Unpack them; there is none here yet."""
        for packed in exported:
            outbox = self._add(packed.channel, now)
            outbox.restore(packed, now=now)
            self._books.grow(outbox.memory)
            self._books.stir(outbox)

    def leave(self) -> None:
        """The session's end has begun."""
        for outbox in self:
            outbox.leave()

    def abandon(self) -> None:
        """The session is over."""
        for outbox in self:
            outbox.abandon()
            self._books.stir(outbox)

    # moving to another link

    def stay(self) -> bool:
        """Keep on the link that is left what waits for an answer there; False: nothing does."""
        self._staying = dict.fromkeys(outbox for outbox in self if outbox.is_unanswered)
        for outbox in self._staying:
            outbox.stay()
        return bool(self._staying)

    def settle_staying(self, frame: Ack | Refused, *, now: float) -> Outbox | None:
        """Take an answer on the link that was left; returns whose it was."""
        for outbox in self._staying:
            if outbox.id == frame.id:
                if isinstance(frame, Ack):
                    outbox.receive_ack(frame, now=now)
                    is_over = not outbox.is_unanswered
                else:
                    # What follows a refused message is discarded: no answer will come.
                    is_over = outbox.receive_refused(frame, now=now)
                if is_over:
                    del self._staying[outbox]
                    outbox.handle_link_lost(now=now)
                return outbox
        return None

    def stay_no_more(self) -> None:
        """No answer will come on the link that was left."""
        self._staying.clear()

    def _add(self, channel: str, now: float) -> Outbox:
        outbox = self._named[channel] = Outbox(channel, config=self._config, ids=self._ids)
        self._books.open(outbox, Shed.NEVER, now=now)
        return outbox
