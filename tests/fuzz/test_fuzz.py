"""Layer 6 without atheris: the corpus through every target; and each kind of fault is reported."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random

import pytest

from gapless.core.client import ClientSession
from gapless.core.events import ChannelEvent, Message
from gapless.core.frames import Ack, Data, Frame, Ping
from gapless.core.hub import Hub
from gapless.core.position import Position
from gapless.core.subscription import Subscription
from gapless.transports import MemoryWire, MsgpackCodec, WireEvent
from tests.core.parts import counted

from . import corpus
from .caught import CAUGHT, guarded
from .client import ClientTarget
from .codecs import CodecTarget
from .drawing import Draw, pieces
from .hub import CONFIG, HubTarget
from .seeds import seeds
from .targets import TARGETS, Target
from .wires import CODECS, SMALL, OpenTarget
from .words import WordsTarget, positions

SEEDS = seeds()


@pytest.mark.parametrize("name", TARGETS)
def test_i21_the_corpus_finds_nothing(name: str) -> None:
    inputs = [*SEEDS[name], *corpus.load(name)]
    assert len(inputs) > 10
    for data in inputs:
        try:
            TARGETS[name](data)
        except Exception as fault:
            command = f"python -m tests.fuzz {name} --input {corpus.encoded(data)}"
            raise AssertionError(f"{command}: {fault!r}") from fault


def test_the_corpus_is_small() -> None:
    files = list(corpus.FOLDER.iterdir())

    assert {path.stem for path in files} <= set(TARGETS)
    assert sum(path.stat().st_size for path in files) <= 300_000


def test_what_is_caught_on_purpose_is_really_raised() -> None:
    """An entry that no seed needs is an exception nobody has seen: it leaves the list."""
    for name in ("json", "msgpack", "server_wire", "client_wire", "words"):
        for data in SEEDS[name]:
            TARGETS[name](data)

    listed = {(library, kind) for library, kinds in CAUGHT.items() for kind in kinds}

    assert guarded.seen == listed


def test_a_library_that_raises_something_new_is_reported() -> None:
    def library(data: bytes) -> object:
        raise KeyError(data)

    with pytest.raises(KeyError):
        CodecTarget(MsgpackCodec, library)(b"\x93\xa4ping\x01\x02")


def test_p9_pieces_are_the_data_again() -> None:
    for data in (b"", b"a", bytes(range(256)), bytes(1000)):
        assert all(b"".join(cut) == data for cut in pieces(data))
        assert pieces(data) == pieces(data)


def test_draws_are_zero_behind_the_end() -> None:
    draw = Draw(b"\x07")

    assert draw.byte() == 7
    assert draw.is_over
    assert [draw.byte(), draw.number(), draw.below(9)] == [0, 0, 0]
    assert draw.block() == draw.rest() == b""


# Planted bugs: each kind of fault must be reported for an input of the seeds.


class LeakyCodec(MsgpackCodec):
    """Lets an exception out that isn't ours."""

    def decode(self, data: bytes | bytearray) -> Frame:
        if data[:1] == b"\x96":
            raise KeyError("type")
        return super().decode(data)


class ForgetfulCodec(MsgpackCodec):
    """Reads a number wrong."""

    def decode(self, data: bytes | bytearray) -> Frame:
        frame = super().decode(data)
        return replace(frame, sent=frame.sent + 1) if isinstance(frame, Ping) else frame


class LimitlessCodec(MsgpackCodec):
    """Takes larger messages than it says."""

    def __init__(self, max_message: int = 1) -> None:
        super().__init__(1 << 20)


class ImpatientWire(MemoryWire):
    """Says that it was cut off if a length comes in two pieces."""

    def receive_data(self, data: bytes, *, now: float) -> list[WireEvent]:
        return super().receive_data(b"" if len(data) < 3 else data, now=now)


class HoardingWire(MemoryWire):
    """Holds what it has no use for."""

    def buffered(self) -> int:
        return super().buffered() + 1_000_000


class RaisingWire(MemoryWire):
    """Raises because of what the peer says."""

    def receive_data(self, data: bytes, *, now: float) -> list[WireEvent]:
        if b"hello" in data:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return super().receive_data(data, now=now)


class RaisingSession(ClientSession):
    """A frame of the server's makes a call raise."""

    def receive_frame(self, link: int, frame: Frame, *, size: int = 0, now: float) -> None:
        if isinstance(frame, Data) and b"B" in frame.payloads:
            raise IndexError(link)
        super().receive_frame(link, frame, size=size, now=now)


class SkippingSession(ClientSession):
    """Loses a message without a word."""

    def next_message(self, subscription: Subscription, *, now: float) -> ChannelEvent | None:
        event = super().next_message(subscription, now=now)
        if isinstance(event, Message):
            event = super().next_message(subscription, now=now)
        return event


class LateSession(ClientSession):
    """A deadline stays in the past."""

    def next_deadline(self) -> float | None:
        return 50.0


class TrustingSession(ClientSession):
    """Lets any link speak for the present one."""

    def receive_frame(self, link: int, frame: Frame, *, size: int = 0, now: float) -> None:
        super().receive_frame(self.link or link, frame, size=size, now=now)


class OverAckingHub(Hub):
    """Acks what never came."""

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        frame = super().next_frame(link, now=now)
        return Ack(frame.id, frame.seq + 1, frame.limit) if isinstance(frame, Ack) else frame


class SkippingHub(Hub):
    """Leaves out a message without `gone`."""

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        frame = super().next_frame(link, now=now)
        if isinstance(frame, Data):
            return Data(frame.id, frame.first + 1, frame.payloads, frame.text)
        return frame


def lenient(text: str) -> Position:
    """Reads a number below zero."""
    return Position("E1", -1) if text == "E1:-1" else Position.parse(text)


def words_target(data: bytes) -> None:
    WordsTarget((lambda rest: positions(rest, lenient),))(data)


def memory_target(kind: type[MemoryWire]) -> Target:
    return OpenTarget(memory=lambda: kind(CODECS[0], from_client=True, limits=SMALL))


def session_target(kind: type[ClientSession]) -> Target:
    return ClientTarget(lambda config: kind(config, rng=Random(1), wait=60.0))


def hub_target(kind: type[Hub]) -> Target:
    return HubTarget(
        lambda durable: kind(CONFIG, rng=Random(2), new_token=counted("t"), durable=durable)
    )


PLANTED: dict[str, tuple[str, Target, str]] = {
    "an exception of another's": ("msgpack", CodecTarget(LeakyCodec, bytes), "KeyError"),
    "a field read wrong": ("msgpack", CodecTarget(ForgetfulCodec, bytes), "not what is written"),
    "a limit not kept": ("msgpack", CodecTarget(LimitlessCodec, bytes), "above its limit"),
    "cut bytes": ("open_wire", memory_target(ImpatientWire), "split feeding differs"),
    "bytes held": ("open_wire", memory_target(HoardingWire), "bytes held"),
    "a wire that raises": ("open_wire", memory_target(RaisingWire), "UnicodeDecodeError"),
    "a session that raises": ("session", session_target(RaisingSession), "IndexError"),
    "a message left out": ("session", session_target(SkippingSession), ", then Message"),
    "a deadline in the past": ("session", session_target(LateSession), "I12"),
    "a link that isn't there": ("session", session_target(TrustingSession), "I13"),
    "an ack too high": ("hub", hub_target(OverAckingHub), "above what came"),
    "data left out": ("hub", hub_target(SkippingHub), "instead of"),
    "a number below zero": ("words", words_target, "is not a position"),
}
"""Bug: the target whose inputs must show it, that target with the bug in it, and its words."""


def reports(target: Target, inputs: Iterable[bytes]) -> Iterator[str]:
    for data in inputs:
        try:
            target(data)
        except Exception as fault:
            yield repr(fault)


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_reported(bug: str) -> None:
    name, target, words = PLANTED[bug]
    assert any(words in report for report in reports(target, SEEDS[name]))
