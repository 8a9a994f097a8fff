"""Let atheris look for inputs that a target fails on: `python -m tests.fuzz [TARGET…]`.

Each target runs in a process of its own, from the seeds and the committed corpus, and prints one
line. A crash is named with its fault and the command that repeats it, which needs no atheris. Exits
1 if there was one, 2 if atheris isn't there.
"""

import argparse
import importlib.util
import re
import shlex
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from . import corpus
from .seeds import seeds
from .targets import TARGETS

MAX_INPUT = 600
"""Bytes of the longest input that is tried: enough for a conversation."""

SLOWEST = 20
"""Seconds one input may take."""

MOST_MEMORY = 1500
"""MB a target may take."""

KEPT = 40
"""Inputs of a target that `--minimize` keeps: the suite runs them all."""

_STATE = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+)", re.MULTILINE)
"""Of libFuzzer: so many runs, so many places reached. The first is of the inputs given."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one run."""

    name: str
    log: str
    code: int
    crashes: list[bytes]

    def told(self) -> str:
        """Say it in one line, and two more a crash."""
        states = _STATE.findall(self.log)
        runs, covered = map(int, states[-1]) if states else (0, 0)
        begun = next((int(coverage) for _, coverage in states), 0)
        lines = [
            f"{self.name:12} {runs:9,} runs, coverage {begun:,} + {covered - begun:,} new, "
            f"{len(self.crashes)} crashes"
        ]
        for data in self.crashes:
            lines.append(f"    {_fault(self.log)}")
            lines.append(f"    python -m tests.fuzz {self.name} --input {corpus.encoded(data)}")
        if self.code and not self.crashes:
            lines.append(f"    it ended with {self.code}:")
            lines += [f"    {line}" for line in self.log.splitlines()[-12:]]
        return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=15, help="how long each target runs")
    parser.add_argument("--seed", type=int, default=1, help="what libFuzzer draws from; 0: afresh")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time")
    parser.add_argument("--input", help="run the one target on this input, in base64")
    parser.add_argument(
        "--minimize", action="store_true", help="then replace the corpus by what covers it best"
    )
    options = parser.parse_args(arguments)
    names = options.targets or list(TARGETS)
    for name in names:
        if name not in TARGETS:
            parser.error(f"there is no target {name!r}; there are {', '.join(TARGETS)}")
    if options.input is not None:
        if len(names) != 1:
            parser.error("--input wants exactly one target")
        return repeat(names[0], corpus.decoded(options.input))
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: pip install --group fuzz (Python 3.11 to 3.13)")
        return 2
    running = partial(run, seconds=options.seconds, seed=options.seed, minimize=options.minimize)
    crashed = False
    with ThreadPoolExecutor(options.jobs) as pool:
        for report in pool.map(running, names):
            print(report.told(), flush=True)
            crashed = crashed or bool(report.code)
    return 1 if crashed else 0


def repeat(name: str, data: bytes) -> int:
    """Run a target on one input, without atheris; returns the exit code."""
    try:
        TARGETS[name](data)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return 1
    print(f"{name}: {len(data)} bytes, and nothing is wrong")
    return 0


def run(name: str, *, seconds: int, seed: int, minimize: bool) -> Report:
    """Fuzz one target for so long."""
    with TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
        inputs, crashes = Path(folder) / "inputs", Path(folder) / "crashes"
        inputs.mkdir()
        crashes.mkdir()
        corpus.unpack([*seeds()[name], *corpus.load(name)], inputs)
        log, code = _libfuzzer(
            name,
            Path(folder),
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-artifact_prefix={crashes}/",
            str(inputs),
        )
        found = [path.read_bytes() for path in sorted(crashes.iterdir())]
        if minimize and not code:
            _minimize(name, inputs, Path(folder))
        return Report(name, log, code, found)


def _minimize(name: str, inputs: Path, folder: Path) -> None:
    """Keep of all inputs the few that cover the most, without the seeds."""
    least = folder / "least"
    least.mkdir()
    log, code = _libfuzzer(name, folder, "-set_cover_merge=1", str(least), str(inputs))
    if code:
        raise RuntimeError(f"the merge failed: {log[-500:]}")
    given = set(seeds()[name])
    found = [path.read_bytes() for path in least.iterdir()]
    longest = sorted((data for data in found if data not in given), key=len, reverse=True)
    corpus.save(name, longest[:KEPT])


def _libfuzzer(name: str, folder: Path, *options: str) -> tuple[str, int]:
    """Run libFuzzer; returns what it wrote and its exit code."""
    limits = [f"-max_len={MAX_INPUT}", "-len_control=5"]  # long inputs soon: scripts are long
    limits += [f"-timeout={SLOWEST}", f"-rss_limit_mb={MOST_MEMORY}"]
    program = folder / "program"
    command = [sys.executable, "-m", "tests.fuzz.under_atheris", name, str(program)]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    done = subprocess.run(
        [*command, *limits, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        check=False,
    )
    return done.stdout, done.returncode


def _fault(log: str) -> str:
    """The exception's line of a crash, or why libFuzzer stopped."""
    lines = log.splitlines()
    for place, line in enumerate(lines):
        if "Uncaught Python exception" in line:
            traced = lines[place + 1 :]
            return next((text for text in traced if text and text[0] not in " =T"), "?")[:300]
    return next((line for line in lines if "ERROR: libFuzzer" in line), "?")


if __name__ == "__main__":
    sys.exit(main())
