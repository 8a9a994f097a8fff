"""What is left in the tables of the ends: nothing of what is over (P3), and no pin goes back (I4).

The tables are private, so this walks over all that an end holds on to, whatever it is called.
"""

import gc
from collections import Counter
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from gapless.core.channel import Channel
from gapless.core.client import ClientSession
from gapless.core.greeting import Greeting
from gapless.core.hub import Hub
from gapless.core.intake import Intake
from gapless.core.link import Link
from gapless.core.outbox import Outbox
from gapless.core.pins import Pin
from gapless.core.reader import Reader
from gapless.core.server import ServerSession
from gapless.core.subscription import Subscription
from gapless.testing import Pair
from gapless.testing.observer import Observer

_NOT_OURS = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType, str, bytes, int)
_PINS = "_pins"
PASSING = (ServerSession, Intake, Reader, Link, Greeting, Pin)
"""What a hub has only while somebody is there."""


def held(root: object) -> Counter[type]:
    """Count the objects that something holds on to, by type."""
    root = vars(root).get("_target", root)
    seen = {id(root)}
    found: Counter[type] = Counter()
    todo = [root]
    while todo:
        one = todo.pop()
        found[type(one)] += 1
        for other in gc.get_referents(one):
            if id(other) not in seen and not isinstance(other, _NOT_OURS) and not _watches(other):
                seen.add(id(other))
                todo.append(other)
    return found


def _watches(one: object) -> bool:
    """Whether it is a recorder's: what that remembers isn't kept by the machine."""
    return type(one).__module__ == "gapless.testing.recorder"


def check_left(hub: Hub) -> None:
    """Assert that a hub keeps nothing of those who have all been gone for longer than the lease."""
    assert not hub.sessions, f"P3: sessions are left: {hub.sessions}"
    assert not hub.links, f"P3: {hub.links} links are left"
    found = held(hub)
    left = {kind.__name__: found[kind] for kind in PASSING if found[kind]}
    assert not left, f"P3: left behind: {left}"


def check_over(session: ClientSession) -> None:
    """Assert that a session that is closed has no link and nothing that waits (I20)."""
    links = held(session)[Link]
    assert not links, f"I20: {links} links of a session that is closed"
    assert session.next_deadline() is None, "I20: a deadline of a session that is closed"


def check_at_rest(pair: Pair) -> None:
    """Assert that a client keeps no channel that it doesn't name, and no old link (P3)."""
    for peer in pair.peers:
        found = held(peer.session)
        assert found[Link] <= 3, f"P3: {peer.name} keeps {found[Link]} links"
        known = len(peer.session.subscriptions) + len(peer.session.outboxes)
        kept = found[Subscription] + found[Outbox]
        assert kept == known, f"P3: {peer.name} keeps {kept} channels of {known}"


def pinned(hub: Hub) -> dict[object, set[str]]:
    """Say what holds back rotation: channels, by the name of the session they are held for."""
    found: dict[object, set[str]] = {}
    for channel in hub.channels.named.values():
        pins: dict[object, Pin] = getattr(channel.pins, _PINS)
        for owner in pins:
            if isinstance(owner, ServerSession):
                found.setdefault(owner.id, set()).add(channel.name)
    return found


class Pins(Observer):
    """No pin goes back: an ack is cumulative, and a late one changes nothing (I4)."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._acked: dict[int, tuple[Pin, int]] = {}

    def on_step(self) -> None:
        now: dict[int, tuple[Pin, int]] = {}
        for host in self._pair.hosts:
            for channel in host.hub.channels.named.values():
                for pin in _pins(channel):
                    before = self._acked.get(id(pin), (pin, pin.acked))[1]
                    words = f"I4: a pin on {channel.name} went from {before} to {pin.acked}"
                    assert pin.acked >= before, words
                    now[id(pin)] = pin, pin.acked
        self._acked = now


def _pins(channel: Channel) -> list[Pin]:
    pins: dict[object, Pin] = getattr(channel.pins, _PINS)
    return list(pins.values())
