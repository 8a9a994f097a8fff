"""Show how many mutants of a module its own tests kill: `python -m tests.mutants [MODULE…]`.

A mutant is the module with one small change; a test that fails kills it. mutmut makes and tries
them (`pip install mutmut==3.8.1`), in a scratch copy that is laid out as it wants: sources in
`src/`. A test that never ends has failed as well; what no test runs has survived. What survived is
printed with its change. Exits 1 if a module has less than `--under` percent killed.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from .own_coverage import ROOT, TESTS, modules, tests_of

MODULES = ("receiver", "history", "ack", "backoff", "budget")
"""What is tried unless modules are named."""

KILLED = {"killed", "timeout", "segfault", "suspicious"}

SETTINGS = """
[tool.pytest]
pythonpath = ["src"]
addopts = ["--import-mode=importlib", "-p", "no:xdist", "-p", "no:cacheprovider"]

[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/gapless/core/{module}.py"]
pytest_add_cli_args_test_selection = ["tests/core"]
timeout_multiplier = 5.0
"""


def lay_out(scratch: Path, module: str) -> None:
    """Copy core and the module's own tests, with what they import, as mutmut wants them."""
    for part in ("core", "transports"):
        shutil.copytree(ROOT / part / "gapless", scratch / "src/gapless", dirs_exist_ok=True)
    tests = scratch / "tests/core"
    tests.mkdir(parents=True)
    for name in ("__init__.py", "conftest.py", "allowed_skips.txt"):
        shutil.copy(ROOT / "tests" / name, tests.parent)
    helpers = [path for path in TESTS.glob("*.py") if not path.name.startswith("test_")]
    for path in [*helpers, *tests_of(module, modules())]:
        shutil.copy(path, tests)
    (scratch / "pyproject.toml").write_text(SETTINGS.format(module=module))


def mutmut(scratch: Path, *arguments: str) -> str:
    """Run mutmut in the scratch copy; returns what it says."""
    # Hypothesis makes no failure smaller: that it failed is all that is asked.
    env = os.environ | {"HYPOTHESIS_PROFILE": "seeded"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    run = subprocess.run(command, cwd=scratch, env=env, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"mutmut {' '.join(arguments)} failed:\n{run.stdout[-3000:]}{run.stderr}")
    return run.stdout


def look(module: str) -> float:
    """Try all mutants of a module, and print what became of them; returns the percentage killed."""
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        lay_out(scratch, module)
        mutmut(scratch, "run", "--max-children", "1")
        lines = mutmut(scratch, "results", "--all", "true").splitlines()
        parts = [line.strip().rpartition(": ") for line in lines]
        verdicts = {name: verdict for name, _, verdict in parts if name}
        survived = [name for name, verdict in verdicts.items() if verdict not in KILLED]
        killed = len(verdicts) - len(survived)
        percent = 100 * killed / len(verdicts)
        counts = ", ".join(f"{count} {what}" for what, count in Counter(verdicts.values()).items())
        print(f"{module:<12}{killed:>5} of {len(verdicts):<5}{percent:>6.1f} %  ({counts})")
        for name in survived:
            shown = mutmut(scratch, "show", name).splitlines()
            changes = [
                line for line in shown if line[:1] in "+-" and line[:3] not in ("+++", "---")
            ]
            print(f"    {name}", *changes, sep="\n        ", flush=True)
    return percent


def main(arguments: list[str] | None = None) -> int:
    """Try what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MODULE", help=f"default: {' '.join(MODULES)}")
    parser.add_argument("--under", type=float, default=90.0, help="the least percentage that does")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(modules())
    if unknown:
        parser.error(f"core has no module {', '.join(sorted(unknown))}")
    percents = [look(module) for module in options.names or MODULES]
    return int(any(percent < options.under for percent in percents))


if __name__ == "__main__":
    sys.exit(main())
