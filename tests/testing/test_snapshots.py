"""Snapshots: equal for states that go on equally, different for all others (I10)."""

import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import Enum
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from gapless.core.accounts import Accounts
from gapless.core.history import History
from gapless.core.position import Position
from gapless.core.timers import Timers
from gapless.core.watch import Watch
from gapless.testing import Names, digest, snapshot
from gapless.testing.snapshots import LEFT_OUT, TIMES, Plain
from tests.core.parts import counted
from tests.exhaustive.copies import again, keep
from tests.exhaustive.scenarios import PATIENT, Scenario
from tests.exhaustive.world import World

STORED = Scenario(name="stored", reads=3, writes=3, cuts=1, refusals=1, durable=True)
PINNED = Scenario(name="pinned", reads=3, writes=3, cuts=2, leases=1, history=2, patience=PATIENT)


def walk(world: World, steps: int, seed: int) -> Iterator[World]:
    """Let a world go on by chance; yields it after every step."""
    chance = Random(seed)
    for _ in range(steps):
        world.do(chance.choice(world.actions()))
        yield world


def walked(scenario: Scenario, steps: int, seed: int = 3) -> World:
    world = World(scenario)
    for _ in walk(world, steps, seed):
        pass
    return world


# what changes a snapshot


def parts(*things: object) -> Iterator[object]:
    """All objects of core that can be reached."""
    met: dict[int, object] = {}
    waiting = deque(things)
    while waiting:
        thing = waiting.popleft()
        if isinstance(thing, dict):
            waiting += [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | deque | set):
            waiting += thing
        elif is_core(thing) and id(thing) not in met:
            met[id(thing)] = thing
            if not isinstance(thing, Accounts | Watch):
                waiting += [getattr(thing, name) for name in names_of(thing)]
            yield thing


def is_core(thing: object) -> bool:
    if isinstance(thing, Enum | type) or not type(thing).__module__.startswith("gapless.core"):
        return False
    return not getattr(getattr(thing, "__dataclass_params__", None), "frozen", False)


def names_of(thing: object) -> list[str]:
    slots = [name for kind in type(thing).__mro__ for name in kind.__dict__.get("__slots__", ())]
    return [*slots, *getattr(thing, "__dict__", {})]


def changed(value: Any, name: str) -> object:
    """A value that is another one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        return next(member for member in type(value) if member is not value)
    if isinstance(value, int | float):
        return 0.0 if abs(value) == float("inf") else value + 1
    if isinstance(value, str):
        return f"{value}~"
    if isinstance(value, bytes):
        return value + b"~"
    if name == "_entries":
        return [*value, (b"~", False, None, 0.0)]
    if isinstance(value, list | deque):
        return [*cast("list[object]", value), "~"]
    if isinstance(value, dict):
        return cast("dict[object, object]", value) | {"~": "~"}
    if isinstance(value, set):
        return cast("set[object]", value) | {99}
    if isinstance(value, count):
        return count(99)
    return 99.0 if value is None else "~"


@pytest.mark.parametrize("scenario", [STORED, PINNED], ids=lambda scenario: scenario.name)
def test_every_field_counts_but_those_declared(scenario: Scenario) -> None:
    """Nothing that matters is silently skipped."""
    world = walked(scenario, 22)
    before = snapshot(world.client, world.hub, now=world.now)
    unseen: set[tuple[type, str]] = set()
    seen = 0
    for part in list(parts(world.client, world.hub)):
        apart = names_of(part) if type(part).__name__ == "Timers" else ["_start"]
        for name in [name for name in names_of(part) if name not in apart]:
            value = getattr(part, name)
            setattr(part, name, changed(value, name))
            seen += 1
            if snapshot(world.client, world.hub, now=world.now) == before:
                unseen.add((type(part), name))
            setattr(part, name, value)

    declared = [(of, name) for of, names in LEFT_OUT.items() for name in names]
    for kind, name in unseen:
        assert any(issubclass(kind, of) and name == other for of, other in declared), (kind, name)
    assert seen > 300
    assert snapshot(world.client, world.hub, now=world.now) == before


def test_what_is_declared_exists() -> None:
    met = [part for one in (STORED, PINNED) for part in parts(walked(one, 22).__dict__)]
    for table in (LEFT_OUT, TIMES):
        for kind, names in table.items():
            of_kind = [part for part in met if isinstance(part, kind)]
            if not (is_dataclass(kind) and not of_kind):
                assert of_kind, kind
                assert names <= {*names_of(of_kind[0])}


def test_of_timers_what_is_armed_counts_and_the_order() -> None:
    def told(*armed: tuple[str, float | None]) -> Plain:
        timers: Timers[str] = Timers()
        for key, when in armed:
            timers.set(key, when)
        return snapshot(timers, now=10.0)

    assert told(("a", 11.0), ("b", 11.0)) != told(("b", 11.0), ("a", 11.0))
    assert told(("a", 11.0)) != told(("a", 12.0))
    assert told(("a", 11.0), ("b", 11.0), ("b", None)) == told(("a", 11.0))
    assert told(("b", 12.0), ("a", 13.0), ("a", 11.0)) == told(("a", 11.0), ("b", 12.0))


# what doesn't


def test_a_history_is_what_it_holds() -> None:
    def history(dropped: int) -> History:
        log = History(max_messages=9, max_bytes=99, head=3 - dropped)
        for payload in [b"x"] * dropped + [b"y"]:
            log.append(payload, False, None, now=5.0)
        log.drop_through(3)
        return log

    assert snapshot(history(0), now=7.0) == snapshot(history(3), now=7.0)


@pytest.mark.parametrize("seed", range(3))
def test_when_it_happened_and_what_tokens_say_changes_nothing(seed: int) -> None:
    """I10: the same steps, at another time and with other tokens, lead to an equal state."""
    here, there = World(STORED), World(STORED, now=2.0**30, word="other")
    for one, other in zip(walk(here, 25, seed), walk(there, 25, seed), strict=True):
        assert one.snapshot() == other.snapshot()
        assert one.key() == other.key()


@pytest.mark.parametrize("seed", range(3))
def test_a_copy_goes_on_as_the_original_does(seed: int) -> None:
    """I10: re-run from a copy equals the original."""
    for scenario in (STORED, PINNED):
        world = walked(scenario, 10, seed)
        copy = again(keep(world))
        assert copy.snapshot() == world.snapshot()
        world.story, copy.story = [], []
        for one, other in zip(walk(world, 15, seed), walk(copy, 15, seed), strict=True):
            assert one.snapshot() == other.snapshot()
            assert one.story == other.story


def test_it_depends_on_no_hash_seed() -> None:
    """I10: no order is taken from a set or a hash."""
    program = (
        "from tests.testing.test_snapshots import STORED, walked\n"
        "from gapless.testing import digest\n"
        "print(digest(walked(STORED, 25).snapshot()).hex())"
    )
    root = Path(__file__).parents[2]
    path = os.pathsep.join([*sys.path, str(root)])
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest(walked(STORED, 25).snapshot()).hex()


def test_it_is_plain_and_can_be_written_down() -> None:
    state = walked(PINNED, 20).snapshot()

    def listed(plain: Plain) -> object:
        return [listed(part) for part in plain] if isinstance(plain, tuple) else plain

    assert isinstance(hash(state), int)
    assert json.loads(json.dumps(state, allow_nan=False)) == listed(state)


# names, times, and what can't be told


def test_names_are_numbered_in_the_order_they_are_met() -> None:
    names = Names(counted("t"))
    first, second = names(), names()

    def told(*values: object) -> Plain:
        return snapshot(*values, now=0.0, names=names)

    assert told(second, first, second) == (("token", 0), ("token", 1), ("token", 0))
    assert told(first, second, first) == told(second, first, second)
    assert told("t9", first) == ("t9", ("token", 0))
    assert snapshot(first, now=0.0) == (first,)


def test_what_is_derived_from_a_token_is_known_as_its_own() -> None:
    world = walked(PINNED, 25)
    (session, *_) = world.hub.sessions
    told = snapshot(world.client.token, session, now=0.0, names=world.names)

    assert isinstance(told, tuple)
    assert [part[0] for part in told if isinstance(part, tuple)] == ["token", "session"]


def test_times_can_be_cut_off() -> None:
    def told(when: float) -> Plain:
        timers: Timers[str] = Timers()
        timers.set("a", when)
        return snapshot(timers, now=10.0, past=2.0, future=3.0)

    assert told(8.0) == told(1.0) != told(8.5)
    assert told(13.0) == told(99.0) != told(12.5)


def test_sets_have_no_order_and_dicts_do() -> None:
    def told(*values: object) -> Plain:
        return snapshot(*values, now=0.0)

    assert told({1, 8}, {"a", "b"}) == told({8, 1}, {"b", "a"})
    assert told({"a": 1, "b": 2}) != told({"b": 2, "a": 1})


def test_objects_are_told_apart_unless_they_are_equal() -> None:
    one, other = Timers[str](), Timers[str]()

    def told(*values: object) -> Plain:
        return snapshot(*values, now=0.0)

    assert told(History(max_messages=1, max_bytes=1)) == told(History(max_messages=1, max_bytes=1))
    assert told(one) == told(other)
    assert told(Position("a", 1)) == told(("a", 1))
    assert told(b"a") != told("a")


def test_what_shows_no_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="a Pattern is can't be told"):
        snapshot(re.compile("a"), now=0.0)
