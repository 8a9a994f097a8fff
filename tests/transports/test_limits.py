"""Limits are positive, buckets refill, and libraries' exceptions don't get out."""

import pytest

from gapless.core.errors import ConfigError
from gapless.transports import Limits, Wire
from gapless.transports.contain import Failure, contained
from gapless.transports.limits import MessageClock, TokenBucket

from .support import is_open, wires


@pytest.mark.parametrize(
    "name",
    [
        "handshake_timeout",
        "close_timeout",
        "message_timeout",
        "slowest_rate",
        "max_hello",
        "max_fragments",
        "control_burst",
        "control_rate",
    ],
)
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_0_never_means_unlimited(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]  # any field, by name


def test_a_bucket_refills_to_its_burst() -> None:
    bucket = TokenBucket(2, 1.0, now=0.0)
    assert [bucket.take(now=0.0) for _ in range(3)] == [True, True, False]
    assert bucket.take(now=0.9) is False
    assert bucket.take(now=1.0) is True
    assert [bucket.take(now=1e9) for _ in range(3)] == [True, True, False]
    assert bucket.take(now=0.0) is False


def test_a_clock_counts_from_the_first_byte_and_by_the_slowest_rate() -> None:
    clock = MessageClock(Limits(message_timeout=10.0, slowest_rate=100))
    clock.note(0, is_new=True, now=1.0)
    assert clock.deadline == 11.0
    clock.note(500, is_new=False, now=3.0)
    assert clock.deadline == 16.0
    clock.note(10, is_new=True, now=4.0)
    assert clock.deadline == 14.1
    clock.note(None, is_new=True, now=5.0)
    assert clock.deadline is None


class Strange(Exception):
    """Nothing a library has documented."""


def test_any_exception_of_a_library_becomes_a_value() -> None:
    def broken(words: str) -> int:
        raise Strange(words)

    assert contained(len, "abc") == 3
    assert contained(broken, "x" * 500) == Failure("Strange", "x" * 120)


def test_what_is_no_error_of_a_library_passes() -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        contained(stopped)


@pytest.mark.parametrize("wire", wires(), ids=lambda wire: type(wire).__name__)
def test_all_are_wires(wire: Wire) -> None:
    assert is_open(wire)
