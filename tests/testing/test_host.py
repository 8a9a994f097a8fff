"""A host: a hub with its endpoint, each of whose links has a wire that says what it carries."""

from itertools import count
from random import Random

from gapless.core.authorize import allow_anyone
from gapless.core.config import Config
from gapless.core.frames import Frame, Hello
from gapless.core.hub import Hub
from gapless.testing import Host, Recorder, replay
from gapless.transports import MemoryWire
from gapless.transports.wire import Wire


def server_wire(now: float) -> Wire:
    return MemoryWire(from_client=True)


def test_every_connection_is_a_link_of_the_endpoint_with_a_wire_of_its_own() -> None:
    tokens = count(1)
    hub = Hub(
        Config.production("hub"),
        rng=Random(1),
        new_token=lambda: f"token-{next(tokens)}",
        verify=allow_anyone,
    )
    host = Host("S", hub, server_wire)

    assert [host.accept(now=1.0), host.accept(now=2.0)] == [1, 2]
    assert host.endpoint.links == len(host.wires) == 2
    assert host.wires[1] is not host.wires[2]
    assert host.lines == {}
    assert repr(host) == "<S>"

    sent: list[Frame] = []
    host.wires[2].on_frame = sent.append
    client = MemoryWire()
    client.send_frame(Hello(1, None, None, 1000), now=2.0)
    host.endpoint.receive_data(2, client.data_to_send(), now=2.0)
    host.endpoint.data_to_send(2, 1000, now=2.0)
    assert [type(frame).__name__ for frame in sent] == ["Welcome"]


def test_a_recorded_host_has_the_recorders_endpoint() -> None:
    log: list[str] = []
    recorder = Recorder(log.append, redact=False, level="bytes")
    hub = recorder.hub(Config.production("hub"), rng=Random(1), new_token=lambda: "token")
    host = Host("S", hub, server_wire, recorder.endpoint)

    assert host.accept(now=1.0) == 1
    assert [line for line in log if "endpoint.accept_link" in line]
    assert replay(log).difference is None
