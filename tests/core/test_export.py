"""Export: a session as plain data; what exists is valid, and secrets stay out of sight."""

import copy
import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.config import KIB, Config
from gapless.core.errors import ConfigError
from gapless.core.export import MAX_SESSION, Export, ExportedOutbox, check_room
from gapless.core.history import ENTRY_BYTES
from gapless.core.position import MAX_SEQ, MAX_TOKEN, Position

BOX = ExportedOutbox("orders", "P1", 8, 3, 1, ((b"\xffsecret", False), ("grüße".encode(), True)))
EXPORT = Export("@s1", "token-1", (("news", Position("E1", 7)), ("@me", Position("E2", 0))), (BOX,))


def data(**changes: object) -> dict[str, Any]:
    """The dictionary of an export, with changes."""
    return {**EXPORT.to_dict(), **changes}


def box(**changes: object) -> dict[str, Any]:
    """The same, with changes in its outbox."""
    (table,) = data()["outboxes"]
    return data(outboxes=[{**table, **changes}])


class TestPlainData:
    def test_what_is_written_is_read_again(self) -> None:
        assert Export.from_dict(EXPORT.to_dict()) == EXPORT

    def test_it_is_what_msgpack_can_store(self) -> None:
        stored = msgspec.msgpack.encode(EXPORT.to_dict())
        assert Export.from_dict(msgspec.msgpack.decode(stored)) == EXPORT

    def test_text_is_text_bytes_are_bytes_and_a_position_is_a_word(self) -> None:
        written: Any = EXPORT.to_dict()
        assert written["positions"] == {"news": "E1:7", "@me": "E2:0"}
        assert written["outboxes"][0]["messages"] == [b"\xffsecret", "grüße"]

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

    @given(
        st.builds(
            ExportedOutbox,
            st.just("orders"),
            st.just("P1"),
            st.integers(10, 2**50),
            st.integers(1, 10),
            st.just(0),
            st.lists(
                st.tuples(st.binary(max_size=5), st.just(False))
                | st.tuples(st.text(max_size=5).map(str.encode), st.just(True)),
                max_size=5,
            ).map(tuple),
        )
    )
    def test_any_outbox_survives_being_stored(self, outbox: ExportedOutbox) -> None:
        export = Export("@s", "t", (), (outbox,))
        stored = msgspec.msgpack.encode(export.to_dict())
        assert Export.from_dict(msgspec.msgpack.decode(stored)) == export


class TestHostile:
    """I21 of a file: a `ConfigError` that names the field, and nothing else."""

    @pytest.mark.parametrize("name", ["version", "session", "token", "positions", "outboxes"])
    def test_a_field_that_is_missing_is_named(self, name: str) -> None:
        table = data()
        del table[name]
        with pytest.raises(ConfigError, match=f"Export.{name} is missing"):
            Export.from_dict(table)

    @pytest.mark.parametrize("name", ["channel", "epoch", "first", "seq", "sent", "messages"])
    def test_a_field_of_an_outbox_that_is_missing_is_named(self, name: str) -> None:
        table = box()
        del table["outboxes"][0][name]
        with pytest.raises(ConfigError, match=f"Export.{name} is missing"):
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
            (box(messages=[["YQ=="]]), "messages"),
            (box(messages=["\ud800"]), "messages"),
            (box(messages=[None]), "messages"),
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
        with pytest.raises(ConfigError) as raised:
            Export.from_dict(box(messages=[["hunter2" * 1000]]))
        assert "hunter2" not in str(raised.value)
        with pytest.raises(ConfigError) as raised:
            Export.from_dict(box(first="9" * 10_000))
        assert len(str(raised.value)) < 200

    @pytest.mark.parametrize("name", ["first", "seq", "sent"])
    def test_a_number_that_python_does_not_spell_is_refused_like_any_other(self, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"Export\.{name} is a number of 16610 bits"):
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
