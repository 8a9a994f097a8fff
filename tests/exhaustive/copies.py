"""Copies of a world: by `pickle`, what never changes by reference."""

import copyreg
import io
import pickle
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from itertools import count
from typing import Any

from gapless.core.channel import ChannelSettings
from gapless.core.config import Config

from .scenarios import Scenario
from .world import World


def keep(world: World) -> bytes:
    """Put a world away."""
    kept = io.BytesIO()
    _Pickler(kept, 5).dump(world)
    return kept.getvalue()


def again(kept: bytes) -> World:
    """Make the world again that was put away."""
    world: World = pickle.loads(kept)
    return world


@cache
def _frozen(kind: Callable[..., object], **values: object) -> object:
    """The same object for the same values: it never changes."""
    return kind(**values)


def _made(
    kind: Callable[..., object], names: tuple[str, ...], values: tuple[object, ...]
) -> object:
    return _frozen(kind, **dict(zip(names, values, strict=True)))


def _reduce_frozen(thing: Any) -> tuple[Callable[..., object], tuple[object, ...]]:
    names = tuple(field.name for field in fields(thing))
    return _made, (thing.__class__, names, tuple(getattr(thing, name) for name in names))


def _reduce_count(numbers: "count[int]") -> tuple[type["count[int]"], tuple[int]]:
    # Python 3.14 no longer lets these be pickled.
    return count, (int(repr(numbers)[6:-1]),)


class _Pickler(pickle.Pickler):
    dispatch_table = copyreg.dispatch_table | {
        ChannelSettings: _reduce_frozen,
        Config: _reduce_frozen,
        Scenario: _reduce_frozen,
        count: _reduce_count,
    }
