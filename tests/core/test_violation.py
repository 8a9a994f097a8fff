"""Violation: a reason for people, a code for the wire."""

import pytest

from gapless.core.closing import Code
from gapless.core.violation import Violation


@pytest.mark.parametrize(
    ("violation", "code"),
    [
        (Violation("a second hello"), Code.VIOLATION),
        (Violation("a second hello", Code.POLICY), Code.POLICY),
    ],
)
def test_it_has_a_reason_and_a_code(violation: Violation, code: Code) -> None:
    assert (violation.code, violation.reason, str(violation)) == (
        code,
        "a second hello",
        "a second hello",
    )
