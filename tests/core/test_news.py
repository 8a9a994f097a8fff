"""News: what is to be passed on, and a publish whose answer is still out."""

import pytest

from gapless.core.news import News, Ticket
from gapless.core.position import Position

from .parts import a_channel


def test_a_ticket_is_pending_until_it_is_accepted_or_refused() -> None:
    ticket = Ticket("news")
    assert (ticket.is_pending, ticket.position) == (True, None)
    ticket.epoch, ticket.seq = "E1", 7
    assert (ticket.is_pending, ticket.position) == (False, Position("E1", 7))
    refused = Ticket("news", refused="full")
    assert (refused.is_pending, refused.position) == (False, None)


def test_each_ticket_is_only_equal_to_itself() -> None:
    """They are keys: of two that say the same each is told."""
    assert len({Ticket("news"), Ticket("news")}) == 2


@pytest.mark.parametrize("kind", ["opened", "moved", "settled", "blocked", "forgotten"])
def test_anything_new_is_news(kind: str) -> None:
    news = News()
    assert not news.is_any
    getattr(news, kind)[a_channel() if kind in ("moved", "blocked", "forgotten") else "news"] = None
    assert news.is_any
