"""Target: what reads words, lines and files that others wrote.

Positions, channel names, URLs, addresses, origins, secrets, position files, text for a terminal;
and the proxy's idea of where frames end. The input's first byte chooses which.
"""

import atexit
import codecs
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from gapless.adapters.cli.addresses import parse_address
from gapless.adapters.cli.app import parse_since
from gapless.adapters.cli.console import escape_line
from gapless.adapters.cli.frames import FrameTracker
from gapless.adapters.cli.outcome import CommandError
from gapless.adapters.cli.position_file import PositionFile
from gapless.adapters.dialing import is_loopback, parse_url
from gapless.adapters.errors import printable
from gapless.core.authorize import shared_token
from gapless.core.errors import ConfigError, InvalidChannel, InvalidPosition
from gapless.core.frames import Offer
from gapless.core.position import Position, channel_fault, check_channel
from gapless.transports import CodecError, JsonCodec, MsgpackCodec, OriginPolicy, WebSocketClient

from .caught import guarded
from .drawing import pieces

_CODECS = (MsgpackCodec(), JsonCodec())
Parser = Callable[[bytes], None]


def positions(data: bytes, parse: Callable[[str], Position] = Position.parse) -> None:
    text = _text(data)
    try:
        position = parse(text)
    except InvalidPosition:
        return
    assert parse(str(position)) == position
    assert parse_since(text) == position


def channels(data: bytes) -> None:
    """A name is refused by the call exactly if a codec refuses it from the wire."""
    text = _text(data)
    fault = channel_fault(text)
    try:
        check_channel(text)
    except InvalidChannel:
        assert fault is not None
    else:
        assert fault is None
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        assert fault is not None
        return
    for codec in _CODECS:
        offer = Offer(1, text, None, 1)
        try:
            assert codec.decode(codec.encode(offer)) == offer
        except CodecError:
            assert fault is not None
        else:
            assert fault is None


def urls(data: bytes) -> None:
    """What is taken for a URL can be asked for."""
    text = _text(data)
    guarded("urllib", _split, text)
    try:
        address = parse_url(text)
    except ConfigError:
        return
    assert 0 <= address.port <= 65535
    assert address.host.isascii()
    is_loopback(address.host)
    try:
        WebSocketClient(address.host_header, address.target, _CODECS, now=0.0)
    except ConfigError:
        return


def addresses(data: bytes) -> None:
    try:
        host, port = parse_address(_text(data), "TARGET")
    except CommandError:
        return
    assert host
    assert 0 <= port <= 65535


def host_names(data: bytes) -> None:
    guarded("idna", codecs.encode, _text(data), "idna")


def origins(data: bytes) -> None:
    """No origin and no host is too odd to be judged; what may be listed is allowed."""
    host, _, origin = _text(data).partition("\n")
    policy = OriginPolicy()
    assert policy.allows_origin(origin, host) in (True, False)
    assert policy.allows_host(host) in (True, False)
    try:
        assert OriginPolicy([origin]).allows_origin(origin, host)
    except ConfigError:
        assert not policy.allows_origin(origin, host)


def secrets(data: bytes) -> None:
    """A token lets in who shows it, and nobody else."""
    token, _, shown = _text(data).partition("\n")
    try:
        verify = shared_token(token)
    except ConfigError:
        return
    assert verify(token) is not None
    assert (verify(shown) is not None) == (shown == token)
    assert verify(None) is None


def terminal_text(data: bytes) -> None:
    assert printable(_text(data)).isprintable()
    line = escape_line(data).decode()
    assert all(part.isprintable() for part in line.split("\t"))


def position_files(data: bytes) -> None:
    """A file is read, or refused in one line; what was read is written back and read again."""
    guarded("json", json.loads, data)
    path = Path(_folder()) / "position"
    path.write_bytes(data)
    file = PositionFile(path)
    try:
        bookmark = file.load("ws://example.com/", "news")
    except CommandError as fault:
        said = str(fault)
    else:
        said = ""
        assert bookmark is not None
        assert bookmark.channel == "news"
        file.save(bookmark)
        assert file.load("ws://example.com/", "news") == bookmark
    assert "\n" not in said


def proxied_frames(data: bytes) -> None:
    """Where the proxy sees frames end doesn't depend on how they came (P9)."""
    for start in (b"GET ", b"HTTP/1.1 101"):
        whole = _tracked(start, [data])
        for cut in pieces(data):
            assert _tracked(start, cut) == whole, "split feeding differs"
        tracker = FrameTracker(start)
        done = tracker.follow(data, 3)
        assert 0 <= done <= len(data)


def _tracked(start: bytes, cut: list[bytes]) -> tuple[int, bool, bool]:
    tracker = FrameTracker(start)
    for piece in cut:
        assert tracker.follow(piece) == len(piece)
    return tracker.counted, tracker.is_counting, tracker.is_inside


PARSERS: tuple[Parser, ...] = (
    positions,
    channels,
    urls,
    addresses,
    origins,
    secrets,
    terminal_text,
    position_files,
    proxied_frames,
    host_names,
)


class WordsTarget:
    """One of the parsers, chosen by the first byte."""

    def __init__(self, parsers: tuple[Parser, ...] = PARSERS) -> None:
        self._parsers = parsers

    def __call__(self, data: bytes) -> None:
        if data:
            self._parsers[data[0] % len(self._parsers)](data[1:])


def _text(data: bytes) -> str:
    """As the command line and file names have it: bytes that are no UTF-8 are surrogates."""
    return data.decode("utf-8", "surrogateescape")


def _split(text: str) -> object:
    parts = urlsplit(text)
    return parts.hostname, parts.port


_folders: list[tempfile.TemporaryDirectory[str]] = []


def _folder() -> str:
    """A folder of this process, made when it is first needed."""
    if not _folders:
        _folders.append(tempfile.TemporaryDirectory(prefix="gapless-fuzz-"))
        atexit.register(_folders[0].cleanup)
    return _folders[0].name


words_target = WordsTarget()
