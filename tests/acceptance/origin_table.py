"""Print the origin's table with the tests that show each row: `python -m …origin_table`.

Ends with 1 if a row's test is missing, or a default is not the origin's.
"""

import sys

from tests.nodes import standing_for
from tests.origin import TABLE, Row


def main() -> int:
    """Print it; returns 1 if something is missing."""
    faults, section = 0, ""
    for row in TABLE:
        if row.section != section:
            section = row.section
            print(f"\n{section}")
        missing = [name for name in row.tests if not standing_for(f"tests/{name}")]
        wrong = [*(f"no test {name}" for name in missing), *row.differences()]
        faults += len(wrong)
        _show(row, wrong)
    shown = sum(not row.is_later for row in TABLE)
    print(f"\n{shown} rows shown, {len(TABLE) - shown} to come, {faults} faults")
    return 1 if faults else 0


def _show(row: Row, wrong: list[str]) -> None:
    values = ", ".join(f"{name} = {value:,}" for name, value in row.values)
    print(f"  {row.fact:44} {row.here}{f'; {values}' if values else ''}")
    for name in row.tests:
        found = standing_for(f"tests/{name}")
        print(f"      {name}  ({len(found)})")
    for fault in wrong:
        print(f"      MISSING: {fault}")


if __name__ == "__main__":
    sys.exit(main())
