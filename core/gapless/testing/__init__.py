"""gapless.testing: try an application on a bad network, in milliseconds and reproducibly."""

from .checker import BrokenPromise, Checker
from .clock import Clock
from .host import Host, Store
from .network import CALM, STORM, Line, Network, Pipe, Weather
from .observer import Observer
from .pair import Pair
from .peer import Peer
from .snapshots import Names, digest, snapshot
from .transcript import Transcript

__all__ = [
    "CALM",
    "STORM",
    "BrokenPromise",
    "Checker",
    "Clock",
    "Host",
    "Line",
    "Names",
    "Network",
    "Observer",
    "Pair",
    "Peer",
    "Pipe",
    "Store",
    "Transcript",
    "Weather",
    "digest",
    "snapshot",
]
