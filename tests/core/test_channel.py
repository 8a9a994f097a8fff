"""Channel: what a pin needs is neither rotated nor aged; at the bound it is as the channel is set
(design 7). A position gets one outcome, and readers the same batch (rules 6, 10)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.batches import KEPT
from gapless.core.channel import (
    CHANNEL_BYTES,
    EPOCHS_REMEMBERED,
    Admission,
    Channel,
    batch_too_large,
)
from gapless.core.errors import ConfigError, MessageTooLarge
from gapless.core.frames import Live, Outcome, Partial, Recovered, StartedOver
from gapless.core.history import ENTRY_BYTES
from gapless.core.outbox import BATCH_BYTES, BATCH_MESSAGES
from gapless.core.position import Position, Since

from .parts import a_channel, fill, settings


def publish(channel: Channel, *, now: float = 0.0, size: int = 1) -> Admission:
    """Publish one message, if there is room for it."""
    admission = channel.admit(size, now=now)
    if admission is Admission.ROOM:
        channel.append([b"x" * size], False, None, now=now)
    return admission


def full(*, overflow: str = "wait", acked: int = 0) -> Channel:
    """Eight messages of eight, and a reader that has taken some of them."""
    channel = a_channel(overflow=overflow)
    fill(channel, 8)
    channel.pin("ann", acked, now=0.0)
    return channel


class TestSettings:
    def test_fields_are_changed_one_by_one(self) -> None:
        changed = settings().changed(patience=120.0, overflow="rotate")
        assert (changed.patience, changed.overflow, changed.history_messages) == (
            120.0,
            "rotate",
            8,
        )

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("history_messages", 0),
            ("history_messages", 1.5),
            ("history_bytes", 0),
            ("history_age", 0),
            ("history_age", "1h"),
            ("overflow", "block"),
            ("patience", -1),
            ("patience", float("nan")),
            ("patience", float("inf")),
        ],
    )
    def test_a_value_the_wire_or_the_rules_can_not_bear_is_refused(
        self, field: str, value: object
    ) -> None:
        with pytest.raises(ConfigError, match=field):
            settings().changed(**{field: value})

    def test_a_field_there_is_not_is_named_with_those_there_are(self) -> None:
        with pytest.raises(ConfigError, match=r"no 'history_mesages'.* history_messages"):
            settings().changed(history_mesages=5)

    def test_what_cannot_fit_into_an_empty_history_drops_nothing(self) -> None:
        channel = a_channel()
        fill(channel, 8)
        settings = channel.settings
        assert channel.admit(settings.history_bytes + 1, now=0.0) is Admission.TOO_LARGE
        assert channel.admit(1, settings.history_messages + 1, now=0.0) is Admission.TOO_LARGE
        assert channel.history.first == 1

    def test_a_smaller_bound_rotates_at_the_next_publish(self) -> None:
        channel = a_channel()
        fill(channel, 8)
        channel.configure(settings(history_messages=3, history_age=60.0))
        assert channel.history.first == 1
        assert publish(channel) is Admission.ROOM
        assert (channel.history.first, channel.head) == (7, 9)
        assert channel.history.max_age == 60.0


class TestRotation:
    @pytest.mark.parametrize("overflow", ["wait", "reject", "rotate"])
    def test_without_a_pin_every_policy_rotates(self, overflow: str) -> None:
        channel = a_channel(overflow=overflow)
        for _ in range(20):
            assert publish(channel) is Admission.ROOM
        assert (channel.history.first, channel.head) == (13, 20)
        assert channel.losses.reason == "rotated"

    def test_bytes_are_a_bound_too(self) -> None:
        channel = a_channel(history_bytes=10)
        for size in (4, 4, 4):
            publish(channel, size=size)
        assert (channel.history.first, channel.history.size) == (2, 8)

    def test_a_batch_makes_room_for_all_of_itself(self) -> None:
        channel = a_channel()
        fill(channel, 8)
        assert channel.admit(3, 3, now=0.0) is Admission.ROOM
        assert channel.append([b"a", b"b", b"c"], False, "@s", now=0.0) == 11
        assert (channel.history.first, channel.head) == (4, 11)
        assert channel.history.entry(9) == (b"a", False, "@s", 0.0)


class TestAppendingNow:
    """One step instead of `admit` and `append`, for a single message of the hub's own."""

    def test_it_rotates_what_no_pin_needs_and_says_why(self) -> None:
        channel = a_channel()
        fill(channel, 8)
        assert channel.append_now(b"i", False, now=1.0) == 9
        assert (channel.history.first, channel.losses.reason) == (2, "rotated")
        assert channel.history.entry(9) == (b"i", False, None, 1.0)

    @pytest.mark.parametrize("overflow", ["wait", "reject", "rotate"])
    def test_a_pin_is_for_admit_to_judge(self, overflow: str) -> None:
        channel = full(overflow=overflow)
        assert channel.append_now(b"i", False, now=0.0) == 0
        assert (channel.history.first, channel.head) == (1, 8)

    def test_so_is_age_and_what_can_never_fit(self) -> None:
        channel = a_channel()
        assert channel.append_now(bytes(channel.settings.history_bytes + 1), False, now=0.0) == 0
        aging = a_channel(history_age=1.0)
        assert aging.append_now(b"a", False, now=0.0) == 0
        assert channel.head == aging.head == 0


class TestAppendingSome:
    """A client's batch: as much of it as can be appended together, the rest later."""

    def some(self, channel: Channel, *sizes: int, largest: int = 100) -> tuple[Admission, int]:
        payloads = [bytes(size) for size in sizes]
        return channel.admit_some(payloads, largest, now=0.0), len(payloads)

    def test_what_fits_is_appended_whole(self) -> None:
        assert self.some(a_channel(), 1, 2, 3) == (Admission.ROOM, 3)

    def test_it_ends_before_a_message_that_can_never_be_taken(self) -> None:
        assert self.some(a_channel(), 1, 100, 101, 1) == (Admission.ROOM, 2)
        assert self.some(a_channel(history_bytes=50), 50, 51) == (Admission.ROOM, 1)

    def test_such_a_message_is_refused_alone(self) -> None:
        assert self.some(a_channel(), 101, 1, 1) == (Admission.TOO_LARGE, 1)

    def test_where_it_is_rejected_what_has_room_still_enters(self) -> None:
        channel = full(overflow="reject", acked=2)
        assert self.some(channel, 1, 1, 1) == (Admission.ROOM, 2)
        assert channel.history.first == 3, "what the pin needs stays"

    def test_where_nothing_has_room_all_is_rejected(self) -> None:
        assert self.some(full(overflow="reject"), 1, 1) == (Admission.REJECT, 2)

    def test_where_it_can_wait_it_waits_whole(self) -> None:
        assert self.some(full(overflow="wait", acked=2), 1, 1, 1) == (Admission.WAIT, 3)

    def test_a_part_that_fits_is_counted_in_messages_and_bytes(self) -> None:
        channel = a_channel(history_bytes=10)
        fill(channel, 5)
        assert channel.fitting([b"a", b"b", b"c"]) == 3
        assert channel.fitting([b"a"] * 4) == 3
        assert channel.fitting([b"aaaa", b"bb"]) == 1
        assert channel.fitting([b"aaaaaa"]) == 0

    @pytest.mark.parametrize(
        ("messages", "size", "bounds"),
        [
            (8, 40, (2, 10)),
            (3, 3, (1, 1)),
            (1 << 20, 1 << 30, (BATCH_MESSAGES, BATCH_BYTES)),
        ],
    )
    def test_a_chunk_is_a_quarter_of_the_history_and_never_nothing(
        self, messages: int, size: int, bounds: tuple[int, int]
    ) -> None:
        """P4: what a pin leaves free, that can enter."""
        channel = a_channel(history_messages=messages, history_bytes=size)
        assert channel.chunk_bounds == bounds

    def test_why_a_batch_can_never_fit_is_said_with_the_bounds(self) -> None:
        error = batch_too_large("news", 9, 90, settings())
        assert isinstance(error, MessageTooLarge)
        words = "9 messages of 90 bytes .* channel 'news': .* 8 messages, 65536 bytes"
        with pytest.raises(MessageTooLarge, match=words):
            raise error


class TestMemory:
    def test_it_is_what_is_held_and_what_is_on_its_way_to_the_store(self) -> None:
        """I8."""
        channel = a_channel()
        assert channel.memory == CHANNEL_BYTES
        fill(channel, 2)
        channel.in_flight = 1000
        assert channel.memory == CHANNEL_BYTES + 2 * (1 + ENTRY_BYTES) + 1000

    def test_all_that_no_pin_needs_can_be_shed(self) -> None:
        """Budget's second step: unpinned history. Who had not read it is told why."""
        channel = full(acked=3)
        assert channel.shed()
        assert (channel.history.first, channel.losses.why(3)) == (4, "shed")
        assert not channel.shed(), "what the pin needs stays"
        channel.unpin("ann")
        assert channel.shed()
        assert (len(channel.history), channel.head) == (0, 8)
        assert not channel.shed(), "there is nothing left"


class TestAge:
    def test_what_is_too_old_goes(self) -> None:
        channel = a_channel(history_age=60.0)
        fill(channel, 2, now=0.0)
        fill(channel, 1, now=30.0)
        channel.expire(now=59.9)
        assert channel.history.first == 1
        channel.expire(now=60.0)
        assert channel.history.first == 3
        assert channel.losses.reason == "expired"

    def test_a_publish_ages_first(self) -> None:
        channel = a_channel(history_age=60.0)
        fill(channel, 8)
        publish(channel, now=61.0)
        assert (channel.history.first, channel.head) == (9, 9)
        assert channel.losses.reason == "expired"

    def test_pinned_messages_do_not_age(self) -> None:
        channel = a_channel(history_age=60.0, patience=1000.0)
        channel.pin("ann", 1, now=0.0)
        fill(channel, 3)
        channel.expire(now=100.0)
        assert channel.history.first == 2
        channel.expire(now=1000.0)
        assert channel.history.first == 4, "until the pin lapses"


class TestPlace:
    @pytest.mark.parametrize(
        ("since", "after", "outcome"),
        [
            ("latest", 12, Live()),
            ("earliest", 4, Recovered(8)),
            (Position("E1", 12), 12, Live()),
            (Position("E1", 11), 11, Recovered(1)),
            (Position("E1", 4), 4, Recovered(8)),
            (Position("E1", 3), 4, Partial(4, 4, "rotated")),
            (Position("E1", 0), 4, Partial(1, 4, "rotated")),
            (Position("E1", 13), 12, StartedOver("ahead")),
            (Position("E1", 2**53 - 1), 12, StartedOver("ahead")),
            (Position("E0", 12), 4, StartedOver("epoch")),
            (Position("E0", 4), 4, StartedOver("epoch")),
            (Position("E0", 10**9), 4, StartedOver("epoch")),
        ],
    )
    def test_a_position_comes_to_one_outcome(
        self, since: Since, after: int, outcome: Outcome
    ) -> None:
        """I15: another epoch is a reset, whatever its number; rule 10: ahead is for that reader."""
        channel = a_channel()
        fill(channel, 12)
        assert channel.place(since, channel.first - 1) == (after, outcome)
        assert channel.epoch == "E1"

    def test_position_0_is_before_the_first(self) -> None:
        channel = a_channel()
        assert channel.place(Position("E1", 0), 0) == (0, Live())
        fill(channel, 2)
        assert channel.place(Position("E1", 0), 0) == (0, Recovered(2))

    def test_nothing_is_lost_where_nothing_was_missed(self) -> None:
        """socket.io#5282: all has aged out, but the reader had it."""
        channel = a_channel(history_age=60.0)
        fill(channel, 5)
        channel.expire(now=100.0)
        assert channel.place(Position("E1", 5), channel.first - 1) == (5, Live())
        assert channel.place(Position("E1", 4), channel.first - 1) == (
            5,
            Partial(5, 5, "expired"),
        )

    def test_who_falls_off_the_tail_goes_on_in_the_middle(self) -> None:
        channel = a_channel()
        assert channel.middle() == 0
        fill(channel, 20)
        assert (channel.history.first, channel.middle()) == (13, 16)

    @pytest.mark.parametrize(("cursor", "after"), [(4, 20), (20, 104), (50, 104)])
    def test_or_with_the_oldest_the_store_has_if_that_is_ahead(
        self, cursor: int, after: int
    ) -> None:
        """Rule 6; what the store claims to have and can't read is not tried twice."""
        channel = Channel("news", 1, "E1", settings(), head=100, stored_first=21)
        fill(channel, 8)
        assert channel.next_held(cursor) == after


class TestBatches:
    def test_all_readers_are_handed_the_same_batch(self) -> None:
        channel = a_channel()
        fill(channel, 3)
        assert channel.batch(1) is channel.batch(1)
        assert channel.batch(2).payloads == [b"2", b"3"]
        assert channel.batch(1).id == 7

    def test_a_batch_that_could_be_longer_now_is_read_again(self) -> None:
        channel = a_channel()
        fill(channel, 2)
        before = channel.batch(1)
        fill(channel, 1)
        assert channel.batch(1).payloads == [b"1", b"2", b"3"]
        assert before.payloads == [b"1", b"2"], "what was handed out doesn't change"

    def test_a_batch_that_ended_by_itself_stays(self) -> None:
        channel = a_channel()
        fill(channel, 2, text=True)
        fill(channel, 1)
        before = channel.batch(1)
        fill(channel, 1)
        assert channel.batch(1) is before

    def test_only_a_few_are_kept(self) -> None:
        """P3."""
        channel = a_channel(history_messages=100)
        fill(channel, 50)
        first = channel.batch(1)
        for seq in range(2, KEPT + 2):
            channel.batch(seq)
        assert channel.batch(1) is not first
        assert channel.batch(1).payloads == first.payloads


class TestStore:
    def test_what_the_store_still_has_can_be_read(self) -> None:
        channel = Channel("news", 1, "E1", settings(), head=100, stored_first=21)
        assert (channel.first, channel.head, channel.history.first) == (21, 100, 101)
        assert channel.place(Position("E1", 50), channel.first - 1) == (50, Recovered(50))
        channel.set_stored_first(200)
        assert channel.first == 101, "what is held here can be read whatever the store says"

    def test_what_another_node_appended_is_in_the_store(self) -> None:
        channel = a_channel()
        fill(channel, 3)
        channel.batch(1)
        channel.skip_to(10)
        assert (channel.first, channel.history.first, channel.head) == (1, 10, 9)
        assert channel.append([b"ten"], False, None, now=0.0) == 10
        assert channel.batch(10).payloads == [b"ten"]

    def test_a_new_epoch_forgets_everything_of_the_old(self) -> None:
        """I15."""
        channel = full()
        publish(channel, now=1.0)
        channel.batch(2)
        channel.start_over("E2", 5, 3)
        assert (channel.epoch, channel.first, channel.head, len(channel.history)) == ("E2", 3, 5, 0)
        assert not channel.is_pinned_by("ann")
        for _ in range(8):
            assert publish(channel) is Admission.ROOM
        assert channel.batch(6).payloads == [b"x"] * 8
        publish(channel)
        assert channel.losses.reason == "rotated"


class TestEpochs:
    def test_i15_an_epoch_that_was_left_is_known_until_the_store_is_told_of_the_new(self) -> None:
        channel = a_channel()
        channel.start_over("E2", 0, 1)
        channel.is_told = False
        assert channel.is_known_as("E2")
        assert channel.is_known_as("E1"), "the same store, which hasn't heard yet"
        channel.is_told = True
        assert not channel.is_known_as("E1")
        assert channel.was_called("E1")
        assert channel.was_called("E2")
        assert not channel.was_called("E3")

    def test_p3_the_last_few_that_were_left_are_remembered(self) -> None:
        channel = a_channel()
        for number in range(2, EPOCHS_REMEMBERED + 3):
            channel.start_over(f"E{number}", 0, 1)
        left = [name for name in range(1, EPOCHS_REMEMBERED + 2) if channel.was_called(f"E{name}")]
        assert left == list(range(2, EPOCHS_REMEMBERED + 2))


def test_a_channel_is_idle_if_nothing_would_be_lost_with_it() -> None:
    assert a_channel().is_idle
    held, pinned, read = a_channel(), a_channel(), a_channel()
    fill(held, 1)
    pinned.pin("ann", 0, now=0.0)
    read.reader_count = 1
    assert not held.is_idle
    assert not pinned.is_idle
    assert not read.is_idle


@given(st.integers(1, 40), st.integers(0, 45), st.booleans())
def test_a_reader_gets_everything_after_its_position_or_is_told(
    published: int, since: int, same_epoch: bool
) -> None:
    """P2: what is before the cursor was had, is lost, or is of another epoch; the rest is held."""
    channel = a_channel()
    fill(channel, published)
    position = Position("E1" if same_epoch else "E0", since)
    cursor, outcome = channel.place(position, channel.first - 1)
    assert channel.first - 1 <= cursor <= channel.head
    match outcome:
        case Live():
            assert cursor == since == channel.head
        case Recovered(count):
            assert (cursor, count) == (since, channel.head - since)
        case Partial(first, last, _):
            assert (first, last) == (since + 1, cursor)
        case StartedOver(reason):
            assert (reason == "ahead") is (same_epoch and since > channel.head)
        case _:
            raise AssertionError("a place is never denied")
