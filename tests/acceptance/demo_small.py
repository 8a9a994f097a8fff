"""The demo on each runtime, with few messages, many cuts and odd lines: quick, part of `.ci/run`.

`python -m tests.acceptance.demo_small` exits 1 unless every run exits 0, and what `--output` holds
is what the FILE held.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.acceptance.tools import finish, numbered_lines, run

RUNS = (
    (7, 5, "asyncio"),
    (8, 20, "asyncio"),
    (9, 0, "asyncio"),
    (8, 20, "trio"),
    (8, 20, "blocking"),
)


def main() -> int:
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "in"), Path(folder, "out")
        numbered_lines(source, 2_000_000, seed=1)
        for seed, cuts, runtime in RUNS:
            arguments = ("--cuts", str(cuts), "--seed", str(seed), "--output", str(output))
            done = run("demo", str(source), *arguments, "--runtime", runtime, "--json", timeout=100)
            found = json.loads(done.stdout.splitlines()[-1])
            name = f"{runtime}, seed {seed}"
            print(f"{name}: {found['cuts']} cuts, {found['seconds']:.1f} s, {found['faults']}")
            if done.returncode != 0 or found["cuts"] != cuts:
                faults.append(f"{name}: exit {done.returncode}, {found['faults']}")
            if source.read_bytes() != output.read_bytes():
                faults.append(f"{name}: the file that came out isn't the one that went in")
    return finish(f"{len(RUNS)} runs, {len(faults)} faults", faults)


if __name__ == "__main__":
    sys.exit(main())
