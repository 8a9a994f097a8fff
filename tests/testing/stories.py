"""A story that the recorder's and the replayer's tests are told: both ends, in a storm."""

from random import Random
from typing import Any

from gapless.core.authorize import Grant
from gapless.core.config import Config
from gapless.testing import STORM, Faults, Pair, Recorder, Swarm

SECRET = "Bürger-Ausweis-ß"
"""Credentials, none of whose characters but the sign and letters of ASCII may be in a log."""


class Recording:
    """The logs of all machines of a pair, by their names.

    Args:
        settings: of every recorder.
    """

    def __init__(self, **settings: Any) -> None:
        self.logs: dict[str, list[str]] = {}
        self._settings = settings

    def __call__(self, name: str) -> Recorder:
        return Recorder(self.logs.setdefault(name, []).append, **self._settings)


def trust(credentials: str | None) -> Grant:
    return Grant(credentials or "nobody", may_pin=True)


def storm(
    seed: int,
    recording: Recording | None = None,
    *,
    payloads: tuple[bytes | str, ...] = ("text", b"\xff\x00binary"),
    channels: tuple[str, str] = ("a", "b"),
    kind: type[Pair] = Pair,
    **settings: Any,
) -> Pair:
    """Both ends publish and read in a storm, with faults of all kinds, a restart among them."""
    pair = kind(
        seed=seed,
        weather=STORM,
        verify=trust,
        client_config=Config(heartbeat=4.0, heartbeat_timeout=2.0, backoff_cap=1.0),
        new_recorder=recording,
        **settings,
    )
    other = pair.add_client(credentials=SECRET)
    faults = Faults(pair, Random(seed), Swarm.draw(seed))
    reader = pair.peer.subscribe(channels[0], "earliest")
    here, hub = pair.subscribe(channels[1], "earliest"), pair.hub
    pair.peer.start()
    other.start()
    for number in range(10):
        payload = payloads[number % len(payloads)]
        if number == 6:
            pair.restart_server()
        pair.publish(channels[0], payload)
        pair.peer.publish(channels[1], payload)
        other.publish(channels[0], payload)
        faults.strike(0.4)
        pair.run(0.7)
        pair.peer.take_all(reader)
        while here is not None and pair.hub is hub and pair.take(here) is not None:
            pass
        for peer in pair.peers:
            peer.events()
            peer.settled(channels[0])
    faults.stop()
    pair.run(12.0)
    pair.peer.unsubscribe(reader)
    pair.peer.close()
    pair.run(2.0)
    return pair
