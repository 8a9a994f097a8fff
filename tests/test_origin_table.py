"""The origin's table, row by row: each has its tests, and each default is the origin's."""

import pytest

from gapless.core.config import Config

from .nodes import standing_for
from .origin import LATER, TABLE, Row


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.fact)
def test_a_row_has_its_tests_and_its_values(row: Row) -> None:
    assert row.tests or row.is_later, f"{row.fact}: no test"
    for name in row.tests:
        assert standing_for(f"tests/{name}"), f"{row.fact}: no test {name}"
    assert row.differences() == []


def test_nothing_is_still_to_come() -> None:
    assert [row.fact for row in TABLE if row.here == LATER] == []


def test_every_row_is_there_once() -> None:
    facts = [row.fact for row in TABLE]
    assert len(set(facts)) == len(facts)
    assert {row.section for row in TABLE} == {
        "api",
        "figures",
        "production configuration",
        "profiles",
        "behaviour",
    }


@pytest.mark.parametrize(
    ("made", "messages"),
    [(Config.development(), 50), (Config.production(), 200), (Config.high_performance(), 500)],
)
def test_a_profile_has_its_buffer(made: Config, messages: int) -> None:
    assert made.history_messages == messages
