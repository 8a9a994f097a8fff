"""`python -m tests.benchmarks [core] [burst] [--json]`: a line a case, or one JSON object.

Exits 1 if a message is missing: a figure for half the work is none.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict

from .burst import BurstResult, run_burst
from .core import CoreResult, run_core

CASES: dict[str, Callable[[], CoreResult | BurstResult]] = {"core": run_core, "burst": run_burst}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="core or burst; default: both")
    parser.add_argument("--json", action="store_true", help="print one object instead of lines")
    options = parser.parse_args()
    unknown = sorted(set(options.cases) - set(CASES))
    if unknown:
        parser.error(f"there is no case {unknown[0]!r}; choose from {', '.join(CASES)}")
    results: dict[str, CoreResult | BurstResult] = {}
    for name in options.cases or CASES:
        results[name] = CASES[name]()
        if not options.json:
            print(results[name].line(), flush=True)
    if options.json:
        print(json.dumps({name: asdict(result) for name, result in results.items()}))
    return int(not all(result.is_complete for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
