"""The bytes of version 1 don't move: golden vectors, both ways, in both codecs."""

import json
from typing import get_args

import pytest

from gapless.core.frames import Frame
from gapless.transports import JsonCodec, MsgpackCodec

from .golden import FILE, FRAMES

VECTORS: dict[str, dict[str, str]] = json.loads(FILE.read_text(encoding="utf-8"))
NAMES = pytest.mark.parametrize("name", FRAMES)


def test_every_frame_has_a_vector() -> None:
    assert {type(frame) for frame in FRAMES.values()} == set(get_args(Frame))
    assert list(VECTORS) == list(FRAMES)


@NAMES
def test_json(name: str) -> None:
    data = VECTORS[name]["json"].encode()
    assert JsonCodec().decode(data) == FRAMES[name]
    assert JsonCodec().encode(FRAMES[name]) == data


@NAMES
def test_msgpack(name: str) -> None:
    data = bytes.fromhex(VECTORS[name]["msgpack"])
    assert MsgpackCodec().decode(data) == FRAMES[name]
    assert MsgpackCodec().encode(FRAMES[name]) == data
