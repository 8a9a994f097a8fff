"""`python -m tests.conformance [WORD…]`: every case in every cell, counted; the docs' table.

With words only the cells whose name has one of them. `--write` writes the table into the docs;
without it the docs must say what was found. Exits 1 if a case doesn't hold, or the docs differ.
"""

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from .cells import all_cells, played
from .results import COMMAND, PAGE, counts, every_name, expected

LONG = 5.0
"""Seconds above which a case is named."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only cells with it in their name")
    parser.add_argument("--write", action="store_true", help="write the table into the docs")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    options = parser.parse_args()
    names = [
        cell.name
        for cell in all_cells()
        if not options.words or any(word in cell.name for word in options.words)
    ]
    held: set[str] = set()
    started = time.monotonic()
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as processes:
        for name, seconds, error in processes.map(played, names, chunksize=8):
            if error:
                print(f"--- {name} doesn't hold after {seconds:.2f} s\n{error}", flush=True)
            else:
                held.add(name)
            if seconds > LONG:
                print(f"{name} took {seconds:.2f} s", flush=True)
    if options.words:
        print(f"{len(held)} of {len(names)} hold, {time.monotonic() - started:.1f} s")
        return int(len(held) < len(names))
    print("\n".join(counts(held)))
    print(f"{time.monotonic() - started:.1f} s")
    return finish(held, write=options.write)


def finish(held: set[str], *, write: bool) -> int:
    """Compare with the docs, or write them; returns the exit code."""
    page = expected(held)
    is_stale = PAGE.read_text(encoding="utf-8") != page
    if is_stale and write:
        PAGE.write_text(page, encoding="utf-8")
        print(f"wrote {PAGE.name}")
    elif is_stale:
        print(f"{PAGE.name} says something else; run {COMMAND}")
    return int(held != every_name() or (is_stale and not write))


if __name__ == "__main__":
    sys.exit(main())
