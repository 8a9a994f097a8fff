"""The seam to a store: its answers are plain data with the command's request."""

from gapless.core.store import Appended, AppendRefused, HistoryRead


def test_an_append_is_taken_or_refused() -> None:
    assert Appended(3, "E1", 5).publisher_last is None, "a store need not remember publishers"
    refused = AppendRefused(3, "disk full")
    assert refused.retry_after is None, "final unless it says when to come again"


def test_a_read_that_found_nothing_says_what_is_held() -> None:
    answer = HistoryRead(4, "E1", first=6, head=5)
    assert answer.payloads == ()
    assert not answer.text
