"""The commands and their options; what they do is in the modules they call.

Exit codes: 0 nothing lost; 1 lost, refused or unreachable; 2 usage; 130 ctrl-C after a drain.
"""

import random
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from gapless.core.errors import GaplessError

from .addresses import parse_address
from .console import say
from .outcome import FAILED, INTERRUPTED, CommandError
from .running import run
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
    float | None,
    typer.Option(help="Seconds to keep trying to connect at first.", metavar="S", min=0),
]
Url = Annotated[str, typer.Argument(metavar="URL", help="ws://HOST:PORT/ or wss://…")]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's name.")]


def run_app(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code. An expected failure is one line on stderr."""
    try:
        result = app(list(arguments) or ["--help"], prog_name="gapless", standalone_mode=False)
        sys.stdout.flush()
        return int(result or 0)
    except typer.TyperException as error:
        return _fail(_usage_line(error, arguments), error.exit_code)
    except CommandError as error:
        return _fail(str(error), error.code)
    except GaplessError as error:
        return _fail(str(error), FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED


def _fail(line: str, code: int) -> int:
    say(f"gapless: {line}")
    return code


def _usage_line(error: typer.TyperException, arguments: Sequence[str]) -> str:
    text = " ".join(error.format_message().split()).rstrip(".")
    names = {command.name for command in app.registered_commands}
    command = next((one for one in arguments if one in names), "")
    return f"{text}; see `gapless {command + ' ' if command else ''}--help`"


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"gapless {version('gapless')}")
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
    return run(lambda stop: run_proxy(stop, *places, forecast, as_json))
