"""Issue 2: a new import of asyncio, time, os or random functions anywhere fails the purity test.

Plants such imports, and their kin, in a copy of core, testing and transports, and counts how many
the check reports. `python -m tests.acceptance.purity_plant` exits 1 unless it reports them all,
and nothing in the sources as they are.
"""

import sys
import tempfile
from pathlib import Path

from tests.purity import check_tree
from tests.purity_plants import plant

ROOT = Path(__file__).parents[2]


def main() -> int:
    findings = check_tree(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        planted, missed = plant(ROOT, Path(folder))
    for finding in findings:
        print(f"impure: {finding}")
    for line in missed:
        print(f"missed: {line}")
    print(f"planted {len(planted)}, caught {len(planted) - len(missed)}")
    return 1 if findings or missed or not planted else 0


if __name__ == "__main__":
    sys.exit(main())
