"""What goes in comes out, what is malformed is refused with its path, and nothing else happens."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core import frames
from gapless.core.closing import Code
from gapless.core.errors import ConfigError
from gapless.core.position import MAX_SEQ, Position
from gapless.transports import Codec, CodecError, JsonCodec, MsgpackCodec
from gapless.transports.codec_structs import MAX_WORDS, Hello, Welcome

from .strategies import any_frame
from .support import codecs

BOTH = pytest.mark.parametrize("codec", codecs(), ids=lambda codec: codec.name)


def packed(*fields: object) -> bytes:
    return msgspec.msgpack.encode(fields)


def refused(codec: Codec, data: bytes) -> CodecError:
    with pytest.raises(CodecError) as caught:
        codec.decode(data)
    assert len(str(caught.value)) < 400
    return caught.value


class TestRoundTrip:
    @BOTH
    @given(frame=any_frame)
    def test_what_is_encoded_is_decoded(self, codec: Codec, frame: frames.Frame) -> None:
        encoded = codec.encode(frame)
        assert codec.decode(encoded) == frame
        assert codec.decode(bytearray(encoded)) == frame
        assert codec.encode(frame) == encoded, "P8: the same frame, the same bytes"

    @BOTH
    def test_a_full_batch_fits_into_max_frame(self, codec: Codec) -> None:
        for payload in (bytes(512), b"\x7f" * 512, "é".encode() * 256, b"\x01" * 512):
            for text in (False, True):
                batch = frames.Data(MAX_SEQ, 1, [payload] * 128, text)
                encoded = codec.encode(batch)
                assert len(encoded) <= codec.max_frame
                assert codec.decode(encoded) == batch

    @pytest.mark.parametrize("max_message", [1, 1024, 64 * 1024, 1024 * 1024])
    def test_one_largest_message_fits_into_max_frame(self, max_message: int) -> None:
        for codec in codecs(max_message):
            batch = frames.Data(MAX_SEQ, MAX_SEQ, [bytes(max_message)], True)
            assert len(codec.encode(batch)) <= codec.max_frame
            assert codec.decode(codec.encode(batch)) == batch

    def test_limits_of_a_frame(self) -> None:
        kib = 1024
        assert MsgpackCodec(1024 * kib).max_frame == (1024 + 64) * kib
        assert MsgpackCodec(1).max_frame == 128 * kib
        assert JsonCodec(1024 * kib).max_frame == (6 * 1024 + 64) * kib
        assert JsonCodec(1).max_frame == (6 * 64 + 64) * kib

    def test_a_codec_says_what_it_is(self) -> None:
        pack, text = MsgpackCodec(), JsonCodec()
        assert (pack.name, pack.subprotocol, pack.is_text) == (
            "msgpack",
            "gapless.v1.msgpack",
            False,
        )
        assert (text.name, text.subprotocol, text.is_text) == ("json", "gapless.v1.json", True)

    @pytest.mark.parametrize("max_message", [0, -1, 2**53])
    def test_a_max_message_out_of_range_is_refused(self, max_message: int) -> None:
        with pytest.raises(ConfigError, match="max_message"):
            MsgpackCodec(max_message)
        with pytest.raises(ConfigError, match="max_message"):
            JsonCodec(max_message)


class TestForms:
    def test_json_is_an_object_by_name(self) -> None:
        encoded = JsonCodec().encode(frames.Subscribe(7, "campaign/42", Position("e1", 5), 262144))
        assert json.loads(encoded) == {
            "type": "subscribe",
            "request": 7,
            "channel": "campaign/42",
            "since": ["e1", 5],
            "limit": 262144,
        }

    def test_msgpack_is_an_array_in_order(self) -> None:
        encoded = MsgpackCodec().encode(frames.Ack(1, 2, 3))
        assert msgspec.msgpack.decode(encoded) == ["ack", 1, 2, 3]

    def test_json_bytes_are_one_element_arrays(self) -> None:
        encoded = json.loads(JsonCodec().encode(frames.Data(1, 1, [b"\x00\xff", b""], False)))
        assert encoded["type"] == "data"
        assert encoded["payloads"] == [[base64.b64encode(b"\x00\xff").decode()], [""]]

    def test_json_text_is_strings(self) -> None:
        encoded = json.loads(JsonCodec().encode(frames.Data(1, 1, ["é".encode()], True)))
        assert encoded["type"] == "text"
        assert encoded["payloads"] == ["é"]

    def test_msgpack_tells_text_from_bytes(self) -> None:
        text = MsgpackCodec().encode(frames.Data(1, 1, [b"a"], True))
        binary = MsgpackCodec().encode(frames.Data(1, 1, [b"a"], False))
        assert msgspec.msgpack.decode(text) == ["text", 1, 1, ["a"]]
        assert msgspec.msgpack.decode(binary) == ["data", 1, 1, [b"a"]]

    def test_optional_members_may_be_null_or_left_out(self) -> None:
        codec = JsonCodec()
        plain = codec.decode(b'{"type":"hello","version":1,"max_message":9}')
        null = codec.decode(
            b'{"type":"hello","version":1,"max_message":9,"token":null,"credentials":null}'
        )
        assert plain == null == frames.Hello(1, None, None, 9)
        assert MsgpackCodec().decode(packed("hello", 1, 9)) == plain

    def test_what_a_reader_does_not_know_is_ignored(self) -> None:
        assert JsonCodec().decode(b'{"new":[{}],"type":"ping","number":1,"sent":2}') == frames.Ping(
            1, 2
        )
        assert MsgpackCodec().decode(packed("ping", 1, 2, {"new": 1})) == frames.Ping(1, 2)

    def test_of_a_member_given_twice_the_last_counts(self) -> None:
        assert JsonCodec().decode(b'{"type":"ping","number":1,"number":3,"sent":2}') == frames.Ping(
            3, 2
        )

    @BOTH
    def test_a_refused_subscription_has_no_epoch(self, codec: Codec) -> None:
        answer = frames.Subscribed(1, 0, "", 0, 0, None, frames.Denied("forbidden"))
        assert codec.decode(codec.encode(answer)) == answer


class TestWriting:
    @BOTH
    @given(reason=st.text(max_size=2 * MAX_WORDS))
    def test_reasons_are_cut_to_what_a_reader_takes(self, codec: Codec, reason: str) -> None:
        shown: list[frames.Frame] = [
            frames.Close(1000, reason, None),
            frames.Ended(1, reason, False),
            frames.Gone(1, 1, 1, reason),
            frames.Refused(1, 1, 1, reason, None),
            frames.Subscribed(1, 1, "e", 1, 1, None, frames.Partial(1, 1, reason)),
            frames.Subscribed(1, 1, "e", 1, 1, None, frames.StartedOver(reason)),
            frames.Subscribed(1, 1, "e", 1, 1, None, frames.Denied(reason)),
        ]
        for frame in shown:
            codec.decode(codec.encode(frame))

    @BOTH
    def test_text_that_is_not_utf8_is_an_error_of_ours(self, codec: Codec) -> None:
        with pytest.raises(CodecError, match="text payload is not UTF-8"):
            codec.encode(frames.Data(1, 1, [b"\xff"], True))

    def test_row_31_no_token_in_a_representation(self) -> None:
        hello = Hello(1, 9, "secret-token", "secret-credentials")
        welcome = Welcome("s", "secret-token", True, 1, 1, 1, 1)
        assert "secret" not in repr(hello) + repr(welcome)
        for codec in codecs():
            data = codec.encode(frames.Hello(1, "secret-token", "secret-credentials", 9))
            assert "secret" not in repr(codec.decode(data))
            assert "secret" not in str(refused(codec, data[:-2]))


BAD_INTEGERS: list[tuple[str, bytes]] = [
    ("-1", b"-1"),
    ("2**53", str(2**53).encode()),
    ("2**63", str(2**63).encode()),
    ("-2**63", str(-(2**63)).encode()),
    ("2**64", str(2**64).encode()),
    ("1.0", b"1.0"),
    ("1e3", b"1e3"),
    ("true", b"true"),
    ("string", b'"1"'),
    ("null", b"null"),
    ("NaN", b"NaN"),
    ("Infinity", b"Infinity"),
    ("5000 digits", b"9" * 5000),
    ("-5000 digits", b"-" + b"9" * 5000),
    ("1e999999", b"1e999999"),
    ("leading zero", b"01"),
    ("object", b"{}"),
    ("array", b"[1]"),
]


class TestRow8Integers:
    @pytest.mark.parametrize(
        "bad", [bad for _, bad in BAD_INTEGERS], ids=[n for n, _ in BAD_INTEGERS]
    )
    def test_row_8_json(self, bad: bytes) -> None:
        for member in (b"id", b"seq", b"limit"):
            frame = {b"id": b"1", b"seq": b"2", b"limit": b"3"} | {member: bad}
            text = b",".join(b'"%s":%s' % pair for pair in frame.items())
            refused(JsonCodec(), b'{"type":"ack",' + text + b"}")

    @pytest.mark.parametrize(
        "bad", [-1, 2**53, 2**63, -(2**63), 1.0, True, "1", None, [], {}, b"1"], ids=repr
    )
    def test_row_8_msgpack(self, bad: object) -> None:
        for place in range(3):
            fields: list[object] = [1, 2, 3]
            fields[place] = bad
            fault = refused(MsgpackCodec(), packed("ack", *fields))
            assert f"$[{place + 1}]" in str(fault), "the path names the field"

    @pytest.mark.parametrize(
        "bad", [b"\xcb\x7f\xf8" + bytes(6), b"\xc7\x08\x01" + bytes(8), b"\xc1"]
    )
    def test_row_8_msgpack_nan_extension_and_reserved(self, bad: bytes) -> None:
        refused(MsgpackCodec(), b"\x94\xa3ack\x01\x02" + bad)

    @BOTH
    def test_the_largest_integer_passes(self, codec: Codec) -> None:
        ack = frames.Ack(MAX_SEQ, MAX_SEQ, MAX_SEQ)
        assert codec.decode(codec.encode(ack)) == ack


BAD_FRAMES: list[tuple[str, tuple[object, ...], str]] = [
    ("no type", (), ""),
    ("unknown type", ("snapshot", 1), ""),
    ("type not a string", (1, 2), ""),
    ("too few fields", ("ack", 1), ""),
    ("first 0", ("data", 1, 0, [b"x"]), ""),
    ("empty batch", ("data", 1, 1, []), ""),
    ("129 payloads", ("data", 1, 1, [b""] * 129), ""),
    ("text in data", ("data", 1, 1, ["x"]), ""),
    ("bytes in text", ("text", 1, 1, [b"x"]), ""),
    ("last above 2**53-1", ("data", 1, MAX_SEQ, [b"", b""]), "first"),
    ("gone backwards", ("gone", 1, 5, 4, "expired"), "last"),
    ("gone from 0", ("gone", 1, 0, 4, "expired"), ""),
    ("refused backwards", ("refused", 1, 5, 4, "no"), "last"),
    ("long reason", ("close", 1000, "x" * 257), ""),
    ("long token", ("hello", 1, 9, "x" * 513), ""),
    ("empty token", ("hello", 1, 9, ""), ""),
    ("long credentials", ("hello", 1, 9, None, "x" * 4097), ""),
    ("long session", ("welcome", "x" * 129, "t", True, 1, 1, 1, 1), ""),
    ("resumed not a bool", ("welcome", "x", "t", 1, 1, 1, 1, 1), ""),
    ("empty channel", ("subscribe", 1, "", "latest", 1), ""),
    ("channel of 256 bytes", ("subscribe", 1, "é" * 128, "latest", 1), "channel"),
    ("channel with a newline", ("subscribe", 1, "a\nb", "latest", 1), "channel"),
    ("channel with a NUL", ("offer", 1, "a\0b", 1), "channel"),
    ("since a word", ("subscribe", 1, "a", "now", 1), ""),
    ("since half a position", ("subscribe", 1, "a", ["e"], 1), ""),
    ("since a bad epoch", ("subscribe", 1, "a", ["e e", 1], 1), "since"),
    ("since an empty epoch", ("subscribe", 1, "a", ["", 1], 1), "since"),
    ("offer with a bad epoch", ("offer", 1, "a", 1, "e:e"), "epoch"),
    ("offered kind", ("offered", 1, "maybe", "e", 1, 1), ""),
    ("offered without epoch", ("offered", 1, "new", "", 1, 1), "epoch"),
    ("subscribed without epoch", ("subscribed", 1, ["live"], 1, "", 1, 1), "epoch"),
    ("subscribed bad epoch", ("subscribed", 1, ["refused", "x"], 1, "é", 1, 1), "epoch"),
    ("outcome unknown", ("subscribed", 1, ["perhaps"], 1, "e", 1, 1), ""),
    ("outcome backwards", ("subscribed", 1, ["partial", 2, 1, "x"], 1, "e", 1, 1), "outcome"),
    ("pin of one", ("subscribed", 1, ["live"], 1, "e", 1, 1, [1]), ""),
]


BAD_MEMBERS: list[tuple[str, object]] = [
    ("payloads", ["QQ=="]),
    ("payloads", [["QQ"]]),
    ("payloads", [["Q Q="]]),
    ("payloads", [["-_-_"]]),
    ("payloads", [[]]),
    ("payloads", [["QQ==", "QQ=="]]),
    ("payloads", [[1]]),
    ("payloads", []),
    ("payloads", {}),
    ("first", 0),
]


class TestMalformed:
    @pytest.mark.parametrize(
        ("fields", "path"), [case[1:] for case in BAD_FRAMES], ids=[case[0] for case in BAD_FRAMES]
    )
    def test_msgpack(self, fields: tuple[object, ...], path: str) -> None:
        fault = refused(MsgpackCodec(), packed(*fields))
        assert fault.code is Code.INVALID_DATA
        if path:
            assert f"$.{path}" in str(fault)

    @pytest.mark.parametrize(("member", "value"), BAD_MEMBERS)
    def test_json_data(self, member: str, value: object) -> None:
        good: dict[str, Any] = {"type": "data", "id": 1, "first": 1, "payloads": [["QQ=="]]}
        assert JsonCodec().decode(json.dumps(good).encode()) == frames.Data(1, 1, [b"A"], False)
        fault = refused(JsonCodec(), json.dumps(good | {member: value}).encode())
        assert f"$.{member}" in str(fault)

    @BOTH
    @given(data=st.binary(max_size=200))
    def test_any_bytes_are_a_frame_or_an_error(self, codec: Codec, data: bytes) -> None:
        try:
            frame = codec.decode(data)
        except CodecError:
            return
        assert codec.decode(codec.encode(frame)) == frame

    @BOTH
    @given(frame=any_frame, patch=st.data())
    def test_any_mutation_is_a_frame_or_an_error(
        self, codec: Codec, frame: frames.Frame, patch: st.DataObject
    ) -> None:
        encoded = bytearray(codec.encode(frame))
        for _ in range(patch.draw(st.integers(1, 4))):
            place = patch.draw(st.integers(0, len(encoded) - 1))
            encoded[place] = patch.draw(st.integers(0, 255))
        end = patch.draw(st.integers(0, len(encoded)))
        for data in (bytes(encoded), bytes(encoded[:end])):
            try:
                codec.decode(data)
            except CodecError:
                continue


class TestRow20Json:
    def test_row_20_deep_nesting(self) -> None:
        deep = b"[" * 200_000 + b"]" * 200_000
        fault = refused(JsonCodec(), b'{"type":"ping","x":' + deep + b',"number":1,"sent":1}')
        assert "nested too deeply" in str(fault)
        deep = b"\x91" * 100_000 + b"\x01"
        fault = refused(MsgpackCodec(), b"\x94\xa4ping\x01\x01" + deep)
        assert "nested too deeply" in str(fault)

    @pytest.mark.parametrize(
        "text",
        [rb'"\ud800"', rb'"\udc00"', rb'"\ud800\u0041"', b'"\xed\xa0\x80"', b'"\xff"', b'"\xc3"'],
    )
    def test_row_20_lone_surrogates_and_bad_utf8(self, text: bytes) -> None:
        refused(JsonCodec(), b'{"type":"text","id":1,"first":1,"payloads":[' + text + b"]}")
        refused(JsonCodec(), b'{"type":"close","code":1000,"reason":' + text + b"}")

    @pytest.mark.parametrize("text", [b"\xa1\xff", b"\xa3\xed\xa0\x80", b"\xa1\xc3"])
    def test_row_20_bad_utf8_in_msgpack(self, text: bytes) -> None:
        refused(MsgpackCodec(), b"\x94\xa4text\x01\x01\x91" + text)

    def test_row_20_an_escaped_pair_is_one_character(self) -> None:
        frame = JsonCodec().decode(rb'{"type":"text","id":1,"first":1,"payloads":["\ud83d\ude00"]}')
        assert frame == frames.Data(1, 1, ["😀".encode()], True)

    @pytest.mark.parametrize(
        "data", [b"", b"null", b"[]", b"1", b'{"type":"ping"', b"\xef\xbb\xbf{}"]
    )
    def test_row_20_what_is_no_object(self, data: bytes) -> None:
        refused(JsonCodec(), data)

    def test_row_20_something_behind_the_frame(self) -> None:
        refused(JsonCodec(), b'{"type":"ping","number":1,"sent":1} {}')
        refused(MsgpackCodec(), packed("ping", 1, 1) + b"\x00")

    def test_row_15_a_long_type_is_cut_in_the_reason(self) -> None:
        refused(JsonCodec(), b'{"type":"' + b"x" * 100_000 + b'"}')

    @pytest.mark.parametrize(
        "prefix", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
    )
    def test_lengths_that_lie_allocate_nothing(self, prefix: bytes) -> None:
        refused(MsgpackCodec(), prefix)
        refused(MsgpackCodec(), b"\x94\xa4data\x01\x01" + prefix)
        refused(MsgpackCodec(), b"\x94\xa4data\x01\x01\x91" + prefix)


class TestSizes:
    @BOTH
    def test_a_frame_above_max_frame_is_not_parsed(self, codec: Codec) -> None:
        fault = refused(codec, bytes(codec.max_frame + 1))
        assert fault.code is Code.TOO_BIG

    @pytest.mark.parametrize("text", [False, True])
    def test_a_message_above_the_limit(self, text: bool) -> None:
        for codec in codecs(100):
            at = frames.Data(1, 1, [b"x" * 100], text)
            assert codec.decode(codec.encode(at)) == at
            over = codec.encode(frames.Data(1, 1, [b"", b"x" * 101], text))
            assert refused(codec, over).code is Code.TOO_BIG

    @pytest.mark.parametrize("text", [False, True])
    def test_a_batch_above_64_kib(self, text: bool) -> None:
        for codec in codecs():
            half = b"x" * (32 * 1024)
            at = frames.Data(1, 1, [half, half], text)
            assert codec.decode(codec.encode(at)) == at
            over = codec.encode(frames.Data(1, 1, [half, half, b"x"], text))
            assert refused(codec, over).code is Code.TOO_BIG
            alone = frames.Data(1, 1, [b"x" * (64 * 1024 + 1)], text)
            assert codec.decode(codec.encode(alone)) == alone

    def test_text_counts_in_bytes_of_utf8(self) -> None:
        for codec in codecs(9):
            over = codec.encode(frames.Data(1, 1, ["é".encode() * 5], True))
            assert refused(codec, over).code is Code.TOO_BIG
