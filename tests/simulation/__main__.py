"""The simulator: `python -m tests.simulation --seconds 60`.

Runs seeds for so long, each a world of its own in virtual time, and ends with one line. A seed that
breaks a promise is named with the command that repeats it. Exits 1 if one did, or if a state that
must have been reached in some run was not.
"""

import argparse
import hashlib
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable

from .sometimes import STATES
from .swarm import Swarm
from .world import Report, World


def main(arguments: list[str] | None = None) -> int:
    """Run the simulator as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to run")
    parser.add_argument("--seeds", type=int, help="how many seeds to run, however long it takes")
    parser.add_argument("--first", type=int, help="the first seed; by default a fresh one")
    parser.add_argument("--seed", type=int, help="run this seed alone, and tell its story")
    parser.add_argument("--digest", action="store_true", help="of the seeds' stories, and no more")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return tell(options.seed)
    if options.digest:
        print(digest(range(options.first or 0, (options.first or 0) + (options.seeds or 20))))
        return 0
    first = time.time_ns() // 1_000_000 if options.first is None else options.first
    return simulate(first, options.seconds, options.seeds)


def simulate(first: int, seconds: float, seeds: int | None = None) -> int:
    """Run seeds from `first` on, so many of them or for so many seconds; returns the exit code."""
    reports: list[Report] = []
    broken = 0
    began = time.monotonic()
    seed = first
    while seed < first + seeds if seeds is not None else time.monotonic() < began + seconds:
        try:
            reports.append(World(seed).run())
        except Exception as error:
            broken += 1
            print(f"seed {seed}: {type(error).__name__}: {error}")
            print(f"    python -m tests.simulation --seed {seed}", flush=True)
        seed += 1
    sometimes: Counter[str] = Counter()
    for report in reports:
        sometimes += report.sometimes
    for state in sorted(STATES):
        print(f"{sometimes[state]:9,}  {state}")
    missed = [state for state in STATES if not sometimes[state]]
    reached = f"{len(STATES) - len(missed)} of {len(STATES)} states reached"
    if missed:
        reached += f" (never: {', '.join(missed)})"
    print(
        f"seeds {first}..{seed - 1} ({seed - first}), "
        f"{sum(report.hours for report in reports):,.0f} virtual hours, "
        f"{sum(report.messages for report in reports):,} messages, "
        f"{sum(report.faults for report in reports):,} faults, {broken} broken, {reached}"
    )
    return 1 if broken or missed else 0


def digest(seeds: Iterable[int]) -> str:
    """Hash the stories of seeds: the same whatever the order of sets may be (P8, I10)."""
    hashed = hashlib.sha256()
    for seed in seeds:
        world = World(seed, record=True)
        world.run()
        hashed.update("\n".join(world.pair.transcript).encode())
    return hashed.hexdigest()


def tell(seed: int) -> int:
    """Run one seed and print all that happened; returns the exit code."""
    swarm = Swarm.draw(seed)
    world = World(seed, record=True)
    code = 0
    try:
        world.run()
    except Exception:
        code = 1
        print("\n".join(world.pair.transcript))
        traceback.print_exc(file=sys.stdout)
    print(f"seed {seed}: {swarm.mode}, {', '.join(sorted(swarm.features)) or 'no features'}")
    print("broken" if code else "nothing broken")
    return code


if __name__ == "__main__":
    sys.exit(main())
