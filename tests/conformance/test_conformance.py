"""One behaviour on every runtime: every case, in its cells."""

import gc
from collections.abc import Generator

import pytest

from .cells import Cell, all_cells
from .world import play


@pytest.fixture(autouse=True, scope="module")
def young_heap() -> Generator[None, None, None]:
    """Have each cell's collection look at that cell's objects only."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("cell", list(all_cells()), ids=lambda cell: cell.name)
def test_conformance(cell: Cell) -> None:
    play(cell.case, cell.runtime, cell.wire)
