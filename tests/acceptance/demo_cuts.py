"""`gapless demo --messages 200000 --cuts 40 --seed 7` exits 0, and ten other seeds do too.

`python -m tests.acceptance.demo_cuts [--runtime R] [SEED …]` exits 1 unless every run does.
"""

import argparse
import json
import sys

from tests.acceptance.tools import finish, run

SEEDS = (7, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11)
MESSAGES = 200_000
CUTS = 40


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", nargs="*", type=int)
    parser.add_argument("--runtime", default="asyncio", choices=("asyncio", "trio", "blocking"))
    options = parser.parse_args()
    seeds: tuple[int, ...] = tuple(options.seed) or SEEDS
    faults: list[str] = []
    for seed in seeds:
        arguments = ("--messages", str(MESSAGES), "--cuts", str(CUTS), "--seed", str(seed))
        done = run("demo", *arguments, "--runtime", options.runtime, "--json", timeout=300)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"seed {seed}: exit {done.returncode}, {found['received']:,} messages,"
            f" {found['cuts']} cuts, {found['resumes']} resumes, {found['seconds']:.1f} s",
            flush=True,
        )
        is_right = (found["received"], found["cuts"], found["lost"]) == (MESSAGES, CUTS, 0)
        if done.returncode != 0 or not is_right:
            faults.append(f"seed {seed}: {found['faults']}")
    return finish(f"{len(seeds) - len(faults)} of {len(seeds)} seeds", faults)


if __name__ == "__main__":
    sys.exit(main())
