"""How many lines any two adapters have in common, without `async` and `await`: the goal is < 25 %.

A line is shared if it stands in both adapters as often; lines of punctuation alone, and imports and
the lists of exported names, which must be the same, are left out. Printed: the share of the smaller
adapter's lines. Exits 1 if a pair is above the goal.
"""

import ast
import re
import sys
from collections import Counter
from itertools import combinations

from tests.adapters.runtimes import RUNTIMES, driver_lines, folder, lines_of_code

GOAL = 0.25
OPENING = ("connect", "serve")


def lines(name: str) -> Counter[str]:
    """A runtime's lines of code, as often as they stand there."""
    found: Counter[str] = Counter()
    for path in sorted(folder(name).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        skipped = same_by_rule(source)
        for number, line in lines_of_code(source).items():
            words = re.sub(r"\b(async|await) ", "", line).strip()
            words = re.sub(r"__a(enter|exit|iter|next)__", r"__\1__", words)
            words = re.sub(r"\bAsync(?=Iterator|Generator)", "", words)
            if number not in skipped and re.search(r"\w", words):
                found[words] += 1
    return found


def same_by_rule(source: str) -> set[int]:
    """The lines of imports, of `__all__`, and of the two functions' parameters."""
    numbers: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Assign):
            if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) == "__all__":
                numbers |= set(range(node.lineno, (node.end_lineno or 0) + 1))
        elif isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name in OPENING:
            numbers |= set(range(node.lineno, node.body[0].lineno))
    return numbers


def main() -> int:
    counted = {name: lines(name) for name in RUNTIMES}
    for name, found in counted.items():
        print(f"{name:<10} {found.total()} lines of code of its own, driver {driver_lines(name)}")
    worst = 0.0
    for one, two in combinations(counted, 2):
        shared = (counted[one] & counted[two]).total()
        least = min(counted[one].total(), counted[two].total())
        worst = max(worst, shared / least)
        print(f"{one} and {two}: {shared} of {least} lines are the same, {shared / least:.1%}")
    print(f"the goal is under {GOAL:.0%}: {'met' if worst < GOAL else 'missed'}")
    return int(worst >= GOAL)


if __name__ == "__main__":
    sys.exit(main())
