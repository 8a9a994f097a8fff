"""The recorder: what it writes, that it is transparent, and that it misses no call (P8)."""

import inspect
import json
from collections.abc import Callable
from random import Random
from typing import Any, cast

import pytest

from gapless.core.authorize import Grant
from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.errors import ConfigError, InvalidState
from gapless.core.frames import Hello
from gapless.core.hub import Hub
from gapless.testing import LOG_VERSION, Recorder, replay
from gapless.testing.recorder import CLIENT, ENDPOINT, HUB
from gapless.transports import MemoryWire
from gapless.transports.endpoint import Endpoint

INTERNAL = {"read_answered", "link_over", "session_over"}
"""What a hub's own sessions call."""

QUERIES = {"next_deadline", "metrics", "health", "is_stale", "stats"}
"""What takes the time, or says when, and changes nothing."""


def client(**settings: Any) -> tuple[ClientSession, list[str]]:
    log: list[str] = []
    return Recorder(log.append, **settings).client(Config(), rng=Random(1)), log


def hub(**settings: Any) -> tuple[Hub, list[str]]:
    log: list[str] = []
    recorder = Recorder(log.append, **settings)
    made = recorder.hub(
        Config.production("hub"),
        rng=Random(1),
        new_token=lambda: "geheim-ß-1",
        verify=lambda shown: Grant(shown or ""),
    )
    return made, log


def lines(log: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log]


def test_a_log_begins_with_its_version_the_role_and_the_settings() -> None:
    header = lines(client(about="gapless 0.1.0")[1])[0]

    assert header["gapless log"] == LOG_VERSION == 1
    assert (header["role"], header["level"], header["protocol"]) == ("client", "frames", 1)
    assert header["about"] == "gapless 0.1.0"
    assert header["config"]["window"] == Config().window
    assert header["redacted"] == ["payloads", "secrets"]
    assert lines(client(redact=False)[1])[0]["redacted"] == []
    named = lines(hub(redact_channels=True)[1])[0]
    assert named["redacted"] == ["payloads", "secrets", "channels"]
    assert (named["role"], named["verifies"], named["durable"]) == ("hub", True, False)


def test_a_call_is_a_line_with_its_time_its_arguments_and_its_result() -> None:
    session, log = client(redact=False)
    session.publish("a", b"hello", text=True, now=7.5)
    reader = session.subscribe("b", now=8)
    session.next_message(reader, now=8.25)
    session.poll_command()

    assert lines(log)[1:] == [
        {
            "do": "publish",
            "at": 7.5,
            "with": ["a", {"text": "hello"}],
            "named": {"text": True},
            "out": 1,
        },
        {"do": "subscribe", "at": 8, "with": ["b"], "out": {"reader": 1}},
        {"do": "next_message", "at": 8.25, "with": [{"reader": 1}]},
        {"do": "poll_command"},
    ]


def test_what_a_call_draws_stands_in_its_line() -> None:
    server, log = hub(redact=False)
    server.handle_link_opened(1, now=5.0)
    server.receive_frame(1, Hello(1, None, "me", 1000), size=9, now=5.0)

    line = lines(log)[2]
    assert line["named"] == {"size": 9}
    assert [kind for kind, _ in line["drew"]] == ["grant", "token", "token", "random"]
    assert line["drew"][0][1] == {"is": "Grant", "principal": "me", "may_pin": False}
    assert replay(log).difference is None


def test_a_call_that_raises_raises_all_the_same_and_only_the_kind_is_written() -> None:
    session, log = client()
    session.subscribe("a", now=1.0)
    with pytest.raises(InvalidState, match="is subscribed already"):
        session.subscribe("a", now=2.0)

    assert lines(log)[2] == {"do": "subscribe", "at": 2.0, "with": ["a"], "raised": "InvalidState"}


def test_what_can_not_be_written_is_not_in_the_way() -> None:
    session, log = client()
    with pytest.raises(TypeError):
        cast(Any, session).publish("a", {1, 2}, False, 5, now=1.0)

    assert lines(log)[1]["with"] == ["a", {"unknown": "set"}, False, 5]


def test_the_stand_in_shows_what_the_machine_shows() -> None:
    session, _ = client()
    session.subscribe("a", now=1.0)

    assert [one.channel for one in session.subscriptions] == ["a"]
    assert session.config == Config()
    assert session.next_deadline() is None
    assert repr(session).startswith("<recorded <gapless.core.client.ClientSession")


def test_bytes_are_recorded_at_the_endpoint_and_the_application_beside_it() -> None:
    log: list[str] = []
    recorder = Recorder(log.append, redact=False, level="bytes")
    session = recorder.client(Config(), rng=Random(1))
    endpoint = recorder.endpoint(session, lambda now: MemoryWire())
    session.start(now=1.0)
    endpoint.poll_command(now=1.0)
    endpoint.open_link(1, now=1.5)
    data = endpoint.data_to_send(1, 100, now=1.5)
    endpoint.receive_data(1, b"", now=2.0)

    assert endpoint.machine is session
    assert b"hello" in data
    done = [line["do"] for line in lines(log)[1:]]
    assert done == [
        "start",
        "endpoint.poll_command",
        "endpoint.open_link",
        "endpoint.data_to_send",
        "endpoint.receive_data",
    ]
    assert replay(log).difference is None


def test_frames_are_recorded_before_the_wires() -> None:
    log: list[str] = []
    recorder = Recorder(log.append)
    session = recorder.client(Config(), rng=Random(1))
    endpoint = recorder.endpoint(session, lambda now: MemoryWire())

    assert type(endpoint) is Endpoint
    assert endpoint.machine is session


def test_bytes_can_not_be_redacted() -> None:
    for redact, redact_channels in ((True, False), (True, True), (False, True)):
        with pytest.raises(ConfigError, match="bytes can't be redacted"):
            Recorder(print, level="bytes", redact=redact, redact_channels=redact_channels)
    with pytest.raises(ConfigError, match="redact=True as well"):
        Recorder(print, redact=False, redact_channels=True)


def test_a_recorder_has_one_machine() -> None:
    recorder = Recorder(list[str]().append)
    recorder.client(Config(), rng=Random(1))

    with pytest.raises(InvalidState, match="make another recorder"):
        recorder.client(Config(), rng=Random(1))
    with pytest.raises(InvalidState, match="make another recorder"):
        recorder.hub(Config(), rng=Random(1), new_token=str)


@pytest.mark.parametrize(
    ("kind", "calls"), [(ClientSession, CLIENT), (Hub, HUB), (Endpoint, ENDPOINT)]
)
def test_p8_every_call_that_can_change_a_machine_is_recorded(
    kind: type[Any], calls: dict[str, tuple[str, ...]]
) -> None:
    """By the rules of the design: what takes `now`, and what is called next_… or poll_…."""
    changing: dict[str, tuple[str, ...]] = {}
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        parameters = inspect.signature(method).parameters
        takes = "now" in parameters or name.startswith(("next_", "poll_"))
        if takes and not name.startswith("_") and name not in INTERNAL | QUERIES:
            positional = [
                one.name
                for one in parameters.values()
                if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and one.name != "self"
            ]
            changing[name] = tuple(positional)
    assert set(changing) == set(calls)
    for name, names in calls.items():
        # What is redacted goes by the argument's name; a reader has two.
        assert names == tuple(n.replace("subscription", "reader") for n in changing[name]), name


@pytest.mark.parametrize(
    ("kind", "method"), [(ClientSession, Recorder.client), (Hub, Recorder.hub)]
)
def test_a_recorder_makes_a_machine_from_all_that_the_machine_takes(
    kind: type[Any], method: Callable[..., object]
) -> None:
    def parameters(function: Callable[..., object]) -> dict[str, object]:
        given = inspect.signature(function).parameters.values()
        return {one.name: (one.kind, one.default) for one in given if one.name != "self"}

    assert parameters(method) == parameters(kind.__init__)
