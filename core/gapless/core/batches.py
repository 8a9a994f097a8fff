"""Batches: frames of a channel kept so that readers a little behind are handed the same object.

So one encoding serves all of them (design section 10). What is kept is made again when it is
wanted: it is the first to go when memory is short. Its payloads are the history's; what is counted
here is their list, and the encoded forms that wires hang on a batch.
"""

from .frames import Data

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


def _encoded(batch: Data) -> int:
    return sum(map(len, batch.encoded.values())) if batch.encoded else 0
