"""Seeds: the same story in many different weathers, and the one line that repeats a failure."""

from collections.abc import Callable, Iterable


class SeedFailed(AssertionError):
    """A story failed; the message says with which seed, why, and how to repeat it.

    Attributes:
        seed: with which.
    """

    def __init__(self, seed: int, story: str, error: Exception) -> None:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        super().__init__(f"seed {seed}: {why}\nrepeat it alone: {story}({seed})")
        self.seed = seed


def try_seeds(story: Callable[[int], object], seeds: Iterable[int]) -> int:
    """Run a story once with each seed; returns how many there were.

    Args:
        story: builds everything from the seed, and raises if something is wrong.
        seeds: `range(1000)`; the smaller ones first, so that a failure has a short number.

    Raises:
        SeedFailed: at the first seed that fails, from the story's own exception.
    """
    count = 0
    for seed in seeds:
        try:
            story(seed)
        except Exception as error:
            raise SeedFailed(seed, getattr(story, "__name__", repr(story)), error) from error
        count += 1
    return count
