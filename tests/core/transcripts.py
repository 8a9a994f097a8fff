"""The twelve transcripts of design section 11: what every implementation must reproduce.

`python -m tests.core.transcripts --write` writes `tests/golden/transcripts/` anew. A change there
is a change of the protocol: read it before it is committed.
"""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from . import transcripts_links as links
from . import transcripts_publishing as publishing
from . import transcripts_reading as reading
from .transcripts_tools import MEMORY, Play, Stage

FOLDER = Path(__file__).parents[1] / "golden" / "transcripts"

Scenario = Callable[[Stage], Play]

SCENARIOS: dict[str, Scenario] = {
    "01-cold-start": links.cold_start,
    "02-cut-inside-welcome": links.cut_inside_welcome,
    "03-server-without-memory": publishing.server_without_memory,
    "04-store-that-remembers": publishing.store_that_remembers,
    "05-rare-commits": publishing.rare_commits,
    "06-half-full-inbox": reading.half_full_inbox,
    "07-unsubscribe-and-subscribe": reading.unsubscribe_and_subscribe,
    "08-falling-off-the-tail": reading.tail,
    "09-store-that-fell-back": reading.store_that_fell_back,
    "10-late-verdict": links.late_verdict,
    "11-shed-inbox": reading.shed_inbox,
    "12-goaway": links.goaway,
}


def head(name: str) -> list[str]:
    """What the rules demand of a scenario: its docstring, as comments."""
    words = inspect.getdoc(SCENARIOS[name]) or ""
    return [f"# {line}".rstrip() for line in words.splitlines()]


def written(name: str, stage: Stage = MEMORY) -> list[str]:
    """The lines of a scenario's golden file, from a run of it now."""
    return [*head(name), "", *SCENARIOS[name](stage).lines]


def golden(name: str) -> list[str]:
    """The lines of a scenario's golden file, as it is."""
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def write() -> None:
    """Write all golden files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in SCENARIOS:
        path = FOLDER / f"{name}.txt"
        path.write_text("\n".join(written(name)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.core.transcripts --write")
    write()
