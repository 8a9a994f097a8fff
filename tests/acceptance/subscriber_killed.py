"""Issue 2: kill -9 of the subscriber, started again from its position file.

Nothing is missed that is retained: with `serve --patience 120` every line arrives, though the
publisher went on. What isn't retained is named: with a short history and no patience, the range
on standard error is exactly what is missing, and the exit code is 1.
`python -m tests.acceptance.subscriber_killed` exits 1 unless both hold.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from tests.acceptance.tools import Command, finish, run, serving, started, wait_until

LINES = 200_000
KILLS = 3
PART = 200_000


def lines(first: int, last: int) -> bytes:
    """The lines with these numbers."""
    return b"".join(b"line %d\n" % number for number in range(first, last + 1))


def numbers(output: Path) -> list[int]:
    """The numbers of the whole lines in a file."""
    whole = output.read_bytes().rpartition(b"\n")[0]
    return [int(line.split()[1]) for line in whole.splitlines()]


def check_retained(folder: Path) -> list[str]:
    """Kill a subscriber again and again while lines are published; each run appends to a file."""
    source, position = folder / "in", folder / "position"
    source.write_bytes(lines(1, LINES))
    outputs = [folder / f"out{number}" for number in range(KILLS + 1)]
    with ExitStack() as stack:
        _, port = stack.enter_context(serving("--patience", "120"))
        url = f"ws://127.0.0.1:{port}/"
        publisher: Command | None = None
        for output in outputs:
            with output.open("wb") as out, reading(url, position, out) as reader:
                reader.wait_for_line("subscribed news at ")
                if publisher is None:
                    publisher = stack.enter_context(started("publish", url, "news", str(source)))
                if output is outputs[-1]:
                    wait_for_end(output, lines(LINES, LINES))
                else:
                    wait_for_size(output, PART)
        code = publisher.wait(60) if publisher is not None else None
    faults = [] if code == 0 else [f"publish exits {code}"]
    return faults + _gaps([numbers(output) for output in outputs])


def wait_for_size(path: Path, size: int) -> None:
    """Wait until a file has grown to a size."""
    wait_until(lambda: path.stat().st_size >= size, f"{size} bytes")


def wait_for_end(path: Path, end: bytes) -> None:
    """Wait until a file ends so."""
    wait_until(lambda: path.read_bytes().endswith(end), f"a file that ends with {end!r}", 120)


def reading(
    url: str, position: Path, out: IO[bytes], *more: str
) -> AbstractContextManager[Command]:
    """A subscriber with a position file; it is killed (SIGKILL) at the end."""
    where = ("--since", "earliest", "--position-file", str(position))
    return started("subscribe", url, "news", *where, stdout=out)


def _gaps(runs: Sequence[list[int]]) -> list[str]:
    """Say where a run isn't contiguous, or begins behind what the one before wrote."""
    faults: list[str] = []
    reached = 0
    for number, run_ in enumerate(runs):
        print(f"run {number}: lines {run_[0]:,} to {run_[-1]:,}")
        if run_ != list(range(run_[0], run_[-1] + 1)):
            faults.append(f"run {number} is not contiguous")
        if run_[0] > reached + 1:
            faults.append(f"run {number} begins at {run_[0]}, after {reached}")
        reached = max(reached, run_[-1])
    if reached != LINES:
        faults.append(f"the last line is {reached}, not {LINES}")
    return faults


def check_named(folder: Path) -> list[str]:
    """Publish more than is kept while the subscriber is dead."""
    position, output = folder / "named", folder / "named.out"
    kept, before, total = 100, 50, 1000
    with serving("--patience", "0", "--history", str(kept)) as (_, port):
        url = f"ws://127.0.0.1:{port}/"
        with output.open("wb") as out, reading(url, position, out) as reader:
            reader.wait_for_line("subscribed news at ")
            run("publish", url, "news", stdin=lines(1, before))
            wait_for_size(output, len(lines(1, before)))
            wait_until(lambda: f':{before}"' in position.read_text(), "the position file")
        run("publish", url, "news", stdin=lines(before + 1, total))
        options = ("--position-file", str(position), "--json", "--count", str(kept))
        done = run("subscribe", url, "news", *options)
    said = done.stderr.decode()
    print(said.strip())
    got = [json.loads(line) for line in done.stdout.splitlines()]
    lost = [(one["first"], one["last"]) for one in got[-1]["lost"]]
    faults: list[str] = []
    if done.returncode != 1:
        faults.append(f"exit {done.returncode}, not 1")
    if [int(one["text"].split()[1]) for one in got[:-1]] != list(
        range(total - kept + 1, total + 1)
    ):
        faults.append("what is retained didn't all arrive")
    if lost != [(before + 1, total - kept)]:
        faults.append(f"named as lost: {lost}")
    if f"messages {before + 1} to {total - kept} " not in said:
        faults.append("standard error doesn't name what is lost")
    return faults


def main() -> int:
    with TemporaryDirectory() as folder:
        faults = check_retained(Path(folder)) + check_named(Path(folder))
    return finish(f"{LINES:,} lines, {KILLS} kills; {len(faults)} faults", faults)


if __name__ == "__main__":
    sys.exit(main())
