"""The targets by name: eight programs that cover every parser."""

from collections.abc import Callable

from .client import session_target
from .codecs import json_target, msgpack_target
from .hub import hub_target
from .wires import client_target, open_target, server_target
from .words import words_target

Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {
    "json": json_target,
    "msgpack": msgpack_target,
    "server_wire": server_target,
    "client_wire": client_target,
    "open_wire": open_target,
    "words": words_target,
    "session": session_target,
    "hub": hub_target,
}
