"""Export: a session as plain data; what exists is valid, and secrets stay out of sight."""

import copy
import json
import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.config import KIB, Config
from gapless.core.errors import ConfigError
from gapless.core.events import Settled, SettledOutcome
from gapless.core.export import MAX_SESSION, Export, ExportedOutbox, check_room
from gapless.core.history import ENTRY_BYTES
from gapless.core.position import MAX_SEQ, MAX_TOKEN, Position

ENDED = (
    Settled("orders", 2, 4, "accepted", "P0", 1),
    Settled("orders", 6, 6, "refused", "", 0, "full"),
    Settled("orders", 7, 7, "unsent", "", 0),
)
MESSAGES = ((b"\xffsecret", False), ("grüße".encode(), True))
BOX = ExportedOutbox("orders", "P1", 8, 3, 1, MESSAGES, ENDED)
EXPORT = Export("@s1", "token-1", (("news", Position("E1", 7)), ("@me", Position("E2", 0))), (BOX,))


def data(**changes: object) -> dict[str, Any]:
    """The dictionary of an export, with changes."""
    return {**EXPORT.to_dict(), **changes}


def box(**changes: object) -> dict[str, Any]:
    """The same, with changes in its outbox."""
    (table,) = data()["outboxes"]
    return data(outboxes=[{**table, **changes}])


def word(**changes: object) -> dict[str, Any]:
    """The same, with changes in the second of three words of how messages ended."""
    (table,) = data()["outboxes"]
    first, second, third = table["ended"]
    return box(ended=[first, {**second, **changes}, third])


NUMBERS = st.sets(st.integers(1, 40), max_size=6).map(sorted)
ENDINGS: st.SearchStrategy[SettledOutcome] = st.sampled_from(
    ("accepted", "refused", "unknown", "unsent")
)


@st.composite
def exported_outboxes(draw: st.DrawFn) -> ExportedOutbox:
    """Any that a session could hold of `orders`."""
    numbers = draw(NUMBERS)
    ended = tuple(
        Settled("orders", first, last, draw(ENDINGS), draw(st.sampled_from(["", "P0"])), 3, "why")
        for first, last in zip(numbers[::2], numbers[1::2], strict=False)
    )
    messages = draw(
        st.lists(
            st.tuples(st.binary(max_size=5), st.just(False))
            | st.tuples(st.text(max_size=5).map(str.encode), st.just(True)),
            max_size=5,
        )
    )
    first, seq = draw(st.integers(41, 2**50)), draw(st.integers(1, 10))
    sent = draw(st.integers(0, len(messages)))
    return ExportedOutbox("orders", "P1", first, seq, sent, tuple(messages), ended)


class TestPlainData:
    def test_what_is_written_is_read_again(self) -> None:
        assert Export.from_dict(EXPORT.to_dict()) == EXPORT

    def test_it_is_what_msgpack_can_store(self) -> None:
        stored = msgspec.msgpack.encode(EXPORT.to_dict())
        assert Export.from_dict(msgspec.msgpack.decode(stored)) == EXPORT

    def test_text_is_text_bytes_are_base64_and_a_position_is_a_word(self) -> None:
        written: Any = EXPORT.to_dict()
        assert written["positions"] == {"news": "E1:7", "@me": "E2:0"}
        assert written["outboxes"][0]["messages"] == [["/3NlY3JldA=="], "grüße"]

    def test_a_session_hears_once_how_what_it_was_brought_has_ended(self) -> None:
        """Word that was taken here comes before what was not."""
        bare = replace(EXPORT, outboxes=(replace(BOX, ended=ENDED[1:]),))
        assert bare.with_ended(ENDED[:1]) == EXPORT
        assert EXPORT.with_ended([]) == EXPORT
        for wrong in (ENDED[2], replace(ENDED[0], channel="other")):
            with pytest.raises(ConfigError, match=r"Export\.ended"):
                bare.with_ended([wrong])

    def test_of_a_session_that_never_began_there_is_little(self) -> None:
        empty = Export(None, None)
        assert Export.from_dict(empty.to_dict()) == empty
        assert empty.position("news") is None

    def test_a_position_is_found_by_its_channel(self) -> None:
        assert EXPORT.position("news") == Position("E1", 7)

    def test_repr_shows_neither_token_nor_payload(self) -> None:
        shown = f"{EXPORT!r} {BOX}"
        assert "orders" in shown
        for secret in ("token-1", "secret", "grüße", repr("grüße".encode())):
            assert secret not in shown

    def test_it_counts_its_payload(self) -> None:
        assert BOX.size == len(b"\xffsecret") + len("grüße".encode())

    @given(exported_outboxes(), st.dictionaries(st.sampled_from("abc@"), st.integers(0, MAX_SEQ)))
    def test_any_export_survives_being_stored(
        self, outbox: ExportedOutbox, taken: dict[str, int]
    ) -> None:
        """As JSON, by the standard library and by msgspec, and as msgpack."""
        places = tuple((channel, Position("E1", seq)) for channel, seq in taken.items())
        export = Export("@s", "t", places, (outbox,))
        plain = export.to_dict()
        assert Export.from_dict(json.loads(json.dumps(plain))) == export
        assert Export.from_dict(msgspec.json.decode(msgspec.json.encode(plain))) == export
        assert Export.from_dict(msgspec.msgpack.decode(msgspec.msgpack.encode(plain))) == export


class TestHostile:
    """I21 of a file: a `ConfigError` that names the field, and nothing else."""

    @pytest.mark.parametrize("name", ["version", "session", "token", "positions", "outboxes"])
    def test_a_field_that_is_missing_is_named(self, name: str) -> None:
        table = data()
        del table[name]
        with pytest.raises(ConfigError, match=f"Export.{name} is missing"):
            Export.from_dict(table)

    @pytest.mark.parametrize("name", ["epoch", "first", "seq", "sent", "messages", "ended"])
    def test_a_field_of_an_outbox_that_is_missing_is_named(self, name: str) -> None:
        table = box()
        del table["outboxes"][0][name]
        with pytest.raises(ConfigError, match=f"Export.{name} of channel 'orders' is missing"):
            Export.from_dict(table)

    def test_an_outbox_without_a_channel_is_refused(self) -> None:
        table = box()
        del table["outboxes"][0]["channel"]
        with pytest.raises(ConfigError, match=r"Export\.channel is missing"):
            Export.from_dict(table)

    @pytest.mark.parametrize("name", ["first", "last", "outcome", "epoch", "seq", "code"])
    def test_a_field_of_a_word_that_is_missing_is_named(self, name: str) -> None:
        table = box()
        del table["outboxes"][0]["ended"][1][name]
        words = rf"Export\.{name} in ended of channel 'orders' is missing"
        with pytest.raises(ConfigError, match=words):
            Export.from_dict(table)

    @pytest.mark.parametrize(
        ("table", "name"),
        [
            (None, "data"),
            ([], "data"),
            (data(version=2), "version"),
            (data(version=True), "version"),
            (data(version=[1]), "version"),
            (data(session=7), "session"),
            (data(session=""), "session"),
            (data(session="x" * (MAX_SESSION + 1)), "session"),
            (data(token=b"token"), "token"),
            (data(token=""), "token"),
            (data(token="x" * (MAX_TOKEN + 1)), "token"),
            (data(token="\ud800"), "token"),
            (data(positions=[]), "positions"),
            (data(positions={7: "E1:7"}), "positions"),
            (data(positions={"": "E1:7"}), "positions"),
            (data(positions={"news": "E1"}), "positions"),
            (data(positions={"news": ["E1", 7]}), "positions"),
            (data(positions={"news": "E1:" + "9" * 5000}), "positions"),
            (data(outboxes={}), "outboxes"),
            (data(outboxes=["orders"]), "outboxes"),
            (data(outboxes=[data()["outboxes"][0]] * 2), "outboxes names a channel twice"),
            (box(channel="@me"), "channel"),
            (box(channel=None), "channel"),
            (box(channel="a\nb"), "channel"),
            (box(epoch=""), "epoch"),
            (box(epoch="a b"), "epoch"),
            (box(epoch=7), "epoch"),
            (box(first=0), "first"),
            (box(first=True), "first"),
            (box(first=8.0), "first"),
            (box(first=MAX_SEQ), "first"),
            (box(first="8"), "first"),
            (box(seq=9), "seq"),
            (box(seq=0), "seq"),
            (box(sent=3), "sent"),
            (box(sent=-1), "sent"),
            (box(epoch=None), "sent"),
            (box(messages="text"), "messages"),
            (box(messages=[7]), "messages"),
            (box(messages=[b"a"]), "messages of channel 'orders' is a bytes"),
            (box(messages=[()]), "messages of channel 'orders' has one that is neither"),
            (box(messages=[["YQ==", "YQ=="]]), "messages"),
            (box(messages=[[b"YQ=="]]), "messages"),
            (box(messages=[["YQ"]]), "messages of channel 'orders' has one that is no base64"),
            (box(messages=[["Y Q=="]]), "messages"),
            (box(messages=[["ä==="]]), "messages"),
            (box(messages=["\ud800"]), "messages"),
            (box(messages=[None]), "messages"),
            (box(ended={}), "ended"),
            (box(ended=["accepted"]), "ended"),
            (word(first=4), "ended of channel 'orders' is 4"),
            (word(first=8), "ended"),
            (word(last=5), "ended"),
            (word(last=8), "ended"),
            (word(last=7), "ended of channel 'orders' is 7; it must be 8"),
            (word(outcome="lost"), "ended of channel 'orders' has outcome 'lost'"),
            (word(outcome=["unsent"]), "ended"),
            (word(epoch="a b"), "ended"),
            (word(epoch=None), "ended"),
            (word(seq=-1), "ended"),
            (word(code=7), "ended"),
            (word(code="\ud800"), "ended"),
        ],
    )
    def test_what_can_not_be_is_refused_by_its_name(self, table: object, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"Export\.{name}"):
            Export.from_dict(table)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.binary(max_size=4),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
            max_leaves=8,
        ),
        st.sampled_from(["version", "session", "token", "positions", "outboxes", "", "outbox"]),
    )
    def test_nothing_but_a_config_error_comes_of_it(self, value: object, where: str) -> None:
        table: object = value
        if where == "outbox":
            table = data(outboxes=[value])
        elif where:
            table = data(**{where: value})
        try:
            made = Export.from_dict(table)
        except ConfigError as error:
            words = str(error)
        else:
            words = f"Export.{'' if Export.from_dict(made.to_dict()) == made else '!'}"
        assert re.match(r"Export\.(?!!)", words)

    def test_an_error_is_short_and_shows_no_payload(self) -> None:
        for secret in (["hunter2"] * 2, ["hunter2" * 1000 + "!"], b"hunter2", {"hunter2": 1}):
            with pytest.raises(ConfigError) as raised:
                Export.from_dict(box(messages=[secret]))
            assert "hunter2" not in str(raised.value)
        with pytest.raises(ConfigError) as raised:
            Export.from_dict(box(first="9" * 10_000))
        assert len(str(raised.value)) < 200

    @pytest.mark.parametrize("name", ["first", "seq", "sent"])
    def test_a_number_that_python_does_not_spell_is_refused_like_any_other(self, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"Export\.{name} of .* a number of 16610 bits"):
            Export.from_dict(box(**{name: 10**5000 - 1}))


class TestMadeByHand:
    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"positions": {"news": Position("E1", 7)}}, "positions"),
            ({"positions": (("news",),)}, "positions"),
            ({"positions": (("news", ("E1", 7)),)}, "positions"),
            ({"positions": (("news", Position("", 7)),)}, "positions"),
            ({"positions": (("news", Position("E1", -1)),)}, "positions"),
            ({"positions": (("news", Position("E1", 7)),) * 2}, "positions names a channel twice"),
            ({"outboxes": [BOX]}, "outboxes"),
            ({"outboxes": ("orders",)}, "outboxes"),
        ],
    )
    def test_an_export_that_exists_is_valid(self, changes: dict[str, Any], name: str) -> None:
        with pytest.raises(ConfigError, match=rf"Export\.{name}"):
            replace(EXPORT, **changes)

    @pytest.mark.parametrize(
        "messages", [[(b"m", False)], ((b"m", 0),), ((b"m",),), (("m", True),), ((b"\xff", True),)]
    )
    def test_a_message_is_bytes_and_whether_they_are_text(self, messages: Any) -> None:
        with pytest.raises(ConfigError, match=r"Export\.messages"):
            replace(BOX, messages=messages)

    @pytest.mark.parametrize(
        "ended", [list(ENDED), ("unsent",), (replace(ENDED[0], channel="other"),), ENDED[::-1]]
    )
    def test_word_is_of_that_channel_and_in_order(self, ended: Any) -> None:
        with pytest.raises(ConfigError, match=r"Export\.ended of channel 'orders'"):
            replace(BOX, ended=ended)

    def test_exports_are_values(self) -> None:
        assert hash(EXPORT) == hash(copy.deepcopy(EXPORT))


class TestRoom:
    def test_what_fits_is_no_matter(self) -> None:
        check_room(EXPORT, Config(), 2048)

    @pytest.mark.parametrize(
        ("config", "name"),
        [
            (Config(history_messages=1), "history_messages"),
            (Config(max_message=6), "max_message"),
            (Config(max_message=10, history_bytes=13), "history_bytes"),
        ],
    )
    def test_what_does_not_is_named(self, config: Config, name: str) -> None:
        with pytest.raises(ConfigError, match=f"'orders', more than Config.{name}"):
            check_room(EXPORT, config, 2048)

    def test_channels_and_memory_are_bounded(self) -> None:
        """P3."""
        boxes = tuple(
            ExportedOutbox(f"c{number}", "P1", 1, 1, 0, ((bytes(20 * KIB), False),))
            for number in range(4)
        )
        export = Export("@s", "t", (), boxes)
        with pytest.raises(ConfigError, match=r"4 channels .*max_channels"):
            check_room(export, Config(max_channels=3), 2048)
        size = 4 * (20 * KIB + ENTRY_BYTES + 2048)
        assert sum(outbox.memory for outbox in boxes) == size - 4 * 2048
        config = Config(memory_limit=size, max_message=20 * KIB)
        check_room(export, config, 2048)
        with pytest.raises(ConfigError, match=rf"takes {size} bytes, .*memory_limit"):
            check_room(export, replace(config, memory_limit=size - 1), 2048)
