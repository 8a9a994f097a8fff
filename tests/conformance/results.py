"""What the suite found, as the docs show it: features by runtimes."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from tests.pages import REGION, table

from .cells import RUNTIMES, Cell, all_cells
from .registry import CASES, FEATURES
from .runtime import Runtime
from .wires import WIRES

PAGE: Final = Path(__file__).parents[2] / "docs" / "topics" / "conformance.md"
COMMAND: Final = "PYTHONPATH=core:transports:adapters python -m tests.conformance --write"


def regions(held: Collection[str]) -> dict[str, str]:
    """The parts of the page that are made here.

    Args:
        held: the names of the cells that hold.
    """
    return {"features": features(held), "cases": cases()}


def features(held: Collection[str]) -> str:
    """A row for each feature, a column for each runtime: cases that hold, and wires."""
    cells = list(all_cells())
    rows = [["", *(f"{runtime.name}" for runtime in RUNTIMES)]]
    for feature in FEATURES:
        rows.append([feature, *(_verdict(cells, held, feature, one) for one in RUNTIMES)])
    return table(rows)


def cases() -> str:
    """A row for each case: what it shows, and the promise it holds."""
    rows = [["feature", "what holds", "which promise"]]
    for feature in FEATURES:
        for case in CASES:
            if case.feature == feature:
                words = (case.play.__doc__ or "").split("\n", 1)[0].rstrip(".")
                rows.append([feature, case.name.replace("_", " "), words])
    return table(rows)


def expected(held: Collection[str]) -> str:
    """The page as it should be."""
    made = regions(held)
    text = PAGE.read_text(encoding="utf-8")
    return REGION.sub(lambda found: found[1] + made[found[2]] + found[3], text)


def every_name() -> set[str]:
    """The names of all cells: what holds while the suite is green."""
    return {cell.name for cell in all_cells()}


def _verdict(cells: list[Cell], held: Collection[str], feature: str, runtime: Runtime) -> str:
    mine = [one for one in cells if one.case.feature == feature and one.runtime is runtime]
    if not mine:
        return "not shown"
    whole = sum(case.feature == feature for case in CASES) * len(WIRES)
    good = sum(cell.name in held for cell in mine)
    return f"✓ {whole}" if good == whole else f"{good} of {whole}"


def counts(held: Collection[str]) -> Iterator[str]:
    """A line for each runtime, then one for all."""
    cells = list(all_cells())
    for runtime in RUNTIMES:
        mine = [cell for cell in cells if cell.runtime is runtime]
        good = sum(cell.name in held for cell in mine)
        yield f"{runtime.name:<16} {good} of {len(mine)} hold"
    pairs = {(cell.runtime.name, cell.wire.name) for cell in cells}
    good = sum(cell.name in held for cell in cells)
    yield (
        f"{len(CASES)} cases, {len(RUNTIMES)} runtimes x {len(WIRES)} wires = {len(pairs)} cells:"
        f" {good} of {len(cells)} hold"
    )
