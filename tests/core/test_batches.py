"""Batches: a few frames are kept for all their readers, and counted with what hangs on them."""

from gapless.core.accounts import Accounts
from gapless.core.batches import BATCH_OVERHEAD, FRAMING, KEPT, SLOT, Batches, Encodings
from gapless.core.config import Config
from gapless.core.frames import Data, Ping


def batch(first: int, count: int = 2, size: int = 100) -> Data:
    return Data(7, first, [b"x" * size] * count, False)


class TestKeeping:
    def test_a_full_batch_is_found_whatever_has_come_since(self) -> None:
        batches, one = Batches(), batch(1)
        batches.keep(one, is_full=True)
        assert batches.find(1, 2) is batches.find(1, 99) is one
        assert batches.find(2, 99) is None

    def test_one_that_could_be_longer_by_now_is_not(self) -> None:
        batches, one = Batches(), batch(1)
        batches.keep(one, is_full=False)
        assert batches.find(1, 2) is one
        assert batches.find(1, 3) is None

    def test_p3_the_oldest_goes_when_there_are_too_many(self) -> None:
        batches = Batches()
        for first in range(1, KEPT + 2):
            batches.keep(batch(first), is_full=True)
        assert len(batches) == KEPT
        assert batches.find(1, 99) is None
        assert batches.find(2, 99) is not None

    def test_one_that_starts_where_another_does_replaces_it(self) -> None:
        batches, longer = Batches(), batch(1, count=3)
        batches.keep(batch(1), is_full=False)
        batches.keep(longer, is_full=True)
        assert len(batches) == 1
        assert batches.find(1, 99) is longer

    def test_none_is_kept_once_they_are_shed(self) -> None:
        batches = Batches()
        batches.keep(batch(1), is_full=True)
        batches.clear()
        assert (len(batches), batches.memory, batches.find(1, 2)) == (0, 0, None)


class TestMemory:
    def test_p3_a_form_is_counted_before_it_is_encoded(self) -> None:
        batches, one = Batches(), batch(1)
        batches.keep(one, is_full=True)
        before = batches.memory
        assert before == 2 * (100 + FRAMING) + 2 * SLOT + BATCH_OVERHEAD
        one.encoded = {"msgpack": b"x" * 210}
        assert batches.memory == before

    def test_p3_more_forms_or_longer_ones_are_counted_as_they_are(self) -> None:
        batches, one = Batches(), batch(1)
        batches.keep(one, is_full=True)
        one.encoded = {"msgpack": b"x" * 210, "json": b"x" * 290}
        assert batches.memory == 500 + 2 * SLOT + BATCH_OVERHEAD

    def test_p3_growth_is_told_as_its_upper_bound(self) -> None:
        batches = Batches()
        for first in range(1, KEPT + 3):
            before, batches.grown = batches.memory, 0
            batches.keep(batch(first, size=first * 10), is_full=True)
            assert batches.memory <= before + batches.grown


class TestEncodings:
    def test_p3_what_a_wire_hangs_on_a_batch_is_announced_right_after(self) -> None:
        books, one = Accounts(Config()), batch(1)
        encodings = Encodings(books)
        encodings.hand_out(one)
        one.encoded = {"msgpack": b"x" * 210}
        encodings.look()
        assert books.unbooked == 210
        encodings.look()
        assert books.unbooked == 210

    def test_p3_so_is_another_form_and_nothing_where_there_is_no_new_one(self) -> None:
        books, one = Accounts(Config()), batch(1)
        encodings = Encodings(books)
        one.encoded = {"msgpack": b"x" * 210}
        encodings.hand_out(one)
        encodings.hand_out(Ping(1, 0))
        encodings.hand_out(None)
        encodings.look()
        assert books.unbooked == 0
        encodings.hand_out(one)
        one.encoded["json"] = b"x" * 290
        encodings.look()
        assert books.unbooked == 500, "at most so much more is held"
