"""The commands and their options; what they do is in the modules they call.

Exit codes: 0 nothing lost; 1 lost, refused or unreachable; 2 usage; 130 ctrl-C after a drain.
"""

import contextlib
import random
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from gapless.core.errors import ConfigError, GaplessError, InvalidChannel, InvalidPosition
from gapless.core.position import Position, Since

from .addresses import parse_address, spell_os_error
from .console import own_version, say, write_json, write_line
from .demo.runtimes import RuntimeName
from .outcome import FAILED, INTERRUPTED, USAGE, CommandError
from .running import run, writing_out
from .weather import CHUNK, CUT_EVERY, STALL, Forecast

app = typer.Typer(
    name="gapless",
    help="Message streams over WebSocket that survive bad networks.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object, the last line of stdout.")]
Token = Annotated[
    str | None, typer.Option(help="The server's token.", envvar="GAPLESS_TOKEN", metavar="T")
]
Wait = Annotated[
    float,
    typer.Option(help="Seconds to keep trying to connect at first.", metavar="S", min=0),
]
Url = Annotated[str, typer.Argument(metavar="URL", help="ws://HOST:PORT/ or wss://…")]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's name.")]


def run_app(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code. An expected failure is one line on stderr."""
    try:
        with writing_out():
            result = app(list(arguments) or ["--help"], prog_name="gapless", standalone_mode=False)
        return int(result or 0)
    except typer.TyperException as error:
        line, code = _usage_line(error, arguments), error.exit_code
    except CommandError as error:
        line, code = str(error), error.code
    except (ConfigError, InvalidChannel, InvalidPosition) as error:
        line, code = str(error), USAGE
    except GaplessError as error:
        line, code = str(error), FAILED
    except (KeyboardInterrupt, typer.Abort):
        line, code = "interrupted", INTERRUPTED
    say(f"gapless: {line}")
    if "--json" in arguments:
        with contextlib.suppress(CommandError), writing_out():  # one line of error is enough
            write_json({"error": line, "version": own_version()})
    return code


@contextlib.contextmanager
def open_input(name: str) -> Generator[int]:
    """Open a file to read; `-` is standard input.

    Raises:
        CommandError: it can't be opened.
    """
    if name == "-":
        if sys.stdin is None:
            raise CommandError("standard input is closed; give a FILE", USAGE)
        yield sys.stdin.fileno()
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(name, "rb", buffering=0))
        except OSError as error:
            raise CommandError(
                f"can't read {name}: {spell_os_error(error)}; check the name", USAGE
            ) from None
        yield file.fileno()


def parse_since(text: str) -> Since:
    """Read `latest`, `earliest` or `EPOCH:SEQ`.

    Raises:
        InvalidPosition: it is none of these.
    """
    match text:
        case "latest" | "earliest":
            return text
        case _:
            return Position.parse(text)


def _usage_line(error: typer.TyperException, arguments: Sequence[str]) -> str:
    text = " ".join(error.format_message().split()).rstrip(".")
    names = {command.name for command in app.registered_commands}
    command = next((one for one in arguments if one in names), "")
    return f"{text}; see `gapless {command + ' ' if command else ''}--help`"


def _show_version(wanted: bool) -> None:
    if wanted:
        write_line(f"gapless {own_version()}")
        raise typer.Exit


@app.callback(epilog="Example: gapless demo --messages 200000 --cuts 40 --seed 7")
def gapless(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print and exit."),
    ] = False,
) -> None:
    """Message streams over WebSocket that survive bad networks."""


@app.command("proxy", epilog="Example: gapless proxy 9000 127.0.0.1:8765 --seed 7 --cuts 5")
def proxy_command(
    listen: Annotated[str, typer.Argument(metavar="LISTEN", help="[HOST:]PORT; 0: any free one.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="HOST:PORT to forward to.")],
    seed: Annotated[int | None, typer.Option(help="Draws everything.", metavar="N")] = None,
    cut_every: Annotated[
        int, typer.Option(help="One cut in every so many bytes forwarded.", metavar="BYTES", min=1)
    ] = CUT_EVERY,
    cuts: Annotated[
        int | None,
        typer.Option(help="Cuts at most; 0 forwards untouched.", metavar="N", min=0),
    ] = None,
    stall: Annotated[
        float | None,
        typer.Option(help=f"Longest pause, seconds. [default: {STALL}]", metavar="S", min=0),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(help=f"Most bytes at once. [default: {CHUNK}]", metavar="BYTES", min=0),
    ] = None,
    as_json: Json = False,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", hidden=True, help="End when standard input ends.")
    ] = False,
) -> int:
    """Put a seeded bad network in front of anything that speaks TCP.

    Connections are reset in mid-frame, stalled, and forwarded in tiny pieces. Bytes are counted
    both ways; of a WebSocket those behind the first frame that TARGET sends.
    """
    from .proxy import run_proxy

    calm = cuts == 0
    forecast = Forecast(
        seed=random.randrange(1_000_000) if seed is None else seed,
        cuts=cuts,
        cut_every=cut_every,
        stall=(0.0 if calm else STALL) if stall is None else stall,
        chunk=(0 if calm else CHUNK) if chunk is None else chunk,
    )
    places = parse_address(listen, "LISTEN"), parse_address(target, "TARGET")
    return run(lambda stop: run_proxy(stop, *places, forecast, as_json, until_eof))


@app.command("serve", epilog="Example: gapless serve --port 8765 --patience 120")
def serve_command(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0: any free one.", min=0, max=65535)] = 8765,
    patience: Annotated[
        float | None,
        typer.Option(
            help="Seconds a reader that doesn't take its messages holds them back from rotating.",
            metavar="S",
            min=0,
        ),
    ] = None,
    history: Annotated[
        int | None,
        typer.Option(help="Messages (and KiB) kept a channel.", metavar="N", min=1),
    ] = None,
    token: Token = None,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Serve a public address without a token.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Serve channels that clients publish to and read, until ctrl-C; then drain."""
    from .serve import ServeOptions, run_serve

    options = ServeOptions(host, port, patience, history, token, allow_anonymous, as_json)
    return run(lambda stop: run_serve(stop, options))


@app.command("publish", epilog="Example: gapless publish ws://127.0.0.1:8765/ news lines.txt")
def publish_command(
    url: Url,
    channel: Channel,
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="Its lines; -: standard input.")
    ] = "-",
    wait: Wait = 0.0,
    token: Token = None,
    as_json: Json = False,
) -> int:
    """Publish each line as a message; ends when all are accepted.

    A message is a line's bytes without its newline; empty and non-UTF-8 lines are messages too.
    """
    from .publish import PublishOptions, run_publish

    name = "standard input" if file == "-" else file
    options = PublishOptions(url, channel, name, wait, token, as_json)
    with open_input(file) as source:
        return run(lambda stop: run_publish(stop, options, source))


@app.command(
    "subscribe",
    epilog="Example: gapless subscribe ws://127.0.0.1:8765/ news --since earliest > lines.txt",
)
def subscribe_command(
    url: Url,
    channel: Channel,
    since: Annotated[
        str, typer.Option(help="latest, earliest, or EPOCH:SEQ: what comes after it.")
    ] = "latest",
    count: Annotated[
        int | None, typer.Option(help="End after N messages.", metavar="N", min=1)
    ] = None,
    position_file: Annotated[
        Path | None,
        typer.Option(
            help="Keeps position and session token, to go on from there; wins over --since.",
            metavar="F",
            dir_okay=False,
        ),
    ] = None,
    wait: Wait = 0.0,
    token: Token = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a message, the summary last.")
    ] = False,
) -> int:
    """Write a channel's messages to standard output, each as a line.

    Losses are named on standard error; any makes the exit code 1.
    """
    from .subscribe import SubscribeOptions, run_subscribe

    options = SubscribeOptions(
        url, channel, parse_since(since), count, position_file, wait, token, as_json
    )
    return run(lambda stop: run_subscribe(stop, options))


@app.command("demo", epilog="Example: gapless demo --messages 200000 --cuts 40 --seed 7")
def demo_command(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE…]",
            help="Their lines are sent; without, those of this Python's standard library.",
        ),
    ] = None,
    messages: Annotated[
        int | None,
        typer.Option(
            help="Messages to send. [default: 50,000, or all of the FILEs]", metavar="N", min=1
        ),
    ] = None,
    cuts: Annotated[
        int, typer.Option(help="Connections cut; 0: a clean network.", metavar="N", min=0)
    ] = 5,
    seed: Annotated[int | None, typer.Option(help="Draws cuts and stalls.", metavar="N")] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds until it has failed.", metavar="S", min=1)
    ] = 240,
    output: Annotated[
        str | None,
        typer.Option(help="Write what arrived here. [default: a temporary file]", metavar="FILE"),
    ] = None,
    runtime: Annotated[RuntimeName, typer.Option(help="What both ends run on.")] = "asyncio",
    as_json: Json = False,
) -> int:
    """Stream lines through a bad network, as three processes, and check what arrives.

    Exits 0 only if everything arrived once, in order, identical, and every cut happened.
    """
    from .demo.show import DemoOptions, run_demo
    from .demo.source import DEFAULT_MESSAGES, Source

    names = tuple(files or ())
    source = Source(names, messages if names or messages else DEFAULT_MESSAGES)
    drawn = random.randrange(1_000_000) if seed is None else seed
    options = DemoOptions(source, cuts, drawn, timeout, output, as_json, runtime)
    return run_demo(options)
