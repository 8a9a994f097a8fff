"""Draw: choices read from bytes, so that a fuzzer that changes bytes changes what is done.

The same bytes make the same choices, with atheris or without. Behind the end all is 0.
"""

from collections.abc import Sequence
from random import Random
from typing import TypeVar
from zlib import crc32

from gapless.core.position import MAX_SEQ
from tests.transports.support import cut

T = TypeVar("T")

DENSE = 64
"""Bytes that are fed one by one."""

_FAR = (256, 1000, 4096, 2**16, 2**31 - 1, 2**31, 2**32, 2**53 - 2, MAX_SEQ, 0, 1, 2, 3, 127, 128)


class Draw:
    """Choices from these bytes, the first bytes first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        """Whether all bytes have been used."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def flag(self) -> bool:
        return bool(self.byte() & 1)

    def below(self, bound: int) -> int:
        """A number below `bound`, which is at most 256."""
        return self.byte() % bound

    def choice(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def number(self) -> int:
        """A number of the wire: 0 … 2**53 - 1, mostly small, sometimes at an edge."""
        kind = self.byte()
        if kind < 200:
            return kind % 40
        if kind < 240:
            return _FAR[kind % len(_FAR)]
        return self.byte() << 8 | self.byte()

    def block(self) -> bytes:
        """Up to 255 bytes, as they stand."""
        return self.take(self.byte())

    def take(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(max(0, len(self._data) - self._at))


def pieces(data: bytes) -> list[list[bytes]]:
    """Ways to cut the data: in places that its own sum chooses, and byte by byte, or a part so."""
    rng = Random(crc32(data))
    places = {rng.randrange(len(data)) for _ in range(rng.randint(1, 9))} if data else set[int]()
    dense = rng.randrange(len(data)) if len(data) > DENSE else 0
    return [cut(data, places), cut(data, range(dense, dense + DENSE))]
