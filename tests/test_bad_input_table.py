"""The list of bad inputs, testing.md 3.2: which tests stand for each of its 35 rows.

A name stands for the test, or for all tests of that file or class, or whose name goes on with an
underscore; `LEAST` says how many there are at least, so that none of them goes unseen. What a row
asks of parts that don't exist yet is said, with where it will come.
"""

import re
from dataclasses import dataclass

import pytest

from .nodes import nodes, standing_for


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the list.

    Attributes:
        what: the bad input.
        tests: what stands for it, from `tests/` on.
        later: what isn't tested, because it isn't there, and where it will come.
    """

    what: str
    tests: tuple[str, ...] = ()
    later: str = ""


INPUTS = "transports/test_bad_inputs.py::"
FRAMES = "core/test_bad_frames.py::"
SESSIONS = "core/test_bad_frames_sessions.py::"
SERVER = "transports/test_handshake_server.py::"
CLIENT = "transports/test_handshake_client.py::"
WEBSOCKET = "transports/test_websocket.py::"
ENDPOINT = "transports/test_endpoint_endings.py::"
CODEC = "transports/test_codec.py::"
MEMORY = "transports/test_memory.py::"
HOSTILE = "transports/test_hostile.py::"
ADAPTER = "adapters/test_asyncio_"

ROWS = {
    1: Row(
        "decompression bomb",
        (INPUTS + "TestRow1And2Compression::test_row_1",),
        "compression is off and never agreed to; a cap while inflating comes with it",
    ),
    2: Row(
        "bad window bits, extension parameters",
        (
            INPUTS + "TestRow1And2Compression::test_row_2",
            SERVER + "TestAccepted::test_row_2",
            CLIENT + "TestRow28Refused::test_row_2_and_28",
            HOSTILE + "test_i21_a_mutated_request",
            HOSTILE + "test_i21_a_mutated_answer",
        ),
    ),
    3: Row(
        "endless continuation",
        (
            INPUTS + "TestRow3And4Fragments::test_row_3",
            WEBSOCKET + "TestDeadlines::test_row_3",
            ENDPOINT + "TestTime::test_row_3",
        ),
    ),
    4: Row(
        "tiny and empty fragments, reads of one byte",
        (INPUTS + "TestRow3And4Fragments::test_row_4",),
        "per-part overhead charged to a budget: MemoryBudget, issue 3",
    ),
    5: Row(
        "huge or overflowing length",
        (INPUTS + "TestRow5Lengths::test_row_5", MEMORY + "test_row_5"),
    ),
    6: Row(
        "flood of control frames",
        (
            INPUTS + "TestRow6Controls",
            WEBSOCKET + "TestPings::test_row_6",
            "core/test_link.py::TestPings::test_of_many_pings_only_the_latest_is_answered",
        ),
    ),
    7: Row("number far ahead", (FRAMES + "TestRow7Jumps",)),
    8: Row(
        "number that is none",
        (
            CODEC + "TestRow8Integers",
            "core/test_field_regressions.py::TestPositions::test_aspnetcore_69283",
            "core/test_position.py::TestPosition::test_what_is_no_position_is_refused",
        ),
    ),
    9: Row(
        "ack beyond what was sent, back, for another; a flood of them",
        (FRAMES + "TestRow9Acks", "core/test_hub_regressions.py::TestTheWorkOfAnAck"),
    ),
    10: Row("resume from the future, the past, another epoch", (FRAMES + "TestRow10Positions",)),
    11: Row(
        "guessing a token",
        (
            SESSIONS + "TestRow11Guessing",
            "core/test_tokens.py::TestSecrecy",
            ADAPTER + "connect.py::test_connecting_gives_a_session_with_an_id_and_a_secret",
        ),
        "a limit to how often one may guess: nothing counts tries by address yet",
    ),
    12: Row(
        "stolen session, another principal",
        (
            SESSIONS + "TestRow12To14Resuming::test_row_12",
            "core/test_field_regressions.py::TestResuming::test_aspnetcore_67311",
            ADAPTER + "resume.py::test_a_session_token_of_another_principal_is_no_use",
        ),
    ),
    13: Row("session chosen by the client", (SESSIONS + "TestRow12To14Resuming::test_row_13",)),
    14: Row("another version at resume", (SESSIONS + "TestRow12To14Resuming::test_row_14",)),
    15: Row(
        "odd ids",
        (
            FRAMES + "TestRow15Names",
            CODEC + "TestMalformed",
            CODEC + "TestRow20Json::test_row_15",
            "core/test_position.py::TestChannelNames",
        ),
    ),
    16: Row(
        "takeover war",
        (
            SESSIONS + "TestRow16TakeoverWar",
            "core/test_reconnector.py::TestAfterwards::test_being_fenced_is_a_failure",
            ADAPTER + "resume.py::test_the_newest_connection_takes_a_session_over",
        ),
    ),
    17: Row(
        "memory parked without a verdict or a link",
        (
            SESSIONS + "TestRow17Parking",
            INPUTS + "TestRow5Lengths::test_row_17",
            MEMORY + "test_row_17",
            "core/test_greeting.py::TestGreeting::test_all_together_is_at_most_64_kib",
            "core/test_greeting.py::TestReception::test_only_so_many_may_wait_at_once",
            ADAPTER + "resume.py::test_a_session_without_a_link_is_forgotten_after_its_lease",
        ),
        "bytes of all sessions together, the oldest let go first: MemoryBudget, issue 3",
    ),
    18: Row(
        "slow reader, slow writer, no acks",
        (
            FRAMES + "TestRow18Stalls",
            "core/test_channel_pins.py::TestPatience",
            ADAPTER + "server.py::test_a_publish_waits_for_the_reader_that_pins",
            ADAPTER + "publish.py::test_a_full_channel_waits_for_its_reader",
        ),
    ),
    19: Row(
        "claims of what will follow",
        (FRAMES + "TestRow19Claims", CODEC + "TestRow20Json::test_lengths_that_lie"),
    ),
    20: Row(
        "nesting, huge numbers, double keys, NaN, surrogates",
        (
            CODEC + "TestRow20Json",
            CODEC + "TestRow8Integers",
            CODEC + "TestForms::test_of_a_member_given_twice_the_last_counts",
            INPUTS + "TestRow20And21Text::test_row_20",
        ),
    ),
    21: Row(
        "handshake that never ends",
        (
            SERVER + "TestRow21Slow::test_row_21",
            WEBSOCKET + "TestDeadlines::test_row_21",
            "core/test_greeting.py::TestReception::test_who_is_not_welcomed_in_time",
            "core/test_greeting.py::TestReception::test_only_so_many_may_wait_at_once",
            ADAPTER + "tls.py::test_a_handshake_that_never_ends",
        ),
        "a POST that is left open: the SSE transport's issue",
    ),
    22: Row(
        "storm of headers, quadratic work",
        (
            SERVER + "TestRefused::test_row_22",
            CLIENT + "TestRow28Refused::test_row_22",
            INPUTS + "test_i9_work_is_linear_in_the_frames",
        ),
    ),
    23: Row("request smuggling", (SERVER + "TestRefused::test_row_23",)),
    24: Row(
        "injection by our own API's values",
        (
            CLIENT + "TestRequest::test_row_24",
            "adapters/test_dialing.py::test_what_is_no_websocket",
        ),
        "Last-Event-ID: the SSE transport's issue",
    ),
    25: Row("SSE field injection", later="there is no SSE transport yet: its own issue"),
    26: Row("SSE line without end", later="there is no SSE reader yet: its own issue"),
    27: Row(
        "cross-site WebSocket, DNS rebinding",
        (
            "transports/test_origin.py",
            SERVER + "TestRow27Origin::test_row_27",
            "adapters/test_cli_exits.py::test_a_public_address_is_refused_otherwise",
        ),
    ),
    28: Row(
        "odd answers to the client's handshake",
        (
            CLIENT + "TestAccepted::test_row_28",
            CLIENT + "TestRow28Refused",
            CLIENT + "TestStatus::test_row_28",
        ),
    ),
    29: Row(
        "abuse of close",
        (INPUTS + "TestRow29Closes", WEBSOCKET + "TestClosing::test_row_29"),
    ),
    30: Row(
        "storm of retries by a server's choice",
        (
            SESSIONS + "TestRow30Storms",
            SESSIONS + "test_row_30",
            CLIENT + "TestStatus::test_row_30",
            "core/test_backoff.py::test_a_servers_hint_is_clamped_and_spread",
        ),
    ),
    31: Row(
        "log injection, secrets in logs",
        (
            INPUTS + "TestRow20And21Text::test_row_31",
            CODEC + "TestWriting::test_row_31",
            SERVER + "TestRow27Origin::test_row_31",
            "core/test_frames.py::test_tokens_and_credentials_do_not_show",
            "adapters/test_errors.py::test_what_a_peer_wrote_is_escaped",
            "adapters/test_dialing.py::test_credentials_in_a_url_are_refused_and_not_repeated",
            "adapters/test_cli_console.py::test_no_message_steers_a_terminal",
            "adapters/test_cli_position_file.py::test_the_token_is_not_in_its_repr",
        ),
    ),
    32: Row(
        "TLS that proves nothing",
        (
            ADAPTER + "tls.py::test_a_certificate_that_nobody_trusts_is_final",
            ADAPTER + "tls.py::test_a_certificate_for_another_name_is_final_too",
            "adapters/test_dialing.py::test_tls_settings_verify_by_default_and_fit_the_url",
            "adapters/test_dialing.py::test_a_name_that_old_rules_read_as_another_is_refused",
        ),
        "anyio >= 4.14.2: the anyio adapter's issue",
    ),
    33: Row(
        "jumps of the clock, suspended host",
        (
            SESSIONS + "TestRow33Clocks",
            "core/test_heartbeat.py::test_a_host_that_slept",
            "core/test_session.py::TestLinks::test_time_never_runs_back",
        ),
    ),
    34: Row(
        "applications that raise, cancel, come back, block",
        (
            SESSIONS + "TestRow34Applications",
            "core/test_field_regressions.py::TestPositions::test_centrifuge_dart_142",
            ADAPTER + "subscribe.py::test_a_cancelled_wait_takes_nothing_whenever",
            ADAPTER + "subscribe.py::test_an_exception_of_on_lost_reaches_the_reader",
            ADAPTER + "subscribe.py::test_an_exception_in_the_loop_body",
            ADAPTER + "publish.py::test_publishes_cancelled_at_any_turn",
        ),
    ),
    35: Row(
        "bytes after the end, the end in the middle",
        (
            WEBSOCKET + "TestEnd::test_row_35",
            ENDPOINT + "TestEndings::test_row_35",
            CLIENT + "TestTime::test_row_35",
            SERVER + "TestRow21Slow::test_row_35",
            MEMORY + "test_row_35",
        ),
    ),
}

LEAST = (
    1,
    5,
    5,
    4,
    5,
    7,
    4,
    6,
    9,
    2,
    5,
    4,
    1,
    1,
    12,
    3,
    7,
    15,
    3,
    17,
    8,
    7,
    3,
    6,
    0,
    0,
    14,
    11,
    10,
    8,
    9,
    4,
    6,
    8,
    8,
)
"""How many tests stand for each row, from the first on. Fewer: one was deleted or renamed."""

_NUMBERS = re.compile(r"(?<=row_)\d+(?:_and_\d+)*(?=_|$)")


def test_there_are_35_rows_in_their_order() -> None:
    assert list(ROWS) == list(range(1, len(LEAST) + 1)) == list(range(1, 36))


@pytest.mark.parametrize("number", ROWS)
def test_a_row_has_a_test_or_a_reason(number: int) -> None:
    row = ROWS[number]

    assert row.tests or row.later
    found = set[str]()
    for name in row.tests:
        assert standing_for(f"tests/{name}"), f"row {number}, {row.what}: no test {name}"
        found.update(standing_for(f"tests/{name}"))
    least = LEAST[number - 1]
    assert len(found) >= least, f"row {number}, {row.what}: {len(found)} tests, not {least}"


def test_a_test_named_after_a_row_stands_for_it() -> None:
    found = {
        (int(number), node)
        for node in nodes()
        for named in _NUMBERS.findall(node.rpartition("::")[2])
        for number in named.split("_and_")
    }
    listed = {
        (number, node)
        for number, row in ROWS.items()
        for name in row.tests
        for node in standing_for(f"tests/{name}")
    }

    assert sorted(found - listed) == []
