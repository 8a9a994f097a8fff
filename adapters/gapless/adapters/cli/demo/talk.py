"""How the demo's processes talk to the one that started them, whatever runtime they are on.

A line of JSON on standard output is one event. On standard input the first line says what to do, a
second one means *go*, and the end means that the parent is done, or dead: the process ends too.
Listening and reporting are threads, so that the main thread belongs to the runtime alone.
"""

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

from gapless.adapters.cli.outcome import CommandError
from gapless.core.errors import GaplessError

REPORTS_A_SECOND = 10

_speaking = threading.Lock()


def tell(event: str, **fields: object) -> None:
    """Tell the parent that something happened."""
    words = json.dumps({"event": event, **fields})
    with _speaking:
        print(words, flush=True)


@contextlib.contextmanager
def progress_told(progress: Callable[[], dict[str, object]]) -> Generator[None]:
    """Tell the parent how far the work is, a few times a second, while in here."""
    is_over = threading.Event()

    def report() -> None:
        while not is_over.wait(1 / REPORTS_A_SECOND):
            tell("progress", **progress())

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        is_over.set()
        reporter.join()


class Parent:
    """What the parent says.

    Attributes:
        go: set once it says so, or has gone.
        gone: set once it is done, or dead; the main thread is interrupted then.
    """

    def __init__(self) -> None:
        self.go = threading.Event()
        self.gone = threading.Event()
        self._main = threading.main_thread().ident
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while sys.stdin.buffer.readline():
            self.go.set()
        self.gone.set()
        self.go.set()
        if self._main is not None:
            signal.pthread_kill(self._main, signal.SIGINT)


def run_child(work: Callable[[Parent, dict[str, Any]], None]) -> None:
    """Run a process of the demo with the task its parent gives it, and exit."""
    try:
        task = json.loads(sys.stdin.buffer.readline())
        work(Parent(), task)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except (GaplessError, CommandError, OSError) as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        tell("failed", reason=str(error))
        sys.exit(1)
