"""Issue 2: three shells, a 100 MB file of lines, and a port that is blocked five times.

`serve --patience 120`, `subscribe` and `publish` run as three processes while the server's port is
blocked and restored, with resets and silently in turn. `python -m tests.acceptance.three_shells
[MB]` exits 1 unless what the subscriber wrote is byte for byte what was published.
"""

import filecmp
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.acceptance.tools import Gate, finish, gate, numbered_lines, serving, started, wait_until

BLOCKS = 5
BLOCKED_FOR = 3.0


def wait_for_size(path: Path, size: int) -> None:
    """Wait until a file has grown to a size."""
    wait_until(lambda: path.stat().st_size >= size, f"{size:,} bytes in {path}", 300)


def block_in_turn(way: Gate, size: int, written: Path) -> None:
    """Block and restore, each time after another part of the file has arrived."""
    for number in range(1, BLOCKS + 1):
        wait_for_size(written, size * number // (BLOCKS + 2))
        silently = number % 2 == 0
        way.block(silently=silently)
        at = written.stat().st_size
        time.sleep(BLOCKED_FOR)
        way.restore()
        how = "silently" if silently else "with resets"
        print(f"blocked {how} for {BLOCKED_FOR:g} s, {at:,} bytes in", flush=True)


def main(megabytes: int) -> int:
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "in"), Path(folder, "out")
        lines = numbered_lines(source, megabytes * 1_000_000, seed=1)
        size = source.stat().st_size
        began = time.monotonic()
        with (
            serving("--patience", "120") as (_, port),
            gate(port) as way,
            output.open("wb") as out,
            started("subscribe", way.url, "news", "--since", "earliest", stdout=out) as reader,
        ):
            print(f"blocked by {way.how}")
            reader.wait_for_line("subscribed news at ")
            with started("publish", way.url, "news", str(source)) as publisher:
                block_in_turn(way, size, output)
                code = publisher.wait(600)
                print(f"publish: exit {code}: {publisher.lines[-1]}")
                if code != 0:
                    faults.append(f"publish exits {code}: {publisher.lines}")
            wait_for_size(output, size)
            seconds = time.monotonic() - began
            reader.signal(signal.SIGINT)
            code = reader.wait()
            if code != 130:
                faults.append(f"subscribe exits {code}, not 130: {reader.lines}")
            ups = sum("connected again" in line for line in reader.lines + publisher.lines)
        if not filecmp.cmp(source, output, shallow=False):
            faults.append("what arrived differs from what was sent")
    return finish(
        f"{lines:,} lines, {size:,} bytes, {BLOCKS} blocks, {ups} reconnects, {seconds:.0f} s",
        faults,
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
