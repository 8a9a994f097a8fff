"""Replayer: builds a recorded machine anew, and feeds it what the real one was fed (P8, I10).

    result = replay(lines)
    assert result.difference is None, result.difference

What comes out is compared with what came out then, call by call. In a redacted log payloads and
secrets are stand-ins, the same at both ends of a comparison: that two payloads of the same length
were mixed up, only a log that isn't redacted can tell.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, cast

import msgspec
import msgspec.json

from gapless.core.authorize import Grant
from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.errors import ConfigError, GaplessError
from gapless.core.hub import Hub
from gapless.transports.endpoint import Endpoint
from gapless.transports.memory import MemoryWire
from gapless.transports.wire import Wire

from .notation import CantRead, Notation
from .recorder import CLIENT, ENDPOINT, HUB, LOG_VERSION
from .redaction import Json, expanded

NewClient = Callable[..., ClientSession]
NewHub = Callable[..., Hub]


class InvalidLog(GaplessError, ValueError):
    """Lines that no recorder of this version has written; the message names the first of them."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay came to.

    Attributes:
        steps: calls that came out as they did then.
        machines: how many machines the log tells of, one after the other.
        line: the first that came out otherwise, counted from 1; None: all was the same.
        difference: what was different there, with the line.
    """

    steps: int
    machines: int
    line: int | None = None
    difference: str | None = None


def replay(
    log: Iterable[str],
    *,
    new_wire: Callable[[float], Wire] | None = None,
    new_client: NewClient = ClientSession,
    new_hub: NewHub = Hub,
) -> Replay:
    """Feed a log to a new machine; stop at the first difference.

    Args:
        log: its lines. Where another header comes, another machine begins.
        new_wire: makes the wires of a log of bytes, as they were; memory by default.
        new_client, new_hub: make the machine: a subclass that says more, or another version.

    Raises:
        InvalidLog: it isn't the log of a `Recorder`, or of another version, or it has no line.
    """
    machine: _Machine | None = None
    steps = machines = 0
    for number, text in enumerate(log, start=1):
        try:
            line = _parse(text)
            if "gapless log" in line:
                machine = _Machine(line, new_wire, new_client, new_hub)
                machines += 1
                difference = machine.left_over()
            elif machine is None:
                raise CantRead("there is no header before it")
            else:
                difference = machine.step(line)
                steps += difference is None
        except CantRead as fault:
            raise InvalidLog(f"line {number} can't be replayed: {fault}") from None
        except Unlike as unlike:
            difference = str(unlike)
        if difference is not None:
            words = f"line {number}: {difference}\n{text}"
            return Replay(steps, machines, number, words)
    if machine is None:
        raise InvalidLog("the log is empty; give the lines that a Recorder has written")
    return Replay(steps, machines)


def _parse(text: str) -> dict[str, Json]:
    try:
        line: object = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as fault:
        raise CantRead(str(fault)) from None
    if not isinstance(line, dict):
        raise CantRead("it is no JSON object")
    return cast("dict[str, Json]", line)


class Unlike(Exception):
    """The machine drew something it didn't draw then."""


class _Machine:
    """A machine built from a header, and what it is to draw."""

    def __init__(
        self,
        header: dict[str, Json],
        new_wire: Callable[[float], Wire] | None,
        new_client: NewClient,
        new_hub: NewHub,
    ) -> None:
        if header["gapless log"] != LOG_VERSION:
            raise CantRead(f"it is of version {header['gapless log']}, not {LOG_VERSION}")
        self._notation = Notation()
        self._drawn: list[Json] = _items(header.get("drew"))
        read = {name: self._notation.read(value) for name, value in header.items()}
        config, role = read.get("config"), read.get("role")
        if not isinstance(config, Config) or role not in ("client", "hub"):
            raise CantRead("the header is incomplete")
        calls = CLIENT if role == "client" else HUB
        try:
            machine: Any = (
                self._client(read, new_client) if role == "client" else self._hub(read, new_hub)
            )
        except ConfigError as fault:
            raise CantRead(str(fault)) from None
        memory = _client_wire if role == "client" else _server_wire
        endpoint = Endpoint(machine, new_wire or memory)
        self._calls = {name: getattr(machine, name) for name in calls}
        self._calls |= {f"endpoint.{name}": getattr(endpoint, name) for name in ENDPOINT}

    def step(self, line: dict[str, Json]) -> str | None:
        """Repeat a call; returns what was different."""
        call = self._calls.get(str(line.get("do")))
        if call is None:
            raise CantRead(f"{line.get('do')!r} is no call")
        given = [self._notation.read(value) for value in _items(line.get("with"))]
        named = {n: self._notation.read(v) for n, v in _fields(line.get("named")).items()}
        if "at" in line:
            named["now"] = self._notation.read(line["at"])
        self._drawn = _items(line.get("drew"))
        raised: Json = None
        out: Json = None
        try:
            out = self._notation.write(call(*given, **named), "channel")
        except Unlike:
            raise
        except Exception as error:
            raised = type(error).__name__
        if raised != line.get("raised"):
            return f"it raised {raised}, then {line.get('raised')}"
        expected = expanded(line.get("out"))
        if out != expected:
            return f"it gives {_shown(out)}, then {_shown(expected)}"
        return self.left_over()

    def left_over(self) -> str | None:
        """Say what was drawn then, and now isn't."""
        return f"it doesn't draw {_shown(self._drawn)}" if self._drawn else None

    # what the machine draws

    def random(self) -> float:
        """Give the number that was drawn then."""
        return cast(float, self._draw("random"))

    def uniform(self, low: float, high: float) -> float:
        """Give a number in a range as `Random` does."""
        return low + (high - low) * self.random()

    def _new_token(self) -> str:
        return cast(str, self._draw("token"))

    def _verify(self, credentials: str | None) -> Grant | None:
        return cast("Grant | None", self._draw("grant"))

    def _draw(self, kind: str) -> object:
        match self._drawn:
            case [[str(drawn), value], *rest] if drawn == kind:
                self._drawn = rest
                return self._notation.read(value)
            case _:
                raise Unlike(f"it draws a {kind}, then {_shown(self._drawn)}")

    # internals

    def _client(self, read: dict[str, object], new: NewClient) -> ClientSession:
        names = ("config", "credentials", "asks_credentials", "token", "wait")
        return new(rng=cast("Random", self), **{name: read.get(name) for name in names})

    def _hub(self, read: dict[str, object], new: NewHub) -> Hub:
        return new(
            config=read["config"],
            rng=cast("Random", self),
            new_token=self._new_token,
            verify=self._verify if read.get("verifies") else None,
            durable=read.get("durable"),
        )


def _client_wire(now: float) -> Wire:
    return MemoryWire()


def _server_wire(now: float) -> Wire:
    return MemoryWire(from_client=True)


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _fields(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _shown(value: Json) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 400 else f"{text[:400]}…"
