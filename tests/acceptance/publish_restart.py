"""Issue 2: a publisher whose server restarts without memory: exit 1, and exactly what is unknown.

The server is stopped (SIGSTOP) while the publisher goes on sending, then killed, and another is
started on its port. `python -m tests.acceptance.publish_restart` exits 1 unless the lines are
exactly these: those before the unknown ones, which the first server got; the unknown ones, as
listed; and those that the second server got.
"""

import json
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.acceptance.tools import Command, finish, run, serving, started, wait_until

BEFORE, TOTAL = 1000, 3000


def lines(first: int, last: int) -> bytes:
    """The lines with these numbers."""
    return b"".join(b"line %d\n" % number for number in range(first, last + 1))


def numbers(data: bytes) -> list[int]:
    """The numbers of lines that arrived."""
    return [int(line.split()[1]) for line in data.splitlines()]


def unread(port: int) -> int:
    """Bytes that wait in the sockets of a port's server, which doesn't read them."""
    table = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    fields = [line.split() for line in table]
    return sum(int(one[4].split(":")[1], 16) for one in fields if one[1].endswith(f":{port:04X}"))


def wait_for_silence(port: int) -> None:
    """Wait until the publisher has sent what it may: nothing more comes for half a second."""
    before = 0
    while (now := unread(port)) == 0 or now != before:
        before = now
        time.sleep(0.5)


def first_server(publisher_at: dict[int, Command], folder: Path) -> tuple[int, list[int]]:
    """Serve the first lines, then die with more on the way; returns port and what arrived."""
    output = folder / "first"
    with serving() as (server, port), output.open("wb") as out:
        url = f"ws://127.0.0.1:{port}/"
        with started("subscribe", url, "news", "--since", "earliest", stdout=out) as reader:
            reader.wait_for_line("subscribed news at ")
            publisher = publisher_at[port] = Command("publish", url, "news", "--json")
            publisher.feed(lines(1, BEFORE))
            wait_until(lambda: output.stat().st_size == len(lines(1, BEFORE)), "the first lines")
        server.signal(signal.SIGSTOP)
        publisher.feed(lines(BEFORE + 1, TOTAL))
        wait_for_silence(port)
    return port, numbers(output.read_bytes())


def check(folder: Path) -> tuple[list[str], str]:
    """Play it; returns what is wrong, and the figure."""
    publishers: dict[int, Command] = {}
    try:
        port, first = first_server(publishers, folder)
        publisher = publishers[port]
        with serving("--history", str(TOTAL), port=port):
            publisher.end_input()
            code = publisher.wait(60)
            result = json.loads(publisher.lines[-1])
            unknown = [n for a, b in result["unknown"] for n in range(a, b + 1)]
            start = min(unknown, default=TOTAL + 1)
            expected = [n for n in range(start, TOTAL + 1) if n not in set(unknown)]
            url = f"ws://127.0.0.1:{port}/"
            count = ("--count", str(len(expected)))
            second = numbers(run("subscribe", url, "news", "--since", "earliest", *count).stdout)
    finally:
        for publisher in publishers.values():
            publisher.kill()
    faults: list[str] = []
    if code != 1:
        faults.append(f"publish exits {code}, not 1")
    if not any(line.startswith("unknown: lines ") for line in publisher.lines):
        faults.append(f"the unknown lines aren't named: {publisher.lines}")
    if not unknown:
        faults.append("nothing was unknown, so nothing is shown")
    if first[: start - 1] != list(range(1, start)):
        faults.append("a line before the unknown ones didn't reach the first server")
    if second != expected:
        faults.append("the second server didn't get exactly the lines behind them")
    if result["accepted"] + len(unknown) != TOTAL:
        faults.append(f"{result['accepted']} accepted and {len(unknown)} unknown of {TOTAL}")
    return faults, f"{TOTAL} lines: {result['accepted']} accepted, unknown {result['unknown']}"


def main() -> int:
    with TemporaryDirectory() as folder:
        faults, figure = check(Path(folder))
    return finish(figure, faults)


if __name__ == "__main__":
    sys.exit(main())
