"""Recorder: writes down all that goes into a machine, a line each, so that it can be replayed.

    recorder = Recorder(lines.append)
    session = recorder.client(Config.production(), rng=rng)
    endpoint = recorder.endpoint(session, new_wire)

The session is a stand-in that behaves as the real one does: each call that can change it is passed
on, and written down with its time, its arguments, what it drew from `rng` or `new_token`, and what
came out. The log is all that `replay` needs. It is redacted unless one says otherwise, and what
isn't written isn't kept: the recorder does no I/O, and grows only by secrets and names.

A log begins with a header (`LOG_VERSION`, role, settings). A line is a JSON object: `at` the time
in seconds, `do` the call, `with` and `named` its arguments, `out` its result, `raised` the name of
an exception instead, `drew` what it drew; what is empty is left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal, cast

import msgspec.json

from gapless.core.authorize import Grant, Verifier
from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.errors import ConfigError, InvalidState
from gapless.core.frames import VERSION
from gapless.core.hub import Hub
from gapless.transports.endpoint import Endpoint, M
from gapless.transports.wire import Wire

from .notation import Notation
from .redaction import Json, Redaction

LOG_VERSION = 1
"""The version of the form of logs."""

Level = Literal["frames", "bytes"]
Write = Callable[[str], None]

MACHINE: dict[str, tuple[str, ...]] = {
    "handle_link_opened": ("link",),
    "receive_bytes": ("link",),
    "hold_bytes": ("link", "size"),
    "receive_frame": ("link", "frame"),
    "handle_link_lost": ("link", "ending"),
    "handle_timeout": (),
    "poll_command": (),
    "next_writable": (),
    "next_frame": ("link",),
    "next_ready": (),
    "next_alert": (),
    "subscribe": ("channel", "since"),
    "unsubscribe": ("reader",),
    "next_message": ("reader",),
    "publish": ("channel", "payload", "text"),
}
CLIENT: dict[str, tuple[str, ...]] = MACHINE | {
    "start": (),
    "close": (),
    "suspend": (),
    "handle_network_back": (),
    "show_credentials": ("credentials",),
    "withhold_credentials": ("reason",),
    "export": (),
    "restore": ("exported",),
    "next_batch": ("reader",),
    "next_settled": ("channel",),
    "next_event": (),
}
HUB: dict[str, tuple[str, ...]] = MACHINE | {
    "handle_authorized": ("link", "grant"),
    "handle_appended": ("answer",),
    "handle_history": ("answer",),
    "publish_now": ("channel", "payload", "text"),
    "publish_many": ("channel", "payloads", "text"),
    "configure": ("channel",),
    "drain": (),
}
ENDPOINT: dict[str, tuple[str, ...]] = {
    "accept_link": (),
    "open_link": ("link",),
    "receive_data": ("link", "data"),
    "handle_link_lost": ("link", "ending"),
    "handle_timeout": (),
    "poll_command": (),
    "next_writable": (),
    "data_to_send": ("link", "max_bytes"),
}
"""The calls that can change a machine, or an endpoint: their positional arguments."""


class Recorder:
    """Records one machine: a `ClientSession` or a `Hub`.

    At level `frames` what the wires take and give is recorded as frames; that works with any wire.
    At level `bytes` the endpoint's calls are recorded with all bytes, for finding faults in wires
    and codecs. It can't be redacted, and a WebSocket client can't be replayed from it: wsproto
    draws the client's key and masks from the system.

    Args:
        write: takes a line, without its end. It must not raise.
        redact: whether payloads, tokens, credentials and principals are replaced by stand-ins.
        redact_channels: whether the names of channels are, too.
        level: what is recorded of the wires.
        about: words for the header: the version of gapless, the host.

    Raises:
        ConfigError: bytes can't be redacted: frames may be cut anywhere in them.
    """

    def __init__(
        self,
        write: Write,
        *,
        redact: bool = True,
        redact_channels: bool = False,
        level: Level = "frames",
        about: str = "",
    ) -> None:
        if level not in ("frames", "bytes"):
            raise ConfigError(f"level is {level!r}; it must be 'frames' or 'bytes'")
        if level == "bytes" and (redact or redact_channels):
            raise ConfigError("bytes can't be redacted; record frames, or set redact=False")
        if redact_channels and not redact:
            raise ConfigError("redact_channels asks for redact=True as well")
        self._redaction = Redaction(channels=redact_channels) if redact else None
        self._level: Level = level
        self._about = about
        self._tape = _Tape(write, Notation(self._redaction), self._redaction)
        self._machine: ClientSession | Hub | None = None

    @property
    def level(self) -> Level:
        """What is recorded of the wires."""
        return self._level

    def client(
        self,
        config: Config,
        *,
        rng: Random,
        credentials: str | None = None,
        asks_credentials: bool = False,
        token: str | None = None,
        wait: float = 0.0,
    ) -> ClientSession:
        """Make a `ClientSession`, and record it; see there.

        Raises:
            InvalidState: this recorder has a machine already.
        """
        self._check_free()
        draws = cast("Random", _Draws(rng, self._tape))
        session = ClientSession(
            config,
            rng=draws,
            credentials=credentials,
            asks_credentials=asks_credentials,
            token=token,
            wait=wait,
        )
        given = {
            "config": config,
            "credentials": credentials,
            "asks_credentials": asks_credentials,
            "token": token,
            "wait": wait,
        }
        return cast(ClientSession, self._begin(session, "client", CLIENT, given))

    def hub(
        self,
        config: Config,
        *,
        rng: Random,
        new_token: Callable[[], str],
        verify: Verifier | None = None,
        durable: bool = False,
    ) -> Hub:
        """Make a `Hub`, and record it; see there. `verify` must not call the hub.

        Raises:
            InvalidState: this recorder has a machine already.
        """
        self._check_free()
        tape = self._tape
        hub = Hub(
            config,
            rng=cast("Random", _Draws(rng, tape)),
            new_token=lambda: tape.drew_token(new_token()),
            verify=None if verify is None else lambda shown: tape.drew_grant(verify(shown)),
            durable=durable,
        )
        given = {"config": config, "verifies": verify is not None, "durable": durable}
        return cast(Hub, self._begin(hub, "hub", HUB, given))

    def endpoint(self, machine: M, new_wire: Callable[[float], Wire]) -> Endpoint[M]:
        """Make the `Endpoint` of the machine that `client` or `hub` has returned; see there."""
        if self._level == "frames":
            return Endpoint(machine, new_wire)
        real = Endpoint(cast(M, self._machine), new_wire)
        stand_in = _StandIn(real, self._tape, ENDPOINT, "endpoint.")
        stand_in.machine = machine
        return cast("Endpoint[M]", stand_in)

    # internals

    def _check_free(self) -> None:
        if self._machine is not None:
            raise InvalidState("a recorder has one machine; make another recorder")

    def _begin(
        self,
        machine: ClientSession | Hub,
        role: str,
        calls: dict[str, tuple[str, ...]],
        given: Mapping[str, object],
    ) -> "_StandIn":
        self._machine = machine
        redaction = self._redaction
        redacted: list[Json] = [] if redaction is None else ["payloads", "secrets"]
        if redaction is not None and redaction.channels:
            redacted.append("channels")
        self._tape.begin(
            {
                "gapless log": LOG_VERSION,
                "protocol": VERSION,
                "about": self._about,
                "role": role,
                "level": self._level,
                "redacted": redacted,
            },
            given,
        )
        return _StandIn(machine, self._tape, calls)


@dataclass(slots=True)
class Call:
    """One call of a machine, on its way to becoming a line."""

    do: str
    given: list[Json]
    named: dict[str, Json]
    at: Json = None


class _Tape:
    """Writes the lines of one log."""

    def __init__(self, write: Write, notation: Notation, redaction: Redaction | None) -> None:
        self._write = write
        self._notation = notation
        self._redaction = redaction
        self._drew: list[Json] = []

    def drew_random(self, value: float) -> float:
        """Note a number that was drawn during a call."""
        self._drew.append(["random", value])
        return value

    def drew_token(self, token: str) -> str:
        """Note a token that was drawn."""
        redaction = self._redaction
        written = self._notation.write(token) if redaction is None else redaction.token(token)
        self._drew.append(["token", written])
        return token

    def drew_grant(self, grant: Grant | None) -> Grant | None:
        """Note a verdict."""
        self._drew.append(["grant", self._notation.write(grant)])
        return grant

    def begin(self, header: dict[str, Json], given: Mapping[str, object]) -> None:
        """Write the header."""
        for name, value in given.items():
            header[name] = self._notation.write(value, name)
        self._put(header)

    def call(
        self, do: str, names: tuple[str, ...], given: tuple[object, ...], named: dict[str, object]
    ) -> Call:
        """Write down what a call is given, before it can change it."""
        write = self._notation.write
        at = write(named.get("now"))
        call = Call(do, [], {name: write(named[name], name) for name in named if name != "now"}, at)
        for index, value in enumerate(given):
            call.given.append(write(value, names[index] if index < len(names) else ""))
        return call

    def put(self, call: Call, out: object, raised: Exception | None = None) -> None:
        """Write the line of a call that is over."""
        line: dict[str, Json] = {"do": call.do}
        if call.at is not None:
            line["at"] = call.at
        if call.given:
            line["with"] = call.given
        if call.named:
            line["named"] = call.named
        if raised is not None:
            line["raised"] = type(raised).__name__
        elif out is not None:
            # The only string that comes out of a machine is the name of a channel with room.
            line["out"] = self._notation.write(out, "channel")
        self._put(line)

    def _put(self, line: dict[str, Json]) -> None:
        if self._drew:
            line["drew"], self._drew = self._drew, []
        self._write(msgspec.json.encode(line).decode())


class _StandIn:
    """Does what the machine behind it does, and has every call written down that can change it."""

    machine: object

    def __init__(
        self, target: object, tape: _Tape, calls: dict[str, tuple[str, ...]], prefix: str = ""
    ) -> None:
        self._target = target
        for name, names in calls.items():
            call = _recorded(getattr(target, name), tape, prefix + name, names)
            setattr(self, name, call)

    def __repr__(self) -> str:
        return f"<recorded {self._target!r}>"

    def __getattr__(self, name: str) -> object:
        return getattr(self._target, name)


def _recorded(
    method: Callable[..., object], tape: _Tape, do: str, names: tuple[str, ...]
) -> Callable[..., object]:
    def recorded(*given: object, **named: object) -> object:
        call = tape.call(do, names, given, named)
        try:
            out = method(*given, **named)
        except Exception as error:
            tape.put(call, None, error)
            raise
        tape.put(call, out)
        return out

    return recorded


class _Draws:
    """The part of `Random` that machines use, each draw noted."""

    def __init__(self, rng: Random, tape: _Tape) -> None:
        self._rng = rng
        self._tape = tape

    def random(self) -> float:
        """Draw from [0, 1)."""
        return self._tape.drew_random(self._rng.random())

    def uniform(self, low: float, high: float) -> float:
        """Draw from [low, high], as `Random` does."""
        return low + (high - low) * self.random()
