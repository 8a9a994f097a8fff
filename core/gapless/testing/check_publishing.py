"""What publishers are told: P6, every message ends in one of four ways, and is applied once."""

from dataclasses import dataclass, field

from gapless.core.events import Settled

from .promise import hold


@dataclass(slots=True)
class Publishing:
    """What one client has published to one channel, and what became of it."""

    name: str
    payloads: list[bytes] = field(default_factory=list[bytes])
    outcomes: dict[int, str] = field(default_factory=dict[int, str])
    applied: set[int] = field(default_factory=set[int])
    applied_through: int = 0


class PublishingCheck:
    """Follows every publisher."""

    def __init__(self) -> None:
        self._publishings: dict[tuple[str, str], Publishing] = {}
        self._sessions: dict[str, dict[str, None]] = {}

    def attached(self, session: str, peer: str) -> None:
        """A session was given to a client; more than one may have had it."""
        self._sessions.setdefault(session, {})[peer] = None

    def publish(self, peer: str, channel: str, payload: bytes, number: int) -> None:
        """A client (or the server, `S`) has published."""
        publishing = self._find(peer, channel)
        publishing.payloads.append(payload)
        dense = number == len(publishing.payloads)
        hold(dense, "P6", f"{publishing.name}: number {number} is not the next")

    def publish_here(self, channel: str, payload: bytes) -> None:
        """The server itself has published."""
        publishing = self._find("S", channel)
        publishing.payloads.append(payload)

    def append(self, channel: str, payload: bytes, publisher: str | None) -> None:
        """A message was appended to a channel: it must be the next, or a later one, of somebody."""
        peers = ["S"] if publisher is None else list(self._sessions.get(publisher, {}))
        for peer in peers:
            publishing = self._publishings.get((peer, channel))
            number = None if publishing is None else _later(publishing, payload)
            if publishing is not None and number is not None:
                publishing.applied.add(number)
                publishing.applied_through = number
                outcome = publishing.outcomes.get(number)
                words = f"{publishing.name}: {number} was {outcome}, and is applied"
                hold(outcome in (None, "unknown", "accepted"), "P6", words)
                return
        words = f"{channel} of {peers}: {payload[:40]!r} is applied twice, late, or unpublished"
        hold(False, "P6", words)

    def settle(self, peer: str, settled: Settled, *, all_seen: bool) -> None:
        """A client was told; `all_seen`: whatever was applied is known here."""
        publishing = self._find(peer, settled.channel)
        which = f"{publishing.name}: {settled.first}..{settled.last} {settled.outcome}"
        done = len(publishing.outcomes)
        dense = done + 1 == settled.first <= settled.last <= len(publishing.payloads)
        hold(dense, "P6", f"{which}, after {done}, of {len(publishing.payloads)}")
        for number in range(settled.first, settled.last + 1):
            publishing.outcomes[number] = settled.outcome
            if settled.outcome == "accepted":
                known = number in publishing.applied or not all_seen
                hold(known, "P6", f"{which}, but {number} is not applied")
            elif settled.outcome in ("refused", "unsent"):
                hold(number not in publishing.applied, "P6", f"{which}, but {number} is applied")

    def accepted(self, peer: str) -> int:
        """How many of a client's messages it was told are accepted."""
        mine = [found for key, found in self._publishings.items() if key[0] == peer]
        return sum(list(found.outcomes.values()).count("accepted") for found in mine)

    def finish(self) -> None:
        """Everything must have ended."""
        for (peer, _), publishing in self._publishings.items():
            done, all_ = len(publishing.outcomes), len(publishing.payloads)
            hold(peer == "S" or done == all_, "P6", f"{publishing.name}: {done} of {all_} ended")

    def forget(self, peer: str) -> None:
        """A client's process is gone: nobody will be told."""
        for key in [key for key in self._publishings if key[0] == peer]:
            publishing = self._publishings[key]
            for number in range(len(publishing.outcomes) + 1, len(publishing.payloads) + 1):
                publishing.outcomes[number] = "unknown"

    def _find(self, peer: str, channel: str) -> Publishing:
        name = f"{peer} to {channel}"
        return self._publishings.setdefault((peer, channel), Publishing(name))


def _later(publishing: Publishing, payload: bytes) -> int | None:
    """The number of the next message with that payload behind the last one applied.

    Of several alike it is taken to be the first that hasn't ended: one that is unknown seldom comes
    after all.
    """
    number, ended = publishing.applied_through, None
    while True:
        try:
            number = publishing.payloads.index(payload, number) + 1
        except ValueError:
            return ended
        if number not in publishing.outcomes:
            return number
        ended = ended or number
