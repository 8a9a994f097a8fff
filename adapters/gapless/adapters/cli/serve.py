"""`gapless serve`: a server of channels that anybody may publish to and read."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from gapless.adapters.asyncio import Config, Server, serve
from gapless.adapters.dialing import is_loopback

from .addresses import spell_address, spell_os_error
from .console import own_version, say, write_json, write_line
from .outcome import USAGE, CommandError
from .running import Stop, live


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `serve` was asked for; None leaves a default as it is."""

    host: str
    port: int
    patience: float | None
    history: int | None
    token: str | None
    allow_anonymous: bool
    as_json: bool


async def run_serve(stop: Stop, options: ServeOptions) -> int:
    """Serve until asked to stop, then drain; return the exit code.

    Raises:
        CommandError: a public address without a token, or one that can't be listened on.
    """
    if options.token is None and not (options.allow_anonymous or is_loopback(options.host)):
        raise CommandError(
            f"{options.host} can be reached from other machines: give --token,"
            " or --allow-anonymous to let anybody read and publish",
            USAGE,
        )
    config = _config(options)
    most = 0
    async with AsyncExitStack() as stack:
        listening = serve(options.host, options.port, config=config, token=options.token)
        try:
            server = await stack.enter_async_context(listening)
        except OSError as error:
            place = spell_address(options.host, options.port)
            raise CommandError(
                f"can't listen on {place}: {spell_os_error(error)}; choose another --port or --host"
            ) from None
        _say_listening(server, options.as_json)
        async with live(lambda: f"{len(server.sessions)} sessions"):
            await stop.wait()
        most = len(server.sessions)
    if options.as_json:
        write_json({"url": server.url, "sessions": most, "version": own_version()})
    return stop.code


def _config(options: ServeOptions) -> Config:
    config = Config.production("hub")
    if options.patience is not None:
        config = replace(config, patience=options.patience)
    if options.history is not None:
        size = max(config.history_bytes, options.history * 1024)
        config = replace(config, history_messages=options.history, history_bytes=size)
    return config


def _say_listening(server: Server, as_json: bool) -> None:
    line = f"listening on {server.url}"
    if as_json:
        say(line)
    else:
        write_line(line)
