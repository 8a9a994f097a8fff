"""Whole simulated worlds, recorded and replayed (P8): `python -m tests.testing.replay_worlds`.

Each seed is run twice, bare and with every machine recorded, and every log is replayed. Prints what
was replayed and what recording costs; exits 1 if a replay differs.
"""

import argparse
import sys
import time

from gapless.testing import replay
from tests.simulation.world import World

from .stories import Recording


def main(arguments: list[str] | None = None) -> int:
    """Run as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.replay_worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    options = parser.parse_args(arguments)
    machines = lines = different = size = 0
    bare = recorded = replayed = 0.0
    for seed in range(options.first, options.first + options.seeds):
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
            lines += len(log)
            size += sum(map(len, log))
            if result.difference is not None:
                different += 1
                print(f"seed {seed}, {name}: {result.difference}")
        replayed += time.perf_counter() - began
    print(
        f"{options.seeds} worlds, {machines} machines, {lines:,} lines of {size / lines:.0f} "
        f"bytes, {different} different; recorded, a run takes {recorded / bare:.2f} times as long, "
        f"its replay {replayed / bare:.2f} times"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
