"""All runtimes are one library: the same names and signatures, thin drivers (design 2)."""

import pytest

from .runtimes import RUNTIMES, driver_lines, lines_of_code, signatures

ONLY_THERE = {"asyncio": set[str](), "anyio": set[str](), "blocking": {"NotDriven"}}
"""Names that one runtime has and no other can: nobody but a blocking caller can fail to drive."""

OTHERS = [name for name in RUNTIMES if name != "asyncio"]
MOST = 160
"""Lines of code of a driver, at most."""


@pytest.mark.parametrize("name", OTHERS)
def test_every_runtime_has_the_same_public_names(name: str) -> None:
    ours, theirs = (set(RUNTIMES[one].__all__) for one in (name, "asyncio"))
    assert ours - ONLY_THERE[name] == theirs


@pytest.mark.parametrize("name", OTHERS)
def test_every_runtime_has_the_same_signatures_but_for_timeout_and_background(name: str) -> None:
    ours, theirs = signatures(name), signatures("asyncio")
    assert {one: words for one, words in ours.items() if theirs.get(one) != words} == {}
    assert set(ours) == set(theirs)


def test_what_the_comparison_sees_is_not_nothing() -> None:
    found = signatures("blocking")
    assert found["Session.publish"] == "(self, channel: str, payload: bytes | str) -> Receipt"
    assert found["Subscription.__next__"] == "(self) -> Message"
    assert found["Session.id"] == "property(self) -> str"
    assert found["serve"].startswith("(host: str | None = 127.0.0.1, port: int = 0, *, config:")
    assert len(found) > 50


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_driver_is_thin(name: str) -> None:
    assert 0 < driver_lines(name) <= MOST


def test_only_code_is_counted() -> None:
    source = (
        '"""A module."""\n\n# A comment.\ndef f() -> str:\n    """One."""\n    return """a\nb"""\n'
    )
    assert list(lines_of_code(source)) == [4, 6, 7]
