"""History: dense numbers, oldest out first, bounded by messages and bytes; read by cursor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.history import ENTRY_BYTES, History

from .parts import inside

payloads = st.binary(max_size=12)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(payloads, min_size=1, max_size=5), st.booleans()),
        st.tuples(st.just("extend"), st.lists(payloads, max_size=5), st.booleans()),
        st.tuples(st.just("drop"), st.just([]), st.booleans()),
        st.tuples(st.just("trim"), st.lists(payloads, max_size=6), st.booleans()),
        st.tuples(st.just("renumber"), st.lists(payloads, max_size=6), st.booleans()),
    ),
    max_size=60,
)


def a_history(*, messages: int = 100, size: int = 1000, head: int = 0) -> History:
    return History(max_messages=messages, max_bytes=size, head=head)


def filled(*appended: bytes, text: bool = False) -> History:
    history = a_history()
    for at, payload in enumerate(appended):
        history.append(payload, text, None, now=float(at))
    return history


class TestNumbers:
    def test_the_first_message_is_number_1(self) -> None:
        history = a_history()
        assert (history.first, history.head, len(history), history.size) == (1, 0, 0, 0)
        assert history.append(b"a", False, None, now=0.0) == 1
        assert history.extend([b"b", b"c"], False, None, now=0.0) == 3
        assert (history.first, history.head, len(history), history.size) == (1, 3, 3, 3)

    def test_numbers_go_on_where_a_store_left_off(self) -> None:
        history = a_history(head=41)
        assert (history.first, history.head) == (42, 41)
        assert history.append(b"a", False, None, now=0.0) == 42

    def test_a_number_never_comes_back(self) -> None:
        history = filled(b"a", b"b")
        assert history.drop_through(2) == 2
        assert (history.first, history.head) == (3, 2)
        assert history.append(b"c", False, None, now=0.0) == 3

    def test_what_is_held_can_get_new_numbers(self) -> None:
        history = filled(b"a", b"b", b"c")
        history.drop_oldest()
        history.renumber(1)
        assert (history.first, history.head) == (1, 2)
        assert history.entry(1)[0] == b"b"


class TestBounds:
    def test_room_is_asked_for_in_messages_and_in_bytes(self) -> None:
        history = a_history(messages=3, size=10)
        assert history.has_room(10)
        assert not history.has_room(11)
        assert history.has_room(0, count=3)
        assert not history.has_room(0, count=4)
        history.append(b"12345", False, None, now=0.0)
        assert history.has_room(5, count=2)
        assert not history.has_room(6)
        assert not history.has_room(0, count=3)

    def test_dropping_makes_room_of_both_kinds(self) -> None:
        history = a_history(messages=2, size=4)
        history.extend([b"ab", b"cd"], False, None, now=0.0)
        assert not history.has_room(1)
        history.drop_oldest()
        assert history.has_room(2)

    def test_room_is_made_of_the_oldest_and_of_no_more_than_is_needed(self) -> None:
        history = a_history(messages=3, size=10)
        history.extend([b"123", b"456", b"789"], False, None, now=0.0)
        assert history.make_room(4, 1, 3)
        assert (history.first, history.size) == (2, 6)
        assert history.make_room(4, 1, 3), "it is there already"
        assert history.first == 2
        assert history.make_room(5, 1, 3)
        assert (history.first, history.size) == (3, 3)
        assert history.make_room(7, 2, 3)
        assert history.first == 3
        assert history.make_room(0, 3, 3)
        assert (history.first, history.head, history.size) == (4, 3, 0)

    @pytest.mark.parametrize(("through", "first"), [(0, 1), (1, 2), (2, 3)])
    def test_no_room_is_made_of_what_is_needed(self, through: int, first: int) -> None:
        """What a pin needs stays; what was dropped below it until then is gone (P2 says so)."""
        history = a_history(messages=3)
        history.extend([b"a", b"b", b"c"], False, None, now=0.0)
        assert not history.make_room(3, 3, through)
        assert (history.first, history.head) == (first, 3)

    def test_i8_memory_is_payloads_and_what_each_costs(self) -> None:
        history = filled(b"aa", b"bbb")
        assert history.memory == 5 + 2 * ENTRY_BYTES
        history.drop_oldest()
        assert history.memory == 3 + ENTRY_BYTES
        assert a_history(head=7).memory == 0

    def test_a_trim_is_cumulative_and_says_how_much_it_trimmed(self) -> None:
        history = filled(b"a", b"b", b"c")
        assert history.drop_through(0) == 0
        assert history.drop_through(2) == 2
        assert history.drop_through(2) == 0, "I6: again is nothing"
        assert history.drop_through(99) == 1
        assert (history.first, history.head, history.size) == (4, 3, 0)

    def test_age_is_that_of_the_oldest(self) -> None:
        history = History(max_messages=10, max_bytes=100, max_age=60.0)
        assert history.expires_at() is None
        history.append(b"a", False, None, now=5.0)
        history.append(b"b", False, None, now=7.0)
        assert history.expires_at() == 65.0
        assert history.appended_at(2) == 7.0
        history.drop_oldest()
        assert history.expires_at() == 67.0
        history.max_age = None
        assert history.expires_at() is None

    def test_memory_of_what_was_dropped_is_given_back(self) -> None:
        """P3: a million messages through a history of ten leave a list of hundreds."""
        history = a_history(messages=10)
        for _ in range(20_000):
            if not history.has_room(1):
                history.drop_oldest()
            history.append(b"x", False, None, now=0.0)
        assert len(history) == 10
        assert len(inside(history, "_entries")) < 1000

    def test_i9_it_is_given_back_when_that_is_half_of_the_list_and_not_before(self) -> None:
        """So a trim costs what it drops, however much is held."""
        history = a_history(messages=10_000, size=10_000)
        history.extend([b"x"] * 10_000, False, None, now=0.0)
        sizes: list[int] = []
        for through in (300, 4_000, 4_999, 5_000):
            history.drop_through(through)
            sizes.append(len(inside(history, "_entries")))
        assert sizes == [10_000, 10_000, 10_000, 5_000]
        assert (history.first, history.entry(5_001)[0], history.size) == (5_001, b"x", 5_000)

    def test_a_short_list_is_left_as_it_is(self) -> None:
        history = a_history()
        history.extend([b"x"] * 300, False, None, now=0.0)
        history.drop_through(256)
        assert len(inside(history, "_entries")) == 300
        history.drop_oldest()
        assert (len(inside(history, "_entries")), len(history)) == (43, 43)


class TestReading:
    def test_a_batch_ends_at_the_head_at_its_count_and_before_its_bytes(self) -> None:
        history = filled(b"aa", b"bb", b"cc", b"dd")
        assert history.batch(1, 100, 100) == ([b"aa", b"bb", b"cc", b"dd"], False)
        assert history.batch(3, 100, 100) == ([b"cc", b"dd"], False)
        assert history.batch(1, 3, 100) == ([b"aa", b"bb", b"cc"], False)
        assert history.batch(1, 100, 5) == ([b"aa", b"bb"], False)
        assert history.batch(1, 100, 6) == ([b"aa", b"bb", b"cc"], False)

    def test_the_first_message_of_a_batch_always_comes(self) -> None:
        """A message larger than a batch goes alone."""
        history = filled(b"a" * 50, b"b")
        assert history.batch(1, 100, 10) == ([b"a" * 50], False)

    def test_a_batch_ends_where_text_turns_to_binary_and_back(self) -> None:
        history = a_history()
        for text in (True, True, False, True):
            history.append(b"x", text, None, now=0.0)
        assert history.batch(1, 100, 100) == ([b"x", b"x"], True)
        assert history.batch(3, 100, 100) == ([b"x"], False)
        assert history.batch(4, 100, 100) == ([b"x"], True)

    def test_an_entry_says_who_published_it(self) -> None:
        history = a_history()
        history.append(b"a", True, "@session", now=2.0)
        assert history.entry(1) == (b"a", True, "@session", 2.0)

    def test_reading_what_was_dropped_is_a_bug_of_ours(self) -> None:
        rotated, trimmed = filled(b"a", b"b"), filled(b"a", b"b")
        rotated.drop_oldest()
        trimmed.drop_through(1)
        for history in (rotated, trimmed):
            with pytest.raises(AssertionError):
                history.entry(1)


@given(steps)
def test_it_is_a_list_with_a_moving_start(
    script: list[tuple[str, list[bytes], bool]],
) -> None:
    """Every step against a plain list of (payload, text) and the number of its first element."""
    history, model, first = a_history(), list[tuple[bytes, bool]](), 1
    for step, batch, text in script:
        if step == "append":
            for payload in batch:
                number = history.append(payload, text, None, now=0.0)
                model.append((payload, text))
                assert number == first + len(model) - 1
        elif step == "extend":
            before = first + len(model) - 1
            assert history.extend(batch, text, None, now=0.0) == before + len(batch)
            model += [(payload, text) for payload in batch]
        elif step == "drop" and model:
            history.drop_oldest()
            del model[0]
            first += 1
        elif step == "trim":
            through = first - 2 + len(batch)
            count = max(0, min(len(model), len(batch) - 1))
            assert history.drop_through(through) == count
            del model[:count]
            first += count
        elif step == "renumber":
            first += len(batch)
            history.renumber(first)
        assert len(history) == len(model)
        assert (history.first, history.head) == (first, first + len(model) - 1)
        assert history.size == sum(len(payload) for payload, _ in model)
        held = [history.entry(seq)[:2] for seq in range(first, first + len(model))]
        assert held == model
    at = first
    while at <= history.head:
        read, text = history.batch(at, 3, 20)
        assert [(payload, text) for payload in read] == model[at - first : at - first + len(read)]
        at += len(read)
