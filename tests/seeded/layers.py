"""Layers: what is run on a copy of the sources, the cheapest first, and what each says of it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from .patches import Patch

PYTEST = (
    *(sys.executable, "-m", "pytest", "-q", "-x", "--tb=no"),
    *("-p", "no:cacheprovider", "--numprocesses=0"),
)
EXHAUSTIVE = (sys.executable, "-m", "tests.exhaustive")
SIMULATION = (sys.executable, "-m", "tests.simulation")
_FAILED = re.compile(r"(?:FAILED|ERROR) (.+?)(?: - .*)?$")
_PASSED = re.compile(r"\d+ passed")
_BROKEN_SCENARIO = re.compile(r"broken: (\S+): ")
_UNBROKEN_SCENARIOS = re.compile(r"scenarios, .*, 0 broken")
_BROKEN = re.compile(r"(seed \d+): ")
_NEVER = re.compile(r"(?!)")
_UNBROKEN_SEED = re.compile(r"nothing broken")
_UNBROKEN = re.compile(r"seeds .*, 0 broken")

APART = ("test_machine.py", "test_transcripts.py")
"""Tests of core that are layers of their own."""

STORIES = ("bad_frames", "regressions")
"""Tests that tell a story of their own, the likeliest to catch what a module's own do not."""

LIKELY = {
    "credit-withheld-for-ever": "test_memory_client.py",
    "late-verdict-fences": "test_model_regressions.py",
    "no-fence": "test_bad_frames_sessions.py",
    "older-offer-id-popped": "test_hub_regressions.py",
    "set-back-ack-in-wrong-epoch": "test_second_review_regressions.py",
    "set-back-not-acked": "test_client_regressions.py",
    "shed-never-asked-again": "test_model_regressions_readers.py",
    "starved-never-woken": "test_relief.py",
    "token-of-anybody": "test_bad_frames_sessions.py",
}
"""Which of them is tried first, to save time: one that has caught that bug before."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of tests.

    Attributes:
        name: what it is called.
        limit: seconds it may take; one that takes longer has caught something.
        command: gives what is run in the copy, or nothing if there is nothing for that patch.
        fault: a line of its output that names what failed.
        fine: a line without which it has not passed.
    """

    name: str
    limit: float
    command: Callable[[Path, Patch], tuple[str, ...]]
    fault: re.Pattern[str]
    fine: re.Pattern[str]

    def run(self, folder: Path, patch: Patch) -> str | None:
        """Run the layer on the sources in a folder; returns what failed, None: nothing."""
        command = self.command(folder, patch)
        return watch(command, folder, self.limit, self.fault, self.fine) if command else None


def layers(seeds: int) -> tuple[Layer, ...]:
    """All layers, the cheapest first; the simulator runs so many seeds."""

    def simulation(folder: Path, patch: Patch) -> tuple[str, ...]:
        return (*SIMULATION, "--first", "0", "--seeds", str(seeds))

    return (
        Layer("module", 200.0, _module, _FAILED, _PASSED),
        Layer("units", 400.0, _units, _FAILED, _PASSED),
        Layer("transcripts", 120.0, _tests("test_transcripts.py"), _FAILED, _PASSED),
        Layer("stateful", 200.0, _tests("test_machine.py"), _FAILED, _PASSED),
        Layer("exhaustive", 900.0, _search, _BROKEN_SCENARIO, _UNBROKEN_SCENARIOS),
        Layer("simulator", 60.0 + 8.0 * seeds, simulation, _BROKEN, _UNBROKEN),
    )


def watch(
    command: tuple[str, ...],
    folder: Path,
    limit: float,
    fault: re.Pattern[str],
    fine: re.Pattern[str],
) -> str | None:
    """Run a command until it ends, names a fault or has taken too long; returns what is wrong."""
    path = os.pathsep.join(str(folder / part) for part in ("core", "transports"))
    environment = os.environ | {
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "HYPOTHESIS_PROFILE": "seeded",
    }
    environment.pop("PYTEST_ADDOPTS", None)
    is_fine, line = False, "no output"
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        late = Timer(limit, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = fault.match(line)
                if found is not None:
                    process.kill()
                    return found[1]
                is_fine = is_fine or fine.search(line) is not None
            process.wait()
        finally:
            is_late = not late.is_alive()
            late.cancel()
    if is_late:
        return f"no end within {limit:g} s"
    return None if is_fine else line.strip()


def again(faults: list[str], folder: Path) -> list[str]:
    """Run once more, on the sources in a folder, what failed; returns what fails there too."""
    tests = sorted({fault.split("[")[0] for fault in faults if fault.startswith("tests/")})
    alarms: list[str] = []
    if tests:
        alarm = watch((*PYTEST, *tests), folder, 400.0, _FAILED, _PASSED)
        alarms += [] if alarm is None else [alarm]
    scenarios = [fault for fault in faults if re.fullmatch(r"(?:read|write|both)[a-z0-9-]*", fault)]
    if scenarios:
        alarm = watch(
            (*EXHAUSTIVE, *scenarios), folder, 900.0, _BROKEN_SCENARIO, _UNBROKEN_SCENARIOS
        )
        alarms += [] if alarm is None else [alarm]
    for fault in faults:
        if fault.startswith("seed "):
            seed = (*SIMULATION, "--seed", fault.removeprefix("seed "))
            if watch(seed, folder, 60.0, _NEVER, _UNBROKEN_SEED) is not None:
                alarms.append(fault)
    return alarms


def _search(folder: Path, patch: Patch) -> tuple[str, ...]:
    """What the gate searches."""
    return EXHAUSTIVE


def _tests(*names: str) -> Callable[[Path, Patch], tuple[str, ...]]:
    return lambda folder, patch: (*PYTEST, *(f"tests/core/{name}" for name in names))


def _module(folder: Path, patch: Patch) -> tuple[str, ...]:
    """The tests of the modules that a patch changes."""
    names = _own(folder, patch)
    return _tests(*names)(folder, patch) if names else ()


def _units(folder: Path, patch: Patch) -> tuple[str, ...]:
    """All other tests of core, stories first."""
    left_out = {*APART, *_own(folder, patch)}
    found = sorted(path.name for path in (folder / "tests/core").glob("test_*.py"))
    likely = LIKELY.get(patch.name)
    found.sort(key=lambda name: (name != likely, not any(word in name for word in STORIES)))
    return _tests(*(name for name in found if name not in left_out))(folder, patch)


def _own(folder: Path, patch: Patch) -> list[str]:
    names = [f"test_{Path(change).name}" for change in patch.changes]
    return [name for name in names if (folder / "tests/core" / name).is_file()]
