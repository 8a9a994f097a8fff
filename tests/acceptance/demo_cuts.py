"""Issue 2: `gapless demo --messages 200000 --cuts 40 --seed 7` exits 0, and ten other seeds do too.

`python -m tests.acceptance.demo_cuts [SEED …]` exits 1 unless every run does.
"""

import json
import sys

from tests.acceptance.tools import finish, run

SEEDS = (7, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11)
MESSAGES = 200_000
CUTS = 40


def main(seeds: tuple[int, ...]) -> int:
    faults: list[str] = []
    for seed in seeds:
        arguments = ("--messages", str(MESSAGES), "--cuts", str(CUTS), "--seed", str(seed))
        done = run("demo", *arguments, "--json", timeout=300)
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
    sys.exit(main(tuple(int(seed) for seed in sys.argv[1:]) or SEEDS))
