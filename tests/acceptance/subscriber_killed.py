"""Issue 2: kill -9 of the subscriber, started again from its position file.

Nothing is missed that is retained: with `serve --patience 120` every line arrives, though the
publisher went on. What isn't retained is named: with a short history and no patience, the range
on standard error is exactly what is missing, and the exit code is 1.
`python -m tests.acceptance.subscriber_killed` exits 1 unless both hold.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.acceptance.tools import Command, finish, run, serving, started, wait_until

LINES = 200_000
KILLS = 3


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
    with serving("--patience", "120") as (_, port):
        url = f"ws://127.0.0.1:{port}/"
        options = ("--since", "earliest", "--position-file", str(position))
        publisher: Command | None = None
        try:
            for number, output in enumerate(outputs):
                with (
                    output.open("wb") as out,
                    started("subscribe", url, "news", *options, stdout=out) as reader,
                ):
                    reader.wait_for_line("subscribed news at ")
                    publisher = publisher or Command("publish", url, "news", str(source))
                    part = LINES * 11 * (number + 1) // (KILLS + 3)
                    if number < KILLS:
                        wait_until(lambda o=output: o.stat().st_size > part // 4, "lines")
                    else:
                        wait_until(lambda o=output: _last(o) == LINES, "the last line", 120)
            assert publisher is not None
            code = publisher.wait(60)
        finally:
            if publisher is not None:
                publisher.kill()
    faults = [] if code == 0 else [f"publish exits {code}"]
    return faults + _gaps([numbers(output) for output in outputs])


def _last(output: Path) -> int:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - 100))
        tail = file.read().splitlines()
    return int(tail[-1].split()[1]) if len(tail) > 1 and len(tail[-1].split()) == 2 else 0


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
        options = ("--since", "earliest", "--position-file", str(position))
        with (
            output.open("wb") as out,
            started("subscribe", url, "news", *options, stdout=out) as reader,
        ):
            reader.wait_for_line("subscribed news at ")
            run("publish", url, "news", stdin=lines(1, before))
            wait_until(lambda: output.stat().st_size == len(lines(1, before)), "the first lines")
            wait_until(lambda: f':{before}"' in position.read_text(), "the position file")
        run("publish", url, "news", stdin=lines(before + 1, total))
        done = run("subscribe", url, "news", *options, "--json", "--count", str(kept))
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
