"""Batches: frames of a channel kept so that readers a little behind are handed the same object.

So one encoding serves all of them (design section 10). What is kept is made again when it is
wanted: it is the first to go when memory is short. Its payloads are the history's; what is counted
here is their list, and the encoded forms that wires hang on a batch.
"""

from .accounts import Accounts
from .frames import Data, Frame

KEPT = 8
"""Batches kept at most."""

BATCH_OVERHEAD = 600
"""Bytes a batch takes beside its list and its encoded forms."""

SLOT = 8
"""Bytes a payload takes in the list of its batch."""

FRAMING = 8
"""Bytes a payload takes in an encoded form, beside itself, at most; in JSON it may be more."""


class Batches:
    """The newest batches made of one channel, by the number they start at.

    Attributes:
        grown: bytes by which `memory` has grown at most since the owner set this to 0.
    """

    __slots__ = ("_kept", "_sizes", "grown")

    def __init__(self) -> None:
        self.grown = 0
        self._kept: dict[int, tuple[Data, bool]] = {}
        self._sizes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def memory(self) -> int:
        """Bytes they take; a form that isn't encoded yet is counted already, once."""
        return sum(
            max(self._sizes[first], _encoded(batch)) + SLOT * len(batch.payloads) + BATCH_OVERHEAD
            for first, (batch, _) in self._kept.items()
        )

    def find(self, first: int, head: int) -> Data | None:
        """The batch that starts at `first`, if it is kept and nothing could be added to it."""
        kept = self._kept.get(first)
        if kept is None:
            return None
        batch, is_full = kept
        return batch if is_full or first + len(batch.payloads) - 1 == head else None

    def keep(self, batch: Data, *, is_full: bool) -> None:
        """Keep a batch; the oldest goes if there are too many."""
        first = batch.first
        self._forget(first)
        self._kept[first] = (batch, is_full)
        size = self._sizes[first] = sum(map(len, batch.payloads)) + FRAMING * len(batch.payloads)
        if len(self._kept) > KEPT:
            self._forget(next(iter(self._kept)))
        self.grown += size + SLOT * len(batch.payloads) + BATCH_OVERHEAD

    def clear(self) -> None:
        """Keep none."""
        self._kept.clear()
        self._sizes.clear()

    def _forget(self, first: int) -> None:
        self._kept.pop(first, None)
        self._sizes.pop(first, None)


class Encodings:
    """Notices what wires hang on the batches that they are handed, and announces it (P3).

    How long an encoded form is, and how many forms there are, only the wires know: text in JSON may
    be six times its payload. So it is noticed right after: with the next thing that is asked for.

    Args:
        books: where it is announced; the `Batches` are stirred by whoever hands a batch out.
    """

    __slots__ = ("_books", "_forms", "_handed")

    def __init__(self, books: Accounts) -> None:
        self._books = books
        self._handed: Data | None = None
        self._forms = 0

    def hand_out(self, frame: Frame | None) -> None:
        """A wire is given a frame to encode."""
        if isinstance(frame, Data):
            self._handed, self._forms = frame, len(frame.encoded or ())

    def look(self) -> None:
        """Announce what was hung on the frame handed out last."""
        batch, self._handed = self._handed, None
        if batch is not None and len(batch.encoded or ()) > self._forms:
            self._books.grow(_encoded(batch))


def _encoded(batch: Data) -> int:
    return sum(map(len, batch.encoded.values())) if batch.encoded else 0
