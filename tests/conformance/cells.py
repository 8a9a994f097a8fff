"""The cells: every runtime there is, every wire, every case."""

import time
import traceback
from collections.abc import Iterator
from typing import Final, NamedTuple

from . import cases_bounds, cases_endings, cases_links, cases_talking
from .on_anyio import OnAnyio, OnTrio
from .on_asyncio import OnAsyncio
from .on_blocking import OnBlocking
from .on_uvloop import OnUvloop
from .registry import CASES
from .runtime import Runtime
from .wires import MEMORY, WIRES, Wire
from .world import Case, play

GROUPS: Final = (cases_talking, cases_links, cases_bounds, cases_endings)
RUNTIMES: Final[tuple[Runtime, ...]] = (OnAsyncio(), OnUvloop(), OnTrio(), OnAnyio(), OnBlocking())


class Cell(NamedTuple):
    """A case on a runtime and a wire."""

    case: Case
    runtime: Runtime
    wire: Wire

    @property
    def name(self) -> str:
        """As tests and results call it."""
        return f"{self.runtime.name}-{self.wire.name}-{self.case.name}"


def all_cells() -> Iterator[Cell]:
    """Every case on every runtime and wire, where the runtime has what it needs."""
    for runtime in RUNTIMES:
        for wire in WIRES:
            for case in CASES:
                if runtime.jumps or not case.needs_jumps:
                    yield Cell(case, runtime, wire)


def quick_cells() -> Iterator[Cell]:
    """All cases on the memory wire, the main ones on every wire."""
    return (cell for cell in all_cells() if cell.case.is_main or cell.wire is MEMORY)


def played(name: str) -> tuple[str, float, str]:
    """Play a cell by name; returns how long it took, and what went wrong."""
    cell = next(one for one in all_cells() if one.name == name)
    started = time.monotonic()
    try:
        play(cell.case, cell.runtime, cell.wire)
        error = ""
    except BaseException:
        error = traceback.format_exc()
    return name, time.monotonic() - started, error
