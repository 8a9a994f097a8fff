"""Who may connect: verifiers that answer at once, and what their grants allow."""

import pytest

from gapless.core.authorize import Grant, allow_anyone, allow_anyone_unpinned, shared_token
from gapless.core.errors import ConfigError


def test_a_grant_allows_no_pin_unless_it_says_so() -> None:
    """Design 7: a reader pins if its grant says it may."""
    assert not Grant("ann").may_pin


@pytest.mark.parametrize("credentials", [None, "", "anything"])
def test_without_an_authorizer_everybody_is_one_principal(credentials: str | None) -> None:
    assert allow_anyone(credentials) == Grant("anyone", may_pin=True)
    assert allow_anyone_unpinned(credentials) == Grant("anyone", may_pin=False)


def test_the_token_lets_in_and_lets_nobody_pin() -> None:
    verify = shared_token("s3cret")
    assert verify("s3cret") == Grant("token", may_pin=False)


@pytest.mark.parametrize(
    "shown", [None, "", "s3cre", "s3cret ", "S3CRET", "\ud800", "é", "x" * 100_000]
)
def test_anything_else_does_not(shown: str | None) -> None:
    """I21: whatever is shown, the answer is no, never an exception."""
    assert shared_token("s3cret")(shown) is None


def test_a_token_may_be_any_text() -> None:
    assert shared_token("schlüssel")("schlüssel") is not None


def test_an_empty_token_is_refused_for_it_would_let_everybody_in() -> None:
    with pytest.raises(ConfigError, match="let everybody in"):
        shared_token("")


def test_a_token_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="surrogates"):
        shared_token("a\udcff")
