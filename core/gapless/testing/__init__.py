"""gapless.testing: try an application on a bad network, in milliseconds and reproducibly."""

from .clock import Clock
from .network import CALM, STORM, Line, Network, Pipe, Weather
from .pair import Pair, Peer

__all__ = ["CALM", "STORM", "Clock", "Line", "Network", "Pair", "Peer", "Pipe", "Weather"]
