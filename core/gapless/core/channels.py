"""Channels: a hub's logs, the store behind them, and who waits for room.

Everything that is appended, by a client or by the server itself, goes through here, one append in
flight a channel, so that a channel's order is the order of its appends. Whoever finds no room —
a pin holds the oldest message, the store hasn't answered, the channel isn't open yet — waits, and
is woken when that may have changed: intakes are served here, local publishers are named by
`next_ready`.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import count

from .accounts import Accounts, Holding
from .catalog import Catalog
from .channel import Admission, Channel, batch_too_large
from .config import Config
from .errors import NoMemory
from .events import Append, Command, ReadHistory
from .history import ENTRY_BYTES
from .inflight import Reading, Work
from .intake import Intake, IntakePhase
from .local import LocalReader
from .news import Asker, News, Ticket
from .openings import Openings
from .outbox import BATCH_BYTES, BATCH_MESSAGES
from .pins import Pins
from .position import Position
from .reader import Reader
from .receiver import MESSAGE_BYTES
from .store import Appended, AppendRefused, HistoryRead


class Channels:
    """All channels of a hub.

    Args:
        config: bounds.
        new_epoch: makes the name of an epoch.
        durable: a store outlives this hub, and the driver carries out the commands for it;
            else the histories are all there is, and every append is accepted at once.
        commands: where commands for the driver go.
        books: what everything holds.

    Attributes:
        catalog: the open channels and their settings.
        named: the open channels by name; read only.
        news: what sessions and applications are to be told.
        waiting: channels for whose room the server's own publishers wait.
        openings: the channels that aren't open yet, and who waits for them.
        starved: channels for whose messages there is no memory; `rehouse` tries again.
    """

    def __init__(
        self,
        config: Config,
        books: Accounts,
        *,
        new_epoch: Callable[[], str],
        durable: bool,
        commands: list[Command],
    ) -> None:
        self._books = books
        self._config = config
        self._durable = durable
        self._commands = commands
        self._new_epoch = new_epoch
        self.catalog = Catalog(config, books)
        self._requests = count(1)
        self._work: dict[int, Work] = {}
        self._reads: dict[int, Reading] = {}
        self._asked: dict[int, tuple[Intake, str]] = {}
        self._busy: dict[Channel, int] = {}
        self._untold: dict[Channel, None] = {}
        self._intakes: dict[str, dict[Intake, None]] = {}
        self.named: Mapping[str, Channel] = self.catalog.named
        self.news = News()
        self.waiting: dict[str, None] = {}
        self.openings = Openings(
            self.catalog,
            books,
            new_epoch=new_epoch,
            requests=self._requests if durable else None,
            commands=commands,
            sweep=self._sweep,
            opened=self._opened,
        )
        self.starved: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self.catalog)

    def find(self, name: str) -> Channel | None:
        """The channel, if it is open."""
        return self.named.get(name)

    def open(self, name: str, *, now: float) -> Channel | None:
        """The channel; None while the store opens it: its name shows in `opened` then.

        Raises:
            TooManyChannels: the hub keeps as many as it may, or as there is memory for.
        """
        return self.openings.open(name, now=now)

    def forget(self, name: str) -> None:
        """Drop a channel; who waits for it is woken, and told that it is gone."""
        if (channel := self.catalog.forget(name)) is not None:
            self.news.forgotten[channel] = None
        self._intakes.pop(name, None)
        self.openings.forget(name)
        self._tell_waiting(name)

    def forget_idle(self, channel: Channel) -> None:
        """Forget a channel that nobody would miss."""
        name = channel.name
        awaited = channel in self._busy or name in self._intakes or name in self.waiting
        awaited = awaited or name in self.news.opened or self.catalog.is_configured(name)
        if channel.is_idle and not awaited and self.catalog.has(channel):
            self.forget(name)

    def shed(self, channel: Channel) -> bool:
        """Drop what no pin needs, and tell who had not read it; False if there is nothing."""
        is_shed = channel.shed()
        if is_shed:
            self.news.moved[channel] = None
        return is_shed

    def shed_pinned(self, pins: Pins) -> None:
        """Drop what only pins that have stalled needed."""
        channel = self.catalog.owner(pins)
        self.shed(channel)
        self._books.stir(channel)

    # publishing

    def publish(
        self,
        channel: Channel | None,
        name: str,
        payloads: list[bytes],
        size: int,
        text: bool,
        *,
        now: float,
    ) -> Ticket | None:
        """Append a batch of the server's own; None: no room now, wait for `name` to be ready.

        Raises:
            MessageTooLarge: the batch is larger than the channel's whole history.
            TooManyChannels: the hub keeps as many as it may.
        """
        try:
            channel = channel or self.open(name, now=now)
        except NoMemory:
            self.starved[name] = None
        if channel is None or (self._busy and channel in self._busy):
            self.waiting[name] = None
            return None
        if self._has_memory(channel, size, len(payloads), now):
            admission = channel.admit(size, len(payloads), now=now)
        else:
            admission = self._starve(channel)
        if admission is Admission.ROOM:
            if self._durable:
                ticket = Ticket(name)
                self._append(channel, payloads, text, ticket, None, now)
                return ticket
            self._grown(channel, size, len(payloads))
            return Ticket(name, channel.epoch, channel.append(payloads, text, None, now=now))
        if admission is Admission.WAIT:
            self.waiting[name] = None
            self.news.blocked[channel] = None
            return None
        if admission is Admission.REJECT:
            return Ticket(name, refused="full")
        raise batch_too_large(name, len(payloads), size, channel.settings)

    def publish_now(
        self, channel: Channel, payload: bytes, text: bool, *, now: float
    ) -> Position | None:
        """Append a message of the server's own, if nothing stands in the way; see `publish`."""
        books, size = self._books, len(payload) + ENTRY_BYTES
        if self._durable or books.unbooked + size > books.slack:
            return None
        seq = channel.append_now(payload, text, now=now)
        if not seq:
            return None
        books.unbooked += size
        books.stirred[channel] = self.news.moved[channel] = None
        return Position(channel.epoch, seq)

    def serve(self, intake: Intake, *, now: float) -> bool:
        """Hand an intake's queue to the store, as far as there is room; False if there is none.

        One that was served and must wait goes behind the others: a busy one keeps none out (P4).
        """
        if intake.forbidden is not None:
            intake.turn_away()
            self.note(intake)
            return True
        channel, is_served = self.openings.want(intake.name, intake, now=now), False
        if channel is None:
            return False
        while True:
            self._prepare_answer(intake, channel)
            if channel in self._busy:
                break
            # Before a chunk is looked at: making room may let others be served.
            if not self._has_memory(channel, 0, channel.chunk_bounds[0], now):
                self._starve(channel)
                break
            chunk = intake.next_chunk(*channel.chunk_bounds)
            self._books.stir(intake)
            if chunk is None:
                self.abandon(intake)
                return True
            verdict = channel.admit_some(chunk.payloads, self._config.max_message, now=now)
            if verdict is Admission.WAIT:
                self.news.blocked[channel] = None
                break
            is_served = True
            intake.take_chunk(chunk)
            self._intakes.get(intake.name, {}).pop(intake, None)
            if verdict is not Admission.ROOM:
                giant = verdict is Admission.TOO_LARGE
                intake.handle_refused("too large" if giant else "full", None)
                self.note(intake)
                continue
            assert intake.epoch is not None
            publisher = (intake.owner, intake.epoch, chunk.first)
            self.note(intake)
            self._append(channel, chunk.payloads, chunk.text, intake, publisher, now)
        self._intakes.setdefault(intake.name, {})[intake] = None
        return is_served

    def wake(self, channel: Channel, *, now: float) -> None:
        """Room may have come up: serve who waits for it, in turn, until one finds none (I9)."""
        # Pins may have come or gone, or moved: what couldn't be shed perhaps can now.
        self._books.stir(channel)
        self._books.stir(channel.pins)
        self._books.renew(channel, now=now)
        for _ in range(len(self._intakes.get(channel.name, ()))):
            waiting = self._intakes.get(channel.name)
            if not waiting or not self.serve(next(iter(waiting)), now=now):
                break
        self._tell_waiting(channel.name)

    def note(self, intake: Intake) -> None:
        """An intake has changed: its session is to be told, and it may hold less."""
        self.news.touched[intake] = None
        self._books.stir(intake)

    def abandon(self, intake: Intake) -> None:
        """An intake waits no more."""
        self.openings.unwant(intake.name, intake)
        waiting = self._intakes.get(intake.name)
        if waiting is not None:
            waiting.pop(intake, None)
            if not waiting:
                del self._intakes[intake.name]

    def is_lapse_due(self, channel: Channel, *, now: float) -> bool:
        """Whether a pin that somebody waits for has lapsed, and nobody has looked since."""
        is_awaited = channel.name in self.waiting or self._intakes.get(channel.name)
        at = channel.next_lapse() if is_awaited and channel not in self._busy else None
        return at is not None and at <= now

    def rehouse(self, *, now: float) -> None:
        """Serve those for whom there was no place, or no memory, if there is now."""
        starved, self.starved = self.starved, {}
        for name in starved:
            channel = self.named.get(name)
            if channel is not None:
                self.wake(channel, now=now)
            self._tell_waiting(name)
        self.openings.house(now=now)

    def next_lapse(self, channel: Channel, *, now: float) -> float | None:
        """When a pin that somebody waits for lapses, or a message that nobody pins expires."""
        times: list[float | None] = []
        expires = channel.history.expires_at()
        if expires is not None:
            times.append(expires if expires > now else channel.next_lapse())
        if channel.name in self.waiting or self._intakes.get(channel.name):
            times.append(channel.next_lapse())
        return min((at for at in times if at is not None and at > now), default=None)

    # reading

    def read(
        self, reader: Reader | LocalReader, after: int, asker: Asker, holding: Holding
    ) -> None:
        """Ask the store for what the history no longer holds: `asker` is told, `holding` holds."""
        channel, request = reader.channel, next(self._requests)
        self._reads[request] = Reading(reader, asker, holding, after, channel.epoch, channel.head)
        command = ReadHistory(request, channel.name, after, BATCH_MESSAGES, BATCH_BYTES)
        self._commands.append(command)

    # answers

    def handle_appended(self, answer: Appended | AppendRefused, *, now: float) -> None:
        """Take the store's answer to an `Append`."""
        intake, epoch = self._asked.pop(answer.request, (None, ""))
        if intake is not None:
            last = answer.publisher_last if isinstance(answer, Appended) else None
            intake.handle_recalled(epoch, last)
            self.note(intake)
            if intake.phase is IntakePhase.OFFERED:
                self.serve(intake, now=now)
            return
        work = self._work.pop(answer.request, None)
        if work is not None:
            self._busy.pop(work.channel, None)
            work.channel.in_flight = 0
            self._books.stir(work.channel)
            if isinstance(answer, AppendRefused):
                self._refuse(work, answer)
            else:
                self._accept_stored(work, answer, now)
            if isinstance(work.origin, Ticket):
                self.news.settled[work.origin] = None
            elif work.origin is not None:
                self._prepare_answer(work.origin, work.channel)
            if work.channel in self._untold:
                self._tell_epoch(work.channel, now)
            else:
                self.wake(work.channel, now=now)

    def handle_history(self, answer: HistoryRead, *, now: float) -> None:
        """Take the store's answer to a `ReadHistory`."""
        if self.openings.handle_history(answer, now=now):
            return
        reading = self._reads.pop(answer.request, None)
        if reading is None:
            return
        reader, channel = reading.reader, reading.reader.channel
        self.news.fetched.append((reader, reading.asker))
        if channel.epoch != reading.epoch:
            # Asked under an older numbering: it says nothing about this one.
            return
        if not channel.is_known_as(answer.epoch) or answer.head < reading.head:
            self._start_over(channel, answer.epoch, answer.first, answer.head, now)
            if channel not in self._busy:
                self.wake(channel, now=now)
            return
        channel.set_stored_first(answer.first)
        # What another node has appended meanwhile has no place here yet.
        payloads = list(answer.payloads[: max(0, channel.head - reading.after)])
        reader.handle_history(payloads, answer.text, reading.after)
        self._books.grow(sum(map(len, payloads)) + MESSAGE_BYTES * len(payloads))
        self._books.stir(reading.holding)

    # internals

    def _sweep(self) -> None:
        for channel in list(self.named.values()):
            self.forget_idle(channel)

    def _opened(self, channel: Channel, waiting: Iterable[Hashable], now: float) -> None:
        """Serve or tell who waits for a channel; offers are answered at once, and take no room."""
        told = self.news.opened.setdefault(channel.name, {})
        for who in waiting:
            if isinstance(who, Intake):
                self._intakes.setdefault(channel.name, {})[who] = None
                self._prepare_answer(who, channel)
            else:
                told[who] = None
        self.wake(channel, now=now)

    def _has_memory(self, channel: Channel, size: int, count: int, now: float) -> bool:
        """Whether the hub may hold so much more: `_grown` announces it. The channel is stirred."""
        more = size + ENTRY_BYTES * count
        has_room = self._books.fits(more)
        if not has_room:
            # Meanwhile others may be served, and channels that nobody would miss go.
            channel.in_use += 1
            has_room = self._books.make_room(more, now=now) and self.catalog.has(channel)
            channel.in_use -= 1
        self._books.stir(channel)
        return has_room

    def _starve(self, channel: Channel) -> Admission:
        """There is no memory: who may wait does, and is served when there is."""
        self.starved[channel.name] = None
        return Admission.REJECT if channel.settings.overflow == "reject" else Admission.WAIT

    def _grown(self, channel: Channel, size: int, count: int) -> None:
        """A channel, stirred already, has more, and who reads it is to be told."""
        self._books.grow(size + ENTRY_BYTES * count)
        self.news.moved[channel] = None

    def _tell_waiting(self, name: str) -> None:
        """Let the server's own publishers try again."""
        if name in self.waiting:
            del self.waiting[name]
            self.news.settled[name] = None

    def _append(
        self,
        channel: Channel,
        payloads: list[bytes],
        text: bool,
        origin: Ticket | Intake | None,
        publisher: tuple[str, str, int] | None,
        now: float,
    ) -> None:
        """Append what was admitted: in memory at once, else when the store has."""
        owner = None if publisher is None else publisher[0]
        size = sum(map(len, payloads))
        if not self._durable:
            channel.append(payloads, text, owner, now=now)
            self._grown(channel, size, len(payloads))
            self._accept(channel, origin)
            return
        channel.in_flight = size + ENTRY_BYTES * len(payloads)
        self._books.grow(channel.in_flight)
        self._books.stir(channel)
        request = next(self._requests)
        self._work[request] = Work(channel, payloads, text, owner, origin, channel.epoch)
        self._busy[channel] = request
        epoch, seq = channel.epoch, channel.head + 1
        self._commands.append(Append(request, channel.name, epoch, seq, payloads, text, publisher))

    def _accept(self, channel: Channel, origin: Ticket | Intake | None) -> None:
        self.news.moved[channel] = None
        if isinstance(origin, Ticket):
            origin.epoch, origin.seq = channel.epoch, channel.head
        elif origin is not None:
            origin.handle_accepted()
            self.note(origin)

    def _accept_stored(self, work: Work, answer: Appended, now: float) -> None:
        if answer.known:
            work.channel.is_told |= answer.epoch == work.channel.epoch
            self._accept(work.channel, work.origin)
            return
        channel, epoch = work.channel, answer.epoch
        if epoch == work.epoch or channel.is_known_as(epoch):
            # The channel may have started over meanwhile: an epoch that was left never comes back.
            if epoch == channel.epoch:
                channel.is_told = True
            epoch = channel.epoch
        if epoch != channel.epoch or answer.seq <= channel.head:
            self._start_over(channel, epoch, answer.seq, answer.seq - 1, now)
        elif answer.seq > channel.head + 1:
            # Another node appended in between: the store has it, this history doesn't.
            channel.skip_to(answer.seq)
        channel.append(work.payloads, work.text, work.publisher, now=now)
        self._grown(channel, sum(map(len, work.payloads)), len(work.payloads))
        self._accept(channel, work.origin)

    def _refuse(self, work: Work, answer: AppendRefused) -> None:
        if isinstance(work.origin, Ticket):
            work.origin.refused = answer.code
        elif work.origin is not None:
            work.origin.handle_refused(answer.code, answer.retry_after)
            self.note(work.origin)

    def _prepare_answer(self, intake: Intake, channel: Channel) -> None:
        """Let an offer be answered, once a store that outlives this hub was asked about it."""
        epoch = intake.prepare_answer(store_remembers=self._durable)
        self.news.touched[intake] = None
        if epoch is None:
            return
        request = next(self._requests)
        self._asked[request] = (intake, epoch)
        publisher = (intake.owner, epoch, 0)
        self._commands.append(Append(request, channel.name, channel.epoch, 0, [], False, publisher))

    def _start_over(self, channel: Channel, epoch: str, first: int, head: int, now: float) -> None:
        """The store isn't the one the numbers were made under: a new epoch, before it serves.

        One made here is told to the store at once, by an append of nothing: a hub that restarted
        before the next message would else give the old numbers again, to other messages.
        """
        is_ours = channel.was_called(epoch)
        channel.start_over(self._new_epoch() if is_ours else epoch, head, first)
        channel.is_told = not is_ours
        for holding in (channel, channel.pins, channel.batches):
            self._books.stir(holding)
        self.news.restarted[channel] = None
        if is_ours:
            self._tell_epoch(channel, now)

    def _tell_epoch(self, channel: Channel, now: float) -> None:
        """Tell the store, once no append is in flight."""
        if channel in self._busy:
            self._untold[channel] = None
        else:
            self._untold.pop(channel, None)
            self._append(channel, [], False, None, None, now)
