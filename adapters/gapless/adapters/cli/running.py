"""One event loop for a command, and ctrl-C as something to wait for.

The first ctrl-C (or SIGTERM) interrupts only what stands under `Stop.interrupt`, so that a command
drains what it has begun; a second one ends the process at once.
"""

import asyncio
import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar, cast

from .addresses import spell_os_error
from .console import restore_terminal
from .outcome import FAILED, INTERRUPTED, OK, USAGE, CommandError

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What a file or terminal that can't be written says, and nothing else here does."""


class Stopped(Exception):
    """The command was asked to stop while it waited."""


class Stop:
    """Whether the command was asked to stop, and by what."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._event = asyncio.Event()
        self._waiting: asyncio.Task[Any] | None = None

    @property
    def code(self) -> int:
        """The exit code of a command that did its work, or drained it when asked to stop."""
        return INTERRUPTED if self.signal is signal.SIGINT else OK

    @property
    def unfinished_code(self) -> int:
        """The exit code of a command that was asked to stop before its work was done."""
        return self.code or FAILED

    async def wait(self) -> None:
        """Wait until asked to stop."""
        await self._event.wait()

    async def interrupt(self, work: Awaitable[T]) -> T:
        """Wait for `work`, but no longer than until asked to stop.

        Raises:
            Stopped: asked to stop; the work was cancelled.
        """
        if self._event.is_set():
            if isinstance(work, Coroutine):
                work.close()
            raise Stopped
        task = self._waiting = asyncio.current_task()
        try:
            return await work
        except asyncio.CancelledError:
            if not self._event.is_set() or task is None or task.uncancel() > 0:
                raise
            raise Stopped from None
        finally:
            self._waiting = None

    def handle_signal(self, number: signal.Signals) -> None:
        """Ask the command to stop; the second time, end the process."""
        if self.signal is not None:
            restore_terminal()
            os._exit(INTERRUPTED)
        self.signal = number
        self._event.set()
        if self._waiting is not None:
            self._waiting.cancel()


def run(command: Callable[[Stop], Coroutine[Any, Any, int]]) -> int:
    """Run a command in an event loop of its own; return its exit code.

    Raises:
        CommandError: standard output couldn't be written, or what the command says.
    """

    async def main() -> int:
        stop = Stop()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            with contextlib.suppress(NotImplementedError):  # Windows: ctrl-C ends at once
                loop.add_signal_handler(number, stop.handle_signal, number)
        return await command(stop)

    with writing_out():  # in here, since typer has a way of its own with a closed pipe
        return asyncio.run(main())


@contextlib.contextmanager
def writing_out() -> Generator[None]:
    """Write to standard output in here; all of it is written once the context is left.

    Raises:
        CommandError: it couldn't be.
    """
    if sys.stdout is None:
        raise CommandError("standard output is closed; write >/dev/null to have none", USAGE)
    if hasattr(sys.stdout, "reconfigure"):  # standard output proper is such a wrapper
        cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        raise CommandError("standard output was closed before everything was written") from None
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        _silence_stdout()
        why = spell_os_error(error)
        raise CommandError(f"standard output can't be written: {why}; make room for it") from None


def _silence_stdout() -> None:
    """Keep the interpreter from flushing into a closed pipe as it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Let work run while the context lasts; what it raised is raised at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def live(text: Callable[[], str], *, wanted: bool = True) -> AsyncGenerator[None]:
    """Keep a live line on the terminal while the context lasts, if there is a terminal."""
    if not (wanted and sys.stderr.isatty()):
        yield
        return
    from .live_line import follow  # only now: it is slow to import

    async with beside(follow(text)):
        yield
