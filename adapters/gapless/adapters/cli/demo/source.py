"""What the demo sends: the lines of files, or of the running Python's own standard library.

Reading is lazy and always in the same order, so that the process that publishes and the one that
judges see the same messages.
"""

import hashlib
import os
import stat
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path

from gapless.adapters.cli.addresses import spell_os_error
from gapless.adapters.cli.outcome import USAGE, CommandError

CHANNEL = "demo"
DEFAULT_MESSAGES = 50_000
READ_SIZE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """Lines to send.

    Attributes:
        files: where they come from, each read once; none: the standard library, over and over.
        messages: how many at most; None: all there are.
    """

    files: tuple[str, ...]
    messages: int | None

    def locate(self) -> None:
        """Find the library's files now, so that reading begins at once later."""
        if not self.files:
            library_sources()

    def lines(self) -> Iterator[bytes]:
        """Read the lines, each without its newline.

        Raises:
            CommandError: a file can't be read, or there is none.
        """
        return islice(chain.from_iterable(self._all_lines()), self.messages)

    def _all_lines(self) -> Iterator[list[bytes]]:
        if self.files:
            for name in self.files:
                yield from _read(name)
            return
        library = library_sources()
        while True:
            for path in library:
                yield from _read(str(path))


@dataclass(frozen=True, slots=True)
class Measure:
    """What a source holds.

    Attributes:
        messages: lines.
        size: bytes of payload.
        sha256: of all lines, each with a newline behind it, in hexadecimal digits.
    """

    messages: int
    size: int
    sha256: str


def measure(source: Source, longest: int) -> Measure:
    """Read a source once.

    Raises:
        CommandError: a line is over `longest` bytes, there is none, or a file can't be read.
    """
    digest = hashlib.sha256()
    messages = size = 0
    for line in source.lines():
        if len(line) > longest:
            raise CommandError(
                f"line {messages + 1} is {len(line)} bytes; at most {longest} fit; split it"
            )
        messages += 1
        size += len(line)
        digest.update(line + b"\n")
    if not messages:
        raise CommandError("there are no lines to send; give a FILE that has some", USAGE)
    return Measure(messages, size, digest.hexdigest())


@cache
def library_sources() -> tuple[Path, ...]:
    """The Python files of the running Python's standard library, in order of their paths.

    Raises:
        CommandError: it has none.
    """
    root = Path(sysconfig.get_path("stdlib"))
    skipped = {"site-packages", "dist-packages", "__pycache__"}
    found = [path for path in root.rglob("*.py") if not skipped.intersection(path.parts)]
    found = [path for path in found if path.stat().st_size]
    if not found:
        raise CommandError(f"no Python sources under {root}; give a FILE", USAGE)
    return tuple(sorted(found))


def _read(name: str) -> Iterator[list[bytes]]:
    """Read a file's lines, some at once."""
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):  # it is read twice, and must end
            raise CommandError(f"{name} is not a regular file; save its lines in one", USAGE)
        with open(name, "rb") as file:
            while lines := file.readlines(READ_SIZE):
                yield [line.removesuffix(b"\n") for line in lines]
    except OSError as error:
        raise CommandError(
            f"can't read {name}: {spell_os_error(error)}; check the name", USAGE
        ) from None
