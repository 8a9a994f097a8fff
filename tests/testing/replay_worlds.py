"""Whole simulated worlds, recorded and replayed (P8): `python -m tests.testing.replay_worlds`.

Each seed is run twice, bare and with every machine recorded, and every log is replayed. Prints what
was replayed and what recording costs; exits 1 if a replay differs. With `--write` the logs go to a
file, which `--read` replays in another process: under another PYTHONHASHSEED an order that was
taken from a set or a hash shows.
"""

import argparse
import sys
import time
from pathlib import Path

from gapless.testing import replay
from tests.simulation.world import World

from .stories import Recording


def main(arguments: list[str] | None = None) -> int:
    """Run as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.replay_worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--write", type=Path, help="a file for all logs")
    parser.add_argument("--read", type=Path, help="only replay the logs of that file")
    options = parser.parse_args(arguments)
    if options.read is not None:
        return read(options.read)
    return record(range(options.first, options.first + options.seeds), options.write)


def read(path: Path) -> int:
    """Replay the logs of a file; returns the exit code."""
    result = replay(path.read_text(encoding="utf-8").split("\n"))
    print(result.difference or f"{result.machines} machines, {result.steps:,} calls: the same")
    return 1 if result.difference else 0


def record(seeds: range, path: Path | None) -> int:
    """Record and replay worlds; returns the exit code."""
    machines = different = 0
    lines: list[str] = []
    bare = recorded = replayed = 0.0
    for seed in seeds:
        recording = Recording(redact=seed % 3 > 0, redact_channels=seed % 3 > 1)
        began = time.perf_counter()
        World(seed).run()
        bare += time.perf_counter() - began
        began = time.perf_counter()
        World(seed, new_recorder=recording).run()
        recorded += time.perf_counter() - began
        began = time.perf_counter()
        for name, log in recording.logs.items():
            result = replay(log)
            machines += result.machines
            lines += log
            if result.difference is not None:
                different += 1
                print(f"seed {seed}, {name}: {result.difference}")
        replayed += time.perf_counter() - began
    if path is not None:
        path.write_text("\n".join(lines), encoding="utf-8")
    print(
        f"{len(seeds)} worlds, {machines} machines, {len(lines):,} lines of "
        f"{sum(map(len, lines)) / len(lines):.0f} bytes, {different} different; recorded, a run "
        f"takes {recorded / bare:.2f} times as long, its replay {replayed / bare:.2f} times"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
