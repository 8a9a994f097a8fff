"""Holdings: what takes memory at a session or a hub, found by looking, not in its books (P3)."""

from typing import Any, cast

from gapless.core.accounts import Holding
from gapless.core.client import ClientSession
from gapless.core.hub import Hub

from .promise import hold


def client_holdings(session: ClientSession) -> list[Holding]:
    """List what takes memory at a client's session."""
    subscriptions, outboxes = _inside(session, "_subscriptions"), _inside(session, "_outboxes")
    return [*subscriptions.values(), *outboxes]


def hub_holdings(hub: Hub) -> list[Holding]:
    """List what takes memory at a hub."""
    found: list[Holding] = []
    for channel in hub.channels.named.values():
        found += [channel, channel.pins, channel.batches]
        found += hub.readership.locals(channel)
    for session in _inside(hub, "_sessions").values():
        found += [session, *_inside(session, "_intakes").values()]
    relief = _inside(hub, "_relief")
    return [*found, _inside(hub, "_reception"), relief.buffers]


def check_memory(name: str, machine: ClientSession | Hub) -> None:
    """Assert that no more is held than may be, and that the books say what there is.

    Raises:
        BrokenPromise: P3 does not hold.
    """
    # A recorder's stand-in is neither by its class.
    is_hub = hasattr(machine, "channels")
    found = (
        hub_holdings(cast(Hub, machine))
        if is_hub
        else client_holdings(cast(ClientSession, machine))
    )
    report, limit = machine.memory(), machine.config.memory_limit
    held, peak = report.held, report.peak
    hold(held <= limit, "P3", f"{name} holds {held} bytes, more than {limit}")
    there = sum(holding.memory for holding in found)
    hold(held == there, "P3", f"{name} says it holds {held} bytes, and {there} are there")
    hold(held <= peak <= limit, "P3", f"{name} says that {peak} were its most; it may {limit}")


def _inside(thing: object, name: str) -> Any:
    return getattr(thing, name)
