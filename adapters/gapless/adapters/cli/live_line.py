"""A line that follows the work on a terminal. Its own module, since rich is slow to import."""

import asyncio
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gapless.adapters.errors import printable

CHANGES_A_SECOND = 10


async def follow(text: Callable[[], str]) -> None:
    """Keep what `text` says on standard error, a terminal, until cancelled; then take it away."""
    with Live(
        Text(""),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,  # it would come out on standard error
    ) as live:
        while True:
            line = Text(printable(text()), no_wrap=True, overflow="ellipsis")
            live.update(line, refresh=True)
            await asyncio.sleep(1 / CHANGES_A_SECOND)
