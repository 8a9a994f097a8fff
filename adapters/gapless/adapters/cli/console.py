"""What the commands write: errors in one line, results, one JSON object.

What came from a peer is escaped before a terminal sees it. Standard output belongs to messages
and results; everything else goes to standard error.
"""

import json
import os
import sys
from collections.abc import Mapping

from gapless.adapters.errors import printable

SHOW_CURSOR = b"\x1b[?25h\n"


def escape_line(payload: bytes) -> bytes:
    """Make a message fit for a terminal: what isn't UTF-8 or printable is escaped, but tabs."""
    text = payload.decode("utf-8", "backslashreplace")
    return "\t".join(printable(part) for part in text.split("\t")).encode()


def say(text: str) -> None:
    """Write one line to standard error, escaped."""
    print(printable(text), file=sys.stderr, flush=True)


def write_json(result: Mapping[str, object]) -> None:
    """Write the one object for machines: one line of standard output."""
    print(json.dumps(result), flush=True)


def own_version() -> str:
    """The version of gapless that runs."""
    from importlib.metadata import version  # slow to import, and most commands never ask

    return version("gapless")


def write_line(text: str) -> None:
    """Write a result for people: one line of standard output, escaped."""
    print(printable(text), flush=True)


def restore_terminal() -> None:
    """Bring back the cursor that a live line hides, for a process that ends at once."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), SHOW_CURSOR)


def count(number: int, noun: str) -> str:
    """Write a number with its noun: `1 message`, `2,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def spell_ranges(ranges: list[tuple[int, int]]) -> str:
    """Write ranges as people do: `3, 7-12`."""
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
