"""Sans-IO wires: bytes ⇄ frames, with the limits a hostile peer needs (design section 2).

A `Wire` is one byte stream. Feed it what the socket gives, write what it hands out, wake it at its
deadline: it reads no clock, opens nothing, and never raises because of the peer.

- `WebSocketClient`, `WebSocketServer`: RFC 6455 on wsproto, no compression, checked Origin;
- `MemoryWire`: length-prefixed frames over any connected stream;
- `JsonCodec`, `MsgpackCodec`: what a frame looks like on them;
- `Limits`, `OriginPolicy`: what a peer is granted;
- `Endpoint`: a session or a hub and the wires of its links, all that an adapter sees.
"""

from .codec import Codec, JsonCodec, MsgpackCodec, default_codecs
from .codec_convert import CodecError
from .endpoint import Endpoint
from .limits import Limits
from .memory import MemoryWire
from .origin import OriginPolicy
from .websocket import WebSocketClient, WebSocketServer
from .wire import FrameReceived, Wire, WireEnded, WireEvent, WireOpened

__all__ = [
    "Codec",
    "CodecError",
    "Endpoint",
    "FrameReceived",
    "JsonCodec",
    "Limits",
    "MemoryWire",
    "MsgpackCodec",
    "OriginPolicy",
    "WebSocketClient",
    "WebSocketServer",
    "Wire",
    "WireEnded",
    "WireEvent",
    "WireOpened",
    "default_codecs",
]
