"""`gapless proxy`: a seeded bad network in front of anything."""

import contextlib
import sys
import time

from .addresses import Address, spell_address, spell_os_error
from .console import own_version, say, write_json, write_line
from .netproxy import NetProxy
from .outcome import CommandError
from .running import Stop, Stopped, live
from .streams import read_chunks
from .weather import Forecast


async def run_proxy(
    stop: Stop,
    listen: Address,
    target: Address,
    forecast: Forecast,
    as_json: bool,
    until_eof: bool,
) -> int:
    """Forward until asked to stop, or standard input ends; return the exit code."""
    proxy = NetProxy(forecast, target, say)
    weather = proxy.weather
    started = time.monotonic()

    def progress() -> str:
        return (
            f"{proxy.connections} connections · {weather.cuts} cuts · {weather.stalls} stalls"
            f" · {proxy.to_client:,} bytes to clients · {proxy.to_target:,} to the target"
        )

    try:
        async with proxy.listen(*listen) as address:
            place = spell_address(*address)
            say(f"listening on {place}, forwarding to {spell_address(*target)}")
            say(f"seed {forecast.seed}")
            async with live(progress):
                with contextlib.suppress(Stopped):
                    await stop.interrupt(_wait_for_eof() if until_eof else stop.wait())
    except OSError as error:
        raise CommandError(
            f"can't listen on {spell_address(*listen)}: {spell_os_error(error)};"
            " choose another LISTEN address"
        ) from None
    if not as_json:
        write_line(progress())
        return stop.code
    write_json(
        {
            "listen": place,
            "target": spell_address(*target),
            "seed": forecast.seed,
            "connections": proxy.connections,
            "cuts": weather.cuts,
            "stalls": weather.stalls,
            "bytes_to_client": proxy.to_client,
            "bytes_to_target": proxy.to_target,
            "seconds": round(time.monotonic() - started, 3),
            "version": own_version(),
        }
    )
    return stop.code


async def _wait_for_eof() -> None:
    async for _ in read_chunks(sys.stdin.fileno()):
        pass
