"""A store that is a list a channel: it outlives hubs, remembers publishers, and can fall back."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gapless.core.events import Append, ReadHistory
from gapless.core.store import Appended, AppendRefused, HistoryRead

from .parts import counted


@dataclass(slots=True)
class StoredLog:
    """One channel: `messages[0]` is number 1."""

    epoch: str
    messages: list[tuple[bytes, bool]] = field(default_factory=list[tuple[bytes, bool]])


class ListStore:
    """What durable hubs keep their messages in.

    A publisher's numbering is found by its epoch, which a hub made and nobody else uses: after a
    restart the same client comes with another session.
    """

    def __init__(self, new_epoch: Callable[[], str] | None = None) -> None:
        self.logs: dict[str, StoredLog] = {}
        self.publishers: dict[str, int] = {}
        self.refusals: list[tuple[str, float | None]] = []
        self._new_epoch = new_epoch or counted("stored-")

    def append(self, command: Append) -> Appended | AppendRefused:
        log = self._log(command.channel)
        if not command.payloads:
            if command.publisher is None:
                log.epoch = command.epoch
                return Appended(command.request, log.epoch, len(log.messages) + 1)
            last = self.publishers.get(command.publisher[1])
            return Appended(command.request, log.epoch, len(log.messages) + 1, last)
        if self.refusals:
            code, after = self.refusals.pop(0)
            return AppendRefused(command.request, code, after)
        # The hub has found that the numbering is not the one it knew: it has made a new epoch.
        log.epoch = command.epoch
        seq = len(log.messages) + 1
        if command.publisher is not None:
            _, epoch, first = command.publisher
            known, last = self.publishers.get(epoch, 0), first + len(command.payloads) - 1
            if known >= last:
                # Another hub had asked for it, before this one took the session over.
                return Appended(command.request, log.epoch, seq, known, known=True)
            assert known < first, "a batch that overlaps what is known"
            self.publishers[epoch] = last
        log.messages += [(payload, command.text) for payload in command.payloads]
        return Appended(command.request, log.epoch, seq)

    def read_history(self, command: ReadHistory) -> HistoryRead:
        log = self._log(command.channel)
        head = len(log.messages)
        if command.after is None or command.after >= head:
            return HistoryRead(command.request, log.epoch, 1, head)
        payloads: list[bytes] = []
        text = log.messages[command.after][1]
        for payload, is_text in log.messages[command.after :][: command.max_messages]:
            size = sum(map(len, payloads)) + len(payload)
            if is_text is not text or (payloads and size > command.max_bytes):
                break
            payloads.append(payload)
        return HistoryRead(command.request, log.epoch, 1, head, tuple(payloads), text)

    def fall_back(self, channel: str, count: int) -> None:
        """Forget the newest messages, as a backup that is restored does."""
        del self.logs[channel].messages[-count:]

    def _log(self, channel: str) -> StoredLog:
        return self.logs.setdefault(channel, StoredLog(self._new_epoch()))
