"""Core, testing and transports do no I/O, read no clock, make no randomness (design 4.2; P8)."""

from pathlib import Path

import pytest

from tests.purity import AREAS, Area, check_module, check_tree
from tests.purity_plants import plant

ROOT = Path(__file__).parents[1]
CORE, TESTING, TRANSPORTS = AREAS

HARMLESS = (
    "from __future__ import annotations",
    "import enum, math, re\nenum.Enum; math.inf; re.compile('x')",
    "import collections.abc",
    "from collections import abc, deque\nabc.Iterator",
    "from bisect import bisect",
    "from gapless.core import frames",
    "from gapless.core.position import Position",
    "from . import frames",
    "from random import Random\ndef wait(rng: Random) -> Random: ...",
    "import random\nclass Dice:\n    rng: random.Random",
    "def wait(rng): return rng.random() + rng.uniform(0, 1)",
    "class Wire:\n    open: bool\n    def input(self): return self.open",
)


def reported(source: str, area: Area) -> list[str]:
    findings = check_module(source, area, Path(area.folder) / "module.py")
    return [finding.what for finding in findings]


def test_the_sources_reach_nothing_that_is_not_on_the_list() -> None:
    findings = check_tree(ROOT)

    assert not findings, "\n".join(map(str, findings))


def test_whatever_is_planted_is_reported(tmp_path: Path) -> None:
    planted, missed = plant(ROOT, tmp_path)

    assert len(planted) > 150
    assert not missed, "\n".join(missed)


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.package)
@pytest.mark.parametrize("source", HARMLESS)
def test_what_is_pure_is_not_reported(source: str, area: Area) -> None:
    assert reported(source, area) == []


@pytest.mark.parametrize("area", [TESTING, TRANSPORTS], ids=lambda area: area.package)
@pytest.mark.parametrize(
    "source",
    [
        "import wsproto.events",
        "import h11\nh11.Connection",
        "import msgspec\nmsgspec.json.Decoder",
        "from msgspec import json",
        "from urllib.parse import urlsplit",
        "import struct",
    ],
)
def test_a_wire_may_use_its_libraries(source: str, area: Area) -> None:
    assert reported(source, area) == []


def test_only_testing_may_make_randomness_and_only_from_a_seed() -> None:
    source = "from random import Random\ndef lossy(seed: int):\n    return Random(seed)"

    assert [bool(reported(source, area)) for area in AREAS] == [True, False, True]


def test_an_area_without_modules_is_reported(tmp_path: Path) -> None:
    assert [finding.what for finding in check_tree(tmp_path)] == ["has no modules"] * len(AREAS)
