"""Which test stands for each invariant, testing.md 2.3, and for each bug of others, 2.6.

Names are read as in `test_bad_input_table.py`. Most invariants are asserted after every step of the
stateful test and of the simulator besides, by the `Checker`; here stands the test that is theirs.
"""

import pytest

from .nodes import standing_for

REGRESSIONS = "core/test_field_regressions.py::"
FRAMES = "core/test_bad_frames.py::"
SESSIONS = "core/test_bad_frames_sessions.py::"
CHECKER = "testing/test_checker"
STATEFUL = "core/test_machine.py::TestStory"
SIMULATOR = "simulation/test_simulation.py::test_no_seed_breaks_a_promise"

INVARIANTS = {
    "I1": (STATEFUL, "core/test_receiver.py::TestAnySequence", CHECKER + "_reading.py::test_p1"),
    "I2": (STATEFUL, CHECKER + "_reading.py::test_p2", REGRESSIONS + "TestNothingSilent"),
    "I3": (CHECKER + "_reading.py::test_i3", "core/test_client_regressions.py::TestSetBack"),
    "I4": (CHECKER + "_wire.py::test_i4", CHECKER + "_wire.py::test_p5", FRAMES + "TestRow9Acks"),
    "I5": (
        FRAMES + "TestRow9Acks",
        "core/test_outbox.py::TestAccepted::test_an_ack_beyond_what_was_sent_is_a_violation",
        "transports/test_codec.py::TestRow8Integers",
    ),
    "I6": (FRAMES + "TestI6Duplicates", "core/test_receiver.py::TestDuplicatesAndGaps"),
    "I7": (FRAMES + "TestRow7Jumps", "core/test_receiver.py::TestDuplicatesAndGaps"),
    "I8": (
        CHECKER + ".py::test_p3",
        "core/test_credit.py::test_held_is_at_most_the_window_and_one_batch",
        "core/test_receiver.py::test_what_is_held_is_charged_to_the_byte",
    ),
    "I9": (
        "transports/test_bad_inputs.py::test_i9",
        "transports/test_endpoint.py::TestManyThatClose::test_i9",
        "core/test_hub_regressions.py::TestTheWorkOfAnAck",
    ),
    "I10": (
        "core/test_transcripts.py::test_p8",
        "testing/test_pair.py::test_p8",
        "simulation/test_simulation.py::test_p8",
    ),
    "I11": ("transports/test_chunking.py::test_p9", "core/test_transcripts.py::test_p9"),
    "I12": (
        "core/test_timers.py",
        "transports/test_endpoint_endings.py::TestTime::test_i12",
        CHECKER + ".py::test_i12",
    ),
    "I13": (
        SESSIONS + "TestI13OldLinks",
        "core/test_hub.py::TestVerdicts::test_i13",
        "core/test_session.py::TestLinks::test_i13",
    ),
    "I14": (
        SESSIONS + "TestRow12To14Resuming",
        "core/test_tokens.py::TestNeverLockedOut",
        "core/test_hub.py::TestVerdicts::test_p7",
    ),
    "I15": (CHECKER + "_reading.py::test_i15", REGRESSIONS + "TestPositions"),
    "I16": (REGRESSIONS + "TestCountsAgree", "core/test_session.py::TestIds::test_i16"),
    "I17": (STATEFUL, SIMULATOR, "testing/test_pair.py::test_i17"),
    "I18": (
        "core/test_backoff.py",
        SESSIONS + "TestRow30Storms",
        "core/test_reconnector.py::TestAfterwards::test_i18",
    ),
    "I19": ("core/test_heartbeat.py", SESSIONS + "TestRow33Clocks::test_i19"),
    "I20": (
        "core/test_dialer.py::TestClosing::test_i20",
        SESSIONS + "TestRow34Applications::test_i20",
        CHECKER + ".py::test_i20",
    ),
    "I21": ("transports/test_hostile.py::test_i21",),
    "I22": ("core/test_publishing.py::TestPublishing", CHECKER + ".py::test_i22"),
}

LEAST = (
    7,
    11,
    5,
    13,
    11,
    6,
    8,
    6,
    5,
    3,
    6,
    10,
    4,
    6,
    6,
    6,
    3,
    16,
    10,
    6,
    5,
    2,
)
"""How many tests stand for each invariant. Fewer: one was deleted or renamed."""

BUGS = {
    "aspnetcore#55575": REGRESSIONS + "TestCountsAgree::test_aspnetcore_55575",
    "aspnetcore#50409": REGRESSIONS + "TestResuming::test_aspnetcore_50409",
    "aspnetcore#69283": REGRESSIONS + "TestPositions::test_aspnetcore_69283",
    "aspnetcore#67311, #67409, #68008": REGRESSIONS + "TestResuming::test_aspnetcore_67311",
    "socket.io#5538, #4888": REGRESSIONS + "TestResuming::test_socketio_5538_and_4888",
    "socket.io#5282": REGRESSIONS + "TestResuming::test_socketio_5282",
    "socket.io#5539": REGRESSIONS + "TestCountsAgree::test_socketio_5539",
    "socket.io#4880": REGRESSIONS + "TestResuming::test_socketio_4880",
    "centrifuge-go#159, #160, js#434": REGRESSIONS + "TestPositions::test_centrifuge_go_160",
    "centrifuge-dart#142": REGRESSIONS + "TestPositions::test_centrifuge_dart_142",
    "centrifuge-js#393": REGRESSIONS + "TestNothingSilent::test_centrifuge_js_393",
    "centrifuge-js#385": REGRESSIONS + "TestPositions::test_centrifuge_js_385_and_434",
    "aioxmpp#67": REGRESSIONS + "TestCountsAgree::test_aioxmpp_67",
    "Openfire#927": REGRESSIONS + "TestCountsAgree::test_openfire_927",
    "Openfire h < 0": "transports/test_codec.py::TestRow8Integers::test_row_8",
    "aioxmpp#253": REGRESSIONS + "TestNothingSilent::test_aioxmpp_253",
    "SignalR#2991": REGRESSIONS + "TestNothingSilent::test_signalr_2991",
}


def test_there_are_22_invariants() -> None:
    assert list(INVARIANTS) == [f"I{number}" for number in range(1, len(LEAST) + 1)]
    assert len(INVARIANTS) == 22


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_an_invariant_has_its_tests(invariant: str) -> None:
    found = set[str]()
    for name in INVARIANTS[invariant]:
        assert standing_for(f"tests/{name}"), f"{invariant}: no test {name}"
        found.update(standing_for(f"tests/{name}"))
    least = LEAST[list(INVARIANTS).index(invariant)]
    assert len(found) >= least, f"{invariant}: {len(found)} tests, not {least}"


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_of_others_has_its_test(bug: str) -> None:
    assert standing_for(f"tests/{BUGS[bug]}"), f"{bug}: no test {BUGS[bug]}"
