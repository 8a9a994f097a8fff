"""Errors: one family for misuse, in which a caller can catch as much as it means to."""

import pytest

from gapless.core import errors
from gapless.core.errors import (
    ConfigError,
    GaplessError,
    LocalProtocolError,
    NoMemory,
    TooManyChannels,
    too_large,
)


def test_every_misuse_is_of_one_family() -> None:
    family = [one for one in vars(errors).values() if isinstance(one, type)]
    assert len(family) > 8
    for one in family:
        assert issubclass(one, GaplessError)
        assert issubclass(one, LocalProtocolError) is (one is not GaplessError)
    assert issubclass(NoMemory, TooManyChannels)
    assert issubclass(ConfigError, ValueError)


def test_what_is_too_large_is_said_with_what_would_fit() -> None:
    with pytest.raises(errors.MessageTooLarge, match=r"^11 bytes for channel 'news'; at most 10"):
        raise too_large("news", 11, 10)
