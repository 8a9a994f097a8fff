"""The runtimes a demo can be on, and what its processes need of each."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gapless.adapters.cli.outcome import USAGE, CommandError

RuntimeName = Literal["asyncio", "trio", "blocking"]
RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)


@dataclass(frozen=True, slots=True)
class AsyncRuntime:
    """A runtime with an event loop.

    Attributes:
        adapter: has `connect` and `serve`.
        run: runs an async function to its end.
        in_thread: runs a plain one in a thread.
    """

    adapter: Any
    run: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
    in_thread: Callable[[Callable[[], object]], Awaitable[object]]


def check_runtime(name: RuntimeName) -> None:
    """Look whether a runtime is installed.

    Raises:
        CommandError: it is not.
    """
    if name == "trio":
        try:
            importlib.import_module("trio")
            importlib.import_module("gapless.adapters.anyio")
        except ImportError:
            how = "pip install 'gapless[anyio]' trio"
            raise CommandError(f"--runtime trio isn't installed; {how}", USAGE) from None


def async_runtime(name: RuntimeName) -> AsyncRuntime | None:
    """Find what is needed; None: this one is blocking."""
    if name == "blocking":
        return None
    if name == "trio":
        trio: Any = importlib.import_module("trio")
        adapter = importlib.import_module("gapless.adapters.anyio")
        return AsyncRuntime(adapter, trio.run, trio.to_thread.run_sync)
    adapter = importlib.import_module("gapless.adapters.asyncio")
    return AsyncRuntime(adapter, lambda main: asyncio.run(main()), asyncio.to_thread)
