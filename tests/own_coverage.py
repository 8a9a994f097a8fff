"""Show how much of each module of core its own tests alone reach: `python -m tests.own_coverage`.

The tests of `core/gapless/core/x.py` are `tests/core/test_x.py` and `tests/core/test_x_*.py`; a
file that fits two modules belongs to the one with the longer name. A module without such a file is
only imported, which does for one that defines and decides nothing. Every module is measured in a
process of its own, lines and branches together, and what isn't reached is printed with it. Exits 1
if a module has less than `--under` percent, or if a test fails.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core/gapless/core"
TESTS = ROOT / "tests/core"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one module's own tests reach of it.

    Attributes:
        name: the module.
        parts, reached: its lines and branches, and how many of them ran.
        missing: the lines, and the branches as `from->to`, that didn't.
        failure: what pytest said, if it didn't pass.
    """

    name: str
    parts: int
    reached: int
    missing: str = ""
    failure: str = ""

    @property
    def percent(self) -> float:
        """The share that ran, in percent; 100 for a module without a line."""
        return 100 * self.reached / self.parts if self.parts else 100.0

    def __str__(self) -> str:
        line = f"{self.name:<15}{self.reached:>6} of {self.parts:<6}{self.percent:>7.2f} %"
        return "  ".join(filter(None, (line, self.missing, self.failure)))


def modules() -> list[str]:
    """The names of core's modules that have code."""
    return sorted(path.stem for path in CORE.glob("*.py") if path.stem != "__init__")


def tests_of(module: str, names: Iterable[str]) -> list[Path]:
    """The test files of one of the modules `names`."""
    longer = [name for name in names if name.startswith(f"{module}_")]
    return [
        path
        for path in sorted(TESTS.glob("test_*.py"))
        if fits(path, module) and not any(fits(path, name) for name in longer)
    ]


def fits(path: Path, module: str) -> bool:
    """Whether a test file's name begins with the module's."""
    return f"{path.stem}_".startswith(f"test_{module}_")


def measure(module: str) -> Figure:
    """Run a module's own tests, and see what of it they reach."""
    files = tests_of(module, modules())
    with TemporaryDirectory() as scratch:
        data = ["--data-file", f"{scratch}/data"]
        source = str(CORE / f"{module}.py")
        # What pyproject.toml says is for all of core at once; here only one module is traced.
        traced = ["--rcfile", os.devnull, "--branch", "--include", source]
        quietly = ["-q", "-n", "0", "-p", "no:cacheprovider"]
        tests = ["pytest", *quietly, *map(str, files)] if files else [f"gapless.core.{module}"]
        run = coverage("run", *data, *traced, "-m", *tests)
        if run.returncode:
            return Figure(module, 1, 0, failure=run.stdout[-2000:] + run.stderr[-2000:])
        if coverage("json", *data, "-q", "-o", f"{scratch}/json").returncode:
            return Figure(module, 1, 0, failure="its tests don't import it")
        (report,) = json.loads(Path(scratch, "json").read_text())["files"].values()
    summary = report["summary"]
    missing = [str(line) for line in report["missing_lines"]]
    missing += [f"{a}->{b if b > 0 else 'exit'}" for a, b in report["missing_branches"]]
    return Figure(
        module,
        summary["num_statements"] + summary["num_branches"],
        summary["covered_lines"] + summary["covered_branches"],
        " ".join(missing),
    )


def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command of that name."""
    command = [sys.executable, "-m", "coverage", *arguments]
    env = os.environ | {"PYTHONPATH": str(ROOT / "core")}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def main(arguments: list[str] | None = None) -> int:
    """Measure what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.own_coverage", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MODULE", help="by default all of core")
    parser.add_argument("--under", type=float, default=100.0, help="the least percentage that does")
    parser.add_argument("--jobs", type=int, default=1, help="modules at a time")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(modules())
    if unknown:
        parser.error(f"core has no module {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for figure in pool.map(measure, options.names or modules()):
            figures.append(figure)
            print(figure, flush=True)
    print(Figure("all", sum(one.parts for one in figures), sum(one.reached for one in figures)))
    return int(any(one.percent < options.under for one in figures))


if __name__ == "__main__":
    sys.exit(main())
