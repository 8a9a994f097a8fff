"""Trying seeds: each once, and a failure that says how to repeat it."""

from functools import partial

import pytest

from gapless.testing import SeedFailed, try_seeds


def fails_at_3(seed: int) -> None:
    assert seed != 3, "it rains"


def test_every_seed_is_tried_once_in_order() -> None:
    tried: list[int] = []

    assert try_seeds(tried.append, range(5, 8)) == 3
    assert tried == [5, 6, 7]
    assert try_seeds(tried.append, []) == 0


def test_the_first_failure_is_named_with_its_seed_and_the_line_that_repeats_it() -> None:
    with pytest.raises(SeedFailed) as failure:
        try_seeds(fails_at_3, range(10))

    assert failure.value.seed == 3
    said = str(failure.value).splitlines()
    assert said[0].startswith("seed 3: AssertionError: it rains")
    assert said[-1] == "repeat it alone: fails_at_3(3)"
    assert isinstance(failure.value.__cause__, AssertionError)


def test_a_failure_without_words_or_a_story_without_a_name_is_named_all_the_same() -> None:
    def give_up(seed: int, reason: str) -> None:
        raise ValueError

    with pytest.raises(SeedFailed, match=r"seed 0: ValueError\nrepeat it alone: functools.partial"):
        try_seeds(partial(give_up, reason="none"), range(1))


def test_an_interrupt_is_no_failure_of_the_seed() -> None:
    def interrupted(seed: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        try_seeds(interrupted, range(1))
