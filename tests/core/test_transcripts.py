"""The twelve transcripts, frame by frame (design 11), the same each time (P8) and on any wire (P9).

What each of them must contain is asserted inside the scenarios; here they are run and compared.
"""

import difflib

import pytest

from .transcripts import FOLDER, SCENARIOS, golden, written
from .transcripts_tools import BYTEWISE, MEMORY, Play

names = pytest.mark.parametrize("name", SCENARIOS)


def told(play: Play) -> dict[str, list[str]]:
    """What each application took and was told, in its order."""
    lines: dict[str, list[str]] = {}
    for line in play.lines:
        words = line.split(" ")
        if line.startswith("-- ") and ("takes" in words[2:3] or words[2:4] == ["is", "told"]):
            lines.setdefault(words[1], []).append(line)
    return lines


@names
def test_a_transcript_is_as_the_golden_file_says(name: str) -> None:
    expected, found = golden(name), written(name)

    difference = difflib.unified_diff(expected, found, "golden", "now", lineterm="", n=2)
    assert found == expected, (
        f"{name} has changed. If the rules say so:\n"
        "    python -m tests.core.transcripts --write, and read what it changes\n"
        + "\n".join(difference)
    )


@names
def test_p8_the_same_scenario_gives_the_same_lines(name: str) -> None:
    assert written(name) == written(name)


@names
def test_p9_over_a_websocket_byte_by_byte_applications_are_told_the_same(name: str) -> None:
    on_memory, bytewise = told(SCENARIOS[name](MEMORY)), told(SCENARIOS[name](BYTEWISE))

    assert on_memory
    assert on_memory == bytewise


def test_there_is_a_golden_file_for_each_scenario_and_no_other() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(SCENARIOS)
    assert len(SCENARIOS) == 12
