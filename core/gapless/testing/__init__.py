"""gapless.testing: try an application on a bad network, in milliseconds and reproducibly."""

from .checker import BrokenPromise, Checker
from .clock import Clock
from .faults import Faults
from .host import Host, Store
from .middlebox import Middlebox
from .network import CALM, STORM, Line, Network, Pipe, Weather
from .observer import Observer
from .pair import Pair
from .peer import Peer
from .recorder import LOG_VERSION, Recorder
from .replayer import InvalidLog, Replay, replay
from .seeds import SeedFailed, try_seeds
from .snapshots import Names, digest, snapshot
from .swarm import FLAGS, Swarm
from .transcript import Transcript

__all__ = [
    "CALM",
    "FLAGS",
    "LOG_VERSION",
    "STORM",
    "BrokenPromise",
    "Checker",
    "Clock",
    "Faults",
    "Host",
    "InvalidLog",
    "Line",
    "Middlebox",
    "Names",
    "Network",
    "Observer",
    "Pair",
    "Peer",
    "Pipe",
    "Recorder",
    "Replay",
    "SeedFailed",
    "Store",
    "Swarm",
    "Transcript",
    "Weather",
    "digest",
    "replay",
    "snapshot",
    "try_seeds",
]
