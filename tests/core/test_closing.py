"""What a client does next is one table; what it doesn't name is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.closing import CLOSE_CLASSES, STATUS_CLASSES, CloseClass, Code, Ending

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
