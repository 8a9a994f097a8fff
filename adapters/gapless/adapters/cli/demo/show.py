"""Starting the demo's three processes, looking on, and judging what came of it."""

import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass
from typing import cast

from rich.console import Console
from rich.table import Table

from gapless.adapters.asyncio import Config
from gapless.adapters.cli.addresses import spell_os_error
from gapless.adapters.cli.console import say, write_json, write_line
from gapless.adapters.cli.outcome import INTERRUPTED, OK, USAGE, CommandError
from gapless.adapters.cli.running import Stop, Stopped, live, run

from .children import Children, Event
from .numbering import Range
from .runtimes import RuntimeName, check_runtime
from .source import Measure, Source, measure
from .verdict import Findings

STALL = 0.4
"""Seconds; the longest pause of the network, once in every stretch between two cuts."""


PIPE_WIDTH = 100
"""Columns of the table where no terminal says how many it has."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `demo` was asked for."""

    source: Source
    cuts: int
    seed: int
    timeout: float
    output: str | None
    as_json: bool
    runtime: RuntimeName = "asyncio"


class Show:
    """One run. What its processes say moves it on."""

    def __init__(self, options: DemoOptions, findings: Findings) -> None:
        self._options = options
        self._findings = findings
        self._children = Children()
        self._is_done = False

    def progress(self) -> str:
        """The live line."""
        found = self._findings
        rate = ""
        if found.began is not None:
            past = asyncio.get_running_loop().time() - found.began
            rate = f" · {found.received / max(past, 0.001):,.0f} a second"
        return (
            f"{found.received:,} of {found.expected.messages:,} messages{rate} · {found.cuts} cuts"
            f" · {found.resumes} resumes · {found.duplicates_dropped:,} duplicates dropped"
        )

    async def run(self) -> None:
        """Play until the client has everything, then end all processes, whatever happens.

        Raises:
            CommandError: a process ended early.
        """
        try:
            await self._start_server()
            while not self._is_done:
                await self._handle(*await self._children.next_event())
        finally:
            for name, event in await self._children.end_all():
                self._note(name, event)

    async def _handle(self, name: str, event: Event) -> None:
        """Take an event: the run moves on by it, or its figures are noted."""
        match name, event["event"]:
            case "server", "listening":
                await self._start_network(cast("int", event["port"]))
            case "network", "words" if "listening on " in str(event["words"]):
                await self._start_client(str(event["words"]).split()[2].rstrip(","))
            case "client", "subscribed":
                self._children.go("server")
            case _, "failed":
                raise CommandError(f"the {name} failed: {event['reason']}")
            case _, "ended":
                raise CommandError(f"the {name} process ended early, exit code {event['code']}")
            case _:
                self._note(name, event)

    def _note(self, name: str, event: Event) -> None:
        found = self._findings
        match name, event["event"]:
            case "network", "words":
                words = str(event["words"])
                if words.startswith("cut "):
                    found.cuts = int(words.split()[1])
                elif words.startswith("can't "):
                    say(f"network: {words}")
            case _, "words":
                say(f"{name}: {event['words']}")
            case "network", "summary":
                found.cuts = cast("int", event["cuts"])
                found.stalls = cast("int", event["stalls"])
            case "server", "began":
                found.began = cast("float", event["at"])
            case "server", "progress" | "published":
                found.sent = cast("int", event["sent"])
            case "client", "progress" | "done":
                self._note_client(event)
            case _:
                pass

    def _note_client(self, event: Event) -> None:
        found = self._findings
        found.received = cast("int", event["received"])
        found.resumes = cast("int", event["resumes"])
        found.duplicates_dropped = cast("int", event["duplicates_dropped"])
        if event["event"] == "done":
            found.ended = cast("float", event["at"])
            found.lost_ranges = _pairs(event["lost_ranges"])
            found.reported_lost = _pairs(event["reported_lost"])
            found.duplicates_delivered = cast("int", event["duplicates_delivered"])
            found.out_of_order = cast("int", event["out_of_order"])
            self._is_done = True

    async def _start_server(self) -> None:
        source = self._options.source
        runtime = self._options.runtime
        task = {"files": source.files, "messages": source.messages, "runtime": runtime}
        await self._children.start("server", ".demo.server", task=task)

    async def _start_network(self, port: int) -> None:
        """Cuts fall one in each of as many stretches as are asked for, all within the payload.

        Every byte of payload passes behind a `welcome` at least once, so each of them comes.
        """
        cuts = self._options.cuts
        arguments = [
            "--seed",
            str(self._options.seed),
            "--cuts",
            str(cuts),
            "--json",
            "--until-eof",
        ]
        if cuts:
            every = max(self._findings.expected.size // cuts, 1)
            arguments += ["--cut-every", str(every), "--stall", str(STALL)]
        place = f"127.0.0.1:{port}"
        await self._children.start("network", "", "proxy", "127.0.0.1:0", place, *arguments)

    async def _start_client(self, place: str) -> None:
        found = self._findings
        task = {
            "url": f"ws://{place}/",
            "messages": found.expected.messages,
            "output": found.output,
            "wait": self._options.timeout,
            "runtime": self._options.runtime,
        }
        await self._children.start("client", ".demo.client", task=task)


def run_demo(options: DemoOptions) -> int:
    """Run the demo and print what came of it; return the exit code.

    Raises:
        CommandError: the input or the output is of no use. With `as_json` that is said here, since
            machines get the whole object even then.
    """
    found = Findings(Measure(0, 0, ""), options.seed, options.cuts, None)
    try:
        check_runtime(options.runtime)
        found.expected = measure(options.source, Config.production().max_message)
        output = _make_output(options)
    except (CommandError, KeyboardInterrupt) as error:
        if not options.as_json:
            raise
        found.fault = str(error) or "interrupted"
        say(f"gapless: {found.fault}")
        write_json(found.as_json())
        return error.code if isinstance(error, CommandError) else INTERRUPTED
    found.output = output
    return run(lambda stop: _play(stop, options, found, output))


async def _play(stop: Stop, options: DemoOptions, found: Findings, output: str) -> int:
    """Play it, judge it, and print the verdict; return the exit code."""
    show = Show(options, found)
    say(f"seed {options.seed}")
    try:
        async with live(show.progress), asyncio.timeout(options.timeout):
            await stop.interrupt(show.run())
    except TimeoutError:
        found.fault = f"not done after {options.timeout:g} s"
    except Stopped:
        found.fault = "interrupted"
    except CommandError as error:
        found.fault = str(error)
    if (unread := found.read_output(output)) is not None and found.fault is None:
        found.fault = f"can't read {output}: {spell_os_error(unread)}"
    is_good = not list(found.faults())
    if is_good and options.output is None:
        os.unlink(output)
        found.output = None
    _print(found, options)
    return OK if is_good else stop.unfinished_code


def _make_output(options: DemoOptions) -> str:
    """Make the file to write to, empty: the one asked for, or a temporary one.

    Raises:
        CommandError: it can't be written, or is an input.
    """
    name = options.output
    if name is not None and any(_is_same(name, one) for one in options.source.files):
        raise CommandError(f"{name} is an input and would be lost; choose another --output", USAGE)
    if name is not None and os.path.exists(name) and not os.path.isfile(name):
        raise CommandError(f"{name} is not a regular file; choose another --output", USAGE)
    try:
        if name is None:
            fd, name = tempfile.mkstemp(prefix="gapless-demo-", suffix=".out")
        else:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as error:
        why = spell_os_error(error)
        raise CommandError(f"can't write {name}: {why}; choose another --output", USAGE) from None
    os.close(fd)
    return name


def _is_same(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.samefile(one, other)


def _print(found: Findings, options: DemoOptions) -> None:
    """Print table and verdict, or the object for machines."""
    faults = list(found.faults())
    if faults:
        verdict = "FAILED: " + "; ".join(faults) + f"; what arrived is in {found.output}"
    else:
        verdict = "OK: everything arrived once, in order, identical"
    if options.as_json:
        say(verdict)
        write_json(found.as_json())
        return
    table = Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for row in found.rows():
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
    write_line(verdict)


def _pairs(value: object) -> list[Range]:
    pairs = cast("list[list[int]]", value)
    return [(first, last) for first, last in pairs]
