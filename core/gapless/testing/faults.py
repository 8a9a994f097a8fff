"""Faults: what goes wrong in a `Pair` besides its weather, at the moments a test chooses."""

from collections.abc import Callable
from random import Random

from .network import CALM
from .pair import Pair
from .peer import Peer
from .swarm import Swarm

JUMPS = (3.0, 40.0, 5000.0)
"""Seconds a host is suspended: less than a heartbeat, more than one, more than a lease."""


class Faults:
    """Makes things go wrong, and right again in the end.

    Example::

        swarm = Swarm.draw(seed)
        pair = Pair(seed=seed, weather=swarm.weather())
        faults = Faults(pair, Random(seed), swarm)
        for _ in range(50):
            faults.strike()
            pair.run(0.5)
        faults.stop()
        pair.run(120.0)

    Args:
        pair: to which it happens.
        rng: which fault, whom it meets, and how hard.
        swarm: the faults `strike` may choose; None: all.

    Attributes:
        count: how many faults there were.
    """

    def __init__(self, pair: Pair, rng: Random, swarm: Swarm | None = None) -> None:
        self.count = 0
        self._pair = pair
        self._rng = rng
        kinds: dict[str, Callable[[], None]] = {
            "cuts": lambda: self._at_anyone(self.cut),
            "silence": lambda: self._at_anyone(self.silence),
            "unreachable": self.toggle_reachable,
            "clock jumps": self.jump,
            "restarts": self.restart,
        }
        self._kinds = [kind for flag, kind in kinds.items() if swarm is None or swarm.has(flag)]

    def strike(self, chance: float = 0.2) -> None:
        """Let one of the run's faults happen, so likely; none if its flags are all off."""
        if self._kinds and self._rng.random() < chance:
            self._rng.choice(self._kinds)()

    def cut(self, peer: Peer) -> None:
        """Cut a client's lines, now or in the middle of a frame that is to come."""
        self.count += 1
        if self._rng.random() < 0.5:
            self._pair.cut(peer)
        else:
            size, to_client = self._rng.randrange(300), self._rng.random() < 0.5
            self._pair.cut_after(size, to_client=to_client, peer=peer)

    def silence(self, peer: Peer) -> None:
        """Part a client from its server one way, with nobody told; or end that."""
        self.count += 1
        is_held, to_client = self._rng.random() < 0.5, self._rng.random() < 0.5
        self._pair.hold(is_held, to_client=to_client, peer=peer)

    def toggle_reachable(self) -> None:
        """Let every new connection fail from now on; or let them come about again."""
        self.count += 1
        network = self._pair.network
        network.is_reachable = not network.is_reachable

    def jump(self) -> None:
        """Suspend the machine, 3 to 5,000 s: all deadlines come late, at once."""
        self.count += 1
        self._pair.clock.advance(self._rng.choice(JUMPS))

    def restart(self) -> None:
        """Kill the server's process and start it again; only its store remembers."""
        self.count += 1
        self._pair.restart_server()

    def stop(self) -> None:
        """End all faults: from now on everybody must make progress (P4).

        Lines that were made in bad weather are cut; those made after it are in `CALM`. A
        `Middlebox` is the test's own to stop.
        """
        pair = self._pair
        pair.network.weather = CALM
        pair.network.is_reachable = True
        for peer in pair.peers:
            pair.cut(peer)

    def _at_anyone(self, fault: Callable[[Peer], None]) -> None:
        if self._pair.peers:
            fault(self._rng.choice(self._pair.peers))
