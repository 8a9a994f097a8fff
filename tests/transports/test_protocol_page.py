"""docs/protocol.md tells the truth: its frames decode, its tables are those of the code."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from gapless.core.closing import CLOSE_CLASSES, STATUS_CLASSES, CloseClass, Code
from gapless.core.config import Config
from gapless.core.credit import MESSAGE_CHARGE, Credit
from gapless.core.frames import Frame, Outcome, Subscribed
from gapless.core.greeting import MAX_BEFORE_WELCOME, MAX_HELLO
from gapless.core.outbox import BATCH_BYTES, BATCH_MESSAGES
from gapless.core.position import MAX_SEQ
from gapless.transports import JsonCodec, MsgpackCodec, codec_structs
from gapless.transports.codec import ENVELOPE
from gapless.transports.codec_convert import MAX_BATCH_BYTES
from gapless.transports.handshake import MAX_HEAD, MAX_HEADERS

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPOKEN = re.compile(r"(?:C→S|S→C) (.+)")
TWINS = (*get_args(codec_structs.Base64Twin),)


def lines(language: str) -> list[str]:
    """All lines of the page's blocks in a language."""
    bodies = [body for name, body in BLOCK.findall(PAGE) if name == language]
    return [line for body in bodies for line in body.splitlines() if line]


def section(title: str) -> str:
    """What stands under a heading of the third level, up to the next heading."""
    found = re.search(rf"^### {title}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the page has no section {title!r}"
    return found[1]


EXAMPLES = lines("json")
SPOKEN_FRAMES = [found[1] for line in lines("text") if (found := SPOKEN.fullmatch(line))]


@pytest.mark.parametrize("line", dict.fromkeys(EXAMPLES + SPOKEN_FRAMES))
def test_a_frame_on_the_page_is_what_the_codec_writes(line: str) -> None:
    frame = JsonCodec().decode(line.encode())

    assert JsonCodec().encode(frame).decode() == line


def test_every_frame_every_outcome_and_both_payload_types_have_an_example() -> None:
    frames = [JsonCodec().decode(line.encode()) for line in EXAMPLES]
    outcomes = {type(frame.outcome) for frame in frames if isinstance(frame, Subscribed)}
    tags = {str(msgspec.json.decode(line)["type"]) for line in EXAMPLES}

    assert {type(frame) for frame in frames} == set(get_args(Frame))
    assert outcomes == set(get_args(Outcome))
    assert tags == {twin.__struct_config__.tag for twin in TWINS}


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: str(twin.__struct_config__.tag))
def test_the_members_of_a_frame_stand_in_their_order(twin: type[msgspec.Struct]) -> None:
    rows = re.findall(
        r"^\| (\d+) \| `(\w+)` \| (.*?) \|", section(str(twin.__struct_config__.tag)), re.MULTILINE
    )
    fields = msgspec.structs.fields(twin)

    assert [name for _, name, _ in rows] == [field.name for field in fields]
    assert [int(number) for number, _, _ in rows] == list(range(1, len(fields) + 1))
    optional = [field.name for field in fields if not field.required]
    assert [name for _, name, value in rows if value.endswith("or null")] == optional


def test_the_hex_of_a_frame_is_what_msgpack_writes() -> None:
    (written,) = [line for line in lines("text") if re.fullmatch(r"[0-9a-f ]+", line)]
    before = PAGE[: PAGE.index(written)]
    shown = [body for name, body in BLOCK.findall(before) if name == "json"][-1]

    assert MsgpackCodec().encode(JsonCodec().decode(shown.encode())) == bytes.fromhex(written)


def test_the_close_codes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d{4}) \| `(\w+)` \| ([a-z ]+) \|", PAGE, re.MULTILINE)

    assert {(int(number), name, kind) for number, name, kind in rows} == {
        (code.value, code.name, CLOSE_CLASSES.get(code, CloseClass.RESUME).value) for code in Code
    }
    assert len(rows) == len(Code)


def test_the_statuses_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d{3}) \| ([a-z ]+) \|$", PAGE, re.MULTILINE)

    assert {int(status): kind for status, kind in rows} == {
        status: kind.value for status, kind in STATUS_CLASSES.items()
    }


def test_every_class_is_explained() -> None:
    for kind in CloseClass:
        assert re.search(rf"^\| {kind.value} \| .+ \|$", PAGE, re.MULTILINE), kind


@pytest.mark.parametrize(
    ("what", "most"),
    [
        ("payloads in a data frame", f"{BATCH_MESSAGES}, and at least 1"),
        ("bytes of payload in a data frame of several messages", f"{BATCH_BYTES}"),
        ("bytes of `hello`, which is a client's first frame", f"{MAX_HELLO}"),
        ("bytes of all frames a client sends before `welcome`", f"{MAX_BEFORE_WELCOME}"),
        ("characters of a session token", f"{codec_structs.MAX_TOKEN}, and at least 1"),
        ("characters of credentials", f"{codec_structs.MAX_CREDENTIALS}"),
        ("characters of a session id", f"{codec_structs.MAX_SESSION}, and at least 1"),
        ("characters of a reason or a code in words", f"{codec_structs.MAX_WORDS}"),
        ("seq of the last message of a batch", f"{MAX_SEQ}"),
        ("bytes of a msgpack frame", f"max({MAX_BATCH_BYTES}, `max_message`) + {ENVELOPE}"),
        ("bytes of a JSON frame", f"6 times max({MAX_BATCH_BYTES}, `max_message`) + {ENVELOPE}"),
    ],
)
def test_a_size_is_that_of_the_code(what: str, most: str) -> None:
    assert f"\n| {what} | {most} |" in PAGE


def test_the_limits_of_the_handshake_are_those_of_the_code() -> None:
    assert f"a head above {MAX_HEAD:,} bytes" in PAGE
    assert f"more than {MAX_HEADERS} headers" in PAGE


def test_the_worked_example_of_credit_adds_up() -> None:
    table = PAGE[PAGE.index("\nA worked example: a window") :]
    rows = re.findall(r"^\| .+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", table, re.MULTILINE)
    frame = BATCH_MESSAGES * (100 + MESSAGE_CHARGE)
    credit = Credit(Config().window)
    sent = held = 0
    limit = credit.restart(0)
    expected = [(sent, sent, held, limit)]

    for frames, taken in ((15, 0), (1, 0), (0, 4), (4, 0)):
        for _ in range(frames):
            assert sent < limit, "the sender may start another"
            assert credit.receive(frame)
            sent, held = sent + frame, held + frame
        if taken:
            held -= taken * frame
            limit = credit.announce(held)
        expected.append((sent, sent, held, limit))

    assert [tuple(map(int, row)) for row in rows] == expected
    assert sent >= limit, "and here it stops"
