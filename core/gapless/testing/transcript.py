"""Transcript: the story of a pair, frame by frame, for people and for golden files.

    C1.1→S hello {"version":1,"max_message":1048576}
    S→C1.1 welcome {"session":"@9f…","token":"token-2",…}
    -- S publishes to a: "m1"
    -- C1 takes a 1 "m1"
    -- C1.1 ends; lost on the way: S→C1.1 ack

A frame stands where it was sent, in the form of the JSON codec, but payloads of more than 40 bytes
are cut short; `C1.2` is the second link of client 1. A line that begins with `--` is what the world
did: applications, servers and the network.
"""

from typing import assert_never

from gapless.core.events import CaughtUp, ChannelEvent, Lost, Message, Reset, SessionEvent, Settled
from gapless.core.frames import Data, Frame
from gapless.core.local import LocalReader
from gapless.core.subscription import Subscription
from gapless.transports.codec import JsonCodec

from .network import Line
from .observer import Observer
from .peer import Peer

MAX_SHOWN = 40
"""Bytes of a payload that are shown in full."""


class Transcript(Observer):
    """Writes down what an observer is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._codec = JsonCodec()

    def on_frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        """One line a frame."""
        name, rest = self._written(frame)
        self.lines.append(f"{_way(line, to_client)} {name} {rest}")

    def on_line(self, line: Line) -> None:
        """A connection."""
        self.on_note(f"{line.client}.{line.client_link} connects to {line.server}")

    def on_lost(self, line: Line, lost: list[tuple[bool, Frame]]) -> None:
        """The end of a connection, with what it took along."""
        names = [f"{_way(line, way)} {self._written(frame)[0]}" for way, frame in lost]
        behind = f"; lost on the way: {', '.join(names)}" if names else ""
        self.on_note(f"{line.client}.{line.client_link} ends{behind}")

    def on_published(
        self, peer: Peer | None, channel: str, payloads: list[bytes], number: int | None
    ) -> None:
        """What was published."""
        shown = " ".join(map(_shown, payloads))
        which = "" if number is None else f" as its {number}"
        self.on_note(f"{_name(peer)} publishes to {channel}: {shown}{which}")

    def on_taken(
        self, peer: Peer | None, reader: Subscription | LocalReader, event: ChannelEvent
    ) -> None:
        """What was taken."""
        match event:
            case Message():
                what = f"{event.seq} {_shown(event.payload)}"
            case Lost():
                what = f"lost {event.first}..{event.last} {event.reason}"
            case Reset():
                what = f"reset {event.reason} to {event.position}"
            case CaughtUp():
                what = f"caught up at {event.position}"
            case _:
                assert_never(event)
        self.on_note(f"{_name(peer)} takes {event.channel} {what}")

    def on_settled(self, peer: Peer, settled: Settled) -> None:
        """What became of publishes."""
        which = f"{settled.first}..{settled.last} {settled.outcome}"
        numbered = f" as {settled.epoch}:{settled.seq}" if settled.epoch else ""
        code = f" ({settled.code})" if settled.code else ""
        self.on_note(f"{peer.name} is told {settled.channel} {which}{numbered}{code}")

    def on_event(self, peer: Peer, event: SessionEvent) -> None:
        """What happened to a session, without its times."""
        self.on_note(f"{peer.name} is told {type(event).__name__}")

    def on_note(self, text: str) -> None:
        """A remark."""
        self.lines.append(f"-- {text}")

    def _written(self, frame: Frame) -> tuple[str, str]:
        """Split what the JSON codec writes into the frame's name and its fields."""
        written = self._codec.encode(frame).decode()
        name, _, fields = written.removeprefix('{"type":"').partition('"')
        if isinstance(frame, Data) and max(map(len, frame.payloads), default=0) > MAX_SHOWN:
            shown = ",".join(map(_shown, frame.payloads))
            return name, f'{{"id":{frame.id},"first":{frame.first},"payloads":[{shown}]}}'
        return name, "{" + fields.removeprefix(",")


def _way(line: Line, to_client: bool) -> str:
    client = f"{line.client}.{line.client_link}"
    return f"{line.server}→{client}" if to_client else f"{client}→{line.server}"


def _name(peer: Peer | None) -> str:
    return "S" if peer is None else peer.name


def _shown(payload: bytes) -> str:
    text = payload.decode("ascii", "backslashreplace")
    return f'"{text}"' if len(text) <= MAX_SHOWN else f'"{text[:20]}…" ({len(payload)} bytes)'
