"""One behaviour on every runtime: every case in its cells.

`python -m tests.conformance` plays all of them.
"""

import gc
from collections.abc import Generator

import pytest

from .cells import Cell, quick_cells
from .world import play


@pytest.fixture(autouse=True, scope="module")
def young_heap() -> Generator[None, None, None]:
    """Have each cell's collection look at that cell's objects only."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("cell", list(quick_cells()), ids=lambda cell: cell.name)
def test_conformance(cell: Cell) -> None:
    play(cell.case, cell.runtime, cell.wire)
