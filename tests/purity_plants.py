"""Does the purity check bite? Statements it must report, and a way to plant them in a copy."""

import shutil
from pathlib import Path

from tests.purity import AREAS, check_tree

PLANTS = (
    "import asyncio",
    "import time",
    "import os",
    "import os.path",
    "import datetime",
    "import importlib",
    "import logging",
    "import secrets",
    "import socket",
    "import sys",
    "import threading",
    "import urllib.parse",
    "import gapless.adapters",
    "import gapless.core",
    "from asyncio import sleep",
    "from datetime import datetime",
    "from os import urandom",
    "from time import monotonic",
    "from time import *",
    "from ..adapters import asyncio",
    "from gapless.adapters import asyncio",
    "from gapless import adapters",
    "import random; random.random()",
    "import random; random.seed(7)",
    "import random; random.SystemRandom()",
    "import random; random.Random()",
    "import random as dice; dice.shuffle([])",
    "import random; getattr(random, 'random')()",
    "from random import randint",
    "from random import choice as pick",
    "from random import *",
    "from random import Random; Random()",
    "from random import Random; Random(None)",
    "from random import Random as Dice; make = Dice",
    "from numpy.random import Random",
    "from gapless.core.backoff import Random; Random()",
    "from gapless.core import backoff; backoff.Random()",
    "from gapless.core.backoff import random",
    "import enum; enum.sys.exit()",
    "from enum import sys",
    "import collections; collections._sys.exit()",
    "__import__('os')",
    "__builtins__['open']('f')",
    "(lambda: 0).__globals__['os']",
    "open('f')",
    "reader = open",
    "print('f')",
    "input()",
    "eval('1')",
    "exec('1')",
    "compile('1', 'f', 'eval')",
    "import typing\nif typing.TYPE_CHECKING:\n    import asyncio",
    "try:\n    import time\nexcept ImportError:\n    pass",
    "def late() -> None:\n    import os",
    "class Late:\n    import os",
)
"""Statements that must be found wherever they are planted."""

AREA_PLANTS = {
    "core/gapless/core": (
        "import h11",
        "import msgspec",
        "import struct",
        "import wsproto",
        "from ..transports import wire",
        "from gapless.testing import pair",
        "from gapless.transports import wire",
        "from random import Random; Random(7)",
    ),
    "core/gapless/testing": (
        "from wsproto.frame_protocol import os",
        "from random import Random; seeds = (); Random(*seeds)",
    ),
    "transports/gapless/transports": (
        "import msgspec; msgspec.sys",
        "from wsproto.frame_protocol import os",
        "from gapless.testing import pair",
        "from random import Random; Random(7)",
    ),
}
"""What only one of the areas may not do."""


def plant(root: Path, copy: Path) -> tuple[list[str], list[str]]:
    """Plant every statement in a copy of the sources and check the copy.

    Each stands in a module of its own in each area, and one more in each module there is.

    Returns:
        what was planted, and what of it the check did not report.
    """
    for area in AREAS:
        shutil.copytree(root / area.folder, copy / area.folder)
    planted: dict[str, str] = {}
    for area in AREAS:
        for path in (copy / area.folder).rglob("*.py"):
            with path.open("a", encoding="utf-8") as module:
                module.write("\n\ndef planted() -> None:\n    import time\n")
            planted[str(path.relative_to(copy))] = "import time at the end"
        for number, statement in enumerate((*PLANTS, *AREA_PLANTS[area.folder])):
            path = copy / area.folder / f"planted_{number:02}.py"
            path.write_text(statement + "\n", encoding="utf-8")
            planted[str(path.relative_to(copy))] = statement
    found = {finding.path for finding in check_tree(copy)}
    missed = [f"{path}: {what}" for path, what in planted.items() if path not in found]
    return [f"{path}: {what}" for path, what in planted.items()], missed
