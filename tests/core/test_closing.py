"""What a client does next is one table; what it doesn't name is tried again."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.closing import (
    CLOSE_CLASSES,
    STATUS_CLASSES,
    CloseClass,
    Code,
    Ending,
    Endings,
)
from gapless.core.config import Config
from gapless.core.errors import ConfigError

FINAL = {CloseClass.STOP, CloseClass.REFRESH_CREDENTIALS}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (Code.DONE, CloseClass.STOP),
        (Code.VERSION, CloseClass.STOP),
        (Code.NOT_GAPLESS, CloseClass.STOP),
        (Code.REJECTED, CloseClass.STOP),
        (Code.UNAUTHORIZED, CloseClass.REFRESH_CREDENTIALS),
        (Code.FENCED, CloseClass.RESUME),
        (Code.DIVERGED, CloseClass.RESUME),
        (Code.SILENT, CloseClass.RESUME),
        (Code.RESTART, CloseClass.RESUME),
        (Code.TRY_LATER, CloseClass.RESUME),
        (Code.LOST, CloseClass.RESUME),
        (Code.GOING_AWAY, CloseClass.RESUME),
    ],
)
def test_the_codes_that_end_a_session_are_few(code: Code, expected: CloseClass) -> None:
    assert Ending(code, "").close_class is expected


@given(st.integers(0, 100_000))
def test_a_code_nobody_knows_is_tried_again(code: int) -> None:
    """P4: giving up is only right where the table says so."""
    expected = CLOSE_CLASSES.get(code, CloseClass.RESUME)

    assert Ending(code, "").close_class is expected
    assert expected not in FINAL or code in {int(known) for known in Code}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 426])
def test_an_answer_of_http_that_says_no_ends_the_session(status: int) -> None:
    assert Ending(Code.LOST, "", status=status).close_class in FINAL
    assert STATUS_CLASSES[status] in FINAL


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_overloaded_proxy_does_not_end_the_session(status: int) -> None:
    assert Ending(Code.TRY_LATER, "", status=status).close_class is CloseClass.RESUME


def test_refused_credentials_are_told_from_a_wrong_address() -> None:
    assert Ending(Code.LOST, "", status=401).close_class is CloseClass.REFRESH_CREDENTIALS
    assert Ending(Code.LOST, "", status=404).close_class is CloseClass.STOP


def test_the_tables_can_not_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        CLOSE_CLASSES[1] = CloseClass.STOP  # type: ignore[index]  # that is the point


def test_the_page_of_sessions_shows_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "topics" / "sessions.md"
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {int(number): CloseClass(kind) for number, kind in rows}
    assert shown == {**dict(Endings().codes), **dict(Endings().statuses)}


class TestEditing:
    def test_a_row_that_is_changed_counts_and_the_others_stay(self) -> None:
        endings = Endings().changed({4700: CloseClass.STOP}, statuses={503: CloseClass.STOP})
        assert endings.classify(Ending(4700, "banned")) is CloseClass.STOP
        assert endings.classify(Ending(Code.TRY_LATER, "", status=503)) is CloseClass.STOP
        assert endings.classify(Ending(Code.VERSION, "")) is CloseClass.STOP
        assert endings.classify(Ending(4701, "")) is CloseClass.RESUME
        assert Ending(4700, "banned").close_class is CloseClass.RESUME, "the default is untouched"

    def test_a_row_can_be_softened(self) -> None:
        endings = Endings().changed({Code.REJECTED: CloseClass.NEW_SESSION})
        assert endings.classify(Ending(Code.REJECTED, "")) is CloseClass.NEW_SESSION

    def test_a_status_counts_before_the_code(self) -> None:
        endings = Endings().changed({4700: CloseClass.STOP}, statuses={200: CloseClass.RESUME})
        assert endings.classify(Ending(4700, "", status=200)) is CloseClass.RESUME
        assert endings.classify(Ending(4700, "", status=299)) is CloseClass.STOP

    @pytest.mark.parametrize("code", [999, 5000, 0, -1, True, 4700.0, "4700", None])
    def test_a_code_that_can_not_be_one_is_named(self, code: Any) -> None:
        with pytest.raises(ConfigError, match=r"Endings\.codes has .*1000 … 4999"):
            Endings().changed({code: CloseClass.STOP})

    @pytest.mark.parametrize("status", [199, 600, 101, False, "503"])
    def test_a_status_that_can_not_be_one_is_named(self, status: Any) -> None:
        with pytest.raises(ConfigError, match=r"Endings\.statuses has .*200 … 599"):
            Endings().changed(statuses={status: CloseClass.STOP})

    @pytest.mark.parametrize("rows", [[(4700, CloseClass.STOP)], (), None, 4700])
    def test_rows_come_in_a_mapping(self, rows: Any) -> None:
        kind = type(rows).__name__
        with pytest.raises(ConfigError, match=rf"Endings\.codes are changed by a {kind}; write"):
            Endings().changed(rows)
        with pytest.raises(ConfigError, match=rf"Endings\.statuses are changed by a {kind}; "):
            Endings().changed(statuses=rows)

    def test_a_class_is_one_of_the_four(self) -> None:
        wrong: Any = "stop"
        with pytest.raises(ConfigError, match=r"Endings\.codes says 'stop' for 4700"):
            Endings().changed({4700: wrong})

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ({4700: CloseClass.STOP}, "must be a tuple"),
            ((4700,), "a row is a number and its CloseClass"),
            (((4700, CloseClass.STOP, 1),), "a row is a number and its CloseClass"),
            (((4700, CloseClass.STOP), (4700, CloseClass.RESUME)), "4700 twice"),
        ],
    )
    def test_a_table_that_exists_is_valid(self, rows: Any, words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            Endings(codes=rows)

    def test_tables_are_values(self) -> None:
        """They stand in a config, which can be compared, hashed and copied."""
        edited = Endings().changed({4700: CloseClass.STOP})
        assert edited == Endings().changed({4700: CloseClass.STOP}) != Endings()
        assert hash(Config(endings=edited)) == hash(Config(endings=edited))
        assert copy.deepcopy(edited) == edited
