"""The replayer: a log gives the same outputs again, or it says which line differs (P8, I10)."""

import json
from random import Random
from typing import Any

import pytest

from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.frames import Frame
from gapless.core.hub import Hub
from gapless.testing import InvalidLog, Recorder, Replay, replay
from gapless.transports import WebSocketClient, WebSocketServer, default_codecs
from tests.simulation.world import World

from .stories import Recording, storm

MODES: list[dict[str, Any]] = [
    {"redact": False},
    {},
    {"redact_channels": True},
    {"redact": False, "level": "bytes"},
]


def short_log(**settings: Any) -> list[str]:
    """A client that is cut off and closed."""
    log: list[str] = []
    session = Recorder(log.append, **settings).client(
        Config(), rng=Random(1), token="token-1", wait=60.0
    )
    session.publish("a", b"payload", False, now=1.0)
    session.start(now=1.0)
    session.poll_command()
    session.handle_link_opened(1, now=1.5)
    session.next_frame(1, now=1.5)
    session.handle_link_lost(1, Ending(Code.LOST, "reset"), now=1.7)
    session.next_event()
    session.close(now=2.0, timeout=0.0)
    session.next_settled("a")
    return log


def client_wire(now: float) -> WebSocketClient:
    return WebSocketClient("a.example", "/", default_codecs(), now=now)


def server_wire(now: float) -> WebSocketServer:
    return WebSocketServer(default_codecs(), now=now)


def changed(log: list[str], number: int, **fields: Any) -> list[str]:
    """A log with other fields in one of its lines, counted from 1; None: without the field."""
    line = {**json.loads(log[number - 1]), **fields}
    line = {name: value for name, value in line.items() if value is not None}
    return [*log[: number - 1], json.dumps(line), *log[number:]]


@pytest.mark.parametrize("settings", MODES, ids=str)
@pytest.mark.parametrize("seed", range(2))
def test_p8_what_both_ends_did_in_a_storm_is_replayed(seed: int, settings: dict[str, Any]) -> None:
    recording = Recording(**settings)
    storm(seed, recording)

    assert sorted(recording.logs) == ["C1", "C2", "S"]
    for name, log in recording.logs.items():
        result = replay(log)
        assert result.difference is None, f"seed {seed}, {name}: {result.difference}"
        assert result.machines >= (2 if name == "S" else 1)
        assert result.steps + result.machines == len(log) > 50


@pytest.mark.parametrize("seed", [1])
def test_p8_every_machine_of_a_simulated_world_is_replayed(seed: int) -> None:
    """More of them: `python -m tests.testing.replay_worlds`."""
    recording = Recording(redact=seed % 2 == 0)
    World(seed, new_recorder=recording).run()

    for name, log in recording.logs.items():
        result = replay(log)
        assert result.difference is None, f"seed {seed}, {name}: {result.difference}"


def test_p8_recording_changes_nothing() -> None:
    def bare(seed: int) -> list[str]:
        return storm(seed, record=True).transcript

    for seed, settings in enumerate(MODES[1:3]):
        assert storm(seed, Recording(**settings), record=True).transcript == bare(seed)


def test_p8_frames_are_replayed_whatever_wire_brought_them() -> None:
    recording = Recording()
    storm(
        5,
        recording,
        new_client_wire=client_wire,
        new_server_wire=server_wire,
    )

    for log in recording.logs.values():
        assert replay(log).difference is None


def test_p8_the_bytes_of_a_websocket_server_are_replayed_and_those_of_a_client_are_not() -> None:
    """The client's key and masks are wsproto's own: they come from the system."""
    recording = Recording(redact=False, level="bytes")
    storm(
        5,
        recording,
        new_client_wire=client_wire,
        new_server_wire=server_wire,
    )

    server = replay(recording.logs["S"], new_wire=server_wire)
    assert server.difference is None
    client = replay(recording.logs["C1"], new_wire=client_wire)
    assert client.difference is not None


def test_i10_a_machine_that_depends_on_the_order_of_a_set_is_found() -> None:
    """Frames of subscriptions in another order than then: the first of them is named."""

    class Disordered(ClientSession):
        def next_frame(self, link: int, *, now: float) -> Frame | None:
            # As iterating over a set would, in a process with another hash seed.
            self._subscriptions = dict(reversed(self._subscriptions.items()))
            return super().next_frame(link, now=now)

    log: list[str] = []
    session = Recorder(log.append).client(Config(), rng=Random(1))
    for name in ("a", "b", "c"):
        session.subscribe(name, now=1.0)
    session.start(now=1.0)
    session.poll_command()
    session.handle_link_opened(1, now=1.5)
    frames = [session.next_frame(1, now=1.5) for _ in range(5)]

    assert frames[-1] is None
    assert replay(log).difference is None
    result = replay(log, new_client=Disordered)
    assert result.line is not None
    assert '"Subscribe"' in log[result.line - 1]
    assert result.difference is not None
    assert f"line {result.line}: it gives " in result.difference
    assert '"channel":"c"' in result.difference


def test_i10_a_hub_that_names_epochs_otherwise_is_found() -> None:
    class Renaming(Hub):
        def new_epoch(self) -> str:
            return super().new_epoch()[::-1]

    recording = Recording()
    storm(1, recording)

    assert replay(recording.logs["S"]).difference is None
    result = replay(recording.logs["S"], new_hub=Renaming)
    assert result.difference is not None
    assert "it gives" in result.difference


def test_one_changed_byte_of_an_output_is_found_and_its_line_is_named() -> None:
    log = short_log(redact=False)
    number = 1 + next(i for i, line in enumerate(log) if '"Hello"' in line)
    damaged = [*log[: number - 1], log[number - 1].replace("token-1", "token-2"), *log[number:]]

    result = replay(damaged)

    assert (result.line, result.steps, result.machines) == (number, number - 2, 1)
    assert result.difference is not None
    assert result.difference.startswith(f"line {number}: it gives ")
    assert result.difference.endswith(damaged[number - 1])


def test_a_replay_that_raises_where_nothing_was_raised_differs_and_the_other_way() -> None:
    log = short_log()
    twice = [*log[:3], log[2], *log[3:]]
    assert (replay(twice).difference or "").startswith("line 4: it raised InvalidState, then None")

    assert replay(changed(twice, 4, raised="InvalidState")).difference is None
    late = changed(log, 3, raised="InvalidState")
    assert (replay(late).difference or "").startswith("line 3: it raised None, then InvalidState")


def test_what_is_drawn_too_much_too_little_or_instead_differs() -> None:
    log = short_log()
    number = 1 + next(i for i, line in enumerate(log) if '"drew"' in line)

    less = replay(changed(log, number, drew=None))
    assert (less.difference or "").startswith(f"line {number}: it draws a random, then []")
    other = replay(changed(log, number, drew=[["token", "t"]]))
    assert (other.difference or "").startswith(f'line {number}: it draws a random, then [["token"')
    more = replay(changed(log, 2, drew=[["random", 0.5]]))
    assert (more.difference or "").startswith('line 2: it doesn\'t draw [["random",0.5]]')
    first = replay(changed(log, 1, drew=[["random", 0.5]]))
    assert (first.line, first.steps) == (1, 0)


def test_a_long_difference_is_cut_short_but_its_line_is_whole() -> None:
    log: list[str] = []
    session = Recorder(log.append, redact=False).client(Config(), rng=Random(1))
    session.publish("a", b"x" * 1000, False, now=1.0)
    session.next_ready()

    result = replay(changed(log, 2, out={"text": "y" * 1000}))

    assert result.difference is not None
    assert "y" * 1000 in result.difference
    assert "…" in result.difference


def test_a_log_may_tell_of_one_machine_after_another() -> None:
    log = short_log()

    assert replay(log * 3) == Replay(steps=3 * (len(log) - 1), machines=3)


@pytest.mark.parametrize("log", [[], (), iter(())])
def test_a_log_without_a_line_is_none(log: Any) -> None:
    """Else a file that was never written would pass for one that came out the same."""
    with pytest.raises(InvalidLog, match="the log is empty; give the lines"):
        replay(log)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "line 2 can't be replayed"),
        ("[" * 100_000, "line 2 can't be replayed"),
        ("7", "line 2 can't be replayed: it is no JSON object"),
        ("{}", "line 2 can't be replayed: None is no call"),
        ('{"do":"_finish"}', "line 2 can't be replayed: '_finish' is no call"),
        ('{"do":"next_message","with":[{"reader":1}]}', "line 2 can't be replayed"),
        ('{"do":"publish","with":[{"unknown":"set"}]}', "{'unknown': 'set'} can't be read"),
        ('{"do":"receive_frame","with":[1,{"is":"Ack","id":1}]}', "Ack can't be read"),
    ],
)
def test_what_no_recorder_has_written_is_said_to_be_no_log(line: str, words: str) -> None:
    with pytest.raises(InvalidLog) as fault:
        replay([short_log()[0], line])
    assert words in str(fault.value)


def test_a_log_without_a_header_or_of_another_version_is_refused() -> None:
    log = short_log()
    with pytest.raises(InvalidLog, match="line 1 can't be replayed: there is no header before it"):
        replay(log[1:])
    with pytest.raises(InvalidLog, match="it is of version 2, not 1"):
        replay(changed(log, 1, **{"gapless log": 2}))
    with pytest.raises(InvalidLog, match="the header is incomplete"):
        replay(changed(log, 1, role="proxy"))
    with pytest.raises(InvalidLog, match="the header is incomplete"):
        replay(changed(log, 1, config=None))
    with pytest.raises(InvalidLog, match="wait is"):
        replay(changed(log, 1, wait=-1.0))
    config = {**json.loads(log[0])["config"], "window": 0}
    with pytest.raises(InvalidLog, match=r"Config can't be read: Config\.window"):
        replay(changed(log, 1, config=config))


def test_a_call_with_arguments_that_the_machine_does_not_know_differs() -> None:
    log = short_log()

    result = replay(changed(log, 2, named={"colour": "red"}))

    assert (result.difference or "").startswith("line 2: it raised TypeError, then None")
