"""What the numbers of the messages say: what is missing, what came twice, what came late."""

from collections.abc import Sequence

Range = tuple[int, int]


class Numbering:
    """Follows the numbers of the messages of one channel as they are taken.

    Attributes:
        last: the highest number so far.
        received: messages taken, of whatever number.
        duplicates: those that had come before.
        out_of_order: those that came behind a higher one.
    """

    def __init__(self, first: int = 1) -> None:
        """Expect `first` next."""
        self._first = first
        self.last = first - 1
        self.received = 0
        self.duplicates = 0
        self.out_of_order = 0
        self._missing: list[Range] = []

    def take(self, numbers: list[int]) -> None:
        """Follow these numbers, in the order in which they came."""
        count = len(numbers)
        self.received += count
        if numbers == list(range(self.last + 1, self.last + 1 + count)):
            self.last += count
            return
        for number in numbers:
            if number > self.last:
                if number > self.last + 1:
                    self._missing.append((self.last + 1, number - 1))
                self.last = number
            elif self._fill(number):
                self.out_of_order += 1
            else:
                self.duplicates += 1

    def missing(self, last: int) -> list[Range]:
        """The ranges that never came, up to `last`."""
        rest = [(self.last + 1, last)] if last > self.last else []
        return sorted(self._missing) + rest

    def _fill(self, number: int) -> bool:
        """Take a number out of what is missing; False if it wasn't."""
        for index, (first, last) in enumerate(self._missing):
            if first <= number <= last:
                rest = [(first, number - 1), (number + 1, last)]
                self._missing[index : index + 1] = [pair for pair in rest if pair[0] <= pair[1]]
                return True
        return False


def size(ranges: Sequence[Range]) -> int:
    """How many numbers are in the ranges."""
    return sum(last - first + 1 for first, last in ranges)
