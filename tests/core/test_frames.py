"""Frames and commands: what is secret is never shown, and equal means equal on the wire."""

import dataclasses
from typing import get_args

import pytest

from gapless.core import frames
from gapless.core.events import Authorize
from gapless.core.frames import Data, Hello, PinTerms, Subscribed, Welcome

SECRET = "s3cret-t0ken"


@pytest.mark.parametrize(
    "thing",
    [
        Hello(1, SECRET, SECRET, 1024),
        Hello(1, None, SECRET, 1024),
        Welcome("@session", SECRET, True, 1, 2, 3, 4),
        Authorize(1, SECRET),
    ],
)
def test_tokens_and_credentials_do_not_show(thing: object) -> None:
    """Testing 3.2 row 31: whatever is logged, printed or raised."""
    for shown in (repr(thing), str(thing), f"{thing}", f"{[thing]}"):
        assert SECRET not in shown


def test_a_hello_still_shows_whether_it_has_a_token() -> None:
    assert "token=…" in repr(Hello(1, SECRET, None, 1024))
    assert "token=none" in repr(Hello(1, None, None, 1024))


def test_a_welcome_still_shows_the_public_part() -> None:
    assert "@session" in repr(Welcome("@session", SECRET, True, 1, 2, 3, 4))


def test_the_cache_of_encoded_bytes_is_no_part_of_a_batch() -> None:
    cached = Data(1, 1, [b"a"], False, {"msgpack": b"bytes"})
    assert cached == Data(1, 1, [b"a"], False)
    assert "msgpack" not in repr(cached)


def test_i9_the_bytes_of_a_batch_are_added_up_once_for_all_its_readers() -> None:
    batch = Data(1, 1, [b"aa", b"b", b""], False)
    assert (batch.size, Data(1, 1, [], False).size) == (3, 0)
    batch.payloads.append(b"no batch changes once it was handed out")
    assert batch.size == 3


def test_an_outcome_is_one_of_five() -> None:
    """The names differ from the wire's where Python has the name already."""
    outcomes = {kind.__name__ for kind in get_args(frames.Outcome)}
    assert outcomes == {"Live", "Recovered", "Partial", "StartedOver", "Denied"}


def test_every_frame_is_a_slotted_dataclass() -> None:
    for kind in get_args(frames.Frame):
        assert dataclasses.is_dataclass(kind)
        assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)


def test_frames_are_compared_by_value() -> None:
    def answer() -> Subscribed:
        return Subscribed(1, 2, "E1", 3, 4, PinTerms(1000, 8), frames.Recovered(2))

    assert answer() == answer()
