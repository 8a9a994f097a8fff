"""What the demo found: one record, judged, for people and for machines."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from gapless.adapters.cli.console import own_version

from .numbering import Range, size
from .source import Measure


@dataclass(slots=True)
class Findings:
    """All that is known of a run, as far as it went.

    Attributes:
        expected: what should arrive.
        seed, cuts_asked: as asked for.
        output: the file that the client wrote, if it is kept.
        sent: messages published; received: messages taken.
        lost_ranges: numbers that never came; None before the client said so.
        reported_lost: ranges that the client was told are lost.
        cuts, stalls: counted by the network.
        began, ended: seconds, of the first publish and the last message taken, on one clock.
        fault: why the run ended early.
    """

    expected: Measure
    seed: int
    cuts_asked: int
    output: str | None
    sent: int = 0
    received: int = 0
    lost_ranges: list[Range] | None = None
    reported_lost: list[Range] = field(default_factory=list[Range])
    duplicates_delivered: int = 0
    out_of_order: int = 0
    cuts: int = 0
    stalls: int = 0
    resumes: int = 0
    duplicates_dropped: int = 0
    sha256_received: str = ""
    began: float | None = None
    ended: float | None = None
    fault: str | None = None

    @property
    def missing(self) -> list[Range]:
        """The numbers that never came."""
        if self.lost_ranges is not None:
            return self.lost_ranges
        return [(self.received + 1, self.sent)] if self.received < self.sent else []

    @property
    def seconds(self) -> float:
        """From the first publish to the last message taken."""
        if self.began is None or self.ended is None:
            return 0.0
        return max(self.ended - self.began, 0.0)

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.received / self.seconds if self.seconds else 0.0

    def read_output(self, name: str) -> OSError | None:
        """Compute the digest of what the client wrote; returns why it couldn't be read."""
        try:
            with open(name, "rb") as file:
                self.sha256_received = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return error
        return None

    def faults(self) -> Iterator[str]:
        """Say everything that is not as it should be; nothing if all is well."""
        if self.fault is not None:
            yield self.fault
        if self.sent != self.expected.messages:
            yield f"{self.sent:,} of {self.expected.messages:,} messages were published"
        if self.missing:
            yield f"{size(self.missing):,} messages never arrived"
        if self.duplicates_delivered:
            yield f"{self.duplicates_delivered:,} messages were delivered again"
        if self.out_of_order:
            yield f"{self.out_of_order:,} messages came out of order"
        if self.sha256_received != self.expected.sha256:
            yield "what arrived is not identical to what was sent"
        if self.cuts != self.cuts_asked:
            yield f"{self.cuts} of {self.cuts_asked} cuts happened"

    def as_json(self) -> dict[str, object]:
        """The record for machines."""
        faults = list(self.faults())
        return {
            "ok": not faults,
            "faults": faults,
            "sent": self.sent,
            "received": self.received,
            "lost": size(self.missing),
            "lost_ranges": self.missing,
            "reported_lost": self.reported_lost,
            "duplicates_delivered": self.duplicates_delivered,
            "out_of_order": self.out_of_order,
            "cuts": self.cuts,
            "stalls": self.stalls,
            "resumes": self.resumes,
            "duplicates_dropped": self.duplicates_dropped,
            "sha256_sent": self.expected.sha256,
            "sha256_received": self.sha256_received,
            "seconds": round(self.seconds, 3),
            "messages_per_second": round(self.rate),
            "seed": self.seed,
            "transport": "websocket",
            "runtime": "asyncio",
            "store": "memory",
            "version": own_version(),
            "output": self.output,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The record for people."""
        return [
            ("messages sent", f"{self.sent:,}"),
            ("received", f"{self.received:,}"),
            ("lost", f"{size(self.missing):,}"),
            ("delivered twice", f"{self.duplicates_delivered:,}"),
            ("out of order", f"{self.out_of_order:,}"),
            ("cuts", f"{self.cuts} of {self.cuts_asked}"),
            ("stalls", f"{self.stalls}"),
            ("resumes", f"{self.resumes}"),
            ("duplicates dropped", f"{self.duplicates_dropped:,}"),
            ("sha256 sent", self.expected.sha256),
            ("sha256 received", self.sha256_received),
            ("seconds", f"{self.seconds:.2f}"),
            ("messages a second", f"{self.rate:,.0f}"),
            ("seed", f"{self.seed}"),
        ]
