"""Issue 2: a publisher whose server is unreachable for 10 s ends with everything accepted once.

The port is blocked and the server's process lives: once with resets, once silently.
`python -m tests.acceptance.publish_unreachable` exits 1 unless each line arrived exactly once.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from tests.acceptance.tools import (
    finish,
    gate,
    numbered_lines,
    serving,
    started,
    wait_until,
)

UNREACHABLE_FOR = 10.0


def check(silently: bool, folder: Path) -> list[str]:
    """Publish through one outage; say what is wrong."""
    source, output = folder / "in", folder / "out"
    lines = numbered_lines(source, 3_000_000, seed=2)
    data = source.read_bytes()
    half = data.index(b"\n", len(data) // 2) + 1
    faults: list[str] = []
    with (
        serving("--patience", "120") as (_, port),
        gate(port) as way,
        output.open("wb") as out,
        started(
            "subscribe", f"ws://127.0.0.1:{port}/", "news", "--since", "earliest", stdout=out
        ) as reader,
    ):
        reader.wait_for_line("subscribed news at ")
        with started("publish", way.url, "news", "--json") as publisher:
            publisher.feed(data[:half])
            wait_until(lambda: output.stat().st_size == half, "the first half")
            way.block(silently=silently)
            publisher.feed(data[half : half + 30_000])
            time.sleep(UNREACHABLE_FOR)
            way.restore()
            publisher.feed(data[half + 30_000 :])
            publisher.end_input()
            code = publisher.wait(120)
            result = json.loads(publisher.lines[-1])
            wait_until(lambda: output.stat().st_size >= len(data), "the rest")
        print(f"{way.how}, silently={silently}: exit {code}, {result['accepted']:,} accepted")
        if code != 0 or result["accepted"] != lines:
            faults.append(f"exit {code}, {result}")
    if output.read_bytes() != data:
        faults.append("what arrived is not each line once, in order")
    return faults


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        faults = [fault for quiet in (False, True) for fault in check(quiet, Path(folder))]
    return finish(f"2 outages of {UNREACHABLE_FOR:g} s, {len(faults)} faults", faults)


if __name__ == "__main__":
    sys.exit(main())
